// Moving 4-byte elements: whatever permutes, cuts, joins or pads.

/** y[i·y0 + j·y1 + k·y2 + l·y3] = x[i·x0 + j·x1 + k·x2 + l·x3]; strides are bytes and may be negative. */
export function b32_copy(
  x: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  x0: isize, x1: isize, x2: isize, x3: isize, y0: isize, y1: isize, y2: isize, y3: isize,
): void {
  const isRun = x3 == 4 && y3 == 4;
  for (let i = 0; i < n0; i++) {
    for (let j = 0; j < n1; j++) {
      let from = x + <isize>i * x0 + <isize>j * x1;
      let to = y + <isize>i * y0 + <isize>j * y1;
      for (let k = 0; k < n2; k++) {
        if (isRun) {
          memory.copy(to, from, <usize>n3 << 2);
        } else {
          let source = from;
          let target = to;
          for (let l = 0; l < n3; l++) {
            store<u32>(target, load<u32>(source));
            source += x3;
            target += y3;
          }
        }
        from += x2;
        to += y2;
      }
    }
  }
}

/** y[i] = x[indices[i]] for unsigned element indices; an index of 2^32 - 1 takes `fill` instead. */
export function b32_gather(x: usize, indices: usize, y: usize, count: i32, fill: f32): void {
  const end = y + (<usize>count << 2);
  for (; y < end; y += 4) {
    const index = load<u32>(indices);
    if (index == u32.MAX_VALUE) store<f32>(y, fill);
    else store<u32>(y, load<u32>(x + (<usize>index << 2)));
    indices += 4;
  }
}

/** y[0..count) = value. */
export function f32_fill(y: usize, count: i32, value: f32): void {
  for (let i = 0; i < count; i++) store<f32>(y + (<usize>i << 2), value);
}

/** Planes [planes][height][width] into the middle of planes [paddedHeight][paddedWidth] filled with `value` elsewhere. */
export function f32_pad_planes(
  x: usize, y: usize, planes: i32, height: i32, width: i32,
  top: i32, left: i32, paddedHeight: i32, paddedWidth: i32, value: f32,
): void {
  const rowBytes = <usize>width << 2;
  const head = top * paddedWidth + left;
  const between = paddedWidth - width;
  const tail = (paddedHeight - top - height) * paddedWidth - left;
  for (let plane = 0; plane < planes; plane++) {
    f32_fill(y, head, value);
    y += <usize>head << 2;
    for (let row = 0; row < height; row++) {
      memory.copy(y, x, rowBytes);
      x += rowBytes;
      y += rowBytes;
      if (row < height - 1) {
        f32_fill(y, between, value);
        y += <usize>between << 2;
      }
    }
    const last = tail + (height > 0 ? between : 0);
    f32_fill(y, last, value);
    y += <usize>last << 2;
  }
}
