// PNG pictures: Pillow's files as oracle, and damaged ones.

import { readFileSync } from "node:fs";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodePng } from "../../src/cli/data-sets/png.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { writePng } from "./write-png.ts";

interface PictureFile {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: readonly number[];
  readonly base64: string;
}

const pictures = JSON.parse(
  readFileSync(new URL("fixtures/pictures.json", import.meta.url), "utf8"),
) as PictureFile[];
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));
const good = bytesOf(pictures[1]!.base64);

function refusal(bytes: Uint8Array): AdderNetError {
  try {
    decodePng(bytes, "a.png");
  } catch (error) {
    if (error instanceof AdderNetError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("pictures written by Pillow", () => {
  it.each(pictures)("$name", ({ width, height, channels, data, base64 }) => {
    const picture = decodePng(bytesOf(base64), "a.png");
    expect([picture.width, picture.height, picture.channels]).toEqual([width, height, channels]);
    expect(Array.from(picture.data)).toEqual(data);
  });
});

describe("every row filter", () => {
  it("gives back the samples", () => {
    const filter = fc.constantFrom<0 | 1 | 2 | 3 | 4>(0, 1, 2, 3, 4);
    const size = fc.record({ width: fc.integer({ min: 1, max: 6 }), channels: fc.constantFrom(1, 2, 3, 4) });
    fc.assert(
      fc.property(
        size,
        fc.array(filter, { minLength: 1, maxLength: 6 }),
        fc.nat(),
        ({ width, channels }, rows, seed) => {
          const data = Uint8Array.from(
            { length: width * channels * rows.length },
            (_, index) => (seed + index * index * 37) & 255,
          );
          const picture = decodePng(writePng({ width, height: rows.length, channels, data }, rows), "a.png");
          expect(Array.from(picture.data)).toEqual(Array.from(data));
        },
      ),
      { numRuns: 200 },
    );
  });
});

function withHeaderByte(at: number, value: number): Uint8Array {
  const bytes = good.slice();
  bytes[16 + at] = value;
  return bytes;
}

describe("damaged pictures", () => {
  // biome-ignore format: a table
  const refused: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["not a PNG", new TextEncoder().encode("GIF89a"), /not a PNG/],
    ["cut off", good.subarray(0, good.length - 20), /cut off/],
    ["interlaced", withHeaderByte(12, 1), /interlaced/],
    ["depth 5", withHeaderByte(8, 5), /header is damaged/],
    ["width 0", withHeaderByte(3, 0), /header is damaged/],
    ["two billion pixels wide", withHeaderByte(0, 0x7f), /too large/],
    ["another height", withHeaderByte(7, 9), /fewer or more pixels/],
    ["an unknown filter", writePng({ width: 1, height: 1, channels: 1, data: Uint8Array.of(1) }, [9 as 0]), /filter/],
    ["pixels that do not inflate", good.map((byte, index) => (index > 45 && index < 60 ? 0 : byte)), /damaged/],
  ];

  it.each(refused)("%s", (_name, bytes, message) => {
    const error = refusal(bytes);
    expect(error.code).toBe("ADN_DATA");
    expect(error.message).toMatch(message);
  });

  it("a picture that inflates to far more than its header says is stopped early", () => {
    const bomb = writePng(
      { width: 1, height: 1, channels: 1, data: Uint8Array.of(1) },
      [0],
      deflateSync(new Uint8Array(1 << 26)),
    );
    expect(refusal(bomb).code).toBe("ADN_DATA");
  });
});
