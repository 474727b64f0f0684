// Windows of images as columns, and columns added back to where they were read. An image's channels lie `xRow` bytes apart, the
// images of a channel one after the other; a column matrix has a row of `columnRow` bytes for every tap (c, i, j), in which
// the output positions of the images follow each other. Rows are filled up with zeros to a multiple of four floats.

/** Copies `count` floats, the last four of them twice where they are no whole vector. */
@inline
function copyFloats(to: usize, from: usize, count: i32): void {
  const end = to + (<usize>count << 2);
  if (count >= 4) {
    const last = end - 16;
    const distance = from - to;
    while (to < last) {
      v128.store(to, v128.load(to + distance));
      to += 16;
    }
    v128.store(last, v128.load(last + distance));
    return;
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

/** One output per image: a tap's column is one pixel of each. */
@inline
function gatherPixels(to: usize, from: usize, images: i32, planeBytes: usize): void {
  const end = to + (<usize>images << 2);
  while (to < end) {
    store<f32>(to, load<f32>(from));
    to += 4;
    from += planeBytes;
  }
}

/** Rows as wide as the input's: all of a picture is one run, moved by (shiftY, shiftX); what came from other rows is zeroed after. */
@inline
function shiftPicture(to: usize, from: usize, height: i32, width: i32, shiftY: i32, shiftX: i32): void {
  const firstRow = max(0, -shiftY);
  const endRow = max(firstRow, min(height, height - shiftY));
  zeroFloats(to, firstRow * width);
  zeroFloats(to + (<usize>(endRow * width) << 2), (height - endRow) * width);
  const first = firstRow * width + (shiftY <= 0 && shiftX < 0 && firstRow + shiftY == 0 ? -shiftX : 0);
  const end = endRow * width - (endRow + shiftY == height && shiftX > 0 ? shiftX : 0);
  if (endRow > firstRow) copyFloats(to + (<usize>first << 2), from + (<usize>(first + shiftY * width + shiftX) << 2), max(0, end - first));
  for (let row = firstRow; row < endRow; row++) {
    const line = to + (<usize>(row * width) << 2);
    if (shiftX < 0) zeroFloats(line, min(width, -shiftX));
    else zeroFloats(line + (<usize>max(0, width - shiftX) << 2), min(width, shiftX));
  }
}

/** columns[(c,i,j)][image, y, x] = x[c][image, y·stride + i·dilation - pad, …], 0 outside; for rows firstRow … of every image. */
export function unfold(
  x: usize, columns: usize, channels: i32, images: i32, height: i32, width: i32, xRow: i32, columnRow: i32,
  kernelHeight: i32, kernelWidth: i32, strideY: i32, strideX: i32, dilationY: i32, dilationX: i32, padTop: i32, padLeft: i32,
  firstRow: i32, rows: i32, outputWidth: i32,
): void {
  const used = images * rows * outputWidth;
  const filling = (columnRow >> 2) - used;
  const isWhole = strideX == 1 && strideY == 1 && outputWidth == width && firstRow == 0 && rows == height;
  const isSingle = rows == 1 && outputWidth == 1 && firstRow == 0;
  for (let c = 0; c < channels; c++) {
    const plane = x + <usize>c * <usize>xRow;
    for (let i = 0; i < kernelHeight; i++) {
      for (let j = 0; j < kernelWidth; j++) {
        const start = j * dilationX - padLeft;
        const first = min(firstInside(start, strideX), outputWidth);
        const end = max(first, endInside(start, strideX, width, outputWidth));
        const shiftY = i * dilationY - padTop;
        if (isWhole && shiftY > -height && shiftY < height && start > -width && start < width) {
          for (let image = 0; image < images; image++) {
            const offset = <usize>(image * height * width) << 2;
            shiftPicture(columns + offset, plane + offset, height, width, shiftY, start);
          }
          zeroFloats(columns + (<usize>used << 2), filling);
          columns += columnRow;
          continue;
        }
        if (isSingle && shiftY >= 0 && shiftY < height && start >= 0 && start < width) {
          gatherPixels(columns, plane + (<usize>(shiftY * width + start) << 2), images, <usize>(height * width) << 2);
          zeroFloats(columns + (<usize>used << 2), filling);
          columns += columnRow;
          continue;
        }
        const inside = end - first;
        const skipped = <usize>(first << 2);
        let to = columns;
        for (let image = 0; image < images; image++) {
          const picture = plane + (<usize>(image * height * width) << 2);
          for (let row = firstRow; row < firstRow + rows; row++) {
            const y = row * strideY + i * dilationY - padTop;
            if (y < 0 || y >= height) {
              zeroFloats(to, outputWidth);
            } else {
              let from = picture + (<usize>(y * width + start + first * strideX) << 2);
              if (inside < outputWidth) {
                zeroFloats(to, first);
                zeroFloats(to + (<usize>end << 2), outputWidth - end);
              }
              if (strideX == 1) copyFloats(to + skipped, from, inside);
              else {
                for (let at = to + skipped; at < to + (<usize>end << 2); at += 4) {
                  store<f32>(at, load<f32>(from));
                  from += <usize>strideX << 2;
                }
              }
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
