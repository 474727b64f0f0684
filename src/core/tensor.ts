// Tensors as plain data, with the names onnxruntime uses, so that its `Tensor` objects can be passed as they are.

import { type DataType, dataTypes } from "./dtype.ts";
import { AdderNetError } from "./errors.ts";

export type NumberArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array;
export type BigIntArray = BigInt64Array | BigUint64Array;
export type TensorData = NumberArray | BigIntArray | string[];

/** Row-major data. bool is held as 0 or 1 in a Uint8Array, float16 and bfloat16 as bits in a Uint16Array. */
export interface Tensor {
  readonly type: DataType;
  readonly data: TensorData;
  readonly dims: readonly number[];
}

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Elements between neighbours along each axis of a row-major tensor. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let step = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= dims[axis]!;
  }
  return strides;
}

/** A zeroed array for `count` elements. Types without a JavaScript array are refused. */
export function allocate(type: DataType, count: number): TensorData {
  const { array } = dataTypes[type];
  if (array === "string") return new Array<string>(count).fill("");
  if (array === "raw") throw new AdderNetError("ADN_TYPE", `no arithmetic on ${type} tensors`);
  return new array(count);
}

/** The result shape of ONNX (NumPy) multidirectional broadcasting, or undefined when the shapes do not fit. */
export function broadcastDims(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const dims: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) return undefined;
    dims.push(left === 1 ? right : left);
  }
  return dims;
}

/** Copies int64-like or int32 data to numbers; a value beyond ±(2^53 - 1) saturates there. */
export function toNumbers(tensor: Tensor): number[] {
  return Array.from(tensor.data as ArrayLike<number | bigint | string>, (value) => {
    const number = Number(value);
    if (typeof value !== "bigint") return number;
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, number));
  });
}

export function int64Tensor(values: readonly number[], dims: readonly number[] = [values.length]): Tensor {
  return { type: "int64", data: BigInt64Array.from(values, BigInt), dims };
}

export function float32Tensor(values: ArrayLike<number>, dims: readonly number[] = [values.length]): Tensor {
  return { type: "float32", data: Float32Array.from(values), dims };
}
