// Small tensors for cases, and a short way to write a case down.

import type { Attribute } from "../../../src/core/ir/model.ts";
import { elementCount, type Tensor } from "../../../src/core/tensor.ts";
import { atOpsets, type OpCase, randomNumbers } from "./op-case.ts";

type Dims = readonly number[];
type Inputs = readonly (Tensor | null)[];

/** The case at several opsets; results must be the same bits unless `more` says otherwise. */
export function cases(
  opType: string,
  opsets: readonly number[],
  name: string,
  inputs: Inputs,
  attributes: Readonly<Record<string, Attribute>> = {},
  more: Partial<Pick<OpCase, "tolerance" | "outputs">> = {},
): OpCase[] {
  const whole = {
    name: `${opType}: ${name}`,
    opType,
    attributes,
    inputs,
    tolerance: "exact",
    ...more,
  } as const;
  return atOpsets(opsets, whole);
}

/** 0, 1, 2, … in the given shape. */
export function counting(dims: Dims): Tensor {
  return { type: "float32", data: Float32Array.from({ length: elementCount(dims) }, (_, i) => i), dims };
}

export function countingInt64(dims: Dims): Tensor {
  return {
    type: "int64",
    data: BigInt64Array.from({ length: elementCount(dims) }, (_, i) => BigInt(i)),
    dims,
  };
}

export function floats(values: readonly number[], dims: Dims = [values.length]): Tensor {
  return { type: "float32", data: Float32Array.from(values), dims };
}

export function doubles(values: readonly number[], dims: Dims = [values.length]): Tensor {
  return { type: "float64", data: Float64Array.from(values), dims };
}

export function int32s(values: readonly number[], dims: Dims = [values.length]): Tensor {
  return { type: "int32", data: Int32Array.from(values), dims };
}

export function int64s(values: readonly (number | bigint)[], dims: Dims = [values.length]): Tensor {
  return { type: "int64", data: BigInt64Array.from(values, BigInt), dims };
}

export function bools(values: readonly number[], dims: Dims = [values.length]): Tensor {
  return { type: "bool", data: Uint8Array.from(values), dims };
}

export function words(values: readonly string[], dims: Dims = [values.length]): Tensor {
  return { type: "string", data: [...values], dims };
}

export function bytes(values: readonly number[], dims: Dims = [values.length]): Tensor {
  return { type: "uint8", data: Uint8Array.from(values), dims };
}

/** Integers from -span to span in the given type. */
export function integers(type: "int32" | "int64", dims: Dims, seed: number, span = 9): Tensor {
  const values = randomNumbers(elementCount(dims), seed).map((value) => Math.round(value * span));
  return type === "int32" ? int32s(values, dims) : int64s(values, dims);
}
