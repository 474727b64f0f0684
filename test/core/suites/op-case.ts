// What a case of the op suites is, and how tensors for cases are made.

import type { Attribute } from "../../../src/core/ir/model.ts";
import { elementCount, type Tensor } from "../../../src/core/tensor.ts";

/** One node with its inputs; the expected outputs come from onnxruntime. */
export interface OpCase {
  readonly name: string;
  readonly opType: string;
  readonly opset: number;
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** null marks an optional input that is absent. */
  readonly inputs: readonly (Tensor | null)[];
  /** How many outputs to ask for: 1 unless given. */
  readonly outputs?: number;
  /** exact: same bits; close: within 1e-6 of the larger of 1 and the value; rounding: within 1e-4. */
  readonly tolerance: "exact" | "close" | "rounding";
}

/** Numbers in [-1, 1) that depend on the seed alone (a 32-bit xorshift). */
export function randomNumbers(count: number, seed: number): number[] {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state / 2 ** 31;
  });
}

export function randomTensor(
  dims: readonly number[],
  seed: number,
  type: "float32" | "float64" = "float32",
): Tensor {
  const values = randomNumbers(elementCount(dims), seed);
  return { type, data: type === "float32" ? Float32Array.from(values) : Float64Array.from(values), dims };
}

/** The same case at several opsets. */
export function atOpsets(opsets: readonly number[], { name, ...rest }: Omit<OpCase, "opset">): OpCase[] {
  return opsets.map((opset) => ({ ...rest, name: `${name}, opset ${opset}`, opset }));
}
