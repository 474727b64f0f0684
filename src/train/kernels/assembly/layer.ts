// What a layer of filters computes from columns x[k][q] and weights w[m][k]: y[m][q] = bias[m] + Σ_k term(x, w). A tile is up to four
// filters by up to four vectors of positions. Sums of `chunk` taps are made in registers and added to what is in y, which keeps
// float32 accurate over hundreds of taps of one sign.

import { Four, One, Three, Two } from "./tiles";

const chunk: i32 = 128;

@unmanaged class Distance {
  @inline add(sum: v128, x: v128, w: v128): v128 { return f32x4.sub(sum, f32x4.abs(f32x4.sub(x, w))); }
}
@unmanaged class Product {
  @inline add(sum: v128, x: v128, w: v128): v128 { return f32x4.add(sum, f32x4.mul(x, w)); }
}

@inline
function flush(y: usize, sum: v128): void {
  v128.store(y, f32x4.add(v128.load(y), sum));
}

/** Adds `k` taps to a tile of M filters by V vectors. Distances in bytes. */
function addTile<T, M, V>(x: usize, w: usize, y: usize, k: i32, xRow: usize, wRow: usize, yRow: usize): void {
  const term = changetype<T>(0);
  const m = changetype<M>(0).count();
  const v = changetype<V>(0).count();
  let a0 = f32x4.splat(0);
  let a1 = a0; let a2 = a0; let a3 = a0;
  let b0 = a0; let b1 = a0; let b2 = a0; let b3 = a0;
  let c0 = a0; let c1 = a0; let d0 = a0; let d1 = a0;
  const end = w + (<usize>k << 2);
  const w1 = wRow;
  const w2 = wRow << 1;
  const w3 = w1 + w2;
  while (w < end) {
    const x0 = v128.load(x);
    const x1 = v > 1 ? v128.load(x, 16) : x0;
    const x2 = v > 2 ? v128.load(x, 32) : x0;
    const x3 = v > 3 ? v128.load(x, 48) : x0;
    let tap = v128.load32_splat(w);
    a0 = term.add(a0, x0, tap);
    if (v > 1) a1 = term.add(a1, x1, tap);
    if (v > 2) a2 = term.add(a2, x2, tap);
    if (v > 3) a3 = term.add(a3, x3, tap);
    if (m > 1) {
      tap = v128.load32_splat(w + w1);
      b0 = term.add(b0, x0, tap);
      if (v > 1) b1 = term.add(b1, x1, tap);
      if (v > 2) b2 = term.add(b2, x2, tap);
      if (v > 3) b3 = term.add(b3, x3, tap);
    }
    if (m > 2) {
      tap = v128.load32_splat(w + w2);
      c0 = term.add(c0, x0, tap);
      if (v > 1) c1 = term.add(c1, x1, tap);
    }
    if (m > 3) {
      tap = v128.load32_splat(w + w3);
      d0 = term.add(d0, x0, tap);
      if (v > 1) d1 = term.add(d1, x1, tap);
    }
    w += 4;
    x += xRow;
  }
  flush(y, a0);
  if (v > 1) flush(y + 16, a1);
  if (v > 2) flush(y + 32, a2);
  if (v > 3) flush(y + 48, a3);
  if (m > 1) {
    y += yRow;
    flush(y, b0);
    if (v > 1) flush(y + 16, b1);
    if (v > 2) flush(y + 32, b2);
    if (v > 3) flush(y + 48, b3);
  }
  if (m > 2) {
    y += yRow;
    flush(y, c0);
    if (v > 1) flush(y + 16, c1);
  }
  if (m > 3) {
    y += yRow;
    flush(y, d0);
    if (v > 1) flush(y + 16, d1);
  }
}

/** M filters over all positions; V vectors at a time, then one. */
@inline
function addFilters<T, M, V>(x: usize, w: usize, y: usize, k: i32, vectors: i32, xRow: usize, wRow: usize, yRow: usize): void {
  const step = changetype<V>(0).count();
  while (vectors >= step) {
    addTile<T, M, V>(x, w, y, k, xRow, wRow, yRow);
    x += <usize>step << 4;
    y += <usize>step << 4;
    vectors -= step;
  }
  while (vectors > 0) {
    addTile<T, M, One>(x, w, y, k, xRow, wRow, yRow);
    x += 16;
    y += 16;
    vectors--;
  }
}

@inline
function setRow(y: usize, bias: usize, m: i32, vectors: i32): void {
  const value = bias == 0 ? f32x4.splat(0) : v128.load32_splat(bias + (<usize>m << 2));
  const end = y + (<usize>vectors << 4);
  while (y < end) {
    v128.store(y, value);
    y += 16;
  }
}

@inline
function layer<T>(columns: usize, w: usize, bias: usize, y: usize, m: i32, k: i32, q: i32, columnRow: i32, yRow: i32): void {
  const vectors = (q + 3) >> 2;
  for (let row = 0; row < m; row++) setRow(y + <usize>row * <usize>yRow, bias, row, vectors);
  for (let done = 0; done < k; done += chunk) {
    const count = min(chunk, k - done);
    const x = columns + <usize>done * <usize>columnRow;
    const wRow = <usize>k << 2;
    let weights = w + (<usize>done << 2);
    let out = y;
    let left = m;
    while (left >= 4) {
      addFilters<T, Four, Two>(x, weights, out, count, vectors, columnRow, wRow, yRow);
      weights += wRow << 2;
      out += <usize>yRow << 2;
      left -= 4;
    }
    if (left == 3) addFilters<T, Three, Two>(x, weights, out, count, vectors, columnRow, wRow, yRow);
    else if (left == 2) addFilters<T, Two, Four>(x, weights, out, count, vectors, columnRow, wRow, yRow);
    else if (left == 1) addFilters<T, One, Four>(x, weights, out, count, vectors, columnRow, wRow, yRow);
  }
}

/** y[m][q] = bias[m] - Σ_k |x[k][q] - w[m][k]|; bias 0: none. */
export function adder(columns: usize, w: usize, bias: usize, y: usize, m: i32, k: i32, q: i32, columnRow: i32, yRow: i32): void {
  layer<Distance>(columns, w, bias, y, m, k, q, columnRow, yRow);
}

/** y[m][q] = bias[m] + Σ_k x[k][q]·w[m][k]; bias 0: none. */
export function conv(columns: usize, w: usize, bias: usize, y: usize, m: i32, k: i32, q: i32, columnRow: i32, yRow: i32): void {
  layer<Product>(columns, w, bias, y, m, k, q, columnRow, yRow);
}
