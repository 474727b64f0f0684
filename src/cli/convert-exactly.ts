// A tensor's values in another element type, when nothing is lost.

import { type DataType, dataTypes } from "../core/dtype.ts";
import { narrowToFloat16, widenFloat16 } from "../core/float16.ts";
import type { Tensor, TensorData } from "../core/tensor.ts";

type Value = number | bigint;

const is16BitFloat = (type: DataType): type is "float16" | "bfloat16" => /^b?float16$/.test(type);

function sameValue(a: Value, b: Value): boolean {
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint equals the number of the same value
  return a == b || (Number.isNaN(a) && Number.isNaN(b));
}

/** Stores `value` and tells whether what was stored is the same value. */
function storesExactly(target: Value[], index: number, value: Value, isBig: boolean): boolean {
  if (isBig && typeof value === "number" && !Number.isInteger(value)) return false;
  target[index] = isBig ? BigInt(value) : Number(value);
  return sameValue(target[index]!, value);
}

function toFloat16(tensor: Tensor, type: "float16" | "bfloat16"): Tensor | undefined {
  const wide = convertExactly(tensor, "float32");
  if (wide === undefined) return undefined;
  const narrow: Tensor = { type, dims: tensor.dims, data: narrowToFloat16(wide.data as Float32Array, type) };
  const back = widenFloat16(narrow).data as Float32Array;
  return back.every((value, index) => sameValue(value, wide.data[index] as number)) ? narrow : undefined;
}

/** Undefined when a value has no exact counterpart in `type`, or `type` holds no numbers. NaN stays NaN. */
export function convertExactly(tensor: Tensor, type: DataType): Tensor | undefined {
  if (tensor.type === type) return tensor;
  if (is16BitFloat(tensor.type)) return convertExactly(widenFloat16(tensor), type);
  if (is16BitFloat(type)) return toFloat16(tensor, type);
  const { array } = dataTypes[type];
  if (array === "string" || array === "raw" || Array.isArray(tensor.data)) return undefined;
  const { data: source, dims } = tensor;
  const data = new array(source.length);
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (let index = 0; index < source.length; index++) {
    const value = source[index]!;
    if (type === "bool" && value !== 0 && value !== 1) return undefined;
    if (!storesExactly(data as unknown as Value[], index, value, isBig)) return undefined;
  }
  return { type, dims, data: data as TensorData };
}
