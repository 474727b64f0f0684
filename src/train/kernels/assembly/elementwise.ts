// Element by element, four floats at a time; counts are multiples of four.

/** y = max(x, 0) */
export function relu(x: usize, y: usize, count: i32): void {
  const zero = f32x4.splat(0);
  const end = x + (<usize>count << 2);
  while (x < end) {
    // pmax(a, b) is a < b ? b : a, so that NaN stays NaN.
    v128.store(y, f32x4.pmax(v128.load(x), zero));
    x += 16;
    y += 16;
  }
}

/** dx = y > 0 ? dy : 0 */
export function reluGradient(y: usize, dy: usize, dx: usize, count: i32): void {
  const zero = f32x4.splat(0);
  const end = y + (<usize>count << 2);
  while (y < end) {
    v128.store(dx, v128.and(v128.load(dy), f32x4.gt(v128.load(y), zero)));
    y += 16;
    dy += 16;
    dx += 16;
  }
}

/** y = x > 0 ? x : slope·x, a slope for each channel or (slopeStep 0) one for all. */
export function prelu(x: usize, y: usize, slope: usize, channels: i32, row: i32, slopeStep: i32): void {
  const zero = f32x4.splat(0);
  for (let c = 0; c < channels; c++) {
    const factor = v128.load32_splat(slope);
    const end = x + row;
    while (x < end) {
      const value = v128.load(x);
      v128.store(y, v128.bitselect(value, f32x4.mul(value, factor), f32x4.gt(value, zero)));
      x += 16;
      y += 16;
    }
    slope += slopeStep;
  }
}

/** dx = x > 0 ? dy : slope·dy; dslope += Σ x·dy where x <= 0. */
export function preluGradient(
  x: usize, dy: usize, dx: usize, slope: usize, dslope: usize, channels: i32, row: i32, slopeStep: i32,
): void {
  const zero = f32x4.splat(0);
  for (let c = 0; c < channels; c++) {
    const factor = v128.load32_splat(slope);
    let sum = zero;
    const end = x + row;
    while (x < end) {
      const value = v128.load(x);
      const gradient = v128.load(dy);
      const isPositive = f32x4.gt(value, zero);
      v128.store(dx, v128.bitselect(gradient, f32x4.mul(gradient, factor), isPositive));
      sum = f32x4.add(sum, v128.andnot(f32x4.mul(value, gradient), isPositive));
      x += 16;
      dy += 16;
      dx += 16;
    }
    const total = (f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1)) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3));
    store<f32>(dslope, load<f32>(dslope) + total);
    slope += slopeStep;
    dslope += slopeStep;
  }
}

/** y = a + b */
export function add(a: usize, b: usize, y: usize, count: i32): void {
  const end = a + (<usize>count << 2);
  while (a < end) {
    v128.store(y, f32x4.add(v128.load(a), v128.load(b)));
    a += 16;
    b += 16;
    y += 16;
  }
}

export function copy(x: usize, y: usize, bytes: i32): void {
  memory.copy(y, x, bytes);
}

export function clear(y: usize, bytes: i32): void {
  memory.fill(y, 0, bytes);
}

/** y[i] = Σ over slices of x[slice][i], in their order. */
export function sumSlices(x: usize, y: usize, count: i32, slices: i32, sliceBytes: i32): void {
  const end = x + (<usize>count << 2);
  while (x + 16 <= end) {
    let sum = v128.load(x);
    let at = x;
    for (let slice = 1; slice < slices; slice++) {
      at += sliceBytes;
      sum = f32x4.add(sum, v128.load(at));
    }
    v128.store(y, sum);
    x += 16;
    y += 16;
  }
  while (x < end) {
    let sum = load<f32>(x);
    let at = x;
    for (let slice = 1; slice < slices; slice++) {
      at += sliceBytes;
      sum += load<f32>(at);
    }
    store<f32>(y, sum);
    x += 4;
    y += 4;
  }
}

/** y = step·clamp(round(x/step), low, high), round half to even; `grid` holds step, low, high. */
export function toGrid(x: usize, y: usize, grid: usize, count: i32): void {
  const step = v128.load32_splat(grid);
  const low = v128.load32_splat(grid, 4);
  const high = v128.load32_splat(grid, 8);
  const end = x + (<usize>count << 2);
  while (x + 16 <= end) {
    const code = f32x4.max(low, f32x4.min(high, f32x4.nearest(f32x4.div(v128.load(x), step))));
    v128.store(y, f32x4.mul(code, step));
    x += 16;
    y += 16;
  }
  while (x < end) {
    const code = max(load<f32>(grid, 4), min(load<f32>(grid, 8), nearest(load<f32>(x) / load<f32>(grid))));
    store<f32>(y, code * load<f32>(grid));
    x += 4;
    y += 4;
  }
}

/** The straight-through gradient of `toGrid`: dx = dy inside the grid's range, 0 outside. */
export function toGridGradient(x: usize, dy: usize, dx: usize, grid: usize, count: i32): void {
  const step = v128.load32_splat(grid);
  const low = f32x4.mul(v128.load32_splat(grid, 4), step);
  const high = f32x4.mul(v128.load32_splat(grid, 8), step);
  const end = x + (<usize>count << 2);
  while (x < end) {
    const value = v128.load(x);
    const isInside = v128.and(f32x4.ge(value, low), f32x4.le(value, high));
    v128.store(dx, v128.and(v128.load(dy), isInside));
    x += 16;
    dy += 16;
    dx += 16;
  }
}
