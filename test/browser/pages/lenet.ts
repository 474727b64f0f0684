// What the pages do with the runtime and the converter, on a window's main thread and in a worker alike.

import { convert } from "addernet/converter";
import { createSession, type SessionOptions } from "addernet/runtime";

async function bytesOf(url: string): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

export async function digits(): Promise<{ type: "float32"; data: Float32Array; dims: number[] }> {
  const { buffer } = await bytesOf("/digits.f32");
  const data = new Float32Array(buffer as ArrayBuffer);
  return { type: "float32", data, dims: [data.length / 784, 1, 28, 28] };
}

export interface Answer {
  readonly level: string;
  readonly logits: readonly number[];
}

export async function classify(bytes: Uint8Array, options: SessionOptions): Promise<Answer> {
  const session = await createSession(bytes, options);
  const { output } = await session.run({ input: await digits() });
  const { level } = session.explain().simd;
  await session.dispose();
  return { level, logits: [...(output!.data as Float32Array)] };
}

export async function classifyConverted(options: SessionOptions): Promise<Answer> {
  return classify(await bytesOf("/converted.onnx"), options);
}

/** Bytes the page uses after collecting garbage; only cross-origin isolated pages may ask. */
async function usedBytes(): Promise<number> {
  const { gc } = globalThis as unknown as { gc: () => void };
  gc();
  const measured = performance as unknown as {
    measureUserAgentSpecificMemory(): Promise<{ bytes: number }>;
  };
  return (await measured.measureUserAgentSpecificMemory()).bytes;
}

/** Bytes of memory after every tenth part of many sessions made, run and disposed. */
export async function makeSessions(count: number): Promise<number[]> {
  const bytes = await bytesOf("/converted.onnx");
  const { data } = await digits();
  const one = { type: "float32", data: data.slice(0, 784), dims: [1, 1, 28, 28] } as const;
  const sizes: number[] = [];
  for (let made = 1; made <= count; made++) {
    const session = await createSession(bytes);
    await session.run({ input: one });
    await session.dispose();
    if (made % (count / 10) === 0) sizes.push(await usedBytes());
  }
  return sizes;
}

export async function convertExported(): Promise<Answer & { forms: string[]; largestDifference: number }> {
  const { bytes, report } = await convert(await bytesOf("/exported.onnx"));
  return {
    ...(await classify(bytes, {})),
    forms: report.layers.map(({ form }) => form),
    largestDifference: report.verification!.maxDifference,
  };
}

export const actions = { classifyConverted, convertExported, makeSessions };
