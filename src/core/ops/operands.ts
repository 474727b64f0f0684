// Checked access to what an op is given: facts in `infer`, tensors in `reference`.

import { type DataType, dataTypes, isFloat } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import type { Dim } from "../ir/model.ts";
import { allocate, type BigIntArray, type Tensor, toNumbers } from "../tensor.ts";
import type { Inputs, ValueFact } from "./define-op.ts";

/** The shape of a fact, or undefined when its rank is unknown. Any rank outside `least`..`most` is ADN_SHAPE. */
export function shapeOfRank(
  fact: ValueFact | undefined,
  name: string,
  least: number,
  most: number,
  where: string,
): readonly Dim[] | undefined {
  const shape = fact?.shape;
  if (shape === undefined || (shape.length >= least && shape.length <= most)) return shape;
  const upper = most === Number.POSITIVE_INFINITY ? `>= ${least}` : `${least} to ${most}`;
  throw new AdderNetError("ADN_SHAPE", `${name} has the wrong rank`, {
    where,
    expected: least === most ? `${least}` : upper,
    found: `${shape.length}`,
  });
}

export function requireFloatType(type: DataType, name: string, where: string): void {
  if (isFloat(type)) return;
  throw new AdderNetError("ADN_TYPE", `${name} has an unsupported type`, {
    where,
    expected: "a float type",
    found: type,
  });
}

/** Throws ADN_TYPE when two operands that must share a type do not. */
export function requireSameType(
  [leftName, left]: readonly [string, ValueFact | undefined],
  [rightName, right]: readonly [string, ValueFact | undefined],
  where: string,
): void {
  if (left === undefined || right === undefined || left.elemType === right.elemType) return;
  throw new AdderNetError("ADN_TYPE", `${leftName} and ${rightName} differ in type`, {
    where,
    expected: left.elemType,
    found: right.elemType,
  });
}

/** Throws ADN_SHAPE when a known length is not the expected known length. */
export function requireDim(
  found: Dim | undefined,
  expected: Dim | undefined,
  name: string,
  where: string,
): void {
  if (typeof found !== "number" || typeof expected !== "number" || found === expected) return;
  throw new AdderNetError("ADN_SHAPE", `${name} has the wrong length`, {
    where,
    expected: `${expected}`,
    found: `${found}`,
  });
}

/** An axis counted from the front. Outside -rank..rank-1 it is ADN_ATTRIBUTE. */
export function axisFromFront(axis: number, rank: number, where: string): number {
  if (Number.isInteger(axis) && axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  throw new AdderNetError("ADN_ATTRIBUTE", "axis is out of range", {
    where,
    expected: `${-rank} to ${rank - 1}`,
    found: `${axis}`,
  });
}

export function requireTensor(inputs: Inputs, index: number, name: string, where: string): Tensor {
  const tensor = inputs[index];
  if (tensor !== undefined) return tensor;
  throw new AdderNetError("ADN_ONNX_MODEL", `${name} is missing`, { where });
}

/** Types whose elements are plain numbers to compute with; float16 and bfloat16 are held as bits and so are not. */
export const numericTypes: readonly DataType[] = [
  "float32",
  "float64",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
];
export const computedFloats: readonly DataType[] = ["float32", "float64"];

/** Elements as numbers. int64 beyond ±(2^53 - 1) saturates; a type not in `types` is ADN_TYPE. */
export function numbersOf(
  tensor: Tensor,
  name: string,
  types: readonly DataType[],
  where: string,
): ArrayLike<number> {
  if (!types.includes(tensor.type)) {
    throw new AdderNetError("ADN_TYPE", `${name} has an unsupported type`, {
      where,
      expected: types.join(", "),
      found: tensor.type,
    });
  }
  const isBig = tensor.type === "int64" || tensor.type === "uint64";
  return isBig ? toNumbers(tensor) : (tensor.data as ArrayLike<number>);
}

/** A tensor of `type` from computed numbers; integer types take them truncated, wrapping as C does. */
export function tensorFrom(type: DataType, values: Float64Array, dims: readonly number[]): Tensor {
  if (type === "float64") return { type, data: values, dims };
  const data = allocate(type, values.length);
  if (dataTypes[type].array === BigInt64Array || dataTypes[type].array === BigUint64Array) {
    for (let index = 0; index < values.length; index++) {
      (data as BigIntArray)[index] = BigInt(Math.trunc(values[index]!));
    }
  } else {
    (data as Float32Array).set(values);
  }
  return { type, data, dims };
}
