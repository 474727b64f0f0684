// The 4x8 tile: 4 rows (broadcast operand, packed [k][4]) by 8 columns (vector operand, packed [k][8]), summed over k.
// Sums of at most `chunkTaps` taps are made in registers and then added to totals in memory: float32 keeps its accuracy over
// thousands of taps of one sign.

export const chunkTaps: i32 = 64;
/** Bytes of the totals of one tile: 4 rows of 8. */
export const tileBytes: usize = 128;

/** Zeros for 32 or 128 bytes; an engine's own fill takes longer than that for so few. */
function clear(to: usize, bytes: usize): void {
  for (const end = to + bytes; to < end; to += 32) {
    if (ASC_FEATURE_SIMD) {
      v128.store(to, f32x4.splat(0));
      v128.store(to, f32x4.splat(0), 16);
    } else {
      store<u64>(to, 0);
      store<u64>(to, 0, 8);
      store<u64>(to, 0, 16);
      store<u64>(to, 0, 24);
    }
  }
}

@inline
function addChunk4x8Vector<T>(rows: usize, columns: usize, count: i32, totals: usize): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  const tap = changetype<T>(0);
  const end = rows + (<usize>count << 4);
  while (rows < end) {
    const x0 = v128.load(columns);
    const x1 = v128.load(columns, 16);
    let w = v128.load32_splat(rows);
    a0 = tap.vector(a0, x0, w);
    a1 = tap.vector(a1, x1, w);
    w = v128.load32_splat(rows, 4);
    b0 = tap.vector(b0, x0, w);
    b1 = tap.vector(b1, x1, w);
    w = v128.load32_splat(rows, 8);
    c0 = tap.vector(c0, x0, w);
    c1 = tap.vector(c1, x1, w);
    w = v128.load32_splat(rows, 12);
    d0 = tap.vector(d0, x0, w);
    d1 = tap.vector(d1, x1, w);
    rows += 16;
    columns += 32;
  }
  v128.store(totals, f32x4.add(v128.load(totals), a0));
  v128.store(totals, f32x4.add(v128.load(totals, 16), a1), 16);
  v128.store(totals, f32x4.add(v128.load(totals, 32), b0), 32);
  v128.store(totals, f32x4.add(v128.load(totals, 48), b1), 48);
  v128.store(totals, f32x4.add(v128.load(totals, 64), c0), 64);
  v128.store(totals, f32x4.add(v128.load(totals, 80), c1), 80);
  v128.store(totals, f32x4.add(v128.load(totals, 96), d0), 96);
  v128.store(totals, f32x4.add(v128.load(totals, 112), d1), 112);
}

@inline
function addChunk4x8Scalar<T>(rows: usize, columns: usize, count: i32, totals: usize): void {
  const tap = changetype<T>(0);
  for (let row: usize = 0; row < 16; row += 4) {
    for (let half: usize = 0; half < 32; half += 16) {
      let s0: f32 = 0;
      let s1: f32 = 0;
      let s2: f32 = 0;
      let s3: f32 = 0;
      let x = columns + half;
      let w = rows + row;
      for (let i = 0; i < count; i++) {
        const weight = load<f32>(w);
        s0 = tap.scalar(s0, load<f32>(x), weight);
        s1 = tap.scalar(s1, load<f32>(x, 4), weight);
        s2 = tap.scalar(s2, load<f32>(x, 8), weight);
        s3 = tap.scalar(s3, load<f32>(x, 12), weight);
        x += 32;
        w += 16;
      }
      const total = totals + (row << 3) + half;
      store<f32>(total, load<f32>(total) + s0);
      store<f32>(total, load<f32>(total, 4) + s1, 4);
      store<f32>(total, load<f32>(total, 8) + s2, 8);
      store<f32>(total, load<f32>(total, 12) + s3, 12);
    }
  }
}

/** totals[4][8] = Σ_k tap(columns[k][8], rows[k][4]). */
export function tile4x8<T>(rows: usize, columns: usize, k: i32, totals: usize): void {
  clear(totals, tileBytes);
  for (let done = 0; done < k; done += chunkTaps) {
    const count = min(chunkTaps, k - done);
    if (ASC_FEATURE_SIMD) addChunk4x8Vector<T>(rows, columns, count, totals);
    else addChunk4x8Scalar<T>(rows, columns, count, totals);
    rows += <usize>count << 4;
    columns += <usize>count << 5;
  }
}

@inline
function addChunk1x8Vector<T>(row: usize, columns: usize, count: i32, totals: usize): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  const tap = changetype<T>(0);
  const end = row + (<usize>count << 2);
  const fourEnd = row + (<usize>(count & ~3) << 2);
  while (row < fourEnd) {
    let w = v128.load32_splat(row);
    a0 = tap.vector(a0, v128.load(columns), w);
    a1 = tap.vector(a1, v128.load(columns, 16), w);
    w = v128.load32_splat(row, 4);
    b0 = tap.vector(b0, v128.load(columns, 32), w);
    b1 = tap.vector(b1, v128.load(columns, 48), w);
    w = v128.load32_splat(row, 8);
    c0 = tap.vector(c0, v128.load(columns, 64), w);
    c1 = tap.vector(c1, v128.load(columns, 80), w);
    w = v128.load32_splat(row, 12);
    d0 = tap.vector(d0, v128.load(columns, 96), w);
    d1 = tap.vector(d1, v128.load(columns, 112), w);
    row += 16;
    columns += 128;
  }
  while (row < end) {
    const w = v128.load32_splat(row);
    a0 = tap.vector(a0, v128.load(columns), w);
    a1 = tap.vector(a1, v128.load(columns, 16), w);
    row += 4;
    columns += 32;
  }
  a0 = f32x4.add(f32x4.add(a0, b0), f32x4.add(c0, d0));
  a1 = f32x4.add(f32x4.add(a1, b1), f32x4.add(c1, d1));
  v128.store(totals, f32x4.add(v128.load(totals), a0));
  v128.store(totals, f32x4.add(v128.load(totals, 16), a1), 16);
}

@inline
function addChunk1x8Scalar<T>(row: usize, columns: usize, count: i32, totals: usize): void {
  const tap = changetype<T>(0);
  for (let half: usize = 0; half < 32; half += 16) {
    let s0: f32 = 0;
    let s1: f32 = 0;
    let s2: f32 = 0;
    let s3: f32 = 0;
    let x = columns + half;
    for (let i = 0; i < count; i++) {
      const weight = load<f32>(row + (<usize>i << 2));
      s0 = tap.scalar(s0, load<f32>(x), weight);
      s1 = tap.scalar(s1, load<f32>(x, 4), weight);
      s2 = tap.scalar(s2, load<f32>(x, 8), weight);
      s3 = tap.scalar(s3, load<f32>(x, 12), weight);
      x += 32;
    }
    const total = totals + half;
    store<f32>(total, load<f32>(total) + s0);
    store<f32>(total, load<f32>(total, 4) + s1, 4);
    store<f32>(total, load<f32>(total, 8) + s2, 8);
    store<f32>(total, load<f32>(total, 12) + s3, 12);
  }
}

/** totals[8] = Σ_k tap(columns[k][8], row[k]). */
export function tile1x8<T>(row: usize, columns: usize, k: i32, totals: usize): void {
  clear(totals, 32);
  for (let done = 0; done < k; done += chunkTaps) {
    const count = min(chunkTaps, k - done);
    if (ASC_FEATURE_SIMD) addChunk1x8Vector<T>(row, columns, count, totals);
    else addChunk1x8Scalar<T>(row, columns, count, totals);
    row += <usize>count << 2;
    columns += <usize>count << 5;
  }
}

/** sums[8] = Σ_k columns[k][8], in chunks as the tiles do. */
export function sumColumns(columns: usize, k: i32, sums: usize): void {
  clear(sums, 32);
  for (let done = 0; done < k; done += chunkTaps) {
    const end = columns + (<usize>min(chunkTaps, k - done) << 5);
    if (ASC_FEATURE_SIMD) {
      let a = f32x4.splat(0);
      let b = a;
      let c = a;
      let d = a;
      for (; columns + 32 < end; columns += 64) {
        a = f32x4.add(a, v128.load(columns));
        b = f32x4.add(b, v128.load(columns, 16));
        c = f32x4.add(c, v128.load(columns, 32));
        d = f32x4.add(d, v128.load(columns, 48));
      }
      a = f32x4.add(a, c);
      b = f32x4.add(b, d);
      if (columns < end) {
        a = f32x4.add(a, v128.load(columns));
        b = f32x4.add(b, v128.load(columns, 16));
        columns += 32;
      }
      v128.store(sums, f32x4.add(v128.load(sums), a));
      v128.store(sums, f32x4.add(v128.load(sums, 16), b), 16);
    } else {
      for (let lane: usize = 0; lane < 32; lane += 4) {
        let sum: f32 = 0;
        for (let x = columns + lane; x < end; x += 32) sum += load<f32>(x);
        store<f32>(sums + lane, load<f32>(sums + lane) + sum);
      }
      columns = end;
    }
  }
}

/** Σ_k row[k], in chunks. */
export function sumRow(row: usize, k: i32): f32 {
  let total: f32 = 0;
  for (let done = 0; done < k; done += chunkTaps) {
    const end = row + (<usize>min(chunkTaps, k - done) << 2);
    let sum: f32 = 0;
    for (; row < end; row += 4) sum += load<f32>(row);
    total += sum;
  }
  return total;
}
