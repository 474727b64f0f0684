// Pools: windows of planes to single values. Planes are the images of a channel, one after the other; channels lie rows apart.

/** y = the largest of each window, `chosen` its place in the plane, as PyTorch chooses: the first of equals, NaN above all. */
export function maxPool(
  x: usize, y: usize, chosen: usize, channels: i32, images: i32, height: i32, width: i32, xRow: i32,
  outputHeight: i32, outputWidth: i32, yRow: i32, kernelHeight: i32, kernelWidth: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
): void {
  for (let c = 0; c < channels; c++) {
    let plane = x + <usize>c * <usize>xRow;
    let to = y + <usize>c * <usize>yRow;
    let place = chosen + <usize>c * <usize>yRow;
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
