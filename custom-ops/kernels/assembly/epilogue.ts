// What happens between a tile's totals and the output: affine, residual, clip. NaN passes through.

@inline
export function clip(value: f32, low: f32, high: f32): f32 {
  const raised = value < low ? low : value;
  return high < raised ? high : raised;
}

@inline
export function clipVector(value: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(value, low), high);
}

/**
 * A tile whose rows are output channels: y[r][c] = clip(scale[r]·finish(totals[r][c], sums[c]) + bias[r] + z[r][c], low, high)
 * for `rows` x `columns` of it. z = 0 means none; rows of y and z are `stride` bytes apart.
 */
@inline
export function storeByRow<T>(
  totals: usize, sums: usize, scale: usize, bias: usize, z: usize, y: usize,
  rows: i32, columns: i32, stride: usize, low: f32, high: f32,
): void {
  const tap = changetype<T>(0);
  for (let r = 0; r < rows; r++) {
    const factor = load<f32>(scale);
    const shift = load<f32>(bias);
    let c = 0;
    if (ASC_FEATURE_SIMD) {
      const factors = f32x4.splat(factor);
      const shifts = f32x4.splat(shift);
      const lows = f32x4.splat(low);
      const highs = f32x4.splat(high);
      for (; c + 4 <= columns; c += 4) {
        const at = <usize>c << 2;
        let value = tap.finishVector(v128.load(totals + at), v128.load(sums + at));
        value = f32x4.add(f32x4.mul(value, factors), shifts);
        if (z) value = f32x4.add(value, v128.load(z + at));
        v128.store(y + at, clipVector(value, lows, highs));
      }
    }
    for (; c < columns; c++) {
      const at = <usize>c << 2;
      let value = tap.finish(load<f32>(totals + at), load<f32>(sums + at)) * factor + shift;
      if (z) value += load<f32>(z + at);
      store<f32>(y + at, clip(value, low, high));
    }
    totals += 32;
    scale += 4;
    bias += 4;
    y += stride;
    if (z) z += stride;
  }
}

/** A row of totals whose columns are output channels: scale and bias run along it, `sum` is the row's own input sum. */
@inline
export function storeByColumn<T>(
  totals: usize, sum: f32, scale: usize, bias: usize, z: usize, y: usize, columns: i32, low: f32, high: f32,
): void {
  const tap = changetype<T>(0);
  let c = 0;
  if (ASC_FEATURE_SIMD) {
    const sums = f32x4.splat(sum);
    const lows = f32x4.splat(low);
    const highs = f32x4.splat(high);
    for (; c + 4 <= columns; c += 4) {
      const at = <usize>c << 2;
      let value = tap.finishVector(v128.load(totals + at), sums);
      value = f32x4.add(f32x4.mul(value, v128.load(scale + at)), v128.load(bias + at));
      if (z) value = f32x4.add(value, v128.load(z + at));
      v128.store(y + at, clipVector(value, lows, highs));
    }
  }
  for (; c < columns; c++) {
    const at = <usize>c << 2;
    let value = tap.finish(load<f32>(totals + at), sum) * load<f32>(scale + at) + load<f32>(bias + at);
    if (z) value += load<f32>(z + at);
    store<f32>(y + at, clip(value, low, high));
  }
}
