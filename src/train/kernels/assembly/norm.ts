// Batch normalisation over a batch that lies in slices: every slice leaves its own sums, and who needs the whole combines them in the
// order of the slices, in float64, so that results do not depend on who computed what. `constants` holds epsilon, momentum.

@inline
function rowSum(x: usize, count: i32): f64 {
  let a = f32x4.splat(0);
  let b = a;
  let sum: f64 = 0;
  let left = count;
  while (left >= 8) {
    // Short runs in float32, their totals in float64.
    let run = min(left & ~7, 256);
    left -= run;
    a = f32x4.splat(0);
    b = a;
    while (run > 0) {
      a = f32x4.add(a, v128.load(x));
      b = f32x4.add(b, v128.load(x, 16));
      x += 32;
      run -= 8;
    }
    a = f32x4.add(a, b);
    sum += <f64>f32x4.extract_lane(a, 0) + <f64>f32x4.extract_lane(a, 1) + <f64>f32x4.extract_lane(a, 2) + <f64>f32x4.extract_lane(a, 3);
  }
  while (left > 0) {
    sum += <f64>load<f32>(x);
    x += 4;
    left--;
  }
  return sum;
}

@inline
function squaredDistances(x: usize, count: i32, mean: f32): f64 {
  const centre = f32x4.splat(mean);
  let sum: f64 = 0;
  let left = count;
  while (left >= 8) {
    let run = min(left & ~7, 256);
    left -= run;
    let a = f32x4.splat(0);
    let b = a;
    while (run > 0) {
      const d = f32x4.sub(v128.load(x), centre);
      const e = f32x4.sub(v128.load(x, 16), centre);
      a = f32x4.add(a, f32x4.mul(d, d));
      b = f32x4.add(b, f32x4.mul(e, e));
      x += 32;
      run -= 8;
    }
    a = f32x4.add(a, b);
    sum += <f64>f32x4.extract_lane(a, 0) + <f64>f32x4.extract_lane(a, 1) + <f64>f32x4.extract_lane(a, 2) + <f64>f32x4.extract_lane(a, 3);
  }
  while (left > 0) {
    const d = <f64>(load<f32>(x) - mean);
    sum += d * d;
    x += 4;
    left--;
  }
  return sum;
}

/** parts[c] = count, mean, Σ(x - mean)² of this slice, three float64 for a channel. */
export function normParts(x: usize, parts: usize, channels: i32, count: i32, xRow: i32): void {
  for (let c = 0; c < channels; c++) {
    const mean = rowSum(x, count) / <f64>count;
    const rounded = <f32>mean;
    store<f64>(parts, <f64>count);
    store<f64>(parts, <f64>rounded, 8);
    store<f64>(parts, squaredDistances(x, count, rounded), 16);
    // The rounded mean is off by less than float32 can tell; what it adds to the squares is taken away, exactly.
    const off = mean - <f64>rounded;
    store<f64>(parts, <f64>rounded + off, 8);
    store<f64>(parts, load<f64>(parts, 16) - <f64>count * off * off, 16);
    parts += 24;
    x += xRow;
  }
}

/** Mean, then Σ(x - mean)² of all slices, by merging two sets at a time; answers the count. */
@inline
function mergeParts(parts: usize, slices: i32, sliceBytes: i32, merged: usize): f64 {
  let count = load<f64>(parts);
  let mean = load<f64>(parts, 8);
  let squares = load<f64>(parts, 16);
  for (let slice = 1; slice < slices; slice++) {
    parts += sliceBytes;
    const more = load<f64>(parts);
    const distance = load<f64>(parts, 8) - mean;
    const both = count + more;
    squares += load<f64>(parts, 16) + distance * distance * count * more / both;
    mean += distance * more / both;
    count = both;
  }
  store<f64>(merged, mean);
  store<f64>(merged, squares, 8);
  return count;
}

/** statistics[c] = mean, 1/√(variance + epsilon) as two float32, of the batch; `merged` is room for two float64. */
export function normStatistics(parts: usize, statistics: usize, merged: usize, constants: usize, channels: i32, slices: i32, sliceBytes: i32): void {
  const epsilon = load<f64>(constants);
  for (let c = 0; c < channels; c++) {
    const count = mergeParts(parts, slices, sliceBytes, merged);
    store<f32>(statistics, <f32>load<f64>(merged));
    store<f32>(statistics, <f32>(1 / sqrt(load<f64>(merged, 8) / count + epsilon)), 4);
    parts += 24;
    statistics += 8;
  }
}

/** running += momentum·(batch - running); the variance of the batch is the unbiased one. */
export function normRunning(
  parts: usize, mean: usize, variance: usize, merged: usize, constants: usize, channels: i32, slices: i32, sliceBytes: i32,
): void {
  const momentum = load<f64>(constants, 8);
  for (let c = 0; c < channels; c++) {
    const count = mergeParts(parts, slices, sliceBytes, merged);
    const unbiased = load<f64>(merged, 8) / max<f64>(1, count - 1);
    store<f32>(mean, <f32>((1 - momentum) * <f64>load<f32>(mean) + momentum * load<f64>(merged)));
    store<f32>(variance, <f32>((1 - momentum) * <f64>load<f32>(variance) + momentum * unbiased));
    parts += 24;
    mean += 4;
    variance += 4;
  }
}

/** statistics[c] = running mean, 1/√(running variance + epsilon). */
export function normFrozenStatistics(mean: usize, variance: usize, statistics: usize, constants: usize, channels: i32): void {
  const epsilon = load<f64>(constants);
  for (let c = 0; c < channels; c++) {
    store<f32>(statistics, load<f32>(mean));
    store<f32>(statistics, <f32>(1 / sqrt(<f64>load<f32>(variance) + epsilon)), 4);
    mean += 4;
    variance += 4;
    statistics += 8;
  }
}

/** y = gamma·(x - mean)·inverse + beta; gamma, beta 0: 1 and 0. Whole rows, filling included. */
export function norm(x: usize, y: usize, statistics: usize, gamma: usize, beta: usize, channels: i32, xRow: i32): void {
  for (let c = 0; c < channels; c++) {
    const mean = v128.load32_splat(statistics);
    const factor = load<f32>(statistics, 4) * (gamma == 0 ? 1 : load<f32>(gamma + (<usize>c << 2)));
    const scale = f32x4.splat(factor);
    const shift = f32x4.splat(beta == 0 ? 0 : load<f32>(beta + (<usize>c << 2)));
    const end = x + xRow;
    while (x < end) {
      v128.store(y, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), mean), scale), shift));
      x += 16;
      y += 16;
    }
    statistics += 8;
  }
}

/** parts[c] = Σ dy, Σ dy·x̂ of this slice, two float64 for a channel. */
export function normGradientParts(x: usize, dy: usize, statistics: usize, parts: usize, channels: i32, count: i32, xRow: i32, dyRow: i32): void {
  for (let c = 0; c < channels; c++) {
    const mean = load<f32>(statistics);
    const inverse = <f64>load<f32>(statistics, 4);
    const centre = f32x4.splat(mean);
    let sum: f64 = 0;
    let product: f64 = 0;
    let left = count;
    let at = x;
    let g = dy;
    while (left >= 4) {
      let run = min(left & ~3, 256);
      left -= run;
      let a = f32x4.splat(0);
      let b = a;
      while (run > 0) {
        const gradient = v128.load(g);
        a = f32x4.add(a, gradient);
        b = f32x4.add(b, f32x4.mul(gradient, f32x4.sub(v128.load(at), centre)));
        at += 16;
        g += 16;
        run -= 4;
      }
      sum += <f64>f32x4.extract_lane(a, 0) + <f64>f32x4.extract_lane(a, 1) + <f64>f32x4.extract_lane(a, 2) + <f64>f32x4.extract_lane(a, 3);
      product += <f64>f32x4.extract_lane(b, 0) + <f64>f32x4.extract_lane(b, 1) + <f64>f32x4.extract_lane(b, 2) + <f64>f32x4.extract_lane(b, 3);
    }
    while (left > 0) {
      const gradient = <f64>load<f32>(g);
      sum += gradient;
      product += gradient * <f64>(load<f32>(at) - mean);
      at += 4;
      g += 4;
      left--;
    }
    store<f64>(parts, sum);
    store<f64>(parts, product * inverse, 8);
    parts += 16;
    statistics += 8;
    x += xRow;
    dy += dyRow;
  }
}

/**
 * dx = gamma·inverse·(dy - Σdy/n - x̂·Σ(dy·x̂)/n) for the first `count` positions of each row; the slice that is given dgamma and
 * dbeta also writes Σ(dy·x̂) and Σdy there. gamma 0: 1.
 */
export function normInputGradient(
  x: usize, dy: usize, dx: usize, statistics: usize, parts: usize, gamma: usize, dgamma: usize, dbeta: usize,
  channels: i32, count: i32, total: i32, xRow: i32, dyRow: i32, slices: i32, sliceBytes: i32,
): void {
  for (let c = 0; c < channels; c++) {
    let sum: f64 = 0;
    let product: f64 = 0;
    let part = parts + (<usize>c << 4);
    for (let slice = 0; slice < slices; slice++) {
      sum += load<f64>(part);
      product += load<f64>(part, 8);
      part += sliceBytes;
    }
    if (dgamma != 0) store<f32>(dgamma + (<usize>c << 2), <f32>product);
    if (dbeta != 0) store<f32>(dbeta + (<usize>c << 2), <f32>sum);
    const inverse = load<f32>(statistics, 4);
    const factor = inverse * (gamma == 0 ? 1 : load<f32>(gamma + (<usize>c << 2)));
    const scale = f32x4.splat(factor);
    const mean = v128.load32_splat(statistics);
    const average = f32x4.splat(<f32>(sum / <f64>total));
    const slope = f32x4.splat(<f32>(product / <f64>total * <f64>inverse));
    let at = x;
    let g = dy;
    let to = dx;
    let left = count;
    while (left >= 4) {
      const centred = f32x4.mul(f32x4.sub(v128.load(at), mean), slope);
      v128.store(to, f32x4.mul(scale, f32x4.sub(f32x4.sub(v128.load(g), average), centred)));
      at += 16;
      g += 16;
      to += 16;
      left -= 4;
    }
    while (left > 0) {
      const centred = (load<f32>(at) - load<f32>(statistics)) * <f32>(product / <f64>total * <f64>inverse);
      store<f32>(to, factor * (load<f32>(g) - <f32>(sum / <f64>total) - centred));
      at += 4;
      g += 4;
      to += 4;
      left--;
    }
    statistics += 8;
    x += xRow;
    dy += dyRow;
    dx += dyRow;
  }
}
