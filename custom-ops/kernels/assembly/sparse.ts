// Adder layers in the min form over live taps alone: y = convert(scale·(-Σ|x - w|) + bias + z), with -Σ|x - w| = 2·(Σmin(x, w) - Σx/2 -
// shift). Weights of 0 are in no list. Blocks of pixels go by on the outside, so that the taps of a block stay in the nearest cache.

import { storeCodes, storeFloats, storeIntegers } from "./store-sums";
import { sumCodes } from "./sum-codes";
import { sumFloats } from "./sum-floats";

/** Sums of a block, then vectors of scale and bias, then a spare vector. */
const vectorsAt: usize = 256;

/** Vectors of the next block, when `left` remain: as even as can be, `most` at most. */
@inline
function blockVectors(left: i32, most: i32): i32 {
  const blocks = (left + most - 1) / most;
  return (left + blocks - 1) / blocks;
}

/** Scale and bias of a channel as vectors of four. */
@inline
function splatAffine(scale: usize, bias: usize, to: usize): void {
  if (ASC_FEATURE_SIMD) {
    v128.store(to, v128.load32_splat(scale));
    v128.store(to, v128.load32_splat(bias), 16);
  } else {
    for (let at: usize = 0; at < 16; at += 4) {
      store<f32>(to + at, load<f32>(scale));
      store<f32>(to + at, load<f32>(bias), 16);
    }
  }
}

export function u8_adder_sparse_1x64(
  x: usize, lists: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, low: f32, high: f32,
  shift: usize, yZero: f32, zZero: f32, zScale: f32,
): void {
  const vectors = scratch + vectorsAt;
  let left = (p + 15) >> 4;
  for (let pixel = 0; pixel < p; ) {
    const block = blockVectors(left, 4);
    const count = min(block << 4, p - pixel);
    let list = lists;
    for (let channel = 0; channel < m; channel++) {
      const offset = <usize>channel << 2;
      const start = sums + <usize>(channel / perGroup) * sumsStride + (<usize>pixel << 2);
      const at = <usize>channel * yStride + <usize>pixel;
      list = sumCodes(x + <usize>pixel, list, start, scratch, block);
      splatAffine(scale + offset, bias + offset, vectors);
      storeCodes(
        scratch, count, load<f32>(shift + offset), vectors, vectors + 16, 0, z ? z + at : 0, y + at, vectors + 32,
        low, high, yZero, zZero, zScale,
      );
    }
    pixel += block << 4;
    left -= block;
  }
}

export function u8_adder_sparse_f32_1x64(
  x: usize, lists: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, low: f32, high: f32, shift: usize,
): void {
  const vectors = scratch + vectorsAt;
  let left = (p + 15) >> 4;
  for (let pixel = 0; pixel < p; ) {
    const block = blockVectors(left, 4);
    const count = min(block << 4, p - pixel);
    let list = lists;
    for (let channel = 0; channel < m; channel++) {
      const offset = <usize>channel << 2;
      const start = sums + <usize>(channel / perGroup) * sumsStride + (<usize>pixel << 2);
      const at = <usize>channel * yStride + (<usize>pixel << 2);
      list = sumCodes(x + <usize>pixel, list, start, scratch, block);
      splatAffine(scale + offset, bias + offset, vectors);
      storeFloats(
        scratch, count, load<f32>(shift + offset), vectors, vectors + 16, 0, z ? z + at : 0, y + at, vectors + 32, low, high,
      );
    }
    pixel += block << 4;
    left -= block;
  }
}

export function u8_adder_sparse_i32_1x64(
  x: usize, lists: usize, sums: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, shift: usize,
): void {
  let left = (p + 15) >> 4;
  for (let pixel = 0; pixel < p; ) {
    const block = blockVectors(left, 4);
    let list = lists;
    for (let channel = 0; channel < m; channel++) {
      const start = sums + <usize>(channel / perGroup) * sumsStride + (<usize>pixel << 2);
      list = sumCodes(x + <usize>pixel, list, start, scratch, block);
      const to = y + <usize>channel * yStride + (<usize>pixel << 2);
      storeIntegers(scratch, min(block << 4, p - pixel), load<f32>(shift + (<usize>channel << 2)), to);
    }
    pixel += block << 4;
    left -= block;
  }
}

export function f32_adder_sparse_1x28(
  x: usize, lists: usize, scale: usize, bias: usize, sums: usize, z: usize, y: usize, scratch: usize,
  m: i32, perGroup: i32, p: i32, sumsStride: usize, yStride: usize, low: f32, high: f32,
): void {
  const vectors = scratch + vectorsAt;
  let left = (p + 3) >> 2;
  for (let pixel = 0; pixel < p; ) {
    const block = blockVectors(left, 7);
    const count = min(block << 2, p - pixel);
    const pixelBytes = <usize>pixel << 2;
    let list = lists;
    for (let channel = 0; channel < m; channel++) {
      const offset = <usize>channel << 2;
      const start = sums + <usize>(channel / perGroup) * sumsStride + pixelBytes;
      const at = <usize>channel * yStride + pixelBytes;
      list = sumFloats(x + pixelBytes, list, start, scratch, block);
      splatAffine(scale + offset, bias + offset, vectors);
      storeFloats(scratch, count, 0, vectors, vectors + 16, 0, z ? z + at : 0, y + at, vectors + 32, low, high);
    }
    pixel += block << 2;
    left -= block;
  }
}
