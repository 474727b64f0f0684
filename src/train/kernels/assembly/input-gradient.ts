// Gradients of columns: dx[k][q] = Σ_m term(x[k][q], w[m][k])·dy[m][q]. A tile is two taps by two vectors of positions.

import { One, Two } from "./tiles";

/** clamp(w - x, -1, 1)·dy: HardTanh. */
@unmanaged class Clamp {
  @inline add(sum: v128, x: v128, w: v128, dy: v128, one: v128, minusOne: v128): v128 {
    const clamped = f32x4.pmax(minusOne, f32x4.pmin(one, f32x4.sub(w, x)));
    return f32x4.add(sum, f32x4.mul(clamped, dy));
  }
}
/** sign(w - x)·dy: the true subgradient. */
@unmanaged class Sign {
  @inline add(sum: v128, x: v128, w: v128, dy: v128, _one: v128, _minusOne: v128): v128 {
    const added = f32x4.add(sum, v128.and(dy, f32x4.gt(w, x)));
    return f32x4.sub(added, v128.and(dy, f32x4.lt(w, x)));
  }
}
/** w·dy */
@unmanaged class Linear {
  @inline add(sum: v128, _x: v128, w: v128, dy: v128, _one: v128, _minusOne: v128): v128 {
    return f32x4.add(sum, f32x4.mul(w, dy));
  }
}

function setTile<T, K, V>(
  x: usize, w: usize, dy: usize, dx: usize, m: i32, xRow: usize, wRow: usize, dyRow: usize, limit: f32,
): void {
  const term = changetype<T>(0);
  const k = changetype<K>(0).count();
  const v = changetype<V>(0).count();
  const one = f32x4.splat(limit);
  const minusOne = f32x4.splat(-limit);
  let a0 = f32x4.splat(0);
  let a1 = a0; let b0 = a0; let b1 = a0;
  const x00 = v128.load(x);
  const x01 = v > 1 ? v128.load(x, 16) : x00;
  const x10 = k > 1 ? v128.load(x + xRow) : x00;
  const x11 = k > 1 && v > 1 ? v128.load(x + xRow, 16) : x00;
  const end = w + <usize>m * wRow;
  while (w < end) {
    const g0 = v128.load(dy);
    const g1 = v > 1 ? v128.load(dy, 16) : g0;
    let tap = v128.load32_splat(w);
    a0 = term.add(a0, x00, tap, g0, one, minusOne);
    if (v > 1) a1 = term.add(a1, x01, tap, g1, one, minusOne);
    if (k > 1) {
      tap = v128.load32_splat(w, 4);
      b0 = term.add(b0, x10, tap, g0, one, minusOne);
      if (v > 1) b1 = term.add(b1, x11, tap, g1, one, minusOne);
    }
    w += wRow;
    dy += dyRow;
  }
  v128.store(dx, a0);
  if (v > 1) v128.store(dx, a1, 16);
  if (k > 1) v128.store(dx + xRow, b0);
  if (k > 1 && v > 1) v128.store(dx + xRow, b1, 16);
}

@inline
function setTaps<T, K>(
  x: usize, w: usize, dy: usize, dx: usize, m: i32, vectors: i32, xRow: usize, wRow: usize, dyRow: usize, limit: f32,
): void {
  while (vectors >= 2) {
    setTile<T, K, Two>(x, w, dy, dx, m, xRow, wRow, dyRow, limit);
    x += 32;
    dy += 32;
    dx += 32;
    vectors -= 2;
  }
  if (vectors > 0) setTile<T, K, One>(x, w, dy, dx, m, xRow, wRow, dyRow, limit);
}

@inline
function gradient<T>(x: usize, w: usize, dy: usize, dx: usize, m: i32, k: i32, q: i32, xRow: i32, dyRow: i32): void {
  const vectors = (q + 3) >> 2;
  const wRow = <usize>k << 2;
  while (k >= 2) {
    setTaps<T, Two>(x, w, dy, dx, m, vectors, xRow, wRow, dyRow, 1);
    x += <usize>xRow << 1;
    dx += <usize>xRow << 1;
    w += 8;
    k -= 2;
  }
  if (k > 0) setTaps<T, One>(x, w, dy, dx, m, vectors, xRow, wRow, dyRow, 1);
}

/** dx[k][q] = Σ_m clamp(w[m][k] - x[k][q], -1, 1)·dy[m][q] */
export function adderInputGradient(columns: usize, w: usize, dy: usize, dx: usize, m: i32, k: i32, q: i32, columnRow: i32, dyRow: i32): void {
  gradient<Clamp>(columns, w, dy, dx, m, k, q, columnRow, dyRow);
}

/** dx[k][q] = Σ_m sign(w[m][k] - x[k][q])·dy[m][q] */
export function signInputGradient(columns: usize, w: usize, dy: usize, dx: usize, m: i32, k: i32, q: i32, columnRow: i32, dyRow: i32): void {
  gradient<Sign>(columns, w, dy, dx, m, k, q, columnRow, dyRow);
}

/** dx[k][q] = Σ_m w[m][k]·dy[m][q]; the columns themselves are not read for their values. */
export function convInputGradient(columns: usize, w: usize, dy: usize, dx: usize, m: i32, k: i32, q: i32, columnRow: i32, dyRow: i32): void {
  gradient<Linear>(columns, w, dy, dx, m, k, q, columnRow, dyRow);
}
