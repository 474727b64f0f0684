// The two 16-bit float formats: widened to float32, which has every value of either, and rounded from numbers.

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
  const bits = new Int32Array(data.length);
  for (let index = 0; index < bits.length; index++) bits[index] = widen(data[index]!);
  return { type: "float32", data: new Float32Array(bits.buffer), dims };
}

/** The nearest integer, the even one of two. */
function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

function halfBits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | roundToEven(size * 2 ** 24);
  const estimate = Math.floor(Math.log2(size));
  const exponent = size < 2 ** estimate ? estimate - 1 : estimate;
  // A fraction that rounds up to 2048 carries into the exponent, as it should.
  return sign | (((exponent + 14) << 10) + roundToEven(size * 2 ** (10 - exponent)));
}

const float32Bits = new DataView(new ArrayBuffer(4));

function brainBits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  float32Bits.setFloat32(0, value);
  const bits = float32Bits.getUint32(0);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Numbers as the bits of a 16-bit float type, rounded to the nearest (even of two); too large a number becomes infinite. */
export function narrowToFloat16(values: ArrayLike<number>, type: "float16" | "bfloat16"): Uint16Array {
  const narrow = type === "float16" ? halfBits : brainBits;
  const bits = new Uint16Array(values.length);
  for (let index = 0; index < bits.length; index++) bits[index] = narrow(values[index]!);
  return bits;
}
