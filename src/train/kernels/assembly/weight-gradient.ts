// Gradients of weights: dw[m][k] += Σ_q term(x[k][q], w[m][k])·dy[m][q], a product of two matrices along their rows. A tile is up to
// four filters by two taps. Positions at the end of a row that are no positions have dy = 0.

import { Four, One, Three, Two } from "./tiles";

/** x·dy: the gradient of a convolution, and the matrix part of an adder's. */
@unmanaged class Linear {
  @inline add(sum: v128, x: v128, _w: v128, dy: v128): v128 { return f32x4.add(sum, f32x4.mul(x, dy)); }
}
/** sign(x - w)·dy */
@unmanaged class Sign {
  @inline add(sum: v128, x: v128, w: v128, dy: v128): v128 {
    const added = f32x4.add(sum, v128.and(dy, f32x4.gt(x, w)));
    return f32x4.sub(added, v128.and(dy, f32x4.lt(x, w)));
  }
}

@inline
function total(sum: v128): f32 {
  return (f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1)) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3));
}

@inline
function flush(dw: usize, sum: v128): void {
  store<f32>(dw, load<f32>(dw) + total(sum));
}

function addTile<T, M, K>(
  x: usize, dy: usize, w: usize, dw: usize, vectors: i32, xRow: usize, dyRow: usize, wRow: usize,
): void {
  const term = changetype<T>(0);
  const m = changetype<M>(0).count();
  const k = changetype<K>(0).count();
  let a0 = f32x4.splat(0);
  let a1 = a0; let b0 = a0; let b1 = a0; let c0 = a0; let c1 = a0; let d0 = a0; let d1 = a0;
  const w0 = v128.load32_splat(w);
  const w1 = k > 1 ? v128.load32_splat(w, 4) : w0;
  const w2 = m > 1 ? v128.load32_splat(w + wRow) : w0;
  const w3 = m > 1 && k > 1 ? v128.load32_splat(w + wRow, 4) : w0;
  const w4 = m > 2 ? v128.load32_splat(w + wRow * 2) : w0;
  const w5 = m > 2 && k > 1 ? v128.load32_splat(w + wRow * 2, 4) : w0;
  const w6 = m > 3 ? v128.load32_splat(w + wRow * 3) : w0;
  const w7 = m > 3 && k > 1 ? v128.load32_splat(w + wRow * 3, 4) : w0;
  const end = x + (<usize>vectors << 4);
  while (x < end) {
    const x0 = v128.load(x);
    const x1 = k > 1 ? v128.load(x + xRow) : x0;
    let g = v128.load(dy);
    a0 = term.add(a0, x0, w0, g);
    if (k > 1) a1 = term.add(a1, x1, w1, g);
    if (m > 1) {
      g = v128.load(dy + dyRow);
      b0 = term.add(b0, x0, w2, g);
      if (k > 1) b1 = term.add(b1, x1, w3, g);
    }
    if (m > 2) {
      g = v128.load(dy + dyRow * 2);
      c0 = term.add(c0, x0, w4, g);
      if (k > 1) c1 = term.add(c1, x1, w5, g);
    }
    if (m > 3) {
      g = v128.load(dy + dyRow * 3);
      d0 = term.add(d0, x0, w6, g);
      if (k > 1) d1 = term.add(d1, x1, w7, g);
    }
    x += 16;
    dy += 16;
  }
  flush(dw, a0);
  if (k > 1) flush(dw + 4, a1);
  if (m > 1) flush(dw + wRow, b0);
  if (m > 1 && k > 1) flush(dw + wRow + 4, b1);
  if (m > 2) flush(dw + wRow * 2, c0);
  if (m > 2 && k > 1) flush(dw + wRow * 2 + 4, c1);
  if (m > 3) flush(dw + wRow * 3, d0);
  if (m > 3 && k > 1) flush(dw + wRow * 3 + 4, d1);
}

@inline
function addFilters<T, M>(
  x: usize, dy: usize, w: usize, dw: usize, k: i32, vectors: i32, xRow: usize, dyRow: usize, wRow: usize,
): void {
  while (k >= 2) {
    addTile<T, M, Two>(x, dy, w, dw, vectors, xRow, dyRow, wRow);
    x += xRow << 1;
    w += 8;
    dw += 8;
    k -= 2;
  }
  if (k > 0) addTile<T, M, One>(x, dy, w, dw, vectors, xRow, dyRow, wRow);
}

@inline
function gradient<T>(x: usize, dy: usize, w: usize, dw: usize, m: i32, k: i32, q: i32, xRow: i32, dyRow: i32): void {
  const vectors = (q + 3) >> 2;
  const wRow = <usize>k << 2;
  while (m >= 4) {
    addFilters<T, Four>(x, dy, w, dw, k, vectors, xRow, dyRow, wRow);
    dy += <usize>dyRow << 2;
    w += wRow << 2;
    dw += wRow << 2;
    m -= 4;
  }
  if (m == 3) addFilters<T, Three>(x, dy, w, dw, k, vectors, xRow, dyRow, wRow);
  else if (m == 2) addFilters<T, Two>(x, dy, w, dw, k, vectors, xRow, dyRow, wRow);
  else if (m == 1) addFilters<T, One>(x, dy, w, dw, k, vectors, xRow, dyRow, wRow);
}

/** dw[m][k] += Σ_q x[k][q]·dy[m][q] */
export function weightGradient(columns: usize, dy: usize, w: usize, dw: usize, m: i32, k: i32, q: i32, columnRow: i32, dyRow: i32): void {
  gradient<Linear>(columns, dy, w, dw, m, k, q, columnRow, dyRow);
}

/** dw[m][k] += Σ_q sign(x[k][q] - w[m][k])·dy[m][q] */
export function signWeightGradient(columns: usize, dy: usize, w: usize, dw: usize, m: i32, k: i32, q: i32, columnRow: i32, dyRow: i32): void {
  gradient<Sign>(columns, dy, w, dw, m, k, q, columnRow, dyRow);
}

/** sums[m] = Σ_q dy[m][q] */
export function rowSums(dy: usize, sums: usize, m: i32, q: i32, dyRow: i32): void {
  for (let row = 0; row < m; row++) {
    let a = f32x4.splat(0);
    let b = a;
    let at = dy + <usize>row * <usize>dyRow;
    const end = at + (<usize>((q + 3) >> 2) << 4);
    while (at + 32 <= end) {
      a = f32x4.add(a, v128.load(at));
      b = f32x4.add(b, v128.load(at, 16));
      at += 32;
    }
    if (at < end) a = f32x4.add(a, v128.load(at));
    store<f32>(sums + (<usize>row << 2), total(f32x4.add(a, b)));
  }
}

/** dw[m][k] -= sums[m]·w[m][k]: with Σ x·dy in dw this is AdderNet's Σ (x - w)·dy. */
export function subtractWeighted(dw: usize, w: usize, sums: usize, m: i32, k: i32): void {
  for (let row = 0; row < m; row++) {
    const sum = load<f32>(sums + (<usize>row << 2));
    for (let tap = 0; tap < k; tap++) {
      store<f32>(dw, load<f32>(dw) - sum * load<f32>(w));
      dw += 4;
      w += 4;
    }
  }
}
