// What can run a model from the command line: our runtime, or onnxruntime with our kernels registered.

import type { InferenceSession } from "onnxruntime-common";
import { AdderNetError } from "../core/errors.ts";
import type { Tensor } from "../core/tensor.ts";
import type { FlagType } from "./command.ts";
import { recogniseMessage } from "./doctor/error-messages.ts";
import * as types from "./flag-types.ts";
import type { ModelFile } from "./read-model.ts";

export interface Engine {
  run(feeds: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>>;
  dispose(): Promise<void>;
  /** What was asked for and is not done. */
  readonly note?: string;
}

export type Threads = number | "auto";

export const threadCount: FlagType<Threads> = {
  expects: "an integer >= 1, or auto",
  parse: (given) => (given === "auto" ? "auto" : types.positiveInteger.parse(given)),
};

interface EngineOptions {
  readonly threads: Threads | undefined;
}

/** The runtime's refusal, with what can be done from the command line. */
function refusedByRuntime(error: unknown): unknown {
  if (!(error instanceof AdderNetError) || error.code !== "ADN_OP_UNSUPPORTED") return error;
  const fix = "convert the model first (addernet convert), or let onnxruntime run these nodes (--engine ort)";
  return new AdderNetError(error.code, error.problem, { ...error.details, fix, cause: error });
}

async function startRuntime(
  { model }: Pick<ModelFile, "model">,
  { threads }: EngineOptions,
): Promise<Engine> {
  const { createSession } = await import("../../runtime/index.ts");
  const session = await createSession(model, threads === undefined ? {} : { threads }).catch((error) => {
    throw refusedByRuntime(error);
  });
  const used = session.explain().threads;
  return {
    ...(typeof threads === "number" &&
      used.count < threads && { note: `${used.count} thread: ${used.reason}` }),
    run: async (feeds) => new Map(Object.entries(await session.run(Object.fromEntries(feeds)))),
    dispose: () => session.dispose(),
  };
}

export type Ort = typeof import("onnxruntime-common");

/** Errors: ADN_PEER_MISSING. */
export async function loadPeer(name: Peer): Promise<Ort> {
  try {
    return (await import(name)) as Ort;
  } catch (cause) {
    throw new AdderNetError("ADN_PEER_MISSING", `${name} cannot be loaded`, {
      fix: `install it beside addernet: npm install ${name}`,
      cause,
    });
  }
}

export type Peer = "onnxruntime-node" | "onnxruntime-web";

/** onnxruntime's own refusals, with what is known about them. */
function refusedByPeer(error: unknown): unknown {
  if (error instanceof AdderNetError) return error;
  const { message } = error as Error;
  const known = recogniseMessage(message);
  return new AdderNetError("ADN_OP_UNSUPPORTED", "onnxruntime refuses the model", {
    found: message.split("\n")[0]!,
    ...(known && { fix: known.fix }),
    cause: error,
  });
}

/** Errors: ADN_OP_UNSUPPORTED with onnxruntime's own words. */
export async function startSession(
  ort: Ort,
  source: string | Uint8Array,
  options: object,
): Promise<InferenceSession> {
  try {
    return typeof source === "string"
      ? await ort.InferenceSession.create(source, options)
      : await ort.InferenceSession.create(source, options);
  } catch (error) {
    throw refusedByPeer(error);
  }
}

/** An inference session of a peer as an engine; `provider` is what it runs on, by default the peer's own kernels. */
async function startOrt(
  ort: Ort,
  source: string | Uint8Array,
  { threads }: EngineOptions,
  provider?: object,
): Promise<Engine> {
  const session = await startSession(ort, source, {
    ...(provider && { executionProviders: [provider] }),
    ...(typeof threads === "number" && { intraOpNumThreads: threads }),
    logSeverityLevel: 3,
  });
  const toOrt = ({ type, data, dims }: Tensor) =>
    new ort.Tensor(type as "float32", data as Float32Array, dims);
  return {
    run: async (feeds) => {
      const given = [...feeds].map(([name, tensor]) => [name, toOrt(tensor)] as const);
      const outputs = await session.run(Object.fromEntries(given));
      return new Map(Object.entries(outputs) as unknown as [string, Tensor][]);
    },
    dispose: () => session.release(),
  };
}

/** onnxruntime with our kernels registered. */
export async function startRegistered(
  peer: Peer,
  source: string | Uint8Array,
  options: EngineOptions,
): Promise<Engine> {
  const ort = await loadPeer(peer);
  const { adderNetEp, registerAdderNet } = await import("../ort.ts");
  registerAdderNet(ort);
  const { threads } = options;
  return startOrt(ort, source, options, adderNetEp(threads === undefined ? {} : { threads }));
}

/** onnxruntime alone: an answer that owes nothing to our kernels. */
export async function startPeerAlone(source: Uint8Array): Promise<Engine> {
  return startOrt(await loadPeer("onnxruntime-node"), source, { threads: 1 });
}

export const engines = {
  addernet: startRuntime,
  ort: ({ path }: ModelFile, options: EngineOptions) => startRegistered("onnxruntime-node", path, options),
  "ort-web": ({ path }: ModelFile, options: EngineOptions) =>
    startRegistered("onnxruntime-web", path, options),
} as const;

export type EngineName = keyof typeof engines;
export const engineNames = Object.keys(engines) as EngineName[];

/** Flags of the commands that run a model with an engine of the user's choice. */
export const engineFlags = {
  engine: {
    type: types.oneOf(...engineNames),
    placeholder: engineNames.join("|"),
    default: "addernet",
    help: "what runs the model; ort and ort-web are onnxruntime-node and -web with our kernels registered",
  },
  threads: { type: threadCount, placeholder: "N", help: "threads for our kernels, or auto" },
} as const;

/** Starts an engine, does the work, and stops the engine however the work ends. */
export async function withEngine<T>(
  name: EngineName,
  file: ModelFile,
  options: EngineOptions,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await engines[name](file, options);
  try {
    return await work(engine);
  } finally {
    await engine.dispose();
  }
}
