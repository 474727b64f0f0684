// Runs a model on the runtime and compares with the references of its ops evaluated in float64.

import { expect } from "vitest";
import { ops } from "../../custom-ops/index.ts";
import { isLevelAvailable, simdLevels } from "../../custom-ops/kernels/load.ts";
import { createExecutor, type Session, type SessionOptions } from "../../runtime/index.ts";
import { interpret } from "../../src/core/interpret.ts";
import type { Model } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";

export const levels = simdLevels.filter(isLevelAvailable);

/** Largest |found - wanted| / max(1, |wanted|); NaN and infinities must agree. */
export function largestError(found: Tensor, wanted: Tensor): number {
  const [a, b] = [found.data as Float32Array, wanted.data as Float64Array];
  expect(a).toHaveLength(b.length);
  let largest = 0;
  for (let index = 0; index < b.length; index++) {
    const [left, right] = [Number(a[index]), Number(b[index])];
    if (left === Math.fround(right) || (Number.isNaN(left) && Number.isNaN(right))) continue;
    const difference = Math.abs(left - right) / Math.max(1, Math.abs(right));
    largest = Math.max(largest, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
  }
  return largest;
}

export function float64Outputs(model: Model, feeds: Readonly<Record<string, Tensor>>): Map<string, Tensor> {
  const { graph, opsetImports, functions } = model;
  return interpret(graph, opsetImports, ops, new Map(Object.entries(feeds)), { float64: true, functions });
}

/** Runs once and compares every output. Answers the session for further questions. */
export async function expectLikeReference(
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  options: SessionOptions & { readonly tolerance?: number } = {},
): Promise<Session> {
  const { tolerance = 2e-6, ...sessionOptions } = options;
  const session = await createExecutor(model, sessionOptions);
  const found = await session.run(feeds);
  for (const [name, wanted] of float64Outputs(model, feeds)) {
    expect(found[name]!.dims, name).toEqual([...wanted.dims]);
    expect(largestError(found[name]!, wanted), name).toBeLessThanOrEqual(tolerance);
  }
  return session;
}

/** How often each kernel is called in the session's plans. */
export function kernelCalls(session: Session): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { steps } of session.explain().plans) {
    for (const { kernels } of steps) {
      for (const [kernel, calls] of Object.entries(kernels)) counts[kernel] = (counts[kernel] ?? 0) + calls;
    }
  }
  return counts;
}
