// A session: a model with its kernels, its memory, and a plan for every input shape met lately.

import {
  chooseLevel,
  compileKernels,
  isLevelAvailable,
  loadKernels,
  type SimdLevel,
  simdLevels,
} from "../custom-ops/kernels/load.ts";
import type { DataType } from "../src/core/dtype.ts";
import { AdderNetError } from "../src/core/errors.ts";
import type { Model, ValueInfo } from "../src/core/ir/model.ts";
import type { ReadExternalData } from "../src/core/onnx/external-data.ts";
import { decodeModel } from "../src/core/onnx/index.ts";
import type { ValueFact } from "../src/core/ops/define-op.ts";
import type { Tensor } from "../src/core/tensor.ts";
import { makeArena } from "./arena.ts";
import { execute, executeTimed, type Run } from "./execute.ts";
import { describePlan, describeStep, type SessionExplanation, type StepTime } from "./explain.ts";
import { checkFeeds, type Feeds } from "./feeds.ts";
import {
  arrangeAgain,
  type CachedPlan,
  isShared,
  type PlanGround,
  planFor,
  type Shapes,
} from "./kept-plans.ts";
import { openTrack } from "./race.ts";
import { factsOf, requireSupported } from "./support.ts";
import { chooseThreads, requireThreadCount, type ThreadChoice } from "./threads/choice.ts";
import { startTeam, type Team } from "./threads/team.ts";
import { makeTurns } from "./threads/turns.ts";

export interface SessionOptions {
  /** Instruction set of the kernels: the best this engine has ("auto"), or one by name. */
  readonly simd?: SimdLevel | "auto";
  /**
   * Threads that share the work of a run, the calling one among them; 1 unless given. "auto": as many as cores, at most 4, and 1
   * for models that would gain little. Where no threads can be had one is used, and `explain()` says why. Results do not depend
   * on it.
   */
  readonly threads?: number | "auto";
  /**
   * How kernels are chosen where several fit a layer about as well: by a short race on its own weights, remembered as long as the
   * process lives ("measured"), or by what is known of the weights alone, the same on every machine ("predicted"). Answers on codes
   * do not depend on it; floats may differ in their last bits.
   */
  readonly kernels?: "measured" | "predicted";
  /**
   * Most bytes of WebAssembly memory for weights and values together; 4 GiB unless given. A plan that needs more is ADN_LIMIT, before
   * anything is computed, and the session goes on with what fits.
   */
  readonly memory?: number;
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
  /**
   * Runs the model once; runs take turns, and the feeds of one must stay as they are until it ends. The answers are copies.
   * Throws ADN_FEED for unfit feeds, ADN_DISPOSED after `dispose`, ADN_WASM when a thread is lost: the next run starts new ones.
   */
  run(feeds: Feeds): Promise<Record<string, Tensor>>;
  /** Which kernels run, why, and how much memory they use. */
  explain(): SessionExplanation;
  /** Runs the model once, as `run` does, and answers what each step took in place of the results. */
  profile(feeds: Feeds): Promise<readonly StepTime[]>;
  /** Stops the session's threads when the runs so far have ended, and frees its memory. Further runs throw ADN_DISPOSED. */
  dispose(): Promise<void>;
}

const kernelChoices = ["measured", "predicted"];
const knownOptions = ["simd", "threads", "kernels", "memory", "externalData"];
/** What one page of WebAssembly memory takes: less is no memory. */
const leastMemory = 65536;

/** The threads of a session. */
interface Threads {
  choice: ThreadChoice;
  team?: Team;
}

interface State extends PlanGround {
  readonly level: SimdLevel;
  readonly threads: Threads;
}

function requireOptions(options: SessionOptions): void {
  const unknown = Object.keys(options).find((name) => !knownOptions.includes(name));
  if (unknown !== undefined) {
    throw new AdderNetError("ADN_USAGE", `no option "${unknown}"`, { expected: knownOptions.join(", ") });
  }
  const { simd = "auto", threads = 1, kernels = "measured", memory = leastMemory } = options;
  if (simd !== "auto" && !simdLevels.includes(simd)) {
    throw new AdderNetError("ADN_USAGE", "simd is unknown", {
      expected: ["auto", ...simdLevels].join(", "),
      found: String(simd),
    });
  }
  requireThreadCount(threads);
  if (!(memory >= leastMemory)) {
    throw new AdderNetError("ADN_USAGE", "memory is too little", {
      expected: `at least ${leastMemory} bytes`,
      found: String(memory),
    });
  }
  if (!kernelChoices.includes(kernels)) {
    throw new AdderNetError("ADN_USAGE", "kernels is unknown", {
      expected: kernelChoices.join(", "),
      found: String(kernels),
    });
  }
}

/** Starts the threads where they are not there yet or were lost; with one thread from then on where they cannot be had. */
async function ensureTeam(state: State): Promise<void> {
  const { threads, level, arena } = state;
  if (threads.choice.most === 1 || (threads.team !== undefined && threads.team.failure() === undefined))
    return;
  const lost = threads.team;
  delete threads.team;
  await lost?.stop();
  const module = await compileKernels(level, true);
  const team = await startTeam({ arena, module, threads: threads.choice.most });
  if (typeof team !== "string") {
    threads.team = team;
    return;
  }
  threads.choice = { most: 1, reason: team, isAuto: threads.choice.isAuto };
  arrangeAgain(state);
}

/** What a run of these feeds works with. */
async function prepare(state: State, feeds: Feeds): Promise<Run> {
  const { inputs } = state.model.graph;
  const tensors = checkFeeds(feeds, inputs);
  const shapes = tensors.map(({ dims }) => dims);
  let cached = planFor(state, shapes);
  if (isShared(cached)) {
    await ensureTeam(state);
    cached = planFor(state, shapes);
  }
  const { plan, linked } = cached;
  return { plan, linked, memory: state.arena.memory, feeds: tensors, team: state.threads.team };
}

async function runOnce(state: State, feeds: Feeds): Promise<Record<string, Tensor>> {
  const results = await execute(await prepare(state, feeds));
  return Object.fromEntries(state.model.graph.outputs.map(({ name }, index) => [name, results[index]!]));
}

async function profileOnce(state: State, feeds: Feeds): Promise<StepTime[]> {
  const run = await prepare(state, feeds);
  const times = await executeTimed(run);
  return run.plan.steps.map((step, index) => ({ ...describeStep(step), milliseconds: times[index]! }));
}

function metadataOf({ name }: ValueInfo, facts: ReadonlyMap<string, ValueFact>): ValueMetadata {
  const { elemType = "float32", shape = [] } = facts.get(name) ?? {};
  return { name, isTensor: true, type: elemType, shape: shape.map((dim) => dim ?? "") };
}

/** Input shapes, when the file fixes all of them. */
function fixedShapes(inputs: readonly ValueInfo[]): Shapes | undefined {
  const shapes = inputs.map(({ type }) => (type?.kind === "tensor" ? type.shape : undefined));
  return shapes.every((shape) => shape?.every((dim) => typeof dim === "number"))
    ? (shapes as Shapes)
    : undefined;
}

/** A session over a model as plain data. See `createSession`. */
export async function createExecutor(model: Model, options: SessionOptions = {}): Promise<Session> {
  requireOptions(options);
  const facts = factsOf(model);
  requireSupported(model, facts);
  const level = chooseLevel(options.simd ?? "auto");
  const threads: Threads = { choice: chooseThreads(options.threads ?? 1) };
  const arena = makeArena(threads.choice.most > 1, options.memory);
  const kernels = await loadKernels(level, arena.memory);
  let state: State | undefined = {
    model,
    level,
    kernels,
    threads,
    arena,
    track: options.kernels === "predicted" ? undefined : openTrack({ arena, kernels, level }),
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
  const shapes = fixedShapes(graph.inputs);
  const isNeeded = shapes !== undefined && isShared(planFor(state, shapes));
  if (isNeeded || !threads.choice.isAuto) await ensureTeam(state);
  const inTurn = makeTurns();
  const session: Session = {
    inputNames: graph.inputs.map(({ name }) => name),
    outputNames: graph.outputs.map(({ name }) => name),
    inputMetadata: graph.inputs.map((info) => metadataOf(info, facts)),
    outputMetadata: graph.outputs.map((info) => metadataOf(info, facts)),
    run: async (feeds) => {
      const used = use();
      return inTurn(() => runOnce(used, feeds));
    },
    profile: async (feeds) => {
      const used = use();
      return inTurn(() => profileOnce(used, feeds));
    },
    explain: () => {
      const { plans, weights } = use();
      return {
        simd: { level, reason: levelReason(level, options.simd ?? "auto") },
        threads: describeThreads(threads, [...plans.values()]),
        weightBlocks: weights.size,
        usedBytes: arena.usedBytes(),
        memoryBytes: arena.memory.buffer.byteLength,
        plans: [...plans.values()].map(({ plan, linked }) => describePlan(plan, linked.programs.length + 1)),
      };
    },
    dispose: async () => {
      state = undefined;
      await inTurn(async () => threads.team?.stop());
    },
  };
  forgotten.register(session, threads);
  return session;
}

/** Sessions that are dropped without `dispose` leave no threads behind. */
const forgotten = new FinalizationRegistry<Threads>(({ team }) => team?.stop());

function levelReason(level: SimdLevel, wanted: SimdLevel | "auto"): string {
  if (wanted !== "auto") return "asked for";
  const better = simdLevels.slice(0, simdLevels.indexOf(level)).filter((other) => !isLevelAvailable(other));
  return better.length === 0 ? "the best there is" : `this engine cannot run ${better.join(", ")}`;
}

function describeThreads(
  { choice, team }: Threads,
  plans: readonly CachedPlan[],
): SessionExplanation["threads"] {
  const { most, reason, isAuto } = choice;
  if (team !== undefined || most === 1) return { count: most, reason };
  if (plans.length === 0) return { count: 1, reason: `${reason}: up to ${most} once input shapes are known` };
  return {
    count: 1,
    reason: isAuto ? `${reason}, but more threads would gain little` : reason,
  };
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
  requireOptions(options);
  // Engines compile beside this thread, which reads the file meanwhile; what fails here fails again where it is needed.
  const isShared = chooseThreads(options.threads ?? 1).most > 1;
  compileKernels(chooseLevel(options.simd ?? "auto"), isShared).catch(() => {});
  const bytes = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
  return createExecutor(decodeModel(bytes, externalData ? { externalData } : {}), options);
}
