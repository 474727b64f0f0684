// Per-channel affine and reductions along contiguous or strided axes.

import { chunkTaps } from "./tile";

/** y[o][c][i] = x[o][c][i]·scale[c] + bias[c]. y may be x. */
export function f32_affine(x: usize, scale: usize, bias: usize, y: usize, outer: i32, channels: i32, inner: i32): void {
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      const factor = load<f32>(scale + (<usize>c << 2));
      const shift = load<f32>(bias + (<usize>c << 2));
      let i = 0;
      if (ASC_FEATURE_SIMD) {
        const factors = f32x4.splat(factor);
        const shifts = f32x4.splat(shift);
        for (; i + 4 <= inner; i += 4) {
          const at = <usize>i << 2;
          v128.store(y + at, f32x4.add(f32x4.mul(v128.load(x + at), factors), shifts));
        }
      }
      for (; i < inner; i++) {
        const at = <usize>i << 2;
        store<f32>(y + at, load<f32>(x + at) * factor + shift);
      }
      x += <usize>inner << 2;
      y += <usize>inner << 2;
    }
  }
}

/** Sum of `count` elements `stride` bytes apart, in chunks. */
function sumStrided(x: usize, count: i32, stride: usize): f32 {
  let total: f32 = 0;
  for (let done = 0; done < count; done += chunkTaps) {
    const end = min(done + chunkTaps, count);
    let sum: f32 = 0;
    for (let i = done; i < end; i++) {
      sum += load<f32>(x);
      x += stride;
    }
    total += sum;
  }
  return total;
}

/** Sum of a run, in chunks of four lanes. */
function sumRun(x: usize, count: i32): f32 {
  if (!ASC_FEATURE_SIMD) return sumStrided(x, count, 4);
  let total: f32 = 0;
  let i = 0;
  while (i + 4 <= count) {
    const end = min(i + 4 * chunkTaps, count);
    let sum = f32x4.splat(0);
    for (; i + 4 <= end; i += 4) sum = f32x4.add(sum, v128.load(x + (<usize>i << 2)));
    total +=
      f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3));
  }
  for (; i < count; i++) total += load<f32>(x + (<usize>i << 2));
  return total;
}

/** y[o][i] = (Σ_c x[o][c][i]) / divisor. */
export function f32_reduce_sum(x: usize, y: usize, outer: i32, count: i32, inner: i32, divisor: f32): void {
  const planeBytes = <usize>count * (<usize>inner << 2);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const sum = inner == 1 ? sumRun(x, count) : sumStrided(x + (<usize>i << 2), count, <usize>inner << 2);
      store<f32>(y, sum / divisor);
      y += 4;
    }
    x += planeBytes;
  }
}

/** y[o][i] = max_c x[o][c][i]; count >= 1. */
export function f32_reduce_max(x: usize, y: usize, outer: i32, count: i32, inner: i32): void {
  const stride = <usize>inner << 2;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let at = x + (<usize>i << 2);
      let best = load<f32>(at);
      for (let c = 1; c < count; c++) {
        at += stride;
        best = max<f32>(best, load<f32>(at));
      }
      store<f32>(y, best);
      y += 4;
    }
    x += <usize>count * stride;
  }
}
