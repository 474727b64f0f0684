// e^x, tanh and log without tables, so that the module has no data of its own.
//
// e^x = 2^n·e^r with n = round(x/ln 2), |r| <= ln 2 / 2; ln 2 is split so that n·high is exact; the series to r^7 is off by 5e-9.
// 2^n is multiplied in two halves: results from the smallest subnormal to infinity come out right.

const log2e: f32 = 1.44269504;
const ln2High: f32 = 0.693359375;
const ln2Low: f32 = -2.12194440e-4;
const smallest: f32 = -104;
const largest: f32 = 89;

@inline
function powerOfTwo(n: i32): f32 {
  return reinterpret<f32>((n + 127) << 23);
}

export function exponential(x: f32): f32 {
  let value = x < smallest ? smallest : x;
  value = largest < value ? largest : value;
  const whole = nearest<f32>(value * log2e);
  const n = <i32>whole;
  const r = value - whole * ln2High - whole * ln2Low;
  let sum: f32 = 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * r * r + r + 1;
  const half = n >> 1;
  return sum * powerOfTwo(half) * powerOfTwo(n - half);
}

@inline
function powersOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

@inline
function multiplyAdd(a: v128, b: v128, c: f32): v128 {
  return f32x4.add(f32x4.mul(a, b), f32x4.splat(c));
}

export function exponentialVector(x: v128): v128 {
  const value = f32x4.pmin(f32x4.pmax(x, f32x4.splat(smallest)), f32x4.splat(largest));
  const whole = f32x4.nearest(f32x4.mul(value, f32x4.splat(log2e)));
  const n = i32x4.trunc_sat_f32x4_s(whole);
  let r = f32x4.sub(value, f32x4.mul(whole, f32x4.splat(ln2High)));
  r = f32x4.sub(r, f32x4.mul(whole, f32x4.splat(ln2Low)));
  let sum = f32x4.splat(1.0 / 5040);
  sum = multiplyAdd(sum, r, 1.0 / 720);
  sum = multiplyAdd(sum, r, 1.0 / 120);
  sum = multiplyAdd(sum, r, 1.0 / 24);
  sum = multiplyAdd(sum, r, 1.0 / 6);
  sum = multiplyAdd(sum, r, 0.5);
  sum = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(sum, r), r), r), f32x4.splat(1));
  const half = i32x4.shr_s(n, 1);
  return f32x4.mul(f32x4.mul(sum, powersOfTwo(half)), powersOfTwo(i32x4.sub(n, half)));
}

/** tanh: its continued fraction below 0.625, through e^2|x| above. */
export function hyperbolicTangent(x: f32): f32 {
  const size = abs<f32>(x);
  if (size < 0.625) {
    const s = x * x;
    const numerator = x * (10395 + s * (1260 + s * 21));
    return numerator / (10395 + s * (4725 + s * (210 + s)));
  }
  return copysign<f32>(1 - 2 / (exponential(size + size) + 1), x);
}

/** Natural logarithm in float64: m·2^e with m in [1/√2, √2), 2·artanh((m-1)/(m+1)) as a series to the 17th power. */
export function logarithm(x: f64): f64 {
  if (!(x > 0)) return x == 0 ? -Infinity : NaN;
  if (x == Infinity) return x;
  const isSubnormal = x < 2.2250738585072014e-308;
  const bits = reinterpret<i64>(isSubnormal ? x * 18014398509481984.0 : x);
  let exponent = <i32>(bits >> 52) - 1023 - (isSubnormal ? 54 : 0);
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent++;
  }
  const s = (m - 1) / (m + 1);
  const q = s * s;
  let sum: f64 = 1.0 / 17;
  sum = sum * q + 1.0 / 15;
  sum = sum * q + 1.0 / 13;
  sum = sum * q + 1.0 / 11;
  sum = sum * q + 1.0 / 9;
  sum = sum * q + 1.0 / 7;
  sum = sum * q + 1.0 / 5;
  sum = sum * q + 1.0 / 3;
  sum = sum * q + 1;
  return 2 * s * sum + <f64>exponent * 0.6931471805599453;
}
