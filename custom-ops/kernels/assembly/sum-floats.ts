// Sums of min(x, w) over some live taps of one output channel, four pixels of floats to a vector. A list of taps is their count, then
// pairs of offset in bytes and weight; x >= 0 and w >= 0, so that integer minima of the bits are minima. Sums of a list are made in
// registers and then added to what was there: lists are short enough for float32 to keep its accuracy.

@unmanaged class One { @inline count(): i32 { return 1; } }
@unmanaged class Two { @inline count(): i32 { return 2; } }
@unmanaged class Three { @inline count(): i32 { return 3; } }
@unmanaged class Four { @inline count(): i32 { return 4; } }
@unmanaged class Five { @inline count(): i32 { return 5; } }
@unmanaged class Six { @inline count(): i32 { return 6; } }
@unmanaged class Seven { @inline count(): i32 { return 7; } }

@inline
function least(sum: v128, x: v128, w: v128): v128 {
  return f32x4.add(sum, i32x4.min_s(x, w));
}

@inline
function flush(sum: v128, from: usize, to: usize): void {
  v128.store(to, f32x4.add(v128.load(from), sum));
}

/** Taps from `tap` to `end`: to = from + their sums. */
@inline
function addVector<N>(x: usize, tap: usize, end: usize, from: usize, to: usize): void {
  const n = changetype<N>(0).count();
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  while (tap < end) {
    const at = x + <usize>load<u32>(tap);
    const w = v128.load32_splat(tap, 4);
    a = least(a, v128.load(at), w);
    if (n > 1) b = least(b, v128.load(at, 16), w);
    if (n > 2) c = least(c, v128.load(at, 32), w);
    if (n > 3) d = least(d, v128.load(at, 48), w);
    if (n > 4) e = least(e, v128.load(at, 64), w);
    if (n > 5) f = least(f, v128.load(at, 80), w);
    if (n > 6) g = least(g, v128.load(at, 96), w);
    tap += 8;
  }
  flush(a, from, to);
  if (n > 1) flush(b, from + 16, to + 16);
  if (n > 2) flush(c, from + 32, to + 32);
  if (n > 3) flush(d, from + 48, to + 48);
  if (n > 4) flush(e, from + 64, to + 64);
  if (n > 5) flush(f, from + 80, to + 80);
  if (n > 6) flush(g, from + 96, to + 96);
}

function addScalar(x: usize, tap: usize, end: usize, from: usize, to: usize, pixels: i32): void {
  for (let i = 0; i < pixels; i++) {
    const at = x + (<usize>i << 2);
    let sum: f32 = 0;
    for (let t = tap; t < end; t += 8) sum += reinterpret<f32>(min<i32>(load<i32>(at + load<u32>(t)), load<i32>(t, 4)));
    store<f32>(to + (<usize>i << 2), load<f32>(from + (<usize>i << 2)) + sum);
  }
}

/** to[p] = from[p] + Σ min(x[offset + p], w) over a list of taps, for `vectors` <= 7 times four pixels. Answers the list's end. */
@inline
export function sumFloats(x: usize, list: usize, from: usize, to: usize, vectors: i32): usize {
  const tap = list + 4;
  const end = tap + (<usize>load<u32>(list) << 3);
  if (!ASC_FEATURE_SIMD) addScalar(x, tap, end, from, to, vectors << 2);
  else if (vectors == 7) addVector<Seven>(x, tap, end, from, to);
  else if (vectors == 6) addVector<Six>(x, tap, end, from, to);
  else if (vectors == 5) addVector<Five>(x, tap, end, from, to);
  else if (vectors == 4) addVector<Four>(x, tap, end, from, to);
  else if (vectors == 3) addVector<Three>(x, tap, end, from, to);
  else if (vectors == 2) addVector<Two>(x, tap, end, from, to);
  else addVector<One>(x, tap, end, from, to);
  return end;
}
