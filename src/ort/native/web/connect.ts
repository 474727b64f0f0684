// Our ops in the caller's onnxruntime-web, proved before the first use.

import { AdderNetError } from "../../../core/errors.ts";
import type { Model } from "../../../core/ir/model.ts";
import { newModel } from "../../../core/ir/new-model.ts";
import { encodeModel } from "../../../core/onnx/index.ts";
import type { OrtModule, OrtSession } from "../../ort-module.ts";
import type { NativeEngine, NativeSession } from "../engine.ts";
import { probe } from "../probe.ts";
import { makeWithLayers } from "../session-layers.ts";
import { install, type WebInstallation } from "./install.ts";
import { configKey, type SeenInstance, seenInstances } from "./watch.ts";

/** A model of one ReLU: creating a session of it starts onnxruntime. */
function smallestModel(): Uint8Array {
  const type = { kind: "tensor", elemType: "float32", shape: [1] } as const;
  const model: Model = newModel(
    {
      name: "start",
      inputs: [{ name: "x", type }],
      outputs: [{ name: "y", type }],
      nodes: [
        { opType: "Relu", domain: "", name: "y", inputs: ["x"], outputs: ["y"], attributes: new Map() },
      ],
      initializers: new Map(),
    },
    { "": 13 },
  );
  return encodeModel(model).bytes;
}

/** onnxruntime-web's own condition for running in a worker. */
function requireNoProxy({ env }: OrtModule): void {
  if (env.wasm?.proxy !== true || typeof document === "undefined") return;
  throw new AdderNetError("ADN_NATIVE", "env.wasm.proxy puts onnxruntime out of reach, into a worker", {
    fix: "set ort.env.wasm.proxy = false, or create sessions in a worker of your own",
  });
}

const installations = new WeakMap<SeenInstance, Promise<WebInstallation>>();

function installOnce(seen: SeenInstance): Promise<WebInstallation> {
  let made = installations.get(seen);
  if (made === undefined) {
    made = install(seen);
    installations.set(seen, made);
  }
  return made;
}

/** Installations in all instances seen; ADN_NATIVE with the reasons where there is none. */
async function installAll(): Promise<WebInstallation[]> {
  const { seen, refusals } = seenInstances();
  const tried = await Promise.allSettled(seen.map(installOnce));
  const made = tried.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  if (made.length > 0) return made;
  const failed = tried.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  if (failed.length > 0) throw failed[0];
  throw new AdderNetError(
    "ADN_NATIVE",
    refusals[0] ?? "onnxruntime-web had started before registerAdderNet was called",
    {
      fix: "call registerAdderNet before the first session is created",
    },
  );
}

interface InnerSession extends Omit<OrtSession, "run"> {
  readonly inputMetadata?: NativeSession["inputMetadata"];
  readonly outputMetadata?: NativeSession["outputMetadata"];
  run(feeds: object, fetches: object, options?: object): Promise<object>;
  startProfiling(): void;
  endProfiling(): void;
}

function isOnCpu(fetch: object): boolean {
  const { location = "cpu" } = fetch as { location?: string };
  return location === "cpu";
}

/** Outputs that onnxruntime may fill itself: those on a GPU. Others are answered fresh. */
function innerFetches(fetches: Readonly<Record<string, object | null>>): Record<string, object | null> {
  return Object.fromEntries(
    Object.entries(fetches).map(([name, fetch]) => [name, fetch === null || isOnCpu(fetch) ? null : fetch]),
  );
}

function asNative(session: InnerSession, layers: NativeSession["layers"]): NativeSession {
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    inputMetadata: session.inputMetadata ?? [],
    outputMetadata: session.outputMetadata ?? [],
    run: (feeds, fetches, options) =>
      session.run(feeds, innerFetches(fetches), options) as Promise<Record<string, object>>,
    startProfiling: () => session.startProfiling(),
    endProfiling() {
      session.endProfiling();
      return undefined;
    },
    dispose: () => session.release(),
    layers,
  };
}

let sessionsSoFar = 0;
const [prefix, key] = configKey.split(".") as [string, string];

/** Session options with the entry that asks for our ops. */
function asking(options: object, value: string): object {
  const { extra = {} } = options as { extra?: object };
  return { ...options, extra: { ...extra, [prefix]: { [key]: value } } };
}

/** The installation that heard of `value`. */
function heardBy(made: readonly WebInstallation[], value: string): WebInstallation | undefined {
  return made.find(({ asked }) => asked.delete(value));
}

function engineOn(ort: OrtModule, installation: WebInstallation): NativeEngine {
  const make = makeWithLayers(installation.table);
  return {
    place: "onnxruntime-web's WebAssembly memory",
    takeError: () => installation.table.takeError(),
    async createSession(model, options) {
      const value = `${++sessionsSoFar}`;
      const { made, layers } = await make(async () => {
        const wanted = asking(options, value);
        const session: unknown = await ort.InferenceSession.create(model as Uint8Array, wanted);
        return session as InnerSession;
      });
      heardBy([installation], value);
      return asNative(made, layers);
    },
  };
}

/** Which of the installations is in this `ort`: the one that hears of a session. */
async function findOwn(ort: OrtModule, made: readonly WebInstallation[]): Promise<WebInstallation> {
  const value = `${++sessionsSoFar}`;
  const options = asking({ executionProviders: ["wasm"] }, value);
  const session = await ort.InferenceSession.create(smallestModel(), options);
  await session.release();
  const own = heardBy(made, value);
  if (own !== undefined) return own;
  throw new AdderNetError("ADN_NATIVE", "onnxruntime-web does not ask for the custom ops", {
    fix: "call registerAdderNet before the first session is created",
  });
}

async function connect(ort: OrtModule): Promise<NativeEngine> {
  const engine = engineOn(ort, await findOwn(ort, await installAll()));
  await probe(
    { ...engine, createSession: (model) => engine.createSession(model, { executionProviders: ["wasm"] }) },
    ({ type, data, dims }) => new ort.Tensor(type as never, data as never, dims),
  );
  return engine;
}

/** Sessions of onnxruntime-web with our ops. Throws ADN_NATIVE where any assumption does not hold. */
export async function connectWeb(ort: OrtModule): Promise<NativeEngine> {
  requireNoProxy(ort);
  const first = await ort.InferenceSession.create(smallestModel(), { executionProviders: ["wasm"] });
  await first.release();
  try {
    return await connect(ort);
  } catch (cause) {
    if (cause instanceof AdderNetError) throw cause;
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new AdderNetError("ADN_NATIVE", `onnxruntime-web does not take the custom ops: ${problem}`, {
      cause,
    });
  }
}
