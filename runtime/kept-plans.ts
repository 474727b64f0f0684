// The plans of a session: made for the input shapes met lately, placed in its memory, shared among its threads.

import type { Kernels } from "../custom-ops/kernels/load.ts";
import type { Model } from "../src/core/ir/model.ts";
import type { Arena } from "./arena.ts";
import { bind, type ConstantCache } from "./bind.ts";
import type { RaceTrack } from "./builder.ts";
import { constantSource, listSource, releaseConstants, type SharedLists } from "./constants.ts";
import type { LinkedPlan } from "./execute.ts";
import { fuseEpilogues } from "./fuse.ts";
import { imagesOf } from "./images.ts";
import { type Plan, planGraph } from "./plan.ts";
import { type Arrangement, arrangePlan } from "./threads/arrange.ts";
import { leastGain, type ThreadChoice } from "./threads/choice.ts";
import { encodePrograms, linkPhases, placedBytes } from "./threads/place.ts";
import type { PublishedProgram } from "./threads/team.ts";

/** Plans kept per session; the one used longest ago goes first. */
const mostPlans = 8;

/** Of the model's inputs, in their order. */
export type Shapes = readonly (readonly number[])[];

export interface CachedPlan {
  readonly plan: Plan;
  readonly arrangement: Arrangement;
  readonly linked: LinkedPlan;
  /** Addresses of the plan's own constants. */
  readonly tables: readonly number[];
  /** Keys of the lists it uses. */
  readonly lists: ReadonlySet<string>;
}

/** What plans are made of, and where they are kept. */
export interface PlanGround {
  readonly model: Model;
  readonly kernels: Kernels;
  readonly threads: { readonly choice: ThreadChoice };
  readonly arena: Arena;
  readonly track: RaceTrack | undefined;
  readonly constants: ConstantCache;
  /** Addresses of packed weights by what they are made of. */
  readonly weights: Map<string, number>;
  /** Lists of taps, by key. */
  readonly lists: Map<string, SharedLists>;
  /** By input shapes, in the order of use. */
  readonly plans: Map<string, CachedPlan>;
  /** The block all plans share for values: plans never keep anything in it from run to run. */
  values: { address: number; bytes: number };
}

let plansSoFar = 0;

/** Copies the programs of the other threads to where these read them. */
function publishPrograms(arena: Arena, programs: readonly Float64Array<ArrayBuffer>[]): PublishedProgram[] {
  return programs.map((program) => {
    const address = arena.allocate(program.byteLength);
    new Float64Array(arena.memory.buffer, address, program.length).set(program);
    return { address, words: program.length };
  });
}

/** The plan's work for all threads, or for one where more gain too little. */
function arrange({ threads }: PlanGround, plan: Plan): Arrangement {
  const { most, isAuto } = threads.choice;
  const shared = arrangePlan(plan, { threads: most });
  return isAuto && shared.gain < leastGain ? arrangePlan(plan, { threads: 1 }) : shared;
}

function linkPlan({ arena, kernels, values }: PlanGround, plan: Plan, arrangement: Arrangement): LinkedPlan {
  const base = values.address;
  const programs = publishPrograms(arena, encodePrograms(arrangement, plan, base));
  return { number: plansSoFar++, base, phases: linkPhases(arrangement, plan, base, kernels), programs };
}

function releasePrograms({ arena }: PlanGround, { programs }: LinkedPlan): void {
  for (const { address } of programs) arena.release(address);
}

function relinkPlans(state: PlanGround): void {
  for (const [key, cached] of state.plans) {
    releasePrograms(state, cached.linked);
    state.plans.set(key, { ...cached, linked: linkPlan(state, cached.plan, cached.arrangement) });
  }
}

/** For other threads than before. */
export function arrangeAgain(state: PlanGround): void {
  for (const [key, cached] of state.plans) {
    state.plans.set(key, { ...cached, arrangement: arrange(state, cached.plan) });
  }
  relinkPlans(state);
}

function releasePlan(state: PlanGround, key: string): void {
  const { tables, lists, linked } = state.plans.get(key)!;
  releaseConstants(state, tables, lists);
  releasePrograms(state, linked);
  state.plans.delete(key);
}

/** Puts the block of values somewhere else, or makes it larger; every plan is linked to it again. */
function placeValues(state: PlanGround, bytes: number): void {
  state.values = { address: state.arena.allocate(bytes), bytes };
  relinkPlans(state);
}

/** Room for a plan's values. */
function reserveValues(state: PlanGround, bytes: number): void {
  const before = state.values;
  if (bytes <= before.bytes) return;
  if (before.bytes > 0) state.arena.release(before.address);
  try {
    placeValues(state, bytes);
  } catch (error) {
    if (before.bytes > 0) placeValues(state, before.bytes);
    throw error;
  }
}

function makePlan(state: PlanGround, inputShapes: Shapes): CachedPlan {
  const { model, arena, constants, weights, track } = state;
  const shapes = new Map(model.graph.inputs.map(({ name }, index) => [name, inputShapes[index]!]));
  const tables = new Map<string, number>();
  const lists = new Set<string>();
  try {
    const sources = {
      weights: constantSource(arena, weights),
      table: constantSource(arena, tables),
      lists: listSource(state, lists),
    };
    const bound = (given: ReadonlyMap<string, readonly number[]>) =>
      fuseEpilogues(bind(model, given, constants));
    const graph = bound(shapes);
    const plan = planGraph(graph, sources, track, undefined, imagesOf(model, graph, bound));
    const arrangement = arrange(state, plan);
    reserveValues(state, placedBytes(plan, arrangement));
    const linked = linkPlan(state, plan, arrangement);
    return { plan, arrangement, linked, tables: [...tables.values()], lists };
  } catch (error) {
    releaseConstants(state, tables.values(), lists);
    throw error;
  }
}

/** The plan for these input shapes: the one made before, or a new one. */
export function planFor(state: PlanGround, shapes: Shapes): CachedPlan {
  const key = shapes.join(" ");
  const known = state.plans.get(key);
  if (known !== undefined) {
    state.plans.delete(key);
    state.plans.set(key, known);
    return known;
  }
  const oldest = state.plans.keys().next().value;
  if (state.plans.size >= mostPlans && oldest !== undefined) releasePlan(state, oldest);
  const made = makePlan(state, shapes);
  state.plans.set(key, made);
  return made;
}

/** Whether other threads take part. */
export const isShared = ({ linked }: CachedPlan): boolean => linked.programs.length > 0;
