// A PNG writer for tests: 8 bits, one chosen filter per row.

import { deflateSync } from "node:zlib";

export interface Samples8 {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

function chunk(type: string, content: Uint8Array): number[] {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, content.length);
  // The check sum is left at 0: the reader trusts zlib's.
  return [...length, ...new TextEncoder().encode(type), ...content, 0, 0, 0, 0];
}

/** Nearest of left, up and corner to left + up - corner, in that order. */
function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const candidates = [left, up, corner];
  const distances = candidates.map((value) => Math.abs(estimate - value));
  return candidates[distances.indexOf(Math.min(...distances))]!;
}

function filtered({ width, channels, data }: Samples8, rows: readonly number[]): Uint8Array {
  const rowBytes = width * channels;
  const out: number[] = [];
  for (const [y, filter] of rows.entries()) {
    out.push(filter);
    for (let x = 0; x < rowBytes; x++) {
      const at = y * rowBytes + x;
      const left = x >= channels ? data[at - channels]! : 0;
      const up = y > 0 ? data[at - rowBytes]! : 0;
      const corner = x >= channels && y > 0 ? data[at - rowBytes - channels]! : 0;
      const predictions = [0, left, up, Math.floor((left + up) / 2), paeth(left, up, corner)];
      out.push((data[at]! - (predictions[filter] ?? 0)) & 255);
    }
  }
  return Uint8Array.from(out);
}

export function writePng(
  picture: Samples8,
  rows: readonly (0 | 1 | 2 | 3 | 4)[] = new Array(picture.height).fill(0),
  pixels: Uint8Array = deflateSync(filtered(picture, rows)),
): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, picture.width);
  view.setUint32(4, picture.height);
  header[8] = 8;
  header[9] = [0, 0, 4, 2, 6][picture.channels]!;
  return Uint8Array.from([
    ...[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
    ...chunk("IHDR", header),
    ...chunk("IDAT", pixels),
    ...chunk("IEND", new Uint8Array(0)),
  ]);
}
