// Windows of images as columns, and columns added back to where they were read. An image's channels lie `xRow` bytes apart, the
// images of a channel one after the other; a column matrix has a row of `columnRow` bytes for every tap (c, i, j), in which
// the output positions of the images follow each other. Rows are filled up with zeros to a multiple of four floats.

/** Copies `count` floats four at a time; what is behind them may be overwritten up to a vector. */
@inline
function copyFloats(to: usize, from: usize, count: i32): void {
  const end = to + (<usize>count << 2);
  while (to + 16 <= end) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
  while (to < end) {
    store<f32>(to, load<f32>(from));
    to += 4;
    from += 4;
  }
}

@inline
function zeroFloats(to: usize, count: i32): void {
  const end = to + (<usize>count << 2);
  while (to < end) {
    store<f32>(to, 0);
    to += 4;
  }
}

@inline
function addFloats(to: usize, from: usize, count: i32): void {
  const end = to + (<usize>count << 2);
  while (to + 16 <= end) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
  }
  while (to < end) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += 4;
    from += 4;
  }
}

/** The first output position whose tap is at or behind the left edge. */
@inline
function firstInside(start: i32, stride: i32): i32 {
  return start >= 0 ? 0 : (stride - 1 - start) / stride;
}

/** One past the last output position whose tap is before the right edge. */
@inline
function endInside(start: i32, stride: i32, width: i32, count: i32): i32 {
  return start >= width ? 0 : min(count, (width - 1 - start) / stride + 1);
}

/** columns[(c,i,j)][image, y, x] = x[c][image, y·stride + i·dilation - pad, …], 0 outside; for rows firstRow … of every image. */
export function unfold(
  x: usize, columns: usize, channels: i32, images: i32, height: i32, width: i32, xRow: i32, columnRow: i32,
  kernelHeight: i32, kernelWidth: i32, strideY: i32, strideX: i32, dilationY: i32, dilationX: i32, padTop: i32, padLeft: i32,
  firstRow: i32, rows: i32, outputWidth: i32,
): void {
  const used = images * rows * outputWidth;
  const filling = (columnRow >> 2) - used;
  for (let c = 0; c < channels; c++) {
    const plane = x + <usize>c * <usize>xRow;
    for (let i = 0; i < kernelHeight; i++) {
      for (let j = 0; j < kernelWidth; j++) {
        const start = j * dilationX - padLeft;
        const first = min(firstInside(start, strideX), outputWidth);
        const end = max(first, endInside(start, strideX, width, outputWidth));
        let to = columns;
        for (let image = 0; image < images; image++) {
          const picture = plane + (<usize>(image * height * width) << 2);
          for (let row = firstRow; row < firstRow + rows; row++) {
            const y = row * strideY + i * dilationY - padTop;
            if (y < 0 || y >= height) {
              zeroFloats(to, outputWidth);
            } else {
              const line = picture + (<usize>(y * width) << 2);
              zeroFloats(to, first);
              const inside = to + (<usize>first << 2);
              let from = line + (<usize>(start + first * strideX) << 2);
              if (strideX == 1) copyFloats(inside, from, end - first);
              else {
                for (let at = 0; at < end - first; at++) {
                  store<f32>(inside + (<usize>at << 2), load<f32>(from));
                  from += <usize>strideX << 2;
                }
              }
              zeroFloats(to + (<usize>end << 2), outputWidth - end);
            }
            to += <usize>outputWidth << 2;
          }
        }
        zeroFloats(to, filling);
        columns += columnRow;
      }
    }
  }
}

/** The adjoint of `unfold`: adds every column to where it was read. */
export function fold(
  columns: usize, x: usize, channels: i32, images: i32, height: i32, width: i32, xRow: i32, columnRow: i32,
  kernelHeight: i32, kernelWidth: i32, strideY: i32, strideX: i32, dilationY: i32, dilationX: i32, padTop: i32, padLeft: i32,
  firstRow: i32, rows: i32, outputWidth: i32,
): void {
  for (let c = 0; c < channels; c++) {
    const plane = x + <usize>c * <usize>xRow;
    for (let i = 0; i < kernelHeight; i++) {
      for (let j = 0; j < kernelWidth; j++) {
        const start = j * dilationX - padLeft;
        const first = min(firstInside(start, strideX), outputWidth);
        const end = max(first, endInside(start, strideX, width, outputWidth));
        let from = columns;
        for (let image = 0; image < images; image++) {
          const picture = plane + (<usize>(image * height * width) << 2);
          for (let row = firstRow; row < firstRow + rows; row++) {
            const y = row * strideY + i * dilationY - padTop;
            if (y >= 0 && y < height) {
              const inside = from + (<usize>first << 2);
              let to = picture + (<usize>(y * width + start + first * strideX) << 2);
              if (strideX == 1) addFloats(to, inside, end - first);
              else {
                for (let at = 0; at < end - first; at++) {
                  store<f32>(to, load<f32>(to) + load<f32>(inside + (<usize>at << 2)));
                  to += <usize>strideX << 2;
                }
              }
            }
            from += <usize>outputWidth << 2;
          }
        }
        columns += columnRow;
      }
    }
  }
}
