// A session of a native strategy as the handler onnxruntime calls.

import { AdderNetError } from "../../core/errors.ts";
import { fillFetch } from "../fill-fetch.ts";
import type { OrtSessionHandler } from "../ort-module.ts";
import type { LayerExplanation, NativeEngine } from "./engine.ts";

export interface NativeHandler extends OrtSessionHandler {
  layers(): LayerExplanation[];
}

/** The error of ours that an error of onnxruntime's carries, else that one as it is. */
async function withOwnErrors<T>(engine: NativeEngine, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const own = engine.takeError();
    if (own === undefined || !String(cause).includes(own.code)) throw cause;
    const { code, problem, details } = own;
    throw new AdderNetError(code, problem, { ...details, cause });
  }
}

/** Makes a session of `engine`. Errors of our kernels come with their own code, onnxruntime's as they are. */
export async function createNativeHandler(
  engine: NativeEngine,
  model: string | Uint8Array,
  options: object,
): Promise<NativeHandler> {
  const session = await withOwnErrors(engine, () => engine.createSession(model, options));
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    inputMetadata: session.inputMetadata,
    outputMetadata: session.outputMetadata,
    async run(feeds, fetches, options) {
      const results = await withOwnErrors(engine, () => session.run(feeds, fetches, options));
      const wanted = Object.entries(fetches);
      return Object.fromEntries(wanted.map(([name, fetch]) => [name, fillFetch(fetch, results[name]!)]));
    },
    startProfiling: () => session.startProfiling(),
    endProfiling() {
      session.endProfiling();
    },
    dispose: () => session.dispose(),
    layers: () => session.layers(),
  };
}
