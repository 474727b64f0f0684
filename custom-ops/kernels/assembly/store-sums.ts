// From the sums of one output channel, or of one row of outputs, to the output itself: y = convert(scale·2·(sum - shift) + bias + z).
// Sums lie as float32 in whole blocks.

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
  return i32x4.splat(reinterpret<i32>(rounder - zero));
}

@inline
function scaled(sums: v128, shifts: v128, factors: v128, terms: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.sub(sums, shifts), factors), terms);
}

/** sums[i] = (sums[i] - shift)·scale[i] + bias[i], for whole vectors: what is left to store has neither shift, scale nor bias. */
export function scaleRow(sums: usize, count: i32, shift: f32, scale: usize, bias: usize): void {
  const end = sums + (<usize>count << 2);
  while (sums < end) {
    if (ASC_FEATURE_SIMD) {
      v128.store(sums, scaled(v128.load(sums), f32x4.splat(shift), v128.load(scale), v128.load(bias)));
    } else {
      for (let at: usize = 0; at < 16; at += 4) {
        const product = (load<f32>(sums + at) - shift) * load<f32>(scale + at);
        store<f32>(sums + at, product + load<f32>(bias + at));
      }
    }
    sums += 16;
    scale += 16;
    bias += 16;
  }
}

@inline
function copyBytes(from: usize, to: usize, count: i32): void {
  for (let i = 0; i < count; i++) store<u8>(to + i, load<u8>(from + i));
}

/** Sixteen times a code: the last byte of that number, rounded. */
@inline
function splatCode(code: f32): v128 {
  return i8x16.splat(<i8>reinterpret<i32>(rounder + code));
}

/** Numbers below 0 become 0 here; what is above 255 becomes that when it is narrowed. */
@inline
function rounded(values: v128, round: v128, base: v128): v128 {
  return i32x4.sub(i32x4.max_s(f32x4.add(values, round), base), base);
}

/**
 * Codes: y[i] = clip(round(v), low, high) + yZero with v = 2·(sum - shift)·scale + bias + (z[i] - zZero)·zScale, every step rounded
 * to float32 in this order, halves to even; scale is given doubled. No step may be infinite. `spare` holds a vector.
 */
export function storeCodes(
  sums: usize, count: i32, shift: f32, scale: f32, bias: f32, z: usize, y: usize, spare: usize,
  low: f32, high: f32, yZero: f32, zZero: f32, zScale: f32,
): void {
  if (ASC_FEATURE_SIMD) {
    const shifts = f32x4.splat(shift);
    const factors = f32x4.splat(scale);
    const terms = f32x4.splat(bias);
    const lows = splatCode(low + yZero);
    const highs = splatCode(high + yZero);
    const round = rounders(yZero);
    const base = codeBase(yZero);
    for (let i = 0; i < count; i += 16) {
      const at = <usize>i << 2;
      const from = sums + at;
      let a = scaled(v128.load(from), shifts, factors, terms);
      let b = scaled(v128.load(from, 16), shifts, factors, terms);
      let c = scaled(v128.load(from, 32), shifts, factors, terms);
      let d = scaled(v128.load(from, 48), shifts, factors, terms);
      if (z) {
        const codes = v128.load(z + i);
        const first = i16x8.extend_low_i8x16_u(codes);
        const second = i16x8.extend_high_i8x16_u(codes);
        const zeros = f32x4.splat(zZero);
        const scales = f32x4.splat(zScale);
        a = f32x4.add(a, residual(i32x4.extend_low_i16x8_u(first), zeros, scales));
        b = f32x4.add(b, residual(i32x4.extend_high_i16x8_u(first), zeros, scales));
        c = f32x4.add(c, residual(i32x4.extend_low_i16x8_u(second), zeros, scales));
        d = f32x4.add(d, residual(i32x4.extend_high_i16x8_u(second), zeros, scales));
      }
      a = rounded(a, round, base);
      b = rounded(b, round, base);
      c = rounded(c, round, base);
      d = rounded(d, round, base);
      const all = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
      const codes = i8x16.min_u(i8x16.max_u(all, lows), highs);
      if (count - i >= 16) {
        v128.store(y + i, codes);
      } else {
        v128.store(spare, codes);
        copyBytes(spare, y + i, count - i);
      }
    }
  } else {
    for (let i = 0; i < count; i++) {
      let value = (load<f32>(sums + (<usize>i << 2)) - shift) * scale;
      value = value + bias;
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
@inline
export function storeFloatsInline(
  sums: usize, count: i32, shift: f32, scale: f32, bias: f32, z: usize, y: usize, spare: usize, low: f32, high: f32,
): void {
  if (ASC_FEATURE_SIMD) {
    const shifts = f32x4.splat(shift);
    const factors = f32x4.splat(scale);
    const terms = f32x4.splat(bias);
    const lows = f32x4.splat(low);
    const highs = f32x4.splat(high);
    for (let i = 0; i < count; i += 4) {
      const at = <usize>i << 2;
      let value = scaled(v128.load(sums + at), shifts, factors, terms);
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
      let value = (load<f32>(sums + at) - shift) * scale + bias;
      if (z) value += load<f32>(z + at);
      store<f32>(y + at, clip(value, low, high));
    }
  }
}

/** The same, for kernels in which more than the store takes time. */
export function storeFloats(
  sums: usize, count: i32, shift: f32, scale: f32, bias: f32, z: usize, y: usize, spare: usize, low: f32, high: f32,
): void {
  storeFloatsInline(sums, count, shift, scale, bias, z, y, spare, low, high);
}

/** Integers: y[i] = 2·(sum - shift). */
export function storeIntegers(sums: usize, count: i32, shift: f32, y: usize): void {
  for (let i = 0; i < count; i++) {
    const at = <usize>i << 2;
    store<i32>(y + at, <i32>((load<f32>(sums + at) - shift) * 2));
  }
}
