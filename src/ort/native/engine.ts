// What a native strategy gives: sessions of an onnxruntime that has our ops, whichever way they came in.

import type { AdderNetError } from "../../core/errors.ts";
import type { OrtSessionHandler } from "../ort-module.ts";

/** A layer of a session and how it is computed. */
export interface LayerExplanation {
  readonly node: string;
  /** Kernels of the latest run; none before the first. */
  readonly kernels: readonly string[];
  readonly why: string;
}

export interface NativeSession extends Omit<OrtSessionHandler, "endProfiling"> {
  /** Stops writing the profile; answers its file's name where there is one. */
  endProfiling(): string | undefined;
  layers(): LayerExplanation[];
}

export interface NativeEngine {
  /** What the ops live in, for people. */
  readonly place: string;
  createSession(model: string | Uint8Array, options: object): Promise<NativeSession>;
  /** What a kernel failed with last, once. */
  takeError(): AdderNetError | undefined;
}
