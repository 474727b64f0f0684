// Fully connected adder layers over codes. Minima do not care which side is which: the codes of a row are the taps, zeros left out,
// and the weights, sixty-four features to a panel [k][64], are what they are compared with.

import { scaleRow, storeCodes, storeFloats, storeIntegers } from "./store-sums";
import { sumCodes } from "./sum-codes";

/** Most taps whose codes surely fit 16 bits. */
const segmentTaps: i32 = 257;

/** Writes a row as a list of single taps; answers half its sum. */
function listRow(x: usize, k: i32, list: usize): f32 {
  let sum: u32 = 0;
  let segments: u32 = 0;
  let tap = list + 4;
  for (let done = 0; done < k; done += segmentTaps) {
    const header = tap;
    tap += 12;
    const end = min(done + segmentTaps, k);
    for (let i = done; i < end; i++) {
      const code = <u32>load<u8>(x + i);
      store<u32>(tap, ((<u32>i << 6) << 8) | code);
      tap += code ? 4 : 0;
      sum += code;
    }
    store<u32>(header, 0);
    store<u32>(header, <u32>(tap - header - 12) >> 2, 4);
    store<u32>(header, 0, 8);
    segments++;
  }
  store<u32>(list, segments);
  return <f32>sum * 0.5;
}

/** Sums of a block, then a spare vector, then the list. */
const spareAt: usize = 256;
const listAt: usize = 272;

export function u8_adder_linear_1x64(
  x: usize, w: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, rows: i32, xStride: usize, yStride: usize,
  low: f32, high: f32, yZero: f32, zZero: f32, zScale: f32,
): void {
  for (let row = 0; row < rows; row++) {
    const shift = listRow(x + <usize>row * xStride, k, scratch + listAt);
    for (let feature = 0; feature < m; feature += 64) {
      const offset = <usize>feature << 2;
      const at = <usize>row * yStride + <usize>feature;
      const count = min(64, m - feature);
      sumCodes(w + <usize>feature * <usize>k, scratch + listAt, sums + offset, scratch, (count + 15) >> 4);
      scaleRow(scratch, count, shift, scale + offset, bias + offset);
      storeCodes(
        scratch, count, 0, 1, 0, z ? z + at : 0, y + at, scratch + spareAt,
        low, high, yZero, zZero, zScale,
      );
    }
  }
}

export function u8_adder_linear_f32_1x64(
  x: usize, w: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, rows: i32, xStride: usize, yStride: usize, low: f32, high: f32,
): void {
  for (let row = 0; row < rows; row++) {
    const shift = listRow(x + <usize>row * xStride, k, scratch + listAt);
    for (let feature = 0; feature < m; feature += 64) {
      const offset = <usize>feature << 2;
      const at = <usize>row * yStride + offset;
      const count = min(64, m - feature);
      sumCodes(w + <usize>feature * <usize>k, scratch + listAt, sums + offset, scratch, (count + 15) >> 4);
      scaleRow(scratch, count, shift, scale + offset, bias + offset);
      storeFloats(
        scratch, count, 0, 1, 0, z ? z + at : 0, y + at, scratch + spareAt, low, high,
      );
    }
  }
}

export function u8_adder_linear_i32_1x64(
  x: usize, w: usize, sums: usize, y: usize, scratch: usize,
  k: i32, m: i32, rows: i32, xStride: usize, yStride: usize,
): void {
  for (let row = 0; row < rows; row++) {
    const shift = listRow(x + <usize>row * xStride, k, scratch + listAt);
    for (let feature = 0; feature < m; feature += 64) {
      const offset = <usize>feature << 2;
      const count = min(64, m - feature);
      sumCodes(w + <usize>feature * <usize>k, scratch + listAt, sums + offset, scratch, (count + 15) >> 4);
      storeIntegers(scratch, count, shift, y + <usize>row * yStride + offset);
    }
  }
}
