// Constant weights in the order in which the tiles read them.

/** Rows of w [rows][k] from `first` on, to [ceil(count/4)][k][4]; missing rows are 0. */
export function packByFourRows(w: ArrayLike<number>, first: number, count: number, k: number): Float32Array {
  const packed = new Float32Array(Math.ceil(count / 4) * 4 * k);
  for (let row = 0; row < count; row++) {
    let to = (row >> 2) * 4 * k + (row & 3);
    const from = (first + row) * k;
    for (let i = 0; i < k; i++, to += 4) packed[to] = w[from + i]!;
  }
  return packed;
}

/** Rows of w [rows][k] as columns, to [ceil(rows/8)][k][8]; missing columns are 0. */
export function packByEightColumns(w: ArrayLike<number>, rows: number, k: number): Float32Array {
  const packed = new Float32Array(Math.ceil(rows / 8) * 8 * k);
  for (let row = 0; row < rows; row++) {
    let to = (row >> 3) * 8 * k + (row & 7);
    for (let i = 0; i < k; i++, to += 8) packed[to] = w[row * k + i]!;
  }
  return packed;
}

/** The transpose of w [rows][columns]. */
export function transposed(w: ArrayLike<number>, rows: number, columns: number): Float32Array {
  const result = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = w[row * columns + column]!;
  }
  return result;
}

/** Rows of codes [rows][k] as columns, to [ceil(rows/64)][k][64]; missing columns are 0. */
export function panelsOfColumns(w: Uint8Array, rows: number, k: number): Uint8Array {
  const packed = new Uint8Array(Math.ceil(rows / 64) * 64 * k);
  for (let row = 0; row < rows; row++) {
    let to = (row >> 6) * 64 * k + (row & 63);
    for (let i = 0; i < k; i++, to += 64) packed[to] = w[row * k + i]!;
  }
  return packed;
}
