// Which of several ways to compute a layer is the fastest on this machine: each runs a few times on the layer's own weights, in memory
// that is given back, and what won is remembered as long as the process lives.

import type { Kernels } from "../custom-ops/kernels/load.ts";
import type { Arena } from "./arena.ts";
import type { BoundNode } from "./bind.ts";
import {
  type Argument,
  bytesOf,
  type Call,
  type ConstantData,
  type ConstantSources,
  callsOf,
  type Draft,
  draftNode,
  type Race,
  type RaceTrack,
  type ValueRanges,
  type Variants,
} from "./builder.ts";
import { placeConstant } from "./constants.ts";
import { makeLists } from "./lists.ts";

/** What races are run on. */
export interface RaceGround {
  readonly arena: Arena;
  readonly kernels: Kernels;
  /** Tells machines' instruction sets apart. */
  readonly level: string;
}

const remembered = new Map<string, Race>();

/** A race lasts that long, and has that many rounds at least: engines compile what runs often better after a while. */
const raceMilliseconds = 12;
const fewestRounds = 3;

/** Sources of constants whose blocks `release` gives back. */
function temporarySources({ arena, kernels }: RaceGround) {
  const blocks: number[] = [];
  const known = new Map<string, number>();
  const kept = (address: number): number => {
    blocks.push(address);
    return address;
  };
  const source = (key: string, make: () => ConstantData): number => {
    const address = known.get(key) ?? kept(placeConstant(arena, make()));
    known.set(key, address);
    return address;
  };
  const sources: ConstantSources = {
    weights: source,
    table: source,
    lists: (_key, make) => {
      const { block, lists } = makeLists(make(), arena, kernels);
      kept(block);
      return lists;
    },
  };
  const room = (bytes: number): number => {
    const address = kept(arena.allocate(bytes));
    new Uint8Array(arena.memory.buffer, address, bytes).fill(0);
    return address;
  };
  return { sources, room, release: () => blocks.forEach(arena.release) };
}

/** Calls for one band of the image: where inputs are laid out a second time the next one begins. */
function firstBand(calls: readonly Call[]): readonly Call[] {
  const isLayout = ({ kernel }: Call): boolean => kernel.endsWith("_expand");
  const second = calls.findIndex((call, index) => index > 0 && isLayout(call));
  return second < 0 ? calls : calls.slice(0, second);
}

function linked(calls: readonly Call[], addresses: readonly number[], kernels: Kernels): () => void {
  const addressOf = (argument: Argument): number =>
    typeof argument === "number" ? argument : addresses[argument.buffer]! + argument.bytes;
  const bound = calls.map(({ kernel, args }) => ({ kernel: kernels[kernel], args: args.map(addressOf) }));
  return () => {
    for (const { kernel, args } of bound) kernel(...args);
  };
}

function timed(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

function runRace(bound: BoundNode, variants: Variants, ranges: ValueRanges, ground: RaceGround): Race {
  const { sources, room, release } = temporarySources(ground);
  try {
    const runs = Object.entries(variants).map(([name, lower]) => {
      const draft: Draft = { steps: [], buffers: [], bufferOf: new Map() };
      for (const value of bound.inputs) {
        if (value === undefined || value.constant) continue;
        draft.bufferOf.set(value.name, draft.buffers.push({ bytes: bytesOf(value), label: value.name }) - 1);
      }
      draftNode(bound, draft, sources, ranges, (_bound, build) => lower(build));
      const addresses = draft.buffers.map(({ bytes }) => room(bytes));
      return { name, run: linked(firstBand(callsOf(draft.steps[0]!)), addresses, ground.kernels) };
    });
    const best = new Map<string, number>();
    const start = performance.now();
    for (let round = 0; round < fewestRounds || performance.now() - start < raceMilliseconds; round++) {
      for (const { name, run } of runs) {
        best.set(name, Math.min(best.get(name) ?? Number.POSITIVE_INFINITY, timed(run)));
      }
    }
    const [winner] = [...best].reduce((a, b) => (b[1] < a[1] ? b : a));
    return { winner, milliseconds: Object.fromEntries(best) };
  } finally {
    release();
  }
}

/** Where variants race. */
export function openTrack(ground: RaceGround): RaceTrack {
  return (key, bound, variants, ranges) => {
    const fullKey = `${ground.level} ${key}`;
    const race = remembered.get(fullKey) ?? runRace(bound, variants, ranges, ground);
    remembered.set(fullKey, race);
    return race;
  };
}
