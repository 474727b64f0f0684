// Feeds in another type: every value survives or the tensor is refused. The oracle is a cast and back, written plainly.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convertExactly } from "../../src/cli/convert-exactly.ts";
import type { DataType } from "../../src/core/dtype.ts";
import type { Tensor, TensorData } from "../../src/core/tensor.ts";

const tensor = (type: DataType, data: TensorData): Tensor => ({ type, data, dims: [data.length] });

describe("what fits", () => {
  // biome-ignore format: a table
  it.each<[string, Tensor, DataType, TensorData]>([
    ["bytes as floats", tensor("uint8", Uint8Array.of(0, 128, 255)), "float32", Float32Array.of(0, 128, 255)],
    ["float64 as float32", tensor("float64", Float64Array.of(0.5, -2, Number.NaN)), "float32", Float32Array.of(0.5, -2, Number.NaN)],
    ["infinities", tensor("float64", Float64Array.of(Infinity, -Infinity)), "float32", Float32Array.of(Infinity, -Infinity)],
    ["whole floats as int64", tensor("float32", Float32Array.of(-3, 7)), "int64", BigInt64Array.of(-3n, 7n)],
    ["int64 as int32", tensor("int64", BigInt64Array.of(-5n, 2147483647n)), "int32", Int32Array.of(-5, 2147483647)],
    ["int64 as float32", tensor("int64", BigInt64Array.of(1n << 40n)), "float32", Float32Array.of(2 ** 40)],
    ["float16 as float32", tensor("float16", Uint16Array.of(0x3c00, 0xc100)), "float32", Float32Array.of(1, -2.5)],
    ["float32 as float16", tensor("float32", Float32Array.of(1, -2.5)), "float16", Uint16Array.of(0x3c00, 0xc100)],
    ["0 and 1 as bool", tensor("uint8", Uint8Array.of(0, 1)), "bool", Uint8Array.of(0, 1)],
  ])("%s", (_name, given, type, expected) => {
    expect(convertExactly(given, type)).toEqual({ type, dims: given.dims, data: expected });
  });
});

describe("what does not fit", () => {
  // biome-ignore format: a table
  it.each<[string, Tensor, DataType]>([
    ["a tenth in float64 as float32", tensor("float64", Float64Array.of(0.1)), "float32"],
    ["a tenth as float16", tensor("float32", Float32Array.of(0.1)), "float16"],
    ["a fraction as int64", tensor("float32", Float32Array.of(0.5)), "int64"],
    ["NaN as int32", tensor("float32", Float32Array.of(Number.NaN)), "int32"],
    ["infinity as int64", tensor("float32", Float32Array.of(Infinity)), "int64"],
    ["-1 as uint8", tensor("int32", Int32Array.of(-1)), "uint8"],
    ["256 as uint8", tensor("int32", Int32Array.of(256)), "uint8"],
    ["2^53 + 1 as float64", tensor("int64", BigInt64Array.of((1n << 53n) + 1n)), "float64"],
    ["2^63 as int64", tensor("uint64", BigUint64Array.of(1n << 63n)), "int64"],
    ["2 as bool", tensor("uint8", Uint8Array.of(2)), "bool"],
    ["texts as numbers", tensor("string", ["1"]), "float32"],
    ["numbers as texts", tensor("float32", Float32Array.of(1)), "string"],
  ])("%s", (_name, given, type) => {
    expect(convertExactly(given, type)).toBeUndefined();
  });
});

describe("any float64", () => {
  it("becomes float32 exactly when rounding changes nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.double(), fc.float()), { maxLength: 5 }), (values) => {
        const exact = values.every((value) => Object.is(Math.fround(value), value));
        expect(convertExactly(tensor("float64", Float64Array.from(values)), "float32") !== undefined).toBe(
          exact,
        );
      }),
    );
  });
});
