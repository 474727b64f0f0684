// What can run a model from the command line: our runtime, or onnxruntime with our kernels registered.

import { AdderNetError } from "../core/errors.ts";
import type { Tensor } from "../core/tensor.ts";
import type { FlagType } from "./command.ts";
import { positiveInteger } from "./flag-types.ts";
import type { ModelFile } from "./read-model.ts";

export interface Engine {
  run(feeds: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>>;
  dispose(): Promise<void>;
}

export type Threads = number | "auto";

export const threadCount: FlagType<Threads> = {
  expects: "an integer >= 1, or auto",
  parse: (given) => (given === "auto" ? "auto" : positiveInteger.parse(given)),
};

interface EngineOptions {
  readonly threads: Threads | undefined;
}

export async function startRuntime(
  { model }: Pick<ModelFile, "model">,
  { threads }: EngineOptions,
): Promise<Engine> {
  const { createSession } = await import("../../runtime/index.ts");
  const session = await createSession(model, threads === undefined ? {} : { threads });
  return {
    run: async (feeds) => new Map(Object.entries(await session.run(Object.fromEntries(feeds)))),
    dispose: async () => session.dispose(),
  };
}

type Ort = typeof import("onnxruntime-common");

async function loadPeer(name: "onnxruntime-node" | "onnxruntime-web"): Promise<Ort> {
  try {
    return (await import(name)) as Ort;
  } catch (cause) {
    throw new AdderNetError("ADN_PEER_MISSING", `${name} cannot be loaded`, {
      fix: `install it beside addernet: npm install ${name}`,
      cause,
    });
  }
}

async function startOrt(
  peer: "onnxruntime-node" | "onnxruntime-web",
  { path }: ModelFile,
  { threads }: EngineOptions,
): Promise<Engine> {
  const ort = await loadPeer(peer);
  const { adderNetEp, registerAdderNet } = await import("../ort.ts");
  registerAdderNet(ort as never);
  const provider = adderNetEp(threads === undefined ? {} : { threads });
  const session = await ort.InferenceSession.create(path, {
    executionProviders: [provider as never],
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

export const engines = {
  addernet: startRuntime,
  ort: (file: ModelFile, options: EngineOptions) => startOrt("onnxruntime-node", file, options),
  "ort-web": (file: ModelFile, options: EngineOptions) => startOrt("onnxruntime-web", file, options),
} as const;

export type EngineName = keyof typeof engines;
export const engineNames = Object.keys(engines) as EngineName[];

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
