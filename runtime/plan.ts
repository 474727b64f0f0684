// The plan of one set of input shapes: steps in order, and for every buffer an offset in the arena such that buffers needed at
// the same time never overlap.

import { AdderNetError } from "../src/core/errors.ts";
import type { BoundGraph, BoundValue } from "./bind.ts";
import {
  bytesOf,
  type ConstantSources,
  type Draft,
  draftNode,
  type RaceTrack,
  type Step,
  type ValueRanges,
} from "./builder.ts";
import { loweringOf } from "./lowerings.ts";
import { rangesOf } from "./ranges.ts";

export interface PlannedBuffer {
  readonly label: string;
  readonly bytes: number;
  readonly offset: number;
  /** First and last step that need it: -1 is before the first step, `steps.length` after the last. */
  readonly first: number;
  readonly last: number;
}

/** Where a fed or answered tensor is. A constant output has no buffer; an output that is an input is that feed. */
export interface PlannedValue {
  readonly value: BoundValue;
  readonly buffer?: number;
  readonly feed?: number;
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly buffers: readonly PlannedBuffer[];
  readonly inputs: readonly PlannedValue[];
  readonly outputs: readonly PlannedValue[];
  readonly arenaBytes: number;
}

const alignment = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;
/** wasm32 addresses end at 4 GiB. */
const largestArena = 2 ** 32 - 2 ** 16;

interface Interval {
  first: number;
  last: number;
}

/** When each buffer is needed, in steps. */
function lifetimes(
  draft: Draft,
  inputs: readonly PlannedValue[],
  outputs: readonly PlannedValue[],
): Interval[] {
  const intervals = draft.buffers.map((): Interval => ({ first: Number.POSITIVE_INFINITY, last: -1 }));
  const touch = (buffer: number | undefined, step: number) => {
    if (buffer === undefined) return;
    const interval = intervals[buffer]!;
    interval.first = Math.min(interval.first, step);
    interval.last = Math.max(interval.last, step);
  };
  for (const { buffer } of inputs) touch(buffer, -1);
  for (const [index, { reads, writes }] of draft.steps.entries()) {
    for (const buffer of [...reads, ...writes]) touch(buffer, index);
  }
  for (const { buffer } of outputs) touch(buffer, draft.steps.length);
  return intervals;
}

/** For each buffer the one whose place it takes: outputs written over an input that ends in the same step. */
function sharedPlaces(draft: Draft, intervals: Interval[]): number[] {
  const place = draft.buffers.map((_, index) => index);
  for (const [index, { reads, replaces }] of draft.steps.entries()) {
    for (const { output, input } of replaces) {
      const owner = place[input]!;
      const isReadOnce = reads.filter((buffer) => place[buffer] === owner).length === 1;
      const fits = draft.buffers[output]!.bytes === draft.buffers[owner]!.bytes;
      if (!isReadOnce || !fits || intervals[owner]!.last !== index) continue;
      place[output] = owner;
      intervals[owner]!.last = intervals[output]!.last;
      break;
    }
  }
  return place;
}

interface Placed extends Interval {
  readonly offset: number;
  readonly end: number;
}

/** The lowest gap of `bytes` among buffers alive at the same time. */
function lowestGap(bytes: number, interval: Interval, placed: readonly Placed[]): number {
  const rivals = placed
    .filter((other) => other.first <= interval.last && interval.first <= other.last)
    .sort((a, b) => a.offset - b.offset);
  let offset = 0;
  for (const rival of rivals) {
    if (rival.offset - offset >= bytes) break;
    offset = Math.max(offset, rival.end);
  }
  return offset;
}

/** Offsets by size, largest first: big buffers find big gaps while there are any. */
function arrange(
  draft: Draft,
  inputs: readonly PlannedValue[],
  outputs: readonly PlannedValue[],
): PlannedBuffer[] {
  const intervals = lifetimes(draft, inputs, outputs);
  const place = sharedPlaces(draft, intervals);
  const owners = [...draft.buffers.keys()].filter((index) => place[index] === index);
  owners.sort((a, b) => draft.buffers[b]!.bytes - draft.buffers[a]!.bytes);
  const placed: Placed[] = [];
  const offsets = new Map<number, number>();
  for (const index of owners) {
    const bytes = aligned(draft.buffers[index]!.bytes);
    const offset = lowestGap(bytes, intervals[index]!, placed);
    placed.push({ ...intervals[index]!, offset, end: offset + bytes });
    offsets.set(index, offset);
  }
  return draft.buffers.map((need, index) => ({
    ...need,
    offset: offsets.get(place[index]!)!,
    first: intervals[index]!.first,
    last: intervals[index]!.last,
  }));
}

function requireRoom(label: string, bytes: number): void {
  if (bytes <= largestArena) return;
  throw new AdderNetError("ADN_LIMIT", `"${label}" would take ${bytes} bytes`, {
    expected: `at most ${largestArena}`,
    fix: "use a smaller batch or input",
  });
}

/**
 * Lowers every node and gives every buffer its place. With a track, kernels that are nearly as fast race. `ranges` is what holds for the
 * values: what follows from the graph, unless the caller knows more. Throws ADN_LIMIT for what cannot fit a WebAssembly memory.
 */
export function planGraph(
  graph: BoundGraph,
  sources: ConstantSources,
  track?: RaceTrack,
  ranges: ValueRanges = rangesOf(graph),
): Plan {
  const draft: Draft = { steps: [], buffers: [], bufferOf: new Map() };
  for (const value of graph.inputs) {
    const bytes = bytesOf(value);
    requireRoom(value.name, bytes);
    draft.bufferOf.set(value.name, draft.buffers.push({ bytes, label: value.name }) - 1);
  }
  for (const bound of graph.nodes) {
    for (const value of bound.outputs) if (value) requireRoom(value.name, bytesOf(value));
    draftNode(bound, draft, sources, ranges, loweringOf(bound.node)!.lower, track);
  }
  const planned = (value: BoundValue): PlannedValue => {
    const buffer = value.constant ? undefined : draft.bufferOf.get(value.name);
    return buffer === undefined ? { value } : { value, buffer };
  };
  const inputs = graph.inputs.map(planned);
  const outputs = graph.outputs.map((value) => {
    const feed = graph.inputs.findIndex(({ name }) => name === value.name);
    return feed < 0 ? planned(value) : { value, feed };
  });
  const buffers = arrange(draft, inputs, outputs);
  const arenaBytes = buffers.reduce((most, { offset, bytes }) => Math.max(most, offset + aligned(bytes)), 0);
  requireRoom("the arena", arenaBytes);
  return { steps: draft.steps, buffers, inputs, outputs, arenaBytes };
}
