// Softmax and its logarithm along one axis: x and y are [outer][count][inner], y may be x.

import { exponential, logarithm } from "./exponential";

function largest(x: usize, count: i32, stride: usize): f32 {
  let best = load<f32>(x);
  for (let c = 1; c < count; c++) {
    x += stride;
    best = max<f32>(best, load<f32>(x));
  }
  return best;
}

/** y = e^(x - max) / Σ e^(x - max). */
export function f32_softmax(x: usize, y: usize, outer: i32, count: i32, inner: i32): void {
  const stride = <usize>inner << 2;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const first = (<usize>o * <usize>count * <usize>inner + <usize>i) << 2;
      const top = largest(x + first, count, stride);
      let sum: f64 = 0;
      let at = first;
      for (let c = 0; c < count; c++) {
        const power = exponential(load<f32>(x + at) - top);
        store<f32>(y + at, power);
        sum += <f64>power;
        at += stride;
      }
      at = first;
      for (let c = 0; c < count; c++) {
        store<f32>(y + at, <f32>(<f64>load<f32>(y + at) / sum));
        at += stride;
      }
    }
  }
}

/** y = x - max - log Σ e^(x - max). */
export function f32_log_softmax(x: usize, y: usize, outer: i32, count: i32, inner: i32): void {
  const stride = <usize>inner << 2;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const first = (<usize>o * <usize>count * <usize>inner + <usize>i) << 2;
      const top = largest(x + first, count, stride);
      let sum: f64 = 0;
      let at = first;
      for (let c = 0; c < count; c++) {
        sum += <f64>exponential(load<f32>(x + at) - top);
        at += stride;
      }
      const shift = <f64>top + logarithm(sum);
      at = first;
      for (let c = 0; c < count; c++) {
        store<f32>(y + at, <f32>(<f64>load<f32>(x + at) - shift));
        at += stride;
      }
    }
  }
}
