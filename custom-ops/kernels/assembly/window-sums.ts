// What the min form shares between all output channels: -Σx/2 over the taps of every pixel, for each group of input channels.
// Channels are added first, so that only one plane is summed over the window.

import { chunkTaps } from "./tile";

/** Channels of 255 whose sum fits 16 bits. */
const chunkCodes: i32 = 257;

/** total[0..15] += the sum of `count` <= 257 planes of codes. */
@inline
function addCodes(x: usize, stride: usize, count: i32, total: usize): void {
  let all = i16x8.splat(0);
  let high = all;
  for (let c = 0; c < count; c++) {
    const codes = v128.load(x);
    all = i16x8.add(all, codes);
    high = i16x8.add(high, i16x8.shr_u(codes, 8));
    x += stride;
  }
  const even = i16x8.sub(all, i16x8.shl(high, 8));
  const first = i16x8.shuffle(even, high, 0, 8, 1, 9, 2, 10, 3, 11);
  const second = i16x8.shuffle(even, high, 4, 12, 5, 13, 6, 14, 7, 15);
  addLanes(total, i32x4.extend_low_i16x8_u(first));
  addLanes(total + 16, i32x4.extend_high_i16x8_u(first));
  addLanes(total + 32, i32x4.extend_low_i16x8_u(second));
  addLanes(total + 48, i32x4.extend_high_i16x8_u(second));
}

@inline
function addLanes(total: usize, integers: v128): void {
  v128.store(total, f32x4.add(v128.load(total), f32x4.convert_i32x4_s(integers)));
}

/** totals[i] = Σ_c x[c][i] for i < length, in whole vectors. Sums of codes are exact below 2^24. */
function sumPlanesOfCodes(x: usize, totals: usize, length: i32, channels: i32): void {
  memory.fill(totals, 0, <usize>((length + 15) & ~15) << 2);
  for (let done = 0; done < channels; done += chunkCodes) {
    const count = min(chunkCodes, channels - done);
    const from = x + <usize>done * <usize>length;
    if (ASC_FEATURE_SIMD) {
      for (let i = 0; i < length; i += 16) addCodes(from + <usize>i, <usize>length, count, totals + (<usize>i << 2));
    } else {
      for (let c = 0; c < count; c++) {
        for (let i = 0; i < length; i++) {
          const total = totals + (<usize>i << 2);
          store<f32>(total, load<f32>(total) + <f32>load<u8>(from + <usize>c * <usize>length + <usize>i));
        }
      }
    }
  }
}

/** totals[i] = Σ_c x[c][i] for i < length; sums of at most 64 planes before they are added. */
function sumPlanes(x: usize, totals: usize, length: i32, channels: i32): void {
  const stride = <usize>length << 2;
  memory.fill(totals, 0, <usize>((length + 3) & ~3) << 2);
  for (let done = 0; done < channels; done += chunkTaps) {
    const count = min(chunkTaps, channels - done);
    const from = x + <usize>done * stride;
    const step = ASC_FEATURE_SIMD ? 4 : 1;
    for (let i = 0; i < length; i += step) {
      const total = totals + (<usize>i << 2);
      let at = from + (<usize>i << 2);
      if (ASC_FEATURE_SIMD) {
        let sum = f32x4.splat(0);
        for (let c = 0; c < count; c++) {
          sum = f32x4.add(sum, v128.load(at));
          at += stride;
        }
        v128.store(total, f32x4.add(v128.load(total), sum));
      } else {
        let sum: f32 = 0;
        for (let c = 0; c < count; c++) {
          sum += load<f32>(at);
          at += stride;
        }
        store<f32>(total, load<f32>(total) + sum);
      }
    }
  }
}

/** y[p] = -(Σ over taps of totals[taps + p])/2; taps are offsets in bytes. */
function sumWindow(totals: usize, taps: usize, y: usize, k: i32, p: i32): void {
  const step = ASC_FEATURE_SIMD ? 4 : 1;
  for (let i = 0; i < p; i += step) {
    const from = totals + (<usize>i << 2);
    if (ASC_FEATURE_SIMD) {
      let sum = f32x4.splat(0);
      for (let t = 0; t < k; t++) sum = f32x4.add(sum, v128.load(from + load<u32>(taps + (<usize>t << 2))));
      v128.store(y + (<usize>i << 2), f32x4.mul(sum, f32x4.splat(-0.5)));
    } else {
      let sum: f32 = 0;
      for (let t = 0; t < k; t++) sum += load<f32>(from + load<u32>(taps + (<usize>t << 2)));
      store<f32>(y + (<usize>i << 2), sum * -0.5);
    }
  }
}

@inline
function windowSums<T>(
  x: usize, taps: usize, y: usize, scratch: usize, channels: i32, groups: i32, length: i32, k: i32, p: i32, yStride: usize,
): void {
  for (let group = 0; group < groups; group++) {
    if (sizeof<T>() == 1) sumPlanesOfCodes(x, scratch, length, channels);
    else sumPlanes(x, scratch, length, channels);
    sumWindow(scratch, taps, y, k, p);
    x += <usize>channels * <usize>length * sizeof<T>();
    y += yStride;
  }
}

export function u8_window_sums(
  x: usize, taps: usize, y: usize, scratch: usize, channels: i32, groups: i32, length: i32, k: i32, p: i32, yStride: usize,
): void {
  windowSums<u8>(x, taps, y, scratch, channels, groups, length, k, p, yStride);
}

export function f32_window_sums(
  x: usize, taps: usize, y: usize, scratch: usize, channels: i32, groups: i32, length: i32, k: i32, p: i32, yStride: usize,
): void {
  windowSums<f32>(x, taps, y, scratch, channels, groups, length, k, p, yStride);
}
