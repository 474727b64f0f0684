// One input, one output, element by element: y = f(x; a, b). y may be x. Each f is a type argument with a scalar and a vector form.

import { clip, clipVector } from "./epilogue";
import { exponential, exponentialVector, hyperbolicTangent, logarithm } from "./exponential";

@inline
function map<F>(x: usize, y: usize, count: i32, a: f32, b: f32): void {
  const f = changetype<F>(0);
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 4 <= count; i += 4) {
      const at = <usize>i << 2;
      v128.store(y + at, f.vector(v128.load(x + at), a, b));
    }
  }
  for (; i < count; i++) {
    const at = <usize>i << 2;
    store<f32>(y + at, f.scalar(load<f32>(x + at), a, b));
  }
}

@inline
function mapScalar<F>(x: usize, y: usize, count: i32, a: f32, b: f32): void {
  const f = changetype<F>(0);
  const end = x + (<usize>count << 2);
  for (; x < end; x += 4) {
    store<f32>(y, f.scalar(load<f32>(x), a, b));
    y += 4;
  }
}

@unmanaged class Clip {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return clip(x, a, b); }
  @inline vector(x: v128, a: f32, b: f32): v128 { return clipVector(x, f32x4.splat(a), f32x4.splat(b)); }
}
@unmanaged class LeakyRelu {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return x < 0 ? x * a : x; }
  @inline vector(x: v128, a: f32, b: f32): v128 {
    return v128.bitselect(f32x4.mul(x, f32x4.splat(a)), x, f32x4.lt(x, f32x4.splat(0)));
  }
}
@unmanaged class HardSigmoid {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return clip(x * a + b, 0, 1); }
  @inline vector(x: v128, a: f32, b: f32): v128 {
    return clipVector(f32x4.add(f32x4.mul(x, f32x4.splat(a)), f32x4.splat(b)), f32x4.splat(0), f32x4.splat(1));
  }
}
@unmanaged class HardSwish {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return x * clip(x * a + b, 0, 1); }
  @inline vector(x: v128, a: f32, b: f32): v128 { return f32x4.mul(x, changetype<HardSigmoid>(0).vector(x, a, b)); }
}
@unmanaged class Abs {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return abs<f32>(x); }
  @inline vector(x: v128, a: f32, b: f32): v128 { return f32x4.abs(x); }
}
@unmanaged class Neg {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return -x; }
  @inline vector(x: v128, a: f32, b: f32): v128 { return f32x4.neg(x); }
}
@unmanaged class Sqrt {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return sqrt<f32>(x); }
  @inline vector(x: v128, a: f32, b: f32): v128 { return f32x4.sqrt(x); }
}
@unmanaged class Reciprocal {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return 1 / x; }
  @inline vector(x: v128, a: f32, b: f32): v128 { return f32x4.div(f32x4.splat(1), x); }
}
@unmanaged class Exp {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return exponential(x); }
  @inline vector(x: v128, a: f32, b: f32): v128 { return exponentialVector(x); }
}
@unmanaged class Sigmoid {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return 1 / (1 + exponential(-x)); }
  @inline vector(x: v128, a: f32, b: f32): v128 {
    const one = f32x4.splat(1);
    return f32x4.div(one, f32x4.add(one, exponentialVector(f32x4.neg(x))));
  }
}
@unmanaged class Elu {
  @inline scalar(x: f32, a: f32, b: f32): f32 {
    if (!(x < 0)) return x;
    // Near 0 e^x - 1 cancels: e^x - 1 = tanh(x/2)·(e^x + 1).
    return a * hyperbolicTangent(x * 0.5) * (exponential(x) + 1);
  }
}
@unmanaged class Tanh {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return hyperbolicTangent(x); }
}
@unmanaged class Log {
  @inline scalar(x: f32, a: f32, b: f32): f32 { return <f32>logarithm(<f64>x); }
}

/** clip(x, a, b); ReLU with a = 0, b = Infinity. */
export function f32_clip(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<Clip>(x, y, count, a, b); }
/** x < 0 ? a·x : x. */
export function f32_leaky_relu(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<LeakyRelu>(x, y, count, a, b); }
/** clip(a·x + b, 0, 1). */
export function f32_hard_sigmoid(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<HardSigmoid>(x, y, count, a, b); }
/** x·clip(a·x + b, 0, 1). */
export function f32_hard_swish(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<HardSwish>(x, y, count, a, b); }
export function f32_abs(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<Abs>(x, y, count, a, b); }
export function f32_neg(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<Neg>(x, y, count, a, b); }
export function f32_sqrt(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<Sqrt>(x, y, count, a, b); }
export function f32_reciprocal(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<Reciprocal>(x, y, count, a, b); }
export function f32_exp(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<Exp>(x, y, count, a, b); }
export function f32_sigmoid(x: usize, y: usize, count: i32, a: f32, b: f32): void { map<Sigmoid>(x, y, count, a, b); }
/** x < 0 ? a·(e^x - 1) : x. */
export function f32_elu(x: usize, y: usize, count: i32, a: f32, b: f32): void { mapScalar<Elu>(x, y, count, a, b); }
export function f32_tanh(x: usize, y: usize, count: i32, a: f32, b: f32): void { mapScalar<Tanh>(x, y, count, a, b); }
export function f32_log(x: usize, y: usize, count: i32, a: f32, b: f32): void { mapScalar<Log>(x, y, count, a, b); }
