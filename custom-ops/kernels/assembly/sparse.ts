// Adder layers in the min form over live taps alone: y = convert(scale·(-Σ|x - w|) + bias + z), with -Σ|x - w| = 2·(Σmin(x, w) - Σx/2 -
// shift). Weights of 0 are in no list. Blocks of pixels go by on the outside; for each, some taps at a time are gone through for all
// channels, so that the pixels of those taps stay in the nearest cache.
//
// The lists of all channels start with the number of chunks of taps; then for each chunk a list for each channel.

import { storeCodes, storeFloats, storeFloatsInline, storeIntegers } from "./store-sums";
import { sumCodes } from "./sum-codes";
import { sumFloats } from "./sum-floats";

/** Bytes of a block's sums for one channel. */
const codesBlock: usize = 256;
const floatsBlock: usize = 112;

/** Vectors of the next block, when `left` remain: as even as can be, `most` at most. */
@inline
function blockVectors(left: i32, most: i32): i32 {
  const blocks = (left + most - 1) / most;
  return (left + blocks - 1) / blocks;
}

/**
 * totals[m] = start[m / perGroup] + Σ min(x, w) over all chunks of taps but the last, for a block of codes. Answers where the lists of
 * the last chunk are.
 */
function sumFirstChunks(
  x: usize, lists: usize, start: usize, totals: usize, m: i32, perGroup: i32, startStride: usize, vectors: i32,
): usize {
  const chunks = load<u32>(lists);
  lists += 4;
  for (let chunk: u32 = 1; chunk < chunks; chunk++) {
    let to = totals;
    for (let channel = 0; channel < m; channel++) {
      const from = chunk > 1 ? to : start + <usize>(channel / perGroup) * startStride;
      lists = sumCodes(x, lists, from, to, vectors);
      to += codesBlock;
    }
  }
  return lists;
}

/** Layers over codes, of whose outputs one takes 1 << shiftOfY bytes; `isInteger`: y is the sum itself, with neither scale nor z. */
function sparseCodes(
  x: usize, lists: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, low: f32, high: f32,
  shift: usize, yZero: f32, zZero: f32, zScale: f32, shiftOfY: usize, isInteger: bool,
): void {
  const spare = scratch + <usize>m * codesBlock;
  const hasOneChunk = load<u32>(lists) == 1;
  let left = (p + 15) >> 4;
  for (let pixel = 0; pixel < p; ) {
    const block = blockVectors(left, 4);
    const count = min(block << 4, p - pixel);
    const pixels = x + <usize>pixel;
    const start = sums + (<usize>pixel << 2);
    let list = sumFirstChunks(pixels, lists, start, scratch, m, perGroup, sumsStride, block);
    let group = start;
    let inGroup = 0;
    for (let channel = 0; channel < m; channel++) {
      const totals = scratch + <usize>channel * codesBlock;
      if (inGroup == perGroup) {
        inGroup = 0;
        group += sumsStride;
      }
      inGroup++;
      list = sumCodes(pixels, list, hasOneChunk ? group : totals, totals, block);
      const offset = <usize>channel << 2;
      const at = <usize>channel * yStride + (<usize>pixel << shiftOfY);
      const lack = load<f32>(shift + offset);
      if (isInteger) {
        storeIntegers(totals, count, lack, y + at);
        continue;
      }
      const factor = load<f32>(scale + offset);
      const term = load<f32>(bias + offset);
      const residual = z ? z + at : 0;
      if (shiftOfY) storeFloats(totals, count, lack, factor, term, residual, y + at, spare, low, high);
      else storeCodes(totals, count, lack, factor, term, residual, y + at, spare, low, high, yZero, zZero, zScale);
    }
    pixel += block << 4;
    left -= block;
  }
}

export function u8_adder_sparse_1x64(
  x: usize, lists: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, low: f32, high: f32,
  shift: usize, yZero: f32, zZero: f32, zScale: f32,
): void {
  sparseCodes(
    x, lists, scale, bias, sums, z, y, scratch, m, perGroup, p, sumsStride, yStride, low, high, shift, yZero, zZero, zScale, 0, false,
  );
}

export function u8_adder_sparse_f32_1x64(
  x: usize, lists: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, low: f32, high: f32, shift: usize,
): void {
  sparseCodes(
    x, lists, scale, bias, sums, z, y, scratch, m, perGroup, p, sumsStride, yStride, low, high, shift, 0, 0, 0, 2, false,
  );
}

export function u8_adder_sparse_i32_1x64(
  x: usize, lists: usize, sums: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, shift: usize,
): void {
  sparseCodes(x, lists, 0, 0, sums, 0, y, scratch, m, perGroup, p, sumsStride, yStride, 0, 0, shift, 0, 0, 0, 2, true);
}

export function f32_adder_sparse_1x28(
  x: usize, lists: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, low: f32, high: f32,
): void {
  const spare = scratch + <usize>m * floatsBlock;
  const chunks = load<u32>(lists);
  let left = (p + 3) >> 2;
  for (let pixel = 0; pixel < p; ) {
    const block = blockVectors(left, 7);
    const count = min(block << 2, p - pixel);
    const pixelBytes = <usize>pixel << 2;
    let list = lists + 4;
    for (let chunk: u32 = 1; chunk <= chunks; chunk++) {
      for (let channel = 0; channel < m; channel++) {
        const totals = scratch + <usize>channel * floatsBlock;
        const from = chunk > 1 ? totals : sums + <usize>(channel / perGroup) * sumsStride + pixelBytes;
        list = sumFloats(x + pixelBytes, list, from, totals, block);
        if (chunk < chunks) continue;
        const offset = <usize>channel << 2;
        const at = <usize>channel * yStride + pixelBytes;
        storeFloatsInline(
          totals, count, 0, load<f32>(scale + offset), load<f32>(bias + offset),
          z ? z + at : 0, y + at, spare, low, high,
        );
      }
    }
    pixel += block << 2;
    left -= block;
  }
}
