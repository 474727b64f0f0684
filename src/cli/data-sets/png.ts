// PNG pictures to 8-bit samples: every colour type and depth, without interlacing. Inflating is zlib's.

import { inflateSync } from "node:zlib";
import { AdderNetError } from "../../core/errors.ts";

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. */
  readonly channels: number;
  /** Rows from the top, samples interleaved. */
  readonly data: Uint8Array;
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
}

/** Samples per pixel in the file, and the depths allowed, by colour type. */
const colourTypes: Readonly<
  Record<number, { readonly samples: number; readonly depths: readonly number[] }>
> = {
  0: { samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { samples: 3, depths: [8, 16] },
  3: { samples: 1, depths: [1, 2, 4, 8] },
  4: { samples: 2, depths: [8, 16] },
  6: { samples: 4, depths: [8, 16] },
};

/** Larger pictures are refused before their pixels are inflated. */
const mostPixels = 1 << 26;

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

function bad(where: string, problem: string, fix?: string): AdderNetError {
  return new AdderNetError("ADN_DATA", problem, { where, ...(fix && { fix }) });
}

interface Chunk {
  readonly type: string;
  readonly content: Uint8Array;
}

function* chunks(bytes: Uint8Array, where: string): Generator<Chunk> {
  if (signature.some((byte, index) => bytes[index] !== byte)) throw bad(where, "not a PNG file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = signature.length; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length) throw bad(where, `the PNG is cut off in its ${type} chunk`);
    yield { type, content: bytes.subarray(at + 8, at + 8 + length) };
    if (type === "IEND") return;
    at += 12 + length;
  }
  throw bad(where, "the PNG is cut off");
}

function readHeader(content: Uint8Array, where: string): Header {
  if (content.length !== 13) throw bad(where, "the PNG header is damaged");
  const view = new DataView(content.buffer, content.byteOffset, 13);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, compression, filter, interlace] = content.subarray(8) as unknown as number[];
  const fits = colourTypes[colourType!]?.depths.includes(depth!) && compression === 0 && filter === 0;
  if (width === 0 || height === 0 || !fits) throw bad(where, "the PNG header is damaged");
  if (width * height > mostPixels) throw bad(where, `a picture of ${width}x${height} is too large`);
  if (interlace !== 0) {
    throw bad(where, "interlaced PNG files are not read", "save it without interlacing");
  }
  return { width, height, depth: depth!, colourType: colourType! };
}

function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

type Predict = (left: number, up: number, corner: number) => number;

const filters: readonly Predict[] = [
  () => 0,
  (left) => left,
  (_left, up) => up,
  (left, up) => (left + up) >> 1,
  paeth,
];

/** Undoes the row filters in place; `step` is the distance in bytes to the pixel on the left. */
function unfilter(raw: Uint8Array, rowBytes: number, step: number, where: string): void {
  for (let start = 0, above = -1; start < raw.length; start += rowBytes + 1) {
    const predict = filters[raw[start]!];
    if (predict === undefined) throw bad(where, "the PNG uses an unknown row filter");
    const row = start + 1;
    for (let x = 0; x < rowBytes; x++) {
      const left = x >= step ? raw[row + x - step]! : 0;
      const up = above >= 0 ? raw[above + x]! : 0;
      const corner = x >= step && above >= 0 ? raw[above + x - step]! : 0;
      raw[row + x] = raw[row + x]! + predict(left, up, corner);
    }
    above = row;
  }
}

/** Samples of one row as they are in the file: packed ones unpacked, the high byte of 16-bit ones. */
function rowSamples(row: Uint8Array, depth: number, count: number): Uint8Array {
  if (depth === 8) return row;
  if (depth === 16) return Uint8Array.from({ length: count }, (_, index) => row[2 * index]!);
  const perByte = 8 / depth;
  return Uint8Array.from({ length: count }, (_, index) => {
    const shift = 8 - depth * ((index % perByte) + 1);
    return (row[Math.floor(index / perByte)]! >> shift) & ((1 << depth) - 1);
  });
}

function inflate(parts: readonly Uint8Array[], expectedLength: number, where: string): Uint8Array {
  let raw: Uint8Array;
  try {
    raw = inflateSync(Buffer.concat(parts), { maxOutputLength: expectedLength + 1 });
  } catch (cause) {
    throw new AdderNetError("ADN_DATA", "the pixels of the PNG are damaged", { where, cause });
  }
  if (raw.length !== expectedLength)
    throw bad(where, "the PNG has fewer or more pixels than its header says");
  return raw;
}

/** Grey values of depth 1, 2 and 4 spread over 0..255; palette entries looked up, with alpha when tRNS is there. */
function toPicture(header: Header, samples: Uint8Array, palette: Palette, where: string): Picture {
  const { width, height, depth, colourType } = header;
  if (colourType !== 3) {
    const scale = depth < 8 ? 255 / ((1 << depth) - 1) : 1;
    const data = scale === 1 ? samples : samples.map((value) => value * scale);
    return { width, height, channels: colourTypes[colourType]!.samples, data };
  }
  const channels = palette.alpha ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  samples.forEach((entry, pixel) => {
    if (entry * 3 + 2 >= palette.colours.length) throw bad(where, "a pixel of the PNG is not in its palette");
    data.set(palette.colours.subarray(entry * 3, entry * 3 + 3), pixel * channels);
    if (palette.alpha) data[pixel * channels + 3] = palette.alpha[entry] ?? 255;
  });
  return { width, height, channels, data };
}

interface Palette {
  colours: Uint8Array;
  alpha: Uint8Array | undefined;
}

/** Errors: ADN_DATA. `where` names the file in messages. */
export function decodePng(bytes: Uint8Array, where: string): Picture {
  let header: Header | undefined;
  const palette: Palette = { colours: new Uint8Array(0), alpha: undefined };
  const parts: Uint8Array[] = [];
  for (const { type, content } of chunks(bytes, where)) {
    if (type === "IHDR") header = readHeader(content, where);
    else if (type === "PLTE") palette.colours = content;
    else if (type === "tRNS") palette.alpha = content;
    else if (type === "IDAT") parts.push(content);
  }
  if (header === undefined) throw bad(where, "the PNG has no header");
  const { samples } = colourTypes[header.colourType]!;
  const perRow = header.width * samples;
  const rowBytes = Math.ceil((perRow * header.depth) / 8);
  const raw = inflate(parts, (rowBytes + 1) * header.height, where);
  unfilter(raw, rowBytes, Math.max(1, (samples * header.depth) / 8), where);
  const data = new Uint8Array(perRow * header.height);
  for (let y = 0; y < header.height; y++) {
    const start = y * (rowBytes + 1) + 1;
    data.set(rowSamples(raw.subarray(start, start + rowBytes), header.depth, perRow), y * perRow);
  }
  return toPicture(header, data, palette, where);
}
