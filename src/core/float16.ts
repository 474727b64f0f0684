// The two 16-bit float formats, widened to float32. Both widenings are exact: float32 has every value of either.

import { AdderNetError } from "./errors.ts";
import type { Tensor } from "./tensor.ts";

/** float32 bits of IEEE half precision bits (sign 1, exponent 5, fraction 10). NaN keeps its payload. */
function widenHalf(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/** bfloat16 is the upper half of float32. */
function widenBrain(bits: number): number {
  return bits << 16;
}

/** A float16 or bfloat16 tensor as float32, value for value. Other types throw ADN_TYPE. */
export function widenFloat16(tensor: Tensor): Tensor {
  const { type, data, dims } = tensor;
  if ((type !== "float16" && type !== "bfloat16") || !(data instanceof Uint16Array)) {
    throw new AdderNetError("ADN_TYPE", "only 16-bit floats can be widened", {
      expected: "float16 or bfloat16 as bits in a Uint16Array",
      found: type,
    });
  }
  const widen = type === "float16" ? widenHalf : widenBrain;
  const bits = Int32Array.from(data, widen);
  return { type: "float32", data: new Float32Array(bits.buffer), dims };
}
