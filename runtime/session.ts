// A session: a model with its kernels, its memory, and a plan for every input shape met lately.

import { ops } from "../custom-ops/index.ts";
import {
  chooseLevel,
  isLevelAvailable,
  type Kernels,
  loadKernels,
  type SimdLevel,
  simdLevels,
} from "../custom-ops/kernels/load.ts";
import type { DataType } from "../src/core/dtype.ts";
import { AdderNetError } from "../src/core/errors.ts";
import { inferShapes } from "../src/core/infer-shapes.ts";
import type { Model, ValueInfo } from "../src/core/ir/model.ts";
import type { ReadExternalData } from "../src/core/onnx/external-data.ts";
import { decodeModel } from "../src/core/onnx/index.ts";
import type { ValueFact } from "../src/core/ops/define-op.ts";
import type { Tensor } from "../src/core/tensor.ts";
import { type Arena, makeArena } from "./arena.ts";
import { bind, type ConstantCache } from "./bind.ts";
import type { ConstantData, ConstantSource, ConstantSources } from "./builder.ts";
import { execute, executeTimed, type LinkedPlan, linkPlan } from "./execute.ts";
import { describePlan, describeStep, type SessionExplanation, type StepTime } from "./explain.ts";
import { checkFeeds, type Feeds } from "./feeds.ts";
import { fuseEpilogues } from "./fuse.ts";
import { makeLists, type TapLists } from "./lists.ts";
import { type Plan, planGraph } from "./plan.ts";
import { requireSupported } from "./support.ts";

export interface SessionOptions {
  /** Instruction set of the kernels: the best this engine has ("auto"), or one by name. */
  readonly simd?: SimdLevel | "auto";
  /** Threads asked for. This runtime computes on the calling thread; `explain()` says so. */
  readonly threads?: number | "auto";
  /** Bytes of a file beside the model, for weights kept outside it. */
  readonly externalData?: ReadExternalData;
}

/** onnxruntime's description of an input or output; unknown lengths are "". */
export interface ValueMetadata {
  readonly name: string;
  readonly isTensor: true;
  readonly type: DataType;
  readonly shape: readonly (number | string)[];
}

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly ValueMetadata[];
  readonly outputMetadata: readonly ValueMetadata[];
  /** Runs the model once. Throws ADN_FEED for unfit feeds, ADN_DISPOSED after `dispose`. The answers are copies. */
  run(feeds: Feeds): Promise<Record<string, Tensor>>;
  /** Which kernels run, why, and how much memory they use. */
  explain(): SessionExplanation;
  /** Runs the model once, as `run` does, and answers what each step took in place of the results. */
  profile(feeds: Feeds): Promise<readonly StepTime[]>;
  /** Frees the session's memory. Further runs throw ADN_DISPOSED. */
  dispose(): Promise<void>;
}

/** Plans kept per session; the one used longest ago goes first. */
const mostPlans = 8;
const knownOptions = ["simd", "threads", "externalData"];

interface CachedPlan {
  readonly plan: Plan;
  readonly linked: LinkedPlan;
  /** Addresses of the plan's own constants. */
  readonly tables: readonly number[];
  /** Keys of the lists it uses. */
  readonly lists: ReadonlySet<string>;
}

interface SharedLists {
  readonly lists: TapLists;
  readonly block: number;
  users: number;
}

interface State {
  readonly model: Model;
  readonly kernels: Kernels;
  readonly arena: Arena;
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

function requireOptions(options: SessionOptions): void {
  const unknown = Object.keys(options).find((name) => !knownOptions.includes(name));
  if (unknown !== undefined) {
    throw new AdderNetError("ADN_USAGE", `no option "${unknown}"`, { expected: knownOptions.join(", ") });
  }
  const { simd = "auto", threads = 1 } = options;
  if (simd !== "auto" && !simdLevels.includes(simd)) {
    throw new AdderNetError("ADN_USAGE", "simd is unknown", {
      expected: ["auto", ...simdLevels].join(", "),
      found: String(simd),
    });
  }
  if (threads !== "auto" && !(Number.isInteger(threads) && threads >= 1)) {
    throw new AdderNetError("ADN_USAGE", "threads is out of range", {
      expected: '"auto" or >= 1',
      found: String(threads),
    });
  }
}

/** Copies constants into the arena and answers their address. */
function place(arena: Arena, { buffer, byteOffset, byteLength }: ConstantData): number {
  const address = arena.allocate(byteLength);
  new Uint8Array(arena.memory.buffer, address, byteLength).set(
    new Uint8Array(buffer, byteOffset, byteLength),
  );
  return address;
}

/** Places constants once per key. */
function constantSource(arena: Arena, addresses: Map<string, number>): ConstantSource {
  return (key, make) => {
    const known = addresses.get(key);
    if (known !== undefined) return known;
    const address = place(arena, make());
    addresses.set(key, address);
    return address;
  };
}

/** Places lists once per key, and counts the plan whose keys are in `used` as a user. */
function listSource({ arena, kernels, lists }: State, used: Set<string>): ConstantSources["lists"] {
  return (key, source) => {
    let known = lists.get(key);
    if (known === undefined) {
      known = { ...makeLists(source(), arena, kernels), users: 0 };
      lists.set(key, known);
    }
    if (!used.has(key)) known.users++;
    used.add(key);
    return known.lists;
  };
}

function releaseConstants(
  { arena, lists }: State,
  tables: Iterable<number>,
  listKeys: ReadonlySet<string>,
): void {
  for (const address of tables) arena.release(address);
  for (const key of listKeys) {
    const shared = lists.get(key)!;
    if (--shared.users > 0) continue;
    arena.release(shared.block);
    lists.delete(key);
  }
}

function releasePlan(state: State, key: string): void {
  const { tables, lists } = state.plans.get(key)!;
  releaseConstants(state, tables, lists);
  state.plans.delete(key);
}

/** Puts the block of values somewhere else, or makes it larger; every plan is linked to it again. */
function placeValues(state: State, bytes: number): void {
  const { arena, plans, kernels } = state;
  state.values = { address: arena.allocate(bytes), bytes };
  for (const [key, cached] of plans) {
    plans.set(key, { ...cached, linked: linkPlan(cached.plan, state.values.address, kernels) });
  }
}

/** Room for a plan's values. */
function reserveValues(state: State, bytes: number): void {
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

function makePlan(state: State, shapes: ReadonlyMap<string, readonly number[]>): CachedPlan {
  const { model, kernels, arena, constants, weights } = state;
  const tables = new Map<string, number>();
  const lists = new Set<string>();
  try {
    const plan = planGraph(fuseEpilogues(bind(model, shapes, constants)), {
      weights: constantSource(arena, weights),
      table: constantSource(arena, tables),
      lists: listSource(state, lists),
    });
    reserveValues(state, plan.arenaBytes);
    const linked = linkPlan(plan, state.values.address, kernels);
    return { plan, linked, tables: [...tables.values()], lists };
  } catch (error) {
    releaseConstants(state, tables.values(), lists);
    throw error;
  }
}

/** The plan for these input shapes: the one made before, or a new one. */
function planFor(state: State, shapes: ReadonlyMap<string, readonly number[]>): CachedPlan {
  const key = [...shapes].map(([name, dims]) => `${name}:${dims.join("x")}`).join(" ");
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

/** The feeds in the graph's order, and the plan for their shapes. */
function prepare(state: State, feeds: Feeds) {
  const { inputs } = state.model.graph;
  const tensors = checkFeeds(feeds, inputs);
  const shapes = new Map(inputs.map(({ name }, index) => [name, tensors[index]!.dims]));
  return { tensors, ...planFor(state, shapes) };
}

function runOnce(state: State, feeds: Feeds): Record<string, Tensor> {
  const { tensors, plan, linked } = prepare(state, feeds);
  const results = execute(plan, linked, state.arena.memory, tensors);
  return Object.fromEntries(state.model.graph.outputs.map(({ name }, index) => [name, results[index]!]));
}

function profileOnce(state: State, feeds: Feeds): StepTime[] {
  const { tensors, plan, linked } = prepare(state, feeds);
  const times = executeTimed(plan, linked, state.arena.memory, tensors);
  return plan.steps.map((step, index) => ({ ...describeStep(step), milliseconds: times[index]! }));
}

function metadataOf({ name }: ValueInfo, facts: ReadonlyMap<string, ValueFact>): ValueMetadata {
  const { elemType = "float32", shape = [] } = facts.get(name) ?? {};
  return { name, isTensor: true, type: elemType, shape: shape.map((dim) => dim ?? "") };
}

/** Input shapes, when the file fixes all of them. */
function fixedShapes(inputs: readonly ValueInfo[]): Map<string, readonly number[]> | undefined {
  const shapes = new Map<string, readonly number[]>();
  for (const { name, type } of inputs) {
    const shape = type?.kind === "tensor" ? type.shape : undefined;
    if (!shape?.every((dim) => typeof dim === "number")) return undefined;
    shapes.set(name, shape as readonly number[]);
  }
  return shapes;
}

/** A session over a model as plain data. See `createSession`. */
export async function createExecutor(model: Model, options: SessionOptions = {}): Promise<Session> {
  requireOptions(options);
  requireSupported(model);
  const level = chooseLevel(options.simd ?? "auto");
  const arena = makeArena();
  const kernels = await loadKernels(level, arena.memory);
  let state: State | undefined = {
    model,
    kernels,
    arena,
    constants: new Map(),
    weights: new Map(),
    lists: new Map(),
    plans: new Map(),
    values: { address: 0, bytes: 0 },
  };
  const use = (): State => {
    if (state !== undefined) return state;
    throw new AdderNetError("ADN_DISPOSED", "the session was disposed", { fix: "create a new one" });
  };
  const { graph } = model;
  const facts = inferShapes(graph, model.opsetImports, ops, { functions: model.functions });
  const shapes = fixedShapes(graph.inputs);
  if (shapes !== undefined) planFor(state, shapes);
  return {
    inputNames: graph.inputs.map(({ name }) => name),
    outputNames: graph.outputs.map(({ name }) => name),
    inputMetadata: graph.inputs.map((info) => metadataOf(info, facts)),
    outputMetadata: graph.outputs.map((info) => metadataOf(info, facts)),
    run: async (feeds) => runOnce(use(), feeds),
    profile: async (feeds) => profileOnce(use(), feeds),
    explain: () => {
      const { plans, weights } = use();
      return {
        simd: { level, reason: levelReason(level, options.simd ?? "auto") },
        threads: { count: 1, reason: threadsReason(options.threads ?? 1) },
        weightBlocks: weights.size,
        usedBytes: arena.usedBytes(),
        memoryBytes: arena.memory.buffer.byteLength,
        plans: [...plans.values()].map(({ plan }) => describePlan(plan)),
      };
    },
    dispose: async () => {
      state = undefined;
    },
  };
}

function levelReason(level: SimdLevel, wanted: SimdLevel | "auto"): string {
  if (wanted !== "auto") return "asked for";
  const better = simdLevels.slice(0, simdLevels.indexOf(level)).filter((other) => !isLevelAvailable(other));
  return better.length === 0 ? "the best there is" : `this engine cannot run ${better.join(", ")}`;
}

function threadsReason(wanted: number | "auto"): string {
  return wanted === 1 ? "asked for" : "this runtime computes on the calling thread";
}

/**
 * Reads an ONNX model and makes it ready to run on this runtime's WebAssembly kernels. Inputs may have symbolic lengths: a plan
 * is made for each set of input shapes, and a few are kept.
 *
 * Throws what `decodeModel` throws for bytes that are no sound model, and one ADN_OP_UNSUPPORTED that names every node without
 * a kernel.
 */
export async function createSession(
  source: Uint8Array | ArrayBuffer | Model,
  options: SessionOptions = {},
): Promise<Session> {
  const { externalData } = options;
  if (!(source instanceof Uint8Array) && !(source instanceof ArrayBuffer))
    return createExecutor(source, options);
  const bytes = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
  return createExecutor(decodeModel(bytes, externalData ? { externalData } : {}), options);
}
