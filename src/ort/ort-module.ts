// What we use of the caller's onnxruntime, as shapes: no types of onnxruntime's own are needed to compile against this package.

export interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: object): Promise<object>;
  release(): Promise<void>;
}

/** onnxruntime-node, onnxruntime-web, or anything with their interface. */
export interface OrtModule {
  readonly InferenceSession: { create(model: Uint8Array, options?: object): Promise<OrtSession> };
  readonly Tensor: new (type: never, data: never, dims: readonly number[]) => object;
  readonly env: { readonly versions: object; readonly wasm?: { readonly proxy?: boolean } };
  registerBackend(name: string, backend: object, priority: number): void;
}

/** An entry of onnxruntime's `executionProviders`. */
export type ExecutionProvider = string | { readonly name: string };

/** onnxruntime's session options, as far as they are read here. */
export interface OrtSessionOptions {
  readonly executionProviders?: readonly ExecutionProvider[];
  readonly executionMode?: "sequential" | "parallel";
}

/** onnxruntime's description of an input or output. */
export interface OrtValueMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

/** What a backend gives onnxruntime for a session. */
export interface OrtSessionHandler {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly OrtValueMetadata[];
  readonly outputMetadata: readonly OrtValueMetadata[];
  run(
    feeds: Readonly<Record<string, object>>,
    fetches: Readonly<Record<string, object | null>>,
    options: object,
  ): Promise<Record<string, object>>;
  startProfiling(): void;
  endProfiling(): void;
  dispose(): Promise<void>;
}
