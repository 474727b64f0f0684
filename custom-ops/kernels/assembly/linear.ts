// Fully connected kernels: rows are the rows of x [rows][k], columns are output features with weights packed
// [ceil(m/8)][k][8] beforehand.

import { storeByColumn } from "./epilogue";
import { packRows } from "./pack";
import { AdderMinTap, AdderTap, ProductTap } from "./taps";
import { sumRow, tile1x8, tile4x8, tileBytes } from "./tile";

@inline
function linear<T>(
  x: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, rows: i32, xStride: usize, yStride: usize, low: f32, high: f32,
): void {
  const totals = scratch;
  const packed = scratch + tileBytes;
  const needsSum = changetype<T>(0).needsInputSum();
  const panelBytes = <usize>k << 5;
  for (let first = 0; first < rows; ) {
    const count = rows - first >= 4 ? 4 : 1;
    const row = x + <usize>first * xStride;
    if (count == 4) packRows(row, 4, k, xStride, packed);
    const sum0 = needsSum ? sumRow(row, k) : 0;
    const sum1 = needsSum && count == 4 ? sumRow(row + xStride, k) : 0;
    const sum2 = needsSum && count == 4 ? sumRow(row + 2 * xStride, k) : 0;
    const sum3 = needsSum && count == 4 ? sumRow(row + 3 * xStride, k) : 0;
    let weights = w;
    for (let feature = 0; feature < m; feature += 8) {
      const columns = min(8, m - feature);
      const offset = <usize>feature << 2;
      if (count == 4) tile4x8<T>(packed, weights, k, totals);
      else tile1x8<T>(row, weights, k, totals);
      for (let r = 0; r < count; r++) {
        const at = <usize>(first + r) * yStride + offset;
        const sum = r == 0 ? sum0 : r == 1 ? sum1 : r == 2 ? sum2 : sum3;
        storeByColumn<T>(
          totals + (<usize>r << 5), sum, scale + offset, bias + offset, z ? z + at : 0, y + at, columns, low, high,
        );
      }
      weights += panelBytes;
    }
    first += count;
  }
}

export function f32_adder_linear_4x8(
  x: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, rows: i32, xStride: usize, yStride: usize, low: f32, high: f32,
): void {
  linear<AdderTap>(x, w, scale, bias, z, y, scratch, k, m, rows, xStride, yStride, low, high);
}

export function f32_adder_min_linear_4x8(
  x: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, rows: i32, xStride: usize, yStride: usize, low: f32, high: f32,
): void {
  linear<AdderMinTap>(x, w, scale, bias, z, y, scratch, k, m, rows, xStride, yStride, low, high);
}

export function f32_linear_4x8(
  x: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, rows: i32, xStride: usize, yStride: usize, low: f32, high: f32,
): void {
  linear<ProductTap>(x, w, scale, bias, z, y, scratch, k, m, rows, xStride, yStride, low, high);
}
