// What can be told of operands by looking at them once. A binary of its own: only custom ops inside onnxruntime need it.

/**
 * All 32-bit words of `bytes` bytes at x or'ed; what is left over at the end counts as a word. Stops early where bits of `enough` are
 * set.
 */
export function seen_bits(x: usize, bytes: usize, enough: u32): u32 {
  let bits: u64 = 0;
  const both = ((<u64>enough) << 32) | <u64>enough;
  const end = x + bytes;
  while (x + 256 <= end) {
    let a: u64 = 0;
    let b: u64 = 0;
    const stop = x + 256;
    for (; x < stop; x += 32) {
      a |= load<u64>(x) | load<u64>(x, 8);
      b |= load<u64>(x, 16) | load<u64>(x, 24);
    }
    bits |= a | b;
    if (bits & both) break;
  }
  if (bits & both) return <u32>bits | <u32>(bits >> 32);
  for (; x + 4 <= end; x += 4) bits |= <u64>load<u32>(x);
  for (; x < end; x++) bits |= <u64>load<u8>(x);
  return <u32>bits | <u32>(bits >> 32);
}
