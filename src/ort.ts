// Our kernels registered with the caller's onnxruntime: onnxruntime-node, onnxruntime-web in Node or in a browser.

import { detachFunctions } from "../custom-ops/attach-functions.ts";
import type { Model } from "./core/ir/model.ts";
import { decodeModel, externalLocations } from "./core/onnx/index.ts";
import { type ExternalDataOption, readBeside, readExternalData, readModelBytes } from "./ort/load-model.ts";
import type { ExecutionProvider, OrtModule, OrtSessionOptions } from "./ort/ort-module.ts";
import { createHandler, type ExplainableHandler, type SegmentExplanation } from "./ort/session-handler.ts";

export type { ExecutionProvider, OrtModule } from "./ort/ort-module.ts";
export type { SegmentExplanation } from "./ort/session-handler.ts";

/** Name under which the backend is registered and execution providers ask for it. */
const backendName = "addernet";

export interface AdderNetEpOptions {
  /** Execution providers for what our kernels do not cover; default `["cpu"]` in Node, `["wasm"]` in onnxruntime-web. */
  readonly inner?: readonly ExecutionProvider[];
  readonly threads?: number | "auto";
}

export interface AdderNetEp extends AdderNetEpOptions {
  readonly name: typeof backendName;
}

/** An entry for `executionProviders`: `InferenceSession.create(model, { executionProviders: [adderNetEp()] })`. */
export function adderNetEp(options: AdderNetEpOptions = {}): AdderNetEp {
  return { ...options, name: backendName };
}

const registered = new WeakSet<object>();

/**
 * Registers our kernels with the `ort` object the caller uses (each copy of onnxruntime has a registry of its own). Sessions use them only
 * when they name `adderNetEp()`; calling again does nothing.
 */
export function registerAdderNet(ort: OrtModule, options: AdderNetEpOptions = {}): void {
  if (registered.has(ort.registerBackend)) return;
  ort.registerBackend(
    backendName,
    {
      init: async () => {},
      createInferenceSessionHandler: (model: string | Uint8Array, sessionOptions: OrtSessionOptions = {}) =>
        createBackendHandler(ort, model, sessionOptions, options),
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

async function createBackendHandler(
  ort: OrtModule,
  bytes: string | Uint8Array,
  sessionOptions: OrtSessionOptions,
  defaults: AdderNetEpOptions,
): Promise<ExplainableHandler> {
  const { inner, threads } = { ...defaults, ...findProvider(sessionOptions) };
  const { externalData, ...others } = sessionOptions as OrtSessionOptions & {
    externalData?: ExternalDataOption;
  };
  const model = await readModel(bytes, externalData);
  detachFunctions(model);
  return createHandler(ort, model, {
    inner: inner ?? (defaultInner(ort) as ExecutionProvider[]),
    ...(threads !== undefined && { threads }),
    sessionOptions: others,
  });
}

/** What runs where in a session created with `adderNetEp()`: its segments in order; undefined for any other session. */
export function explain(session: object): readonly SegmentExplanation[] | undefined {
  const { handler } = session as unknown as { handler?: Partial<ExplainableHandler> };
  return handler?.explain?.();
}
