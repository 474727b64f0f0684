// Two inputs, broadcast: y[i][j][k][l] = f(a, b) over four axes. Strides are bytes, 0 along a broadcast axis; y is contiguous
// and may be an input that is contiguous too. The innermost stride of a and b is 4 or 0.

@inline
function innermost<F>(a: usize, b: usize, y: usize, count: i32, aStride: usize, bStride: usize): void {
  const f = changetype<F>(0);
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    if (aStride && bStride) {
      for (; i + 4 <= count; i += 4) {
        const at = <usize>i << 2;
        v128.store(y + at, f.vector(v128.load(a + at), v128.load(b + at)));
      }
    } else if (aStride && count >= 4) {
      const right = v128.load32_splat(b);
      for (; i + 4 <= count; i += 4) {
        const at = <usize>i << 2;
        v128.store(y + at, f.vector(v128.load(a + at), right));
      }
    } else if (bStride && count >= 4) {
      const left = v128.load32_splat(a);
      for (; i + 4 <= count; i += 4) {
        const at = <usize>i << 2;
        v128.store(y + at, f.vector(left, v128.load(b + at)));
      }
    }
  }
  for (; i < count; i++) {
    const value = f.scalar(load<f32>(a + <usize>i * aStride), load<f32>(b + <usize>i * bStride));
    store<f32>(y + (<usize>i << 2), value);
  }
}

@inline
function broadcast<F>(
  a: usize, b: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  a0: usize, a1: usize, a2: usize, a3: usize, b0: usize, b1: usize, b2: usize, b3: usize,
): void {
  const row = <usize>n3 << 2;
  for (let i = 0; i < n0; i++) {
    for (let j = 0; j < n1; j++) {
      let left = a + <usize>i * a0 + <usize>j * a1;
      let right = b + <usize>i * b0 + <usize>j * b1;
      for (let k = 0; k < n2; k++) {
        innermost<F>(left, right, y, n3, a3, b3);
        left += a2;
        right += b2;
        y += row;
      }
    }
  }
}

@unmanaged class Add {
  @inline scalar(a: f32, b: f32): f32 { return a + b; }
  @inline vector(a: v128, b: v128): v128 { return f32x4.add(a, b); }
}
@unmanaged class Sub {
  @inline scalar(a: f32, b: f32): f32 { return a - b; }
  @inline vector(a: v128, b: v128): v128 { return f32x4.sub(a, b); }
}
@unmanaged class Mul {
  @inline scalar(a: f32, b: f32): f32 { return a * b; }
  @inline vector(a: v128, b: v128): v128 { return f32x4.mul(a, b); }
}
@unmanaged class Div {
  @inline scalar(a: f32, b: f32): f32 { return a / b; }
  @inline vector(a: v128, b: v128): v128 { return f32x4.div(a, b); }
}
@unmanaged class Min {
  @inline scalar(a: f32, b: f32): f32 { return min<f32>(a, b); }
  @inline vector(a: v128, b: v128): v128 { return f32x4.min(a, b); }
}
@unmanaged class Max {
  @inline scalar(a: f32, b: f32): f32 { return max<f32>(a, b); }
  @inline vector(a: v128, b: v128): v128 { return f32x4.max(a, b); }
}
@unmanaged class PRelu {
  @inline scalar(x: f32, slope: f32): f32 { return x < 0 ? x * slope : x; }
  @inline vector(x: v128, slope: v128): v128 {
    return v128.bitselect(f32x4.mul(x, slope), x, f32x4.lt(x, f32x4.splat(0)));
  }
}

export function f32_add(
  a: usize, b: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  a0: usize, a1: usize, a2: usize, a3: usize, b0: usize, b1: usize, b2: usize, b3: usize,
): void {
  broadcast<Add>(a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
export function f32_sub(
  a: usize, b: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  a0: usize, a1: usize, a2: usize, a3: usize, b0: usize, b1: usize, b2: usize, b3: usize,
): void {
  broadcast<Sub>(a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
export function f32_mul(
  a: usize, b: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  a0: usize, a1: usize, a2: usize, a3: usize, b0: usize, b1: usize, b2: usize, b3: usize,
): void {
  broadcast<Mul>(a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
export function f32_div(
  a: usize, b: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  a0: usize, a1: usize, a2: usize, a3: usize, b0: usize, b1: usize, b2: usize, b3: usize,
): void {
  broadcast<Div>(a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
export function f32_min(
  a: usize, b: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  a0: usize, a1: usize, a2: usize, a3: usize, b0: usize, b1: usize, b2: usize, b3: usize,
): void {
  broadcast<Min>(a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
export function f32_max(
  a: usize, b: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  a0: usize, a1: usize, a2: usize, a3: usize, b0: usize, b1: usize, b2: usize, b3: usize,
): void {
  broadcast<Max>(a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
export function f32_prelu(
  a: usize, b: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  a0: usize, a1: usize, a2: usize, a3: usize, b0: usize, b1: usize, b2: usize, b3: usize,
): void {
  broadcast<PRelu>(a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
