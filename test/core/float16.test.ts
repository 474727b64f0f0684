// All 65536 values of both 16-bit float types against the formula of IEEE 754, in float64.

import { expect, test } from "vitest";
import { widenFloat16 } from "../../src/core/float16.ts";

const everyBits = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** (-1)^s · 2^(e - bias) · 1.f, or 2^(1 - bias) · 0.f when e = 0; all ones in e are infinities and NaN. */
function exactValue(bits: number, fractionBits: number): number {
  const exponentBits = 15 - fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >= 32768 ? -1 : 1;
  const fraction = bits % 2 ** fractionBits;
  const exponent = Math.floor(bits / 2 ** fractionBits) % 2 ** exponentBits;
  if (exponent === 2 ** exponentBits - 1)
    return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * 2 ** (1 - bias) * (fraction / 2 ** fractionBits);
  return sign * 2 ** (exponent - bias) * (1 + fraction / 2 ** fractionBits);
}

test.each([
  ["float16", 10],
  ["bfloat16", 7],
] as const)("%s", (type, fractionBits) => {
  const wide = widenFloat16({ type, data: everyBits, dims: [256, 256] });
  expect(wide.type).toBe("float32");
  expect(wide.dims).toEqual([256, 256]);
  const values = Array.from(wide.data as Float32Array);
  const wrong = values.findIndex((value, bits) => !Object.is(value, exactValue(bits, fractionBits)));
  expect(wrong).toBe(-1);
});

test("other types are refused", () => {
  const tensor = { type: "float32", data: Float32Array.of(1), dims: [1] } as const;
  expect(() => widenFloat16(tensor)).toThrow(expect.objectContaining({ code: "ADN_TYPE" }));
});
