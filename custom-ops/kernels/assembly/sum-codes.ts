// Sums of min(x, w) over some live taps of one output channel, sixteen pixels of codes to a vector.
//
// A list of taps starts with its number of segments. The weights of a segment add up to less than 2^16, so that its sums fit 16 bits.
// A segment is: count of plain taps, count of single taps, count of sizes; the plain taps (w >= every x: the minimum is x itself); the
// single taps; then for each size: bytes of one bundle, and 1 more where its taps are plain, count of bundles, the bundles. The weights
// of a bundle add up to less than 256, so that its minima are summed in bytes: the fewer bits codes have, the more of them. A tap is
// offset·256 + w, the offset in bytes.
//
// Pixels are bytes, but sums are kept in lanes of 16 bits: in `all` those of both pixels of a lane, the second one 256-fold, and in
// `high` the second one alone. Modulo 2^16 the first is their difference.

@unmanaged export class One { @inline count(): i32 { return 1; } }
@unmanaged export class Two { @inline count(): i32 { return 2; } }
@unmanaged export class Three { @inline count(): i32 { return 3; } }
@unmanaged export class Four { @inline count(): i32 { return 4; } }

/** to[0..15] = from[0..15] + the sums of sixteen pixels. */
@inline
function widen(all: v128, high: v128, from: usize, to: usize): void {
  const even = i16x8.sub(all, i16x8.shl(high, 8));
  const first = i16x8.shuffle(even, high, 0, 8, 1, 9, 2, 10, 3, 11);
  const second = i16x8.shuffle(even, high, 4, 12, 5, 13, 6, 14, 7, 15);
  addLanes(i32x4.extend_low_i16x8_u(first), from, to);
  addLanes(i32x4.extend_high_i16x8_u(first), from + 16, to + 16);
  addLanes(i32x4.extend_low_i16x8_u(second), from + 32, to + 32);
  addLanes(i32x4.extend_high_i16x8_u(second), from + 48, to + 48);
}

@inline
function addLanes(integers: v128, from: usize, to: usize): void {
  v128.store(to, f32x4.add(v128.load(from), f32x4.convert_i32x4_s(integers)));
}

@inline
function addressOf(x: usize, tap: usize): usize {
  return x + <usize>(load<u32>(tap) >> 8);
}

/** One segment; answers where the list goes on. */
@inline
function addSegmentVector<N>(x: usize, list: usize, from: usize, to: usize): usize {
  const n = changetype<N>(0).count();
  let all0 = i16x8.splat(0);
  let all1 = all0;
  let all2 = all0;
  let all3 = all0;
  let high0 = all0;
  let high1 = all0;
  let high2 = all0;
  let high3 = all0;
  let tap = list + 12;
  let end = tap + (<usize>load<u32>(list) << 2);
  while (tap < end) {
    const at = addressOf(x, tap);
    const v0 = v128.load(at);
    all0 = i16x8.add(all0, v0);
    high0 = i16x8.add(high0, i16x8.shr_u(v0, 8));
    if (n > 1) {
      const v1 = v128.load(at, 16);
      all1 = i16x8.add(all1, v1);
      high1 = i16x8.add(high1, i16x8.shr_u(v1, 8));
    }
    if (n > 2) {
      const v2 = v128.load(at, 32);
      all2 = i16x8.add(all2, v2);
      high2 = i16x8.add(high2, i16x8.shr_u(v2, 8));
    }
    if (n > 3) {
      const v3 = v128.load(at, 48);
      all3 = i16x8.add(all3, v3);
      high3 = i16x8.add(high3, i16x8.shr_u(v3, 8));
    }
    tap += 4;
  }
  end = tap + (<usize>load<u32>(list, 4) << 2);
  while (tap < end) {
    const at = addressOf(x, tap);
    const w = v128.load8_splat(tap);
    const v0 = i8x16.min_u(v128.load(at), w);
    all0 = i16x8.add(all0, v0);
    high0 = i16x8.add(high0, i16x8.shr_u(v0, 8));
    if (n > 1) {
      const v1 = i8x16.min_u(v128.load(at, 16), w);
      all1 = i16x8.add(all1, v1);
      high1 = i16x8.add(high1, i16x8.shr_u(v1, 8));
    }
    if (n > 2) {
      const v2 = i8x16.min_u(v128.load(at, 32), w);
      all2 = i16x8.add(all2, v2);
      high2 = i16x8.add(high2, i16x8.shr_u(v2, 8));
    }
    if (n > 3) {
      const v3 = i8x16.min_u(v128.load(at, 48), w);
      all3 = i16x8.add(all3, v3);
      high3 = i16x8.add(high3, i16x8.shr_u(v3, 8));
    }
    tap += 4;
  }
  for (let sizes = load<u32>(list, 8); sizes > 0; sizes--) {
    const kind = load<u32>(tap);
    const bytes = <usize>(kind & ~1);
    end = tap + 8 + bytes * <usize>load<u32>(tap, 4);
    tap += 8;
    if (kind & 1) {
      while (tap < end) {
        let at = addressOf(x, tap);
        let v0 = v128.load(at);
        let v1 = n > 1 ? v128.load(at, 16) : v0;
        let v2 = n > 2 ? v128.load(at, 32) : v0;
        let v3 = n > 3 ? v128.load(at, 48) : v0;
        const last = tap + bytes;
        tap += 4;
        while (tap < last) {
          at = addressOf(x, tap);
          v0 = i8x16.add(v0, v128.load(at));
          if (n > 1) v1 = i8x16.add(v1, v128.load(at, 16));
          if (n > 2) v2 = i8x16.add(v2, v128.load(at, 32));
          if (n > 3) v3 = i8x16.add(v3, v128.load(at, 48));
          tap += 4;
        }
        all0 = i16x8.add(all0, v0);
        high0 = i16x8.add(high0, i16x8.shr_u(v0, 8));
        if (n > 1) {
          all1 = i16x8.add(all1, v1);
          high1 = i16x8.add(high1, i16x8.shr_u(v1, 8));
        }
        if (n > 2) {
          all2 = i16x8.add(all2, v2);
          high2 = i16x8.add(high2, i16x8.shr_u(v2, 8));
        }
        if (n > 3) {
          all3 = i16x8.add(all3, v3);
          high3 = i16x8.add(high3, i16x8.shr_u(v3, 8));
        }
      }
    } else {
      while (tap < end) {
        let at = addressOf(x, tap);
        let w = v128.load8_splat(tap);
        let v0 = i8x16.min_u(v128.load(at), w);
        let v1 = n > 1 ? i8x16.min_u(v128.load(at, 16), w) : w;
        let v2 = n > 2 ? i8x16.min_u(v128.load(at, 32), w) : w;
        let v3 = n > 3 ? i8x16.min_u(v128.load(at, 48), w) : w;
        const last = tap + bytes;
        tap += 4;
        while (tap < last) {
          at = addressOf(x, tap);
          w = v128.load8_splat(tap);
          v0 = i8x16.add(v0, i8x16.min_u(v128.load(at), w));
          if (n > 1) v1 = i8x16.add(v1, i8x16.min_u(v128.load(at, 16), w));
          if (n > 2) v2 = i8x16.add(v2, i8x16.min_u(v128.load(at, 32), w));
          if (n > 3) v3 = i8x16.add(v3, i8x16.min_u(v128.load(at, 48), w));
          tap += 4;
        }
        all0 = i16x8.add(all0, v0);
        high0 = i16x8.add(high0, i16x8.shr_u(v0, 8));
        if (n > 1) {
          all1 = i16x8.add(all1, v1);
          high1 = i16x8.add(high1, i16x8.shr_u(v1, 8));
        }
        if (n > 2) {
          all2 = i16x8.add(all2, v2);
          high2 = i16x8.add(high2, i16x8.shr_u(v2, 8));
        }
        if (n > 3) {
          all3 = i16x8.add(all3, v3);
          high3 = i16x8.add(high3, i16x8.shr_u(v3, 8));
        }
      }
    }
  }
  widen(all0, high0, from, to);
  if (n > 1) widen(all1, high1, from + 64, to + 64);
  if (n > 2) widen(all2, high2, from + 128, to + 128);
  if (n > 3) widen(all3, high3, from + 192, to + 192);
  return tap;
}

@inline
function addTapScalar(x: usize, tap: usize, to: usize, pixels: i32): void {
  const at = addressOf(x, tap);
  const w = <u32>load<u8>(tap);
  for (let i = 0; i < pixels; i++) {
    const total = to + (<usize>i << 2);
    store<f32>(total, load<f32>(total) + <f32>min<u32>(load<u8>(at + i), w));
  }
}

function addSegmentScalar(x: usize, list: usize, to: usize, pixels: i32): usize {
  let tap = list + 12;
  let end = tap + (<usize>(load<u32>(list) + load<u32>(list, 4)) << 2);
  for (; tap < end; tap += 4) addTapScalar(x, tap, to, pixels);
  for (let sizes = load<u32>(list, 8); sizes > 0; sizes--) {
    end = tap + 8 + <usize>(load<u32>(tap) & ~1) * <usize>load<u32>(tap, 4);
    for (tap += 8; tap < end; tap += 4) addTapScalar(x, tap, to, pixels);
  }
  return tap;
}

/**
 * to[p] = start[p] + Σ min(x[offset + p], w) over a list of taps, for `vectors` <= 4 times sixteen pixels, as float32 (exact: below
 * 2^23). Answers the end of the list.
 */
export function sumCodes(x: usize, list: usize, start: usize, to: usize, vectors: i32): usize {
  const segments = load<u32>(list);
  list += 4;
  if (!ASC_FEATURE_SIMD) memory.copy(to, start, <usize>vectors << 6);
  for (let segment: u32 = 0; segment < segments; segment++) {
    const from = segment ? to : start;
    if (!ASC_FEATURE_SIMD) list = addSegmentScalar(x, list, to, vectors << 4);
    else if (vectors == 4) list = addSegmentVector<Four>(x, list, from, to);
    else if (vectors == 3) list = addSegmentVector<Three>(x, list, from, to);
    else if (vectors == 2) list = addSegmentVector<Two>(x, list, from, to);
    else list = addSegmentVector<One>(x, list, from, to);
  }
  return list;
}
