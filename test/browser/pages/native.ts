// onnxruntime-web in a page with our kernels as custom ops in it, whichever build is asked for.

import { adderNetEp, explain, registerAdderNet } from "addernet/ort";

/** A tensor as JSON carries it. */
export interface PlainTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

export interface PlainCase {
  readonly name: string;
  /** base64 */
  readonly model: string;
  readonly feeds: Readonly<Record<string, PlainTensor>>;
}

export interface NativeRun {
  /** URL of the module of onnxruntime-web. */
  readonly ort: string;
  readonly registered: "native" | "auto";
  /** One session for each: undefined stands for one without adderNetEp(). */
  readonly ways: readonly ("native" | "auto" | "partition" | null)[];
  readonly inner: readonly string[];
  readonly threads: number;
  /** Names of the cases; all unless given. */
  readonly only?: readonly string[];
  readonly wasm?: { readonly proxy?: boolean; readonly wasmPaths?: unknown; readonly binary?: string };
}

export interface NativeResult {
  readonly name: string;
  readonly way: string | null;
  readonly strategy?: string;
  readonly reason?: string;
  readonly outputs?: Readonly<Record<string, PlainTensor>>;
  readonly error?: string;
}

const arrays = { float32: Float32Array, uint8: Uint8Array } as const;

// biome-ignore lint/suspicious/noExplicitAny: any build of onnxruntime-web
async function runCase(ort: any, each: PlainCase, way: NativeRun["ways"][number], inner: readonly string[]) {
  const bytes = Uint8Array.from(atob(each.model), (letter) => letter.charCodeAt(0));
  const providers = way === null ? inner : [adderNetEp({ strategy: way, inner })];
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: providers,
    logSeverityLevel: 4,
  });
  const feeds = Object.entries(each.feeds).map(([name, { type, dims, data }]) => [
    name,
    new ort.Tensor(type, arrays[type as keyof typeof arrays].from(data), dims),
  ]);
  const results = await session.run(Object.fromEntries(feeds));
  const outputs: Record<string, PlainTensor> = {};
  for (const name of session.outputNames) {
    const { type, dims, data } = results[name];
    outputs[name] = { type, dims: [...dims], data: Array.from(data, Number) };
  }
  const { strategy, reason } = explain(session) ?? {};
  await session.release();
  return { outputs, ...(strategy && { strategy }), ...(reason && { reason }) };
}

async function runNative(run: NativeRun): Promise<NativeResult[]> {
  const ort = await import(run.ort);
  const { proxy, wasmPaths, binary } = run.wasm ?? {};
  ort.env.wasm.numThreads = run.threads;
  if (proxy !== undefined) ort.env.wasm.proxy = proxy;
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  if (binary !== undefined) ort.env.wasm.wasmBinary = await (await fetch(binary)).arrayBuffer();
  registerAdderNet(ort, { strategy: run.registered });
  const cases = (await (await fetch("/cases.json")).json()) as PlainCase[];
  const results: NativeResult[] = [];
  for (const each of cases.filter(({ name }) => run.only?.includes(name) ?? true)) {
    for (const way of run.ways) {
      try {
        results.push({ name: each.name, way, ...(await runCase(ort, each, way, run.inner)) });
      } catch (error) {
        results.push({ name: each.name, way, error: String(error) });
      }
    }
  }
  return results;
}

Object.assign(globalThis, { runNative });
