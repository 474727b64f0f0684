// Operands rearranged for the tiles.

/** One panel [k][8] of eight pixels `step` bytes apart, `left` of which exist; the others hold anything. */
export function packPanel(x: usize, taps: usize, k: i32, step: usize, left: i32, to: usize): void {
  const end = taps + (<usize>k << 2);
  if (ASC_FEATURE_SIMD) {
    if (step == 4) {
      for (; taps < end; taps += 4) {
        const at = x + <usize>load<u32>(taps);
        v128.store(to, v128.load(at));
        v128.store(to, v128.load(at, 16), 16);
        to += 32;
      }
      return;
    }
  }
  for (; taps < end; taps += 4) {
    let at = x + <usize>load<u32>(taps);
    for (let pixel = 1; pixel <= 8; pixel++) {
      store<u32>(to, load<u32>(at));
      at += pixel < left ? step : 0;
      to += 4;
    }
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
