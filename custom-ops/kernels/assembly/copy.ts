// Moving elements of one or four bytes: whatever permutes, cuts or joins.

/** Runs of at least that many bytes are worth a call into the engine. */
const longRun: usize = 256;

@inline
function copyRun(from: usize, to: usize, bytes: usize): void {
  if (bytes >= longRun) {
    memory.copy(to, from, bytes);
    return;
  }
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
  for (; i + 4 <= bytes; i += 4) store<u32>(to + i, load<u32>(from + i));
  for (; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
}

@inline
function copy<T>(
  x: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  x0: isize, x1: isize, x2: isize, x3: isize, y0: isize, y1: isize, y2: isize, y3: isize,
): void {
  const isRun = x3 == sizeof<T>() && y3 == sizeof<T>();
  for (let i = 0; i < n0; i++) {
    for (let j = 0; j < n1; j++) {
      let from = x + <isize>i * x0 + <isize>j * x1;
      let to = y + <isize>i * y0 + <isize>j * y1;
      for (let k = 0; k < n2; k++) {
        if (isRun) {
          copyRun(from, to, <usize>n3 * sizeof<T>());
        } else {
          let source = from;
          let target = to;
          for (let l = 0; l < n3; l++) {
            store<T>(target, load<T>(source));
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

/** y[i·y0 + j·y1 + k·y2 + l·y3] = x[i·x0 + j·x1 + k·x2 + l·x3]; strides are bytes and may be negative. */
export function b32_copy(
  x: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  x0: isize, x1: isize, x2: isize, x3: isize, y0: isize, y1: isize, y2: isize, y3: isize,
): void {
  copy<u32>(x, y, n0, n1, n2, n3, x0, x1, x2, x3, y0, y1, y2, y3);
}

export function b8_copy(
  x: usize, y: usize, n0: i32, n1: i32, n2: i32, n3: i32,
  x0: isize, x1: isize, x2: isize, x3: isize, y0: isize, y1: isize, y2: isize, y3: isize,
): void {
  copy<u8>(x, y, n0, n1, n2, n3, x0, x1, x2, x3, y0, y1, y2, y3);
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

export function b8_gather(x: usize, indices: usize, y: usize, count: i32, fill: i32): void {
  const end = y + count;
  for (; y < end; y++) {
    const index = load<u32>(indices);
    store<u8>(y, index == u32.MAX_VALUE ? <u8>fill : load<u8>(x + index));
    indices += 4;
  }
}

/** y[0..count) = value. */
export function f32_fill(y: usize, count: i32, value: f32): void {
  for (let i = 0; i < count; i++) store<f32>(y + (<usize>i << 2), value);
}
