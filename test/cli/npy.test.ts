// .npy files: NumPy's own as oracle, random tensors through a second reader written here, and hostile bytes.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeNpy, encodeNpy } from "../../src/cli/npy.ts";
import type { DataType } from "../../src/core/dtype.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { allocate, type Tensor } from "../../src/core/tensor.ts";

interface NumpyFile {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly number[];
  readonly values: readonly number[];
  readonly base64: string;
}

const fixtures = new URL("fixtures/numpy-files.json", import.meta.url);
const numpyFiles = JSON.parse(readFileSync(fixtures, "utf8")) as NumpyFile[];

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));
const numbersOf = ({ data }: Tensor): number[] => Array.from(data as ArrayLike<number>, Number);

/** A version 1 file around any header and content. */
function fileWith(header: string, content: Uint8Array = new Uint8Array(0)): Uint8Array {
  const text = new TextEncoder().encode(header);
  const length = [text.length & 255, text.length >> 8];
  return Uint8Array.from([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, ...length, ...text, ...content]);
}

function header(descr: string, shape: string, order = "False"): string {
  return `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
}

function failure(action: () => unknown): AdderNetError {
  try {
    action();
  } catch (error) {
    if (error instanceof AdderNetError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("files written by NumPy", () => {
  it.each(numpyFiles)("$name", ({ type, dims, values, base64 }) => {
    const tensor = decodeNpy(bytesOf(base64), "x.npy");
    expect(tensor.type).toBe(type);
    expect(tensor.dims).toEqual(dims);
    expect(numbersOf(tensor)).toEqual(values);
  });

  it("a Buffer inside a larger one is read like an array of its own", () => {
    const { base64, values } = numpyFiles[0]!;
    const bytes = Buffer.from(base64, "base64");
    const large = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(5)]);
    expect(numbersOf(decodeNpy(large.subarray(3, 3 + bytes.length), "x.npy"))).toEqual(values);
  });

  it("float16 stays as bits", () => {
    const tensor = decodeNpy(fileWith(header("<f2", "(2,)"), Uint8Array.of(0x00, 0x3c, 0x00, 0xc0)), "x.npy");
    expect(tensor).toEqual({ type: "float16", dims: [2], data: Uint16Array.of(0x3c00, 0xc000) });
  });
});

// biome-ignore format: a table
const elements: readonly (readonly [DataType, string, number, fc.Arbitrary<number | bigint>])[] = [
  ["float32", "<f4", 4, fc.float()],
  ["float64", "<f8", 8, fc.double()],
  ["int8", "|i1", 1, fc.integer({ min: -128, max: 127 })],
  ["uint8", "|u1", 1, fc.integer({ min: 0, max: 255 })],
  ["int16", "<i2", 2, fc.integer({ min: -32768, max: 32767 })],
  ["uint32", "<u4", 4, fc.integer({ min: 0, max: 2 ** 32 - 1 })],
  ["int64", "<i8", 8, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ["uint64", "<u8", 8, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })],
  ["bool", "|b1", 1, fc.integer({ min: 0, max: 1 })],
];

describe.each(elements)("%s", (type, descr, width, element) => {
  const tensors = fc.array(fc.nat({ max: 4 }), { maxLength: 4 }).chain((dims) => {
    const length = dims.reduce((product, dim) => product * dim, 1);
    return fc.array(element, { minLength: length, maxLength: length }).map((values) => {
      const data = allocate(type, length) as unknown[];
      for (const [index, value] of values.entries()) data[index] = value;
      return { type, dims, data } as unknown as Tensor;
    });
  });

  it("comes back as it was written", () => {
    fc.assert(
      fc.property(tensors, (tensor) => {
        expect(decodeNpy(encodeNpy(tensor), "x.npy")).toEqual(tensor);
      }),
      { numRuns: 50 },
    );
  });

  it("is laid out as the format says: aligned header, raw little-endian elements", () => {
    fc.assert(
      fc.property(tensors, (tensor) => {
        const bytes = encodeNpy(tensor);
        const view = new DataView(bytes.buffer);
        const start = 10 + view.getUint16(8, true);
        const text = new TextDecoder().decode(bytes.subarray(10, start));
        const shape = tensor.dims.map((dim) => `${dim},`).join(" ");
        expect(text.replace(/(\d)\)/, "$1,)")).toContain(
          `'descr': '${descr}', 'fortran_order': False, 'shape': (${shape})`,
        );
        expect(text.endsWith("\n")).toBe(true);
        expect(start % 64).toBe(0);
        expect(bytes.length - start).toBe(width * tensor.data.length);
      }),
      { numRuns: 50 },
    );
  });
});

describe("damaged and hostile files", () => {
  const refused: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["nothing", new Uint8Array(0), /empty/],
    ["another format", new TextEncoder().encode("PK\u0003\u0004 something else"), /not an \.npy file/],
    ["only the magic", Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59), /version/],
    ["version 9", Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 9, 0, 0, 0), /version/],
    ["a header longer than the file", fileWith(header("<f4", "(1,)")).subarray(0, 40), /header is cut off/],
    [
      "a header of 4 GB",
      Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 255, 255, 255, 255),
      /cut off/,
    ],
    [
      "too little data",
      fileWith(header("<f4", "(2, 3)"), new Uint8Array(20)),
      /data is cut off.*24 bytes.*20/,
    ],
    ["too much data", fileWith(header("<f4", "(2, 3)"), new Uint8Array(25)), /more data/],
    ["a huge shape", fileWith(header("<f4", "(1000000, 1000000, 1000000)"), new Uint8Array(8)), /cut off/],
    ["a shape that overflows", fileWith(header("<f4", "(9007199254740993, 0)")), /data/],
    ["a negative length", fileWith(header("<f4", "(-1, 3)"), new Uint8Array(8)), /lengths >= 0/],
    [
      "a shape that is code",
      fileWith(header("<f4", "(__import__('os'),)"), new Uint8Array(8)),
      /lengths >= 0/,
    ],
    ["no shape", fileWith("{'descr': '<f4', 'fortran_order': False}"), /lengths >= 0/],
    ["no order", fileWith("{'descr': '<f4', 'shape': (1,)}"), /fortran_order/],
    ["no dictionary", fileWith("descr = <f4"), /header is damaged/],
    ["pickled objects", fileWith(header("|O", "(1,)"), new Uint8Array(8)), /cannot be read/],
    ["texts", fileWith(header("<U4", "(1,)"), new Uint8Array(16)), /cannot be read/],
    ["complex numbers", fileWith(header("<c8", "(1,)"), new Uint8Array(8)), /cannot be read/],
    [
      "records",
      fileWith("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"),
      /cannot be read/,
    ],
    ["a truth value of 7", fileWith(header("|b1", "(1,)"), Uint8Array.of(7)), /neither 0 nor 1/],
  ];

  it.each(refused)("%s", (_name, bytes, message) => {
    const error = failure(() => decodeNpy(bytes, "bad.npy"));
    expect(error.code).toBe("ADN_NPY");
    expect(error.message).toMatch(message);
    expect(error.message).toContain("bad.npy");
    expect(error.message.length).toBeLessThan(400);
  });

  it("any bytes are read or refused, never anything else", () => {
    const good = bytesOf(numpyFiles[0]!.base64);
    const damaged = fc
      .array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const bytes = good.slice();
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        try {
          decodeNpy(bytes, "x.npy");
        } catch (error) {
          expect((error as AdderNetError).code).toBe("ADN_NPY");
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("truncation at every length is refused", () => {
    const good = bytesOf(numpyFiles[0]!.base64);
    for (let length = 0; length < good.length; length++) {
      expect(failure(() => decodeNpy(good.subarray(0, length), "x.npy")).code).toBe("ADN_NPY");
    }
  });
});

describe("what cannot be written", () => {
  it("texts are refused", () => {
    const error = failure(() => encodeNpy({ type: "string", dims: [1], data: ["a"] }));
    expect(error.code).toBe("ADN_NPY");
  });
});
