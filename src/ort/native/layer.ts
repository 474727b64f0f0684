// One node of ours as onnxruntime gives it: its plan for every shape met lately, its weights packed once, its calls of kernels linked to
// wherever onnxruntime puts the operands.

import { detachFunctions } from "../../../custom-ops/attach-functions.ts";
import type { Kernels } from "../../../custom-ops/kernels/load.ts";
import type { Arena } from "../../../runtime/arena.ts";
import { type BoundValue, bind, type ConstantCache } from "../../../runtime/bind.ts";
import {
  type ArenaAddress,
  type Call,
  callsOf,
  type RaceTrack,
  type ValueRanges,
} from "../../../runtime/builder.ts";
import { constantSource, type ListPlace, listSource, releaseConstants } from "../../../runtime/constants.ts";
import { type Plan, planGraph } from "../../../runtime/plan.ts";
import { factsOf, requireSupported } from "../../../runtime/support.ts";
import type { DataType } from "../../core/dtype.ts";
import { AdderNetError } from "../../core/errors.ts";
import { nodeLabel } from "../../core/ir/attributes.ts";
import type { Model, Node } from "../../core/ir/model.ts";
import { newModel } from "../../core/ir/new-model.ts";
import { elementCount, type Tensor } from "../../core/tensor.ts";

/** Where layers are computed; on the track kernels that are nearly as fast race. */
export interface LayerGround {
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly track: RaceTrack;
}

/** A node, with what is known when the session is made. Its values are named as in the op's schema. */
export interface LayerSource {
  readonly node: Node;
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly types: ReadonlyMap<string, DataType>;
}

/** What is seen of X in one run: no sign bit is set, or the bits that its codes have. */
export interface SeenRange {
  readonly isNotNegative: boolean;
  readonly mostCode: number;
}

interface LinkedCall {
  readonly kernel: (...args: number[]) => void;
  readonly args: number[];
  /** Which arguments move with which place, and how far from it they lie. */
  readonly moves: readonly { readonly argument: number; readonly place: number; readonly bytes: number }[];
  /** Which advance from image to image, and by how many bytes. */
  readonly strides: readonly { readonly argument: number; readonly bytes: number }[];
}

interface LinkedGroup {
  readonly calls: readonly LinkedCall[];
  readonly images: number;
}

/** A plan for fixed shapes. Its places are the feeds in order, the output, and scratch. */
export interface LayerPlan {
  readonly dims: readonly number[];
  readonly scratchBytes: number;
  readonly why: string;
  readonly kernels: readonly string[];
  /** Calls the kernels with operands at these addresses. */
  run(places: readonly number[]): void;
}

interface KeptPlan extends LayerPlan {
  readonly tables: readonly number[];
  readonly lists: ReadonlySet<string>;
}

export interface Layer {
  readonly where: string;
  /** Names of the inputs that each run gives, X first. */
  readonly feeds: readonly string[];
  /** Answers the plan for feeds of these dims. Throws ADN_SHAPE and the like where they do not fit. */
  planFor(dims: readonly (readonly number[])[], seen: SeenRange): LayerPlan;
  /** The plan of the latest run. */
  latest(): LayerPlan | undefined;
  release(): void;
}

/** Plans kept per layer; the one used longest ago goes first. */
const mostPlans = 8;
const alignment = 64;

function modelOf({ node, constants, types }: LayerSource): Model {
  const feeds = node.inputs.filter((name) => name !== "" && !constants.has(name));
  const model: Model = newModel(
    {
      name: "",
      inputs: feeds.map((name) => ({ name, type: { kind: "tensor", elemType: types.get(name)! } })),
      outputs: [{ name: node.outputs[0]! }],
      nodes: [node],
      initializers: new Map(constants),
    },
    { "": 17, addernet: 1 },
  );
  // Inputs that only a function body needs cost time.
  detachFunctions(model);
  return model;
}

/** For each buffer the place it lies in and how far from its start; behind the feeds' places come the output's and scratch. */
function placesOf(plan: Plan): { places: { place: number; offset: number }[]; scratchBytes: number } {
  const feeds = plan.inputs.map(({ buffer }) => buffer);
  const output = plan.outputs[0]!.buffer;
  let scratchBytes = 0;
  const places = plan.buffers.map(({ bytes }, buffer) => {
    if (feeds.includes(buffer)) return { place: feeds.indexOf(buffer), offset: 0 };
    if (buffer === output) return { place: feeds.length, offset: 0 };
    const offset = scratchBytes;
    scratchBytes += Math.ceil(bytes / alignment) * alignment;
    return { place: feeds.length + 1, offset };
  });
  return { places, scratchBytes };
}

function linkGroups(
  plan: Plan,
  places: readonly { place: number; offset: number }[],
  kernels: Kernels,
): LinkedGroup[] {
  function linkCall({ kernel, args, strides = [] }: Call): LinkedCall {
    const moves = args.flatMap((argument, index) => {
      if (typeof argument === "number") return [];
      const { buffer, bytes }: ArenaAddress = argument;
      const { place, offset } = places[buffer]!;
      return [{ argument: index, place, bytes: offset + bytes }];
    });
    const fixed = args.map((argument) => (typeof argument === "number" ? argument : 0));
    const advances = strides
      .map((bytes, argument) => ({ argument, bytes }))
      .filter(({ bytes }) => bytes !== 0);
    return { kernel: kernels[kernel], args: fixed, moves, strides: advances };
  }
  return plan.steps.flatMap(({ groups }) =>
    groups.map(({ calls, images }) => ({ calls: calls.map(linkCall), images })),
  );
}

/** Adds so many images to the addresses of calls. */
function advance(calls: readonly LinkedCall[], images: number): void {
  for (const { args, strides } of calls) {
    for (const { argument, bytes } of strides) args[argument]! += images * bytes;
  }
}

/** The calls of a group for all its images; their addresses are those of image 0 before and after. */
function runGroup({ calls, images }: LinkedGroup): void {
  for (let image = 0; image < images; image++) {
    if (image > 0) advance(calls, 1);
    for (const { kernel, args } of calls) kernel(...args);
  }
  advance(calls, 1 - images);
}

function linked(plan: Plan, kernels: Kernels): LayerPlan {
  const { places, scratchBytes } = placesOf(plan);
  const groups = linkGroups(plan, places, kernels);
  const calls = groups.flatMap((group) => group.calls);
  let before: readonly number[] = [];
  return {
    dims: plan.outputs[0]!.value.dims,
    scratchBytes,
    why: plan.steps.map(({ why }) => why).join("; "),
    kernels: [...new Set(plan.steps.flatMap(callsOf).map(({ kernel }) => kernel))],
    run(addresses) {
      const isSame = addresses.every((address, index) => address === before[index]);
      if (!isSame) {
        for (const { args, moves } of calls) {
          for (const { argument, place, bytes } of moves) args[argument] = addresses[place]! + bytes;
        }
        before = addresses;
      }
      for (const group of groups) runGroup(group);
    },
  };
}

function rangesFor(x: string, { isNotNegative, mostCode }: SeenRange): ValueRanges {
  return {
    isNotNegative: ({ name }: BoundValue) => name === x && isNotNegative,
    mostCode: ({ name }: BoundValue) => (name === x ? mostCode : 255),
  };
}

function makePlan(
  model: Model,
  dims: readonly (readonly number[])[],
  seen: SeenRange,
  ground: LayerGround,
  place: ListPlace,
  memo: { readonly cache: ConstantCache; readonly weights: Map<string, number> },
): KeptPlan {
  const { inputs } = model.graph;
  const tables = new Map<string, number>();
  const lists = new Set<string>();
  try {
    const shapes = new Map(inputs.map(({ name }, index) => [name, dims[index]!]));
    const graph = bind(model, shapes, memo.cache);
    const plan = planGraph(
      graph,
      {
        weights: constantSource(place.arena, memo.weights),
        table: constantSource(place.arena, tables),
        lists: listSource(place, lists),
      },
      ground.track,
      rangesFor(inputs[0]!.name, seen),
    );
    return { ...linked(plan, place.kernels), tables: [...tables.values()], lists };
  } catch (error) {
    releaseConstants(place, tables.values(), lists);
    throw error;
  }
}

function requireFeed(source: LayerSource, model: Model): void {
  const [first] = model.graph.inputs;
  if (first !== undefined && first.name === source.node.inputs[0]) return;
  throw new AdderNetError("ADN_ONNX_MODEL", "X must be fed", { where: nodeLabel(source.node) });
}

/** A plan and what it was used for. */
interface UsedPlan {
  readonly plan: LayerPlan;
  readonly dims: readonly (readonly number[])[];
  readonly seen: SeenRange;
}

function isSameInput(
  dims: readonly (readonly number[])[],
  seen: SeenRange,
  used: UsedPlan | undefined,
): used is UsedPlan {
  if (used === undefined || used.dims.length !== dims.length) return false;
  if (used.seen.isNotNegative !== seen.isNotNegative || used.seen.mostCode !== seen.mostCode) return false;
  return dims.every((each, index) => {
    const before = used.dims[index]!;
    return each.length === before.length && each.every((length, axis) => length === before[axis]);
  });
}

/**
 * A layer whose constants lie in `arena`. Throws ADN_OP_UNSUPPORTED and the like for a node that the kernels do not take.
 */
export function makeLayer(source: LayerSource, ground: LayerGround): Layer {
  const { arena, kernels } = ground;
  const model = modelOf(source);
  requireSupported(model, factsOf(model));
  requireFeed(source, model);
  const place: ListPlace = { arena, kernels, lists: new Map() };
  const memo = { cache: new Map(), weights: new Map<string, number>() };
  const plans = new Map<string, KeptPlan>();
  let latest: UsedPlan | undefined;
  const drop = (key: string): void => {
    const { tables, lists } = plans.get(key)!;
    releaseConstants(place, tables, lists);
    plans.delete(key);
  };
  return {
    where: nodeLabel(source.node),
    feeds: model.graph.inputs.map(({ name }) => name),
    planFor(dims, seen) {
      if (isSameInput(dims, seen, latest)) return latest.plan;
      const key = [...dims.map((each) => each.join("x")), seen.isNotNegative, seen.mostCode].join(" ");
      let plan = plans.get(key);
      if (plan === undefined) {
        const oldest = plans.keys().next().value;
        if (plans.size >= mostPlans && oldest !== undefined) drop(oldest);
        plan = makePlan(model, dims, seen, ground, place, memo);
      } else {
        plans.delete(key);
      }
      plans.set(key, plan);
      latest = { plan, dims, seen };
      return plan;
    },
    latest: () => latest?.plan,
    release() {
      latest = undefined;
      for (const key of [...plans.keys()]) drop(key);
      for (const address of memo.weights.values()) arena.release(address);
      memo.weights.clear();
    },
  };
}

/** Elements of a plan's output. */
export function outputElements({ dims }: LayerPlan): number {
  return elementCount(dims);
}
