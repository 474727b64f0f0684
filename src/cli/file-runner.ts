// Running written bytes for a check: in our runtime, or by the reference of every op where the runtime lacks one.

import { setImmediate } from "node:timers/promises";
import type { RunFile } from "../../converter/index.ts";
import { ops } from "../../custom-ops/index.ts";
import { createSession, type Session } from "../../runtime/index.ts";
import { AdderNetError } from "../core/errors.ts";
import { interpret } from "../core/interpret.ts";
import { decodeModel } from "../core/onnx/index.ts";

export interface FileRunner {
  readonly run: RunFile;
  /** True once a file could not run in the runtime. */
  readonly usedReference: () => boolean;
  readonly dispose: () => Promise<void>;
}

const runReference: RunFile = async (bytes, feeds) => {
  const { graph, opsetImports, functions } = decodeModel(bytes);
  return interpret(graph, opsetImports, ops, feeds, { functions });
};

/** One session, kept for as long as the same bytes are asked for. */
export function fileRunner(): FileRunner {
  let current: { readonly bytes: Uint8Array; readonly session: Session | undefined } | undefined;
  let fellBack = false;
  const dispose = async (): Promise<void> => {
    await current?.session?.dispose();
    current = undefined;
  };
  const start = async (bytes: Uint8Array): Promise<Session | undefined> => {
    try {
      return await createSession(bytes);
    } catch (error) {
      if (!(error instanceof AdderNetError) || error.code !== "ADN_OP_UNSUPPORTED") throw error;
      fellBack = true;
      return undefined;
    }
  };
  const run: RunFile = async (bytes, feeds) => {
    // Lets signals in between two samples, each of which computes without a pause.
    await setImmediate();
    if (current?.bytes !== bytes) {
      await dispose();
      current = { bytes, session: await start(bytes) };
    }
    const { session } = current;
    if (session === undefined) return runReference(bytes, feeds);
    return new Map(Object.entries(await session.run(Object.fromEntries(feeds))));
  };
  return { run, usedReference: () => fellBack, dispose };
}
