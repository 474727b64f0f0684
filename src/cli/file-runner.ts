// Running written bytes for a check: in our runtime, by the references, or with onnxruntime, whichever knows every op.

import { setImmediate } from "node:timers/promises";
import { type RunFile, runReference } from "../../converter/index.ts";
import { createSession } from "../../runtime/index.ts";
import { AdderNetError } from "../core/errors.ts";
import type { Tensor } from "../core/tensor.ts";
import { type Engine, startPeerAlone, startRegistered } from "./engines.ts";

/** What ran a file. */
export type RanBy = "runtime" | "reference" | "onnxruntime";

export interface FileRunner {
  readonly run: RunFile;
  /** Runs a file on onnxruntime alone. */
  readonly runForeign: RunFile;
  /** What `run` used last. */
  readonly ranBy: () => RanBy;
  readonly dispose: () => Promise<void>;
}

interface Started {
  readonly by: RanBy;
  readonly engine: Engine;
}

const isUnsupported = (error: unknown): boolean =>
  error instanceof AdderNetError && error.code === "ADN_OP_UNSUPPORTED";

async function startRuntime(bytes: Uint8Array): Promise<Started> {
  const session = await createSession(bytes);
  const run = async (feeds: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> =>
    new Map(Object.entries(await session.run(Object.fromEntries(feeds))));
  return { by: "runtime", engine: { run, dispose: () => session.dispose() } };
}

function startReference(bytes: Uint8Array): Started {
  const run = async (feeds: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> =>
    new Map(await runReference(bytes, feeds));
  return { by: "reference", engine: { run, dispose: async () => {} } };
}

/** One engine, kept for as long as the same bytes are asked for. */
function keepEngine(start: (bytes: Uint8Array) => Promise<Engine>) {
  let current: { readonly bytes: Uint8Array; readonly engine: Engine } | undefined;
  const dispose = async (): Promise<void> => {
    await current?.engine.dispose();
    current = undefined;
  };
  const engineFor = async (bytes: Uint8Array): Promise<Engine> => {
    if (current?.bytes !== bytes) {
      await dispose();
      current = { bytes, engine: await start(bytes) };
    }
    return current.engine;
  };
  return { engineFor, dispose };
}

export function fileRunner(): FileRunner {
  let ranBy: RanBy = "runtime";
  const own = keepEngine(async (bytes) => {
    const { by, engine } = await startRuntime(bytes).catch((error: unknown) => {
      if (isUnsupported(error)) return startReference(bytes);
      throw error;
    });
    ranBy = by;
    return engine;
  });
  const mixed = keepEngine((bytes) => startRegistered("onnxruntime-node", bytes, { threads: 1 }));
  const foreign = keepEngine(startPeerAlone);
  const run: RunFile = async (bytes, feeds) => {
    // Lets signals in between two samples, each of which computes without a pause.
    await setImmediate();
    try {
      if (ranBy !== "onnxruntime") return await (await own.engineFor(bytes)).run(feeds);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      ranBy = "onnxruntime";
    }
    return (await mixed.engineFor(bytes)).run(feeds);
  };
  return {
    run,
    runForeign: async (bytes, feeds) => (await foreign.engineFor(bytes)).run(feeds),
    ranBy: () => ranBy,
    dispose: async () => {
      for (const kept of [own, mixed, foreign]) await kept.dispose();
    },
  };
}
