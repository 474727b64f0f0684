// What a case of the op suites is, and how tensors for cases are made.

import type { Attribute } from "../../../src/core/ir/model.ts";
import type { Tensor } from "../../../src/core/tensor.ts";

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
