// Planes as a sliding window sees them: every column of the window has its own copy of the plane in which the outputs of one row
// lie side by side, and rows are sorted by stride. Then one tap reads a single run of memory for all pixels.

@inline
function splat<T>(value: T): v128 {
  return sizeof<T>() == 1 ? i8x16.splat(<i8>value) : i32x4.splat(<i32>value);
}

@inline
function fill<T>(to: usize, count: i32, value: T): void {
  if (ASC_FEATURE_SIMD) {
    const values = splat<T>(value);
    const end = to + <usize>count * sizeof<T>();
    for (; to < end; to += 16) v128.store(to, values);
  } else {
    for (let i = 0; i < count; i++) store<T>(to + <usize>i * sizeof<T>(), value);
  }
}

/** Any stride, any padding: to[i] = from[first + i·stride] inside the row, value outside. */
@inline
function gatherRow<T>(from: usize, to: usize, width: i32, columns: i32, first: i32, stride: i32, value: T): void {
  let column = first;
  for (let i = 0; i < columns; i++) {
    const isInside = <u32>column < <u32>width;
    store<T>(to + <usize>i * sizeof<T>(), isInside ? load<T>(from + <usize>column * sizeof<T>()) : value);
    column += stride;
  }
}

/** Every second element of 32 bytes. */
@inline
function evenElements<T>(from: usize): v128 {
  const a = v128.load(from);
  const b = v128.load(from, 16);
  if (sizeof<T>() == 4) return i32x4.shuffle(a, b, 0, 2, 4, 6);
  const low = i16x8.splat(0xff);
  return i8x16.narrow_i16x8_u(v128.and(a, low), v128.and(b, low));
}

/**
 * `rows` rows of a window column, stride 1 or 2, whole vectors: what a mask leaves out is the value. The last vector of a row runs
 * into the next row: it comes first.
 */
@inline
function maskRows<T>(
  from: usize, to: usize, masks: usize, rows: i32, fromStride: usize, rowBytes: usize, isStrided: bool, value: T,
): void {
  const values = splat<T>(value);
  for (let at = ((rowBytes + 15) & ~15) - 16; <isize>at >= 0; at -= 16) {
    const mask = v128.load(masks + at);
    let source = from + (isStrided ? at << 1 : at);
    let target = to + at;
    const end = target + <usize>rows * rowBytes;
    for (; target < end; target += rowBytes) {
      const inside = isStrided ? evenElements<T>(source) : v128.load(source);
      v128.store(target, v128.bitselect(inside, values, mask));
      source += fromStride;
    }
  }
}

/**
 * `rows` whole rows, moved by `column` elements: one run of memory, in which then what came from the neighbouring rows becomes the value.
 * The last vector runs over the end.
 */
@inline
function shiftRows<T>(from: usize, to: usize, rows: i32, columns: i32, column: i32, value: T): void {
  const rowBytes = <usize>columns * sizeof<T>();
  const bytes = <usize>rows * rowBytes;
  for (let at: usize = 0; at < bytes; at += 16) v128.store(to + at, v128.load(from + at));
  const outside = <usize>min(columns, abs(column)) * sizeof<T>();
  let edge = to + (column > 0 ? rowBytes - outside : 0);
  for (const last = edge + outside; edge < last; edge += sizeof<T>()) {
    for (let at: usize = 0; at < bytes; at += rowBytes) store<T>(edge + at, value);
  }
}

@inline
function gatherRows<T>(
  from: usize, to: usize, rows: i32, fromStride: usize, width: i32, columns: i32, first: i32, stride: i32, value: T,
): void {
  for (let r = 0; r < rows; r++) {
    gatherRow<T>(from, to, width, columns, first, stride, value);
    from += fromStride;
    to += <usize>columns * sizeof<T>();
  }
}

/** How many of the rows 0 <= r < count have first + r·stride < limit. Divisions take longer than small rows: they are seldom needed. */
@inline
function rowsBefore(limit: i32, first: i32, stride: i32, count: i32): i32 {
  if (limit <= first) return 0;
  return first + (count - 1) * stride < limit ? count : (limit - first + stride - 1) / stride;
}

@inline
function expand<T>(
  x: usize, masks: usize, y: usize, planes: i32, height: i32, width: i32, firstRow: i32, phases: i32, rows: i32, rowStride: i32,
  taps: i32, firstColumn: i32, dilation: i32, columns: i32, stride: i32, value: T,
): void {
  const rowBytes = <usize>columns * sizeof<T>();
  const maskBytes = (rowBytes + 15) & ~15;
  const widthBytes = <usize>width * sizeof<T>();
  const fromStride = <usize>rowStride * widthBytes;
  for (let plane = 0; plane < planes; plane++) {
    let column = firstColumn;
    for (let tap = 0; tap < taps; tap++) {
      for (let phase = 0; phase < phases; phase++) {
        const row = firstRow + phase;
        const head = rowsBefore(0, row, rowStride, rows);
        const inside = max(0, rowsBefore(height, row, rowStride, rows) - head);
        fill<T>(y, head * columns, value);
        y += <usize>head * rowBytes;
        const from = x + <usize>(row + head * rowStride) * widthBytes;
        if (!ASC_FEATURE_SIMD || !masks) {
          gatherRows<T>(from, y, inside, fromStride, width, columns, column, stride, value);
        } else if (columns == width && rowStride == 1 && stride == 1) {
          shiftRows<T>(from + <isize>column * sizeof<T>(), y, inside, columns, column, value);
        } else {
          const mask = masks + <usize>tap * maskBytes;
          maskRows<T>(from + <isize>column * sizeof<T>(), y, mask, inside, fromStride, rowBytes, stride == 2, value);
        }
        y += <usize>inside * rowBytes;
        const tail = rows - head - inside;
        fill<T>(y, tail * columns, value);
        y += <usize>tail * rowBytes;
      }
      column += dilation;
    }
    x += <usize>height * widthBytes;
  }
}

export function u8_expand(
  x: usize, masks: usize, y: usize, planes: i32, height: i32, width: i32, firstRow: i32, phases: i32, rows: i32, rowStride: i32,
  taps: i32, firstColumn: i32, dilation: i32, columns: i32, stride: i32, value: i32,
): void {
  expand<u8>(
    x, masks, y, planes, height, width, firstRow, phases, rows, rowStride,
    taps, firstColumn, dilation, columns, stride, <u8>value,
  );
}

export function f32_expand(
  x: usize, masks: usize, y: usize, planes: i32, height: i32, width: i32, firstRow: i32, phases: i32, rows: i32, rowStride: i32,
  taps: i32, firstColumn: i32, dilation: i32, columns: i32, stride: i32, value: f32,
): void {
  expand<u32>(
    x, masks, y, planes, height, width, firstRow, phases, rows, rowStride,
    taps, firstColumn, dilation, columns, stride, reinterpret<u32>(value),
  );
}
