// From the sums of one output channel, or of one row of outputs, to the output itself: y = convert(scale·2·(sum - shift) + bias + z).
// Sums lie as float32 in whole blocks; scale and bias are vectors of four, `step` bytes apart: 0 for one channel, 16 for a row.

import { clip, clipVector } from "./epilogue";

/** What is no number becomes `low`. */
@inline
export function clipCode(value: f32, low: f32, high: f32): f32 {
  const raised = value > low ? value : low;
  return raised < high ? raised : high;
}

@inline
export function clipCodes(value: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(low, value), high);
}

/** 1.5·2^23: a float32 of that size has no room for fractions, so adding it rounds to nearest even. */
const rounder: f32 = 12582912;

/** The rounder in every lane, in a form that is no constant: engines make constant vectors anew at every use. */
@inline
export function rounders(zero: f32): v128 {
  return f32x4.splat(rounder + zero - zero);
}

/** What to take from the bits of a rounded number to have its code. */
@inline
export function codeBase(zero: f32): v128 {
  return i32x4.splat(reinterpret<i32>(rounder + zero - zero) - <i32>zero);
}

@inline
function lane(vectors: usize, i: i32, step: usize): f32 {
  return load<f32>(vectors + <usize>(i >> 2) * step + (<usize>(i & 3) << 2));
}

@inline
function scaled(sums: usize, shifts: v128, scale: usize, bias: usize): v128 {
  return f32x4.add(f32x4.mul(f32x4.sub(v128.load(sums), shifts), v128.load(scale)), v128.load(bias));
}

@inline
function copyBytes(from: usize, to: usize, count: i32): void {
  for (let i = 0; i < count; i++) store<u8>(to + i, load<u8>(from + i));
}

/**
 * Codes: y[i] = clip(round(v), low, high) + yZero with v = 2·(sum - shift)·scale + bias + (z[i] - zZero)·zScale, every step rounded
 * to float32 in this order, halves to even; scale is given doubled. `spare` holds a vector.
 */
export function storeCodes(
  sums: usize, count: i32, shift: f32, scale: usize, bias: usize, step: usize, z: usize, y: usize, spare: usize,
  low: f32, high: f32, yZero: f32, zZero: f32, zScale: f32,
): void {
  if (ASC_FEATURE_SIMD) {
    const shifts = f32x4.splat(shift);
    const lows = f32x4.splat(low);
    const highs = f32x4.splat(high);
    const round = rounders(yZero);
    const base = codeBase(yZero);
    for (let i = 0; i < count; i += 16) {
      let a = scaled(sums, shifts, scale, bias);
      scale += step;
      bias += step;
      let b = scaled(sums + 16, shifts, scale, bias);
      scale += step;
      bias += step;
      let c = scaled(sums + 32, shifts, scale, bias);
      scale += step;
      bias += step;
      let d = scaled(sums + 48, shifts, scale, bias);
      scale += step;
      bias += step;
      sums += 64;
      if (z) {
        const codes = v128.load(z + i);
        const first = i16x8.extend_low_i8x16_u(codes);
        const second = i16x8.extend_high_i8x16_u(codes);
        const zeros = f32x4.splat(zZero);
        const factors = f32x4.splat(zScale);
        a = f32x4.add(a, residual(i32x4.extend_low_i16x8_u(first), zeros, factors));
        b = f32x4.add(b, residual(i32x4.extend_high_i16x8_u(first), zeros, factors));
        c = f32x4.add(c, residual(i32x4.extend_low_i16x8_u(second), zeros, factors));
        d = f32x4.add(d, residual(i32x4.extend_high_i16x8_u(second), zeros, factors));
      }
      a = i32x4.sub(f32x4.add(clipCodes(a, lows, highs), round), base);
      b = i32x4.sub(f32x4.add(clipCodes(b, lows, highs), round), base);
      c = i32x4.sub(f32x4.add(clipCodes(c, lows, highs), round), base);
      d = i32x4.sub(f32x4.add(clipCodes(d, lows, highs), round), base);
      const codes = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
      if (count - i >= 16) {
        v128.store(y + i, codes);
      } else {
        v128.store(spare, codes);
        copyBytes(spare, y + i, count - i);
      }
    }
  } else {
    for (let i = 0; i < count; i++) {
      let value = (load<f32>(sums + (<usize>i << 2)) - shift) * lane(scale, i, step);
      value = value + lane(bias, i, step);
      if (z) value = value + (<f32>load<u8>(z + i) - zZero) * zScale;
      store<u8>(y + i, <u8>(nearest<f32>(clipCode(value, low, high)) + yZero));
    }
  }
}

@inline
function residual(codes: v128, zeros: v128, factors: v128): v128 {
  return f32x4.mul(f32x4.sub(f32x4.convert_i32x4_s(codes), zeros), factors);
}

/** Floats: y[i] = clip(2·(sum - shift)·scale + bias + z[i], low, high); scale is given doubled. */
export function storeFloats(
  sums: usize, count: i32, shift: f32, scale: usize, bias: usize, step: usize, z: usize, y: usize, spare: usize,
  low: f32, high: f32,
): void {
  if (ASC_FEATURE_SIMD) {
    const shifts = f32x4.splat(shift);
    const lows = f32x4.splat(low);
    const highs = f32x4.splat(high);
    for (let i = 0; i < count; i += 4) {
      const at = <usize>i << 2;
      let value = scaled(sums + at, shifts, scale, bias);
      scale += step;
      bias += step;
      if (z) value = f32x4.add(value, v128.load(z + at));
      value = clipVector(value, lows, highs);
      if (count - i >= 4) {
        v128.store(y + at, value);
      } else {
        v128.store(spare, value);
        copyBytes(spare, y + at, (count - i) << 2);
      }
    }
  } else {
    for (let i = 0; i < count; i++) {
      const at = <usize>i << 2;
      let value = (load<f32>(sums + at) - shift) * lane(scale, i, step) + lane(bias, i, step);
      if (z) value += load<f32>(z + at);
      store<f32>(y + at, clip(value, low, high));
    }
  }
}

/** Integers: y[i] = 2·(sum - shift). */
export function storeIntegers(sums: usize, count: i32, shift: f32, y: usize): void {
  for (let i = 0; i < count; i++) {
    const at = <usize>i << 2;
    store<i32>(y + at, <i32>((load<f32>(sums + at) - shift) * 2));
  }
}
