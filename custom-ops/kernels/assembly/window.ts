// Kernels that look at one channel at a time: depthwise sums and pools. x is laid out as in expand.ts: one tap is one run of pixels.

import { clip } from "./epilogue";
import { AdderTap, ProductTap } from "./taps";
import { chunkTaps } from "./tile";

@inline
function sumFour<T>(x: usize, taps: usize, w: usize, k: i32): v128 {
  const tap = changetype<T>(0);
  let total = f32x4.splat(0);
  for (let done = 0; done < k; done += chunkTaps) {
    const end = min(done + chunkTaps, k);
    let sum = f32x4.splat(0);
    for (let i = done; i < end; i++) {
      const at = <usize>i << 2;
      sum = tap.vector(sum, v128.load(x + load<u32>(taps + at)), v128.load32_splat(w + at));
    }
    total = f32x4.add(total, sum);
  }
  return total;
}

@inline
function sumOne<T>(x: usize, taps: usize, w: usize, k: i32): f32 {
  const tap = changetype<T>(0);
  let total: f32 = 0;
  for (let done = 0; done < k; done += chunkTaps) {
    const end = min(done + chunkTaps, k);
    let sum: f32 = 0;
    for (let i = done; i < end; i++) {
      const at = <usize>i << 2;
      sum = tap.scalar(sum, load<f32>(x + load<u32>(taps + at)), load<f32>(w + at));
    }
    total += sum;
  }
  return total;
}

/** y = clip(Σ·scale + bias + z, low, high) for four pixels. */
@inline
function storeFour(sum: v128, factor: v128, shift: v128, z: usize, y: usize, low: v128, high: v128): void {
  let value = f32x4.add(f32x4.mul(sum, factor), shift);
  if (z) value = f32x4.add(value, v128.load(z));
  v128.store(y, f32x4.pmin(f32x4.pmax(value, low), high));
}

/** Sixteen pixels at once: every weight and offset is read for four vectors. */
@inline
function depthwiseSixteen<T>(
  x: usize, taps: usize, w: usize, k: i32, factor: v128, shift: v128, z: usize, y: usize, low: v128, high: v128,
): void {
  const tap = changetype<T>(0);
  let total0 = f32x4.splat(0);
  let total1 = total0;
  let total2 = total0;
  let total3 = total0;
  for (let done = 0; done < k; done += chunkTaps) {
    const end = min(done + chunkTaps, k);
    let sum0 = f32x4.splat(0);
    let sum1 = sum0;
    let sum2 = sum0;
    let sum3 = sum0;
    for (let i = done; i < end; i++) {
      const offset = <usize>i << 2;
      const at = x + load<u32>(taps + offset);
      const weight = v128.load32_splat(w + offset);
      sum0 = tap.vector(sum0, v128.load(at), weight);
      sum1 = tap.vector(sum1, v128.load(at, 16), weight);
      sum2 = tap.vector(sum2, v128.load(at, 32), weight);
      sum3 = tap.vector(sum3, v128.load(at, 48), weight);
    }
    total0 = f32x4.add(total0, sum0);
    total1 = f32x4.add(total1, sum1);
    total2 = f32x4.add(total2, sum2);
    total3 = f32x4.add(total3, sum3);
  }
  storeFour(total0, factor, shift, z, y, low, high);
  storeFour(total1, factor, shift, z ? z + 16 : 0, y + 16, low, high);
  storeFour(total2, factor, shift, z ? z + 32 : 0, y + 32, low, high);
  storeFour(total3, factor, shift, z ? z + 48 : 0, y + 48, low, high);
}

@inline
function depthwise<T>(
  x: usize, taps: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize,
  k: i32, m: i32, p: i32, multiplier: i32, xStride: usize, yStride: usize, low: f32, high: f32,
): void {
  for (let channel = 0; channel < m; channel++) {
    const plane = x + <usize>(channel / multiplier) * xStride;
    const offset = <usize>channel << 2;
    const factor = load<f32>(scale + offset);
    const shift = load<f32>(bias + offset);
    const weights = w + offset * <usize>k;
    const row = <usize>channel * yStride;
    let pixel = 0;
    if (ASC_FEATURE_SIMD) {
      const factors = f32x4.splat(factor);
      const shifts = f32x4.splat(shift);
      const lows = f32x4.splat(low);
      const highs = f32x4.splat(high);
      for (; pixel + 16 <= p; pixel += 16) {
        const at = <usize>pixel << 2;
        const zAt = z ? z + row + at : 0;
        depthwiseSixteen<T>(plane + at, taps, weights, k, factors, shifts, zAt, y + row + at, lows, highs);
      }
      for (; pixel + 4 <= p; pixel += 4) {
        const at = <usize>pixel << 2;
        const sum = sumFour<T>(plane + at, taps, weights, k);
        storeFour(sum, factors, shifts, z ? z + row + at : 0, y + row + at, lows, highs);
      }
    }
    for (; pixel < p; pixel++) {
      const at = <usize>pixel << 2;
      let value = sumOne<T>(plane + at, taps, weights, k) * factor + shift;
      if (z) value += load<f32>(z + row + at);
      store<f32>(y + row + at, clip(value, low, high));
    }
  }
}

export function f32_adder_depthwise_1x4(
  x: usize, taps: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize,
  k: i32, m: i32, p: i32, multiplier: i32, xStride: usize, yStride: usize, low: f32, high: f32,
): void {
  depthwise<AdderTap>(x, taps, w, scale, bias, z, y, k, m, p, multiplier, xStride, yStride, low, high);
}

export function f32_conv_depthwise_1x4(
  x: usize, taps: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize,
  k: i32, m: i32, p: i32, multiplier: i32, xStride: usize, yStride: usize, low: f32, high: f32,
): void {
  depthwise<ProductTap>(x, taps, w, scale, bias, z, y, k, m, p, multiplier, xStride, yStride, low, high);
}

/** y[c][p] = max over taps of x[c][taps + p]. NaN counts only where it comes first. */
export function f32_max_pool_1x4(
  x: usize, taps: usize, y: usize, k: i32, channels: i32, p: i32, xStride: usize, yStride: usize,
): void {
  for (let channel = 0; channel < channels; channel++) {
    let pixel = 0;
    if (ASC_FEATURE_SIMD) {
      for (; pixel + 4 <= p; pixel += 4) {
        const at = x + (<usize>pixel << 2);
        let best = v128.load(at + load<u32>(taps));
        for (let i = 1; i < k; i++) best = f32x4.pmax(best, v128.load(at + load<u32>(taps + (<usize>i << 2))));
        v128.store(y + (<usize>pixel << 2), best);
      }
    }
    for (; pixel < p; pixel++) {
      const at = x + (<usize>pixel << 2);
      let best = load<f32>(at + load<u32>(taps));
      for (let i = 1; i < k; i++) {
        const value = load<f32>(at + load<u32>(taps + (<usize>i << 2)));
        best = best < value ? value : best;
      }
      store<f32>(y + (<usize>pixel << 2), best);
    }
    x += xStride;
    y += yStride;
  }
}

/** y[c][p] = max over taps of the codes x[c][taps + p]. */
export function u8_max_pool_1x16(
  x: usize, taps: usize, y: usize, k: i32, channels: i32, p: i32, xStride: usize, yStride: usize,
): void {
  for (let channel = 0; channel < channels; channel++) {
    let pixel = 0;
    if (ASC_FEATURE_SIMD) {
      for (; pixel + 16 <= p; pixel += 16) {
        let best = v128.load(x + pixel + load<u32>(taps));
        for (let i = 1; i < k; i++) {
          best = i8x16.max_u(best, v128.load(x + pixel + load<u32>(taps + (<usize>i << 2))));
        }
        v128.store(y + pixel, best);
      }
    }
    for (; pixel < p; pixel++) {
      let best: u32 = 0;
      for (let i = 0; i < k; i++) best = max<u32>(best, load<u8>(x + pixel + load<u32>(taps + (<usize>i << 2))));
      store<u8>(y + pixel, <u8>best);
    }
    x += xStride;
    y += yStride;
  }
}

/** y[c][p] = (Σ over taps of x[c][taps + p]) / divisors[p]. */
export function f32_average_pool_1x4(
  x: usize, taps: usize, y: usize, k: i32, channels: i32, p: i32, xStride: usize, yStride: usize, divisors: usize,
): void {
  for (let channel = 0; channel < channels; channel++) {
    let pixel = 0;
    if (ASC_FEATURE_SIMD) {
      for (; pixel + 4 <= p; pixel += 4) {
        const at = <usize>pixel << 2;
        let total = f32x4.splat(0);
        for (let done = 0; done < k; done += chunkTaps) {
          const end = min(done + chunkTaps, k);
          let sum = f32x4.splat(0);
          for (let i = done; i < end; i++) sum = f32x4.add(sum, v128.load(x + at + load<u32>(taps + (<usize>i << 2))));
          total = f32x4.add(total, sum);
        }
        v128.store(y + at, f32x4.div(total, v128.load(divisors + at)));
      }
    }
    for (; pixel < p; pixel++) {
      const at = x + (<usize>pixel << 2);
      let total: f32 = 0;
      for (let done = 0; done < k; done += chunkTaps) {
        const end = min(done + chunkTaps, k);
        let sum: f32 = 0;
        for (let i = done; i < end; i++) sum += load<f32>(at + load<u32>(taps + (<usize>i << 2)));
        total += sum;
      }
      store<f32>(y + (<usize>pixel << 2), total / load<f32>(divisors + (<usize>pixel << 2)));
    }
    x += xStride;
    y += yStride;
  }
}
