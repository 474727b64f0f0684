// Pools: windows of planes to single values. Planes are the images of a channel, one after the other; channels lie rows apart.

/** Four windows of two by two side by side: their largest values and where they are. */
@inline
function four2x2(top: usize, bottom: usize, at: i32, width: i32, y: usize, chosen: usize): void {
  const t0 = v128.load(top);
  const t1 = v128.load(top, 16);
  const b0 = v128.load(bottom);
  const b1 = v128.load(bottom, 16);
  const first = i32x4.add(i32x4.splat(at), i32x4(0, 2, 4, 6));
  const one = i32x4.splat(1);
  let best = v128.shuffle<f32>(t0, t1, 0, 2, 4, 6);
  let place = first;
  let next = v128.shuffle<f32>(t0, t1, 1, 3, 5, 7);
  // A NaN takes the place of what was the largest; nothing but another NaN takes its place.
  let isLarger = v128.or(f32x4.gt(next, best), f32x4.ne(next, next));
  best = v128.bitselect(next, best, isLarger);
  place = v128.bitselect(i32x4.add(first, one), place, isLarger);
  const below = i32x4.add(first, i32x4.splat(width));
  next = v128.shuffle<f32>(b0, b1, 0, 2, 4, 6);
  isLarger = v128.or(f32x4.gt(next, best), f32x4.ne(next, next));
  best = v128.bitselect(next, best, isLarger);
  place = v128.bitselect(below, place, isLarger);
  next = v128.shuffle<f32>(b0, b1, 1, 3, 5, 7);
  isLarger = v128.or(f32x4.gt(next, best), f32x4.ne(next, next));
  best = v128.bitselect(next, best, isLarger);
  place = v128.bitselect(i32x4.add(below, one), place, isLarger);
  v128.store(y, best);
  v128.store(chosen, place);
}

/** Planes of which every window of two by two is inside; four outputs at a time, the last four again where they are no whole vector. */
function maxPool2x2(
  x: usize, y: usize, chosen: usize, images: i32, height: i32, width: i32, outputHeight: i32, outputWidth: i32,
): void {
  for (let image = 0; image < images; image++) {
    for (let oy = 0; oy < outputHeight; oy++) {
      const row = 2 * oy * width;
      const top = x + (<usize>row << 2);
      const bottom = top + (<usize>width << 2);
      for (let ox = 0; ox < outputWidth; ox += 4) {
        const from = min(ox, outputWidth - 4);
        const offset = <usize>from << 3;
        four2x2(top + offset, bottom + offset, row + 2 * from, width, y + (<usize>from << 2), chosen + (<usize>from << 2));
      }
      y += <usize>outputWidth << 2;
      chosen += <usize>outputWidth << 2;
    }
    x += <usize>(height * width) << 2;
  }
}

/** y = the largest of each window, `chosen` its place in the plane, as PyTorch chooses: the first of equals, NaN above all. */
export function maxPool(
  x: usize, y: usize, chosen: usize, channels: i32, images: i32, height: i32, width: i32, xRow: i32,
  outputHeight: i32, outputWidth: i32, yRow: i32, kernelHeight: i32, kernelWidth: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
): void {
  const is2x2 = kernelHeight == 2 && kernelWidth == 2 && strideY == 2 && strideX == 2 && padTop == 0 && padLeft == 0
    && outputWidth >= 4 && 2 * outputHeight <= height && 2 * outputWidth <= width;
  for (let c = 0; c < channels; c++) {
    let plane = x + <usize>c * <usize>xRow;
    let to = y + <usize>c * <usize>yRow;
    let place = chosen + <usize>c * <usize>yRow;
    if (is2x2) {
      maxPool2x2(plane, to, place, images, height, width, outputHeight, outputWidth);
      continue;
    }
    for (let image = 0; image < images; image++) {
      for (let oy = 0; oy < outputHeight; oy++) {
        for (let ox = 0; ox < outputWidth; ox++) {
          const top = oy * strideY - padTop;
          const left = ox * strideX - padLeft;
          let best = -f32.MAX_VALUE * 2;
          let at = -1;
          for (let i = max(0, top); i < min(height, top + kernelHeight); i++) {
            for (let j = max(0, left); j < min(width, left + kernelWidth); j++) {
              const value = load<f32>(plane + (<usize>(i * width + j) << 2));
              if (value > best || at < 0 || value != value) {
                best = value;
                at = i * width + j;
              }
            }
          }
          store<f32>(to, best);
          store<i32>(place, at);
          to += 4;
          place += 4;
        }
      }
      plane += <usize>(height * width) << 2;
    }
  }
}

/** dx[chosen] += dy */
export function maxPoolGradient(
  dy: usize, chosen: usize, dx: usize, channels: i32, images: i32, planeBytes: i32, outputs: i32, dyRow: i32, dxRow: i32,
): void {
  for (let c = 0; c < channels; c++) {
    let plane = dx + <usize>c * <usize>dxRow;
    let from = dy + <usize>c * <usize>dyRow;
    let place = chosen + <usize>c * <usize>dyRow;
    for (let image = 0; image < images; image++) {
      for (let output = 0; output < outputs; output++) {
        const at = plane + (<usize>load<i32>(place) << 2);
        store<f32>(at, load<f32>(at) + load<f32>(from));
        from += 4;
        place += 4;
      }
      plane += planeBytes;
    }
  }
}

/** y = the mean of each window; `countPadding` decides whether what lies outside counts as zeros. */
export function averagePool(
  x: usize, y: usize, channels: i32, images: i32, height: i32, width: i32, xRow: i32, outputHeight: i32, outputWidth: i32, yRow: i32,
  kernelHeight: i32, kernelWidth: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32, countPadding: i32,
): void {
  for (let c = 0; c < channels; c++) {
    let plane = x + <usize>c * <usize>xRow;
    let to = y + <usize>c * <usize>yRow;
    for (let image = 0; image < images; image++) {
      for (let oy = 0; oy < outputHeight; oy++) {
        for (let ox = 0; ox < outputWidth; ox++) {
          const top = oy * strideY - padTop;
          const left = ox * strideX - padLeft;
          let sum: f32 = 0;
          let count = 0;
          for (let i = max(0, top); i < min(height, top + kernelHeight); i++) {
            for (let j = max(0, left); j < min(width, left + kernelWidth); j++) {
              sum += load<f32>(plane + (<usize>(i * width + j) << 2));
              count++;
            }
          }
          store<f32>(to, sum / <f32>(countPadding != 0 ? kernelHeight * kernelWidth : count));
          to += 4;
        }
      }
      plane += <usize>(height * width) << 2;
    }
  }
}

/** The adjoint of `averagePool`, added to dx. */
export function averagePoolGradient(
  dy: usize, dx: usize, channels: i32, images: i32, height: i32, width: i32, dxRow: i32, outputHeight: i32, outputWidth: i32, dyRow: i32,
  kernelHeight: i32, kernelWidth: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32, countPadding: i32,
): void {
  for (let c = 0; c < channels; c++) {
    let plane = dx + <usize>c * <usize>dxRow;
    let from = dy + <usize>c * <usize>dyRow;
    for (let image = 0; image < images; image++) {
      for (let oy = 0; oy < outputHeight; oy++) {
        for (let ox = 0; ox < outputWidth; ox++) {
          const top = oy * strideY - padTop;
          const left = ox * strideX - padLeft;
          const firstY = max(0, top);
          const endY = min(height, top + kernelHeight);
          const firstX = max(0, left);
          const endX = min(width, left + kernelWidth);
          const count = countPadding != 0 ? kernelHeight * kernelWidth : (endY - firstY) * (endX - firstX);
          const share = load<f32>(from) / <f32>count;
          for (let i = firstY; i < endY; i++) {
            for (let j = firstX; j < endX; j++) {
              const at = plane + (<usize>(i * width + j) << 2);
              store<f32>(at, load<f32>(at) + share);
            }
          }
          from += 4;
        }
      }
      plane += <usize>(height * width) << 2;
    }
  }
}
