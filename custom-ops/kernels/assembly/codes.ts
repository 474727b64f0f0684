// Between numbers and codes, element by element: code = clip(round(x / scale), low, high) + zero, halves to even.

import { clipCode, clipCodes, codeBase, rounders } from "./store-sums";

@inline
function quantized(x: usize, scales: v128, lows: v128, highs: v128, round: v128, base: v128): v128 {
  const value = clipCodes(f32x4.div(v128.load(x), scales), lows, highs);
  return i32x4.sub(f32x4.add(value, round), base);
}

export function u8_quantize(x: usize, y: usize, count: i32, scale: f32, zero: f32, low: f32, high: f32): void {
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    const scales = f32x4.splat(scale);
    const lows = f32x4.splat(low);
    const highs = f32x4.splat(high);
    const round = rounders(zero);
    const base = codeBase(zero);
    for (; i + 16 <= count; i += 16) {
      const from = x + (<usize>i << 2);
      const a = quantized(from, scales, lows, highs, round, base);
      const b = quantized(from + 16, scales, lows, highs, round, base);
      const c = quantized(from + 32, scales, lows, highs, round, base);
      const d = quantized(from + 48, scales, lows, highs, round, base);
      v128.store(y + i, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
    }
  }
  for (; i < count; i++) {
    const value = clipCode(load<f32>(x + (<usize>i << 2)) / scale, low, high);
    store<u8>(y + i, <u8>(nearest<f32>(value) + zero));
  }
}

export function u8_dequantize(x: usize, y: usize, count: i32, scale: f32, zero: f32): void {
  for (let i = 0; i < count; i++) store<f32>(y + (<usize>i << 2), (<f32>load<u8>(x + i) - zero) * scale);
}

export function i32_to_f32(x: usize, y: usize, count: i32): void {
  for (let i = 0; i < count; i++) store<f32>(y + (<usize>i << 2), <f32>load<i32>(x + (<usize>i << 2)));
}
