// Our kernels registered with the caller's onnxruntime: onnxruntime-node, onnxruntime-web in Node or in a browser.

import { detachFunctions } from "../custom-ops/attach-functions.ts";
import { AdderNetError } from "./core/errors.ts";
import type { Model } from "./core/ir/model.ts";
import { decodeModel, externalLocations } from "./core/onnx/index.ts";
import { type ExternalDataOption, readBeside, readExternalData, readModelBytes } from "./ort/load-model.ts";
import type { LayerExplanation } from "./ort/native/engine.ts";
import { makeNativeSessions, type NativeSessions } from "./ort/native/sessions.ts";
import type { ExecutionProvider, OrtModule, OrtSessionHandler, OrtSessionOptions } from "./ort/ort-module.ts";
import { createHandler, type SegmentExplanation } from "./ort/session-handler.ts";

export type { LayerExplanation } from "./ort/native/engine.ts";
export type { ExecutionProvider, OrtModule } from "./ort/ort-module.ts";
export type { SegmentExplanation } from "./ort/session-handler.ts";

/** Name under which the backend is registered and execution providers ask for it. */
const backendName = "addernet";

/**
 * How sessions run what our kernels do not cover. "partition": adder layers on our runtime, the rest in inner sessions of onnxruntime.
 * "native": one session of onnxruntime, in which our kernels are custom ops. "auto": native where that is proved to work, else partition,
 * with one warning that says why.
 */
export type Strategy = "partition" | "native" | "auto";
const strategies: readonly Strategy[] = ["partition", "native", "auto"];

export interface AdderNetEpOptions {
  /** "partition" unless given. */
  readonly strategy?: Strategy;
  /** Execution providers for what our kernels do not cover; default `["cpu"]` in Node, `["wasm"]` in onnxruntime-web. */
  readonly inner?: readonly ExecutionProvider[];
  /** Threads of our kernels with "partition"; custom ops run on one. */
  readonly threads?: number | "auto";
}

export interface AdderNetEp extends AdderNetEpOptions {
  readonly name: typeof backendName;
}

/** An entry for `executionProviders`: `InferenceSession.create(model, { executionProviders: [adderNetEp()] })`. */
export function adderNetEp(options: AdderNetEpOptions = {}): AdderNetEp {
  requireStrategy(options);
  return { ...options, name: backendName };
}

function requireStrategy({ strategy = "partition" }: AdderNetEpOptions): void {
  if (strategies.includes(strategy)) return;
  throw new AdderNetError("ADN_USAGE", "strategy is unknown", {
    expected: strategies.join(", "),
    found: String(strategy),
  });
}

const registered = new WeakSet<object>();

/**
 * Registers our kernels with the `ort` object the caller uses (each copy of onnxruntime has a registry of its own). Sessions use them only
 * when they name `adderNetEp()`; calling again does nothing. For strategies other than "partition" call it before the first session of
 * onnxruntime-web is created: it must be seen to start.
 */
export function registerAdderNet(ort: OrtModule, options: AdderNetEpOptions = {}): void {
  requireStrategy(options);
  if (registered.has(ort.registerBackend)) return;
  const natively = makeNativeSessions(ort);
  if ((options.strategy ?? "partition") !== "partition") natively.prepare();
  ort.registerBackend(
    backendName,
    {
      init: async () => {},
      createInferenceSessionHandler: (model: string | Uint8Array, sessionOptions: OrtSessionOptions = {}) =>
        createBackendHandler(ort, model, sessionOptions, options, natively),
    },
    // Below zero: never a default, only when named.
    -1,
  );
  registered.add(ort.registerBackend);
}

function findProvider(options: OrtSessionOptions): AdderNetEpOptions {
  const provider = options.executionProviders?.find(
    (entry) => typeof entry !== "string" && entry.name === backendName,
  );
  return (provider as AdderNetEpOptions | undefined) ?? {};
}

function defaultInner(ort: OrtModule): readonly string[] {
  return "web" in ort.env.versions ? ["wasm"] : ["cpu"];
}

/** External data comes from the session option, else from the folder of a model given by path or URL. */
async function readModel(
  model: string | Uint8Array,
  externalData: ExternalDataOption | undefined,
): Promise<Model> {
  const bytes = typeof model === "string" ? await readModelBytes(model) : model;
  const given = await readExternalData(externalData);
  const missing = externalLocations(bytes).filter((location) => !given.has(location));
  const beside = typeof model === "string" ? await readBeside(model, missing) : new Map<string, Uint8Array>();
  return decodeModel(bytes, {
    where: typeof model === "string" ? model : "model",
    externalData: (location) => given.get(location) ?? beside.get(location),
  });
}

async function createPartitioned(
  ort: OrtModule,
  bytes: string | Uint8Array,
  sessionOptions: OrtSessionOptions,
  { inner, threads }: AdderNetEpOptions,
  reason: string,
): Promise<ExplainedHandler> {
  const { externalData, ...others } = sessionOptions as OrtSessionOptions & {
    externalData?: ExternalDataOption;
  };
  const model = await readModel(bytes, externalData);
  detachFunctions(model);
  const handler = await createHandler(ort, model, {
    inner: inner ?? (defaultInner(ort) as ExecutionProvider[]),
    ...(threads !== undefined && { threads }),
    sessionOptions: others,
  });
  return {
    ...handler,
    explain: () => explained(handler.explain(), "partition", reason),
  };
}

async function createNatively(
  ort: OrtModule,
  model: string | Uint8Array,
  sessionOptions: OrtSessionOptions,
  { inner = defaultInner(ort) }: AdderNetEpOptions,
  natively: NativeSessions,
): Promise<ExplainedHandler> {
  const { handler, place } = await natively.create(model, { ...sessionOptions, executionProviders: inner });
  return {
    ...handler,
    explain() {
      const layers = handler.layers();
      const providers = inner.map((provider) => (typeof provider === "string" ? provider : provider.name));
      const segment = { engine: "native", nodes: layers.length, providers, layers } as const;
      return explained([segment], "native", `custom ops in ${place}`);
    },
  };
}

async function createBackendHandler(
  ort: OrtModule,
  model: string | Uint8Array,
  sessionOptions: OrtSessionOptions,
  defaults: AdderNetEpOptions,
  natively: NativeSessions,
): Promise<ExplainedHandler> {
  const options = { ...defaults, ...findProvider(sessionOptions) };
  requireStrategy(options);
  const { strategy = "partition" } = options;
  if (strategy === "partition") return createPartitioned(ort, model, sessionOptions, options, "asked for");
  try {
    requireSequential(sessionOptions);
    if (strategy === "auto") requireOneThread(options);
    return await createNatively(ort, model, sessionOptions, options, natively);
  } catch (error) {
    if (strategy === "native") throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const handler = await createPartitioned(ort, model, sessionOptions, options, reason);
    natively.warn(reason);
    return handler;
  }
}

/** Table entries are those of one thread: a custom op cannot be called on another. */
function requireSequential({ executionMode }: OrtSessionOptions): void {
  if (executionMode !== "parallel") return;
  throw new AdderNetError("ADN_NATIVE", 'custom ops run with executionMode "sequential" only');
}

/** Where more threads are asked for, the partition is what uses them. */
function requireOneThread({ threads = 1 }: AdderNetEpOptions): void {
  if (threads === 1) return;
  throw new AdderNetError("ADN_NATIVE", `custom ops run on one thread, and threads: ${threads} is asked for`);
}

/** The segments of a session, with the strategy in use and why. */
export type Explanation = readonly (SegmentExplanation | NativeExplanation)[] & {
  readonly strategy: "partition" | "native";
  readonly reason: string;
};

/** A whole session of onnxruntime with our layers as custom ops. */
export interface NativeExplanation {
  readonly engine: "native";
  /** Nodes that are ours. */
  readonly nodes: number;
  readonly providers: readonly string[];
  readonly layers: readonly LayerExplanation[];
}

/** Segments that still compare and print as a list. */
function explained(
  segments: readonly (SegmentExplanation | NativeExplanation)[],
  strategy: Explanation["strategy"],
  reason: string,
): Explanation {
  const list = [...segments];
  Object.defineProperties(list, { strategy: { value: strategy }, reason: { value: reason } });
  return list as unknown as Explanation;
}

type ExplainedHandler = OrtSessionHandler & { explain(): Explanation };

/**
 * What runs where in a session created with `adderNetEp()`: its segments in order, `strategy` and `reason`; undefined for any other
 * session.
 */
export function explain(session: object): Explanation | undefined {
  const { handler } = session as unknown as { handler?: Partial<ExplainedHandler> };
  return handler?.explain?.();
}
