// Operands rearranged for the tiles.

/** Four columns of a panel: to[k][4 of 8] = x[taps[k]] at four addresses; all offsets are bytes. */
@inline
function packFour(p0: usize, p1: usize, p2: usize, p3: usize, taps: usize, k: i32, to: usize): void {
  const end = taps + (<usize>k << 2);
  if (ASC_FEATURE_SIMD) {
    if (p1 - p0 == 4) {
      for (; taps < end; taps += 4) {
        v128.store(to, v128.load(p0 + load<u32>(taps)));
        to += 32;
      }
      return;
    }
  }
  for (; taps < end; taps += 4) {
    const tap = <usize>load<u32>(taps);
    store<u32>(to, load<u32>(p0 + tap));
    store<u32>(to, load<u32>(p1 + tap), 4);
    store<u32>(to, load<u32>(p2 + tap), 8);
    store<u32>(to, load<u32>(p3 + tap), 12);
    to += 32;
  }
}

/** One panel [k][8] of eight pixels `step` bytes apart, `left` of which exist; the others hold anything. */
export function packPanel(x: usize, taps: usize, k: i32, step: usize, left: i32, to: usize): void {
  for (let half = 0; half < 8; half += 4) {
    const p0 = x + <usize>min(half, left - 1) * step;
    const p1 = x + <usize>min(half + 1, left - 1) * step;
    const p2 = x + <usize>min(half + 2, left - 1) * step;
    const p3 = x + <usize>min(half + 3, left - 1) * step;
    packFour(p0, p1, p2, p3, taps, k, to + (<usize>half << 2));
  }
}

/** Rows [count][k], `stride` bytes apart, to [ceil(count/4)][k][4]; missing rows are zero. */
export function packRows(rows: usize, count: i32, k: i32, stride: usize, to: usize): void {
  for (let first = 0; first < count; first += 4) {
    for (let row = first; row < first + 4; row++) {
      let out = to + (<usize>(row - first) << 2);
      if (row < count) {
        let x = rows + <usize>row * stride;
        for (let i = 0; i < k; i++) {
          store<u32>(out, load<u32>(x));
          out += 16;
          x += 4;
        }
      } else {
        for (let i = 0; i < k; i++) {
          store<u32>(out, 0);
          out += 16;
        }
      }
    }
    to += <usize>k << 4;
  }
}

/**
 * f32_pack_rows: the broadcast operand of a tile, from x [count][k] to y [ceil(count/4)][k][4].
 */
export function f32_pack_rows(x: usize, y: usize, count: i32, k: i32, xStride: usize): void {
  packRows(x, count, k, xStride, y);
}
