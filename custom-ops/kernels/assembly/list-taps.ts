// Lists of live taps out of weights [m][k], made once when a plan is made: for each chunk of `span` taps a list for each channel, in
// front of all the number of chunks. Taps are elements `offsets[k]` from the start of their group's planes; the groups of `perGroup`
// channels are `groupElements` apart; `first` is the number of the first channel. sums[m] = Σ|w|, as float64.
//
// Answers go to the start of scratch: the address behind the lists, and the number of taps in them.

@inline
function groupStart(channel: i32, first: i32, perGroup: i32, groupElements: i32): u32 {
  return <u32>((first + channel) / perGroup * groupElements);
}

@inline
function tapAt(offsets: usize, i: i32): u32 {
  return load<u32>(offsets + (<usize>i << 2));
}

/** Lists as sum-floats.ts reads them. */
export function f32_list_taps(
  w: usize, offsets: usize, y: usize, sums: usize, scratch: usize,
  k: i32, m: i32, first: i32, perGroup: i32, groupElements: i32, span: i32,
): void {
  let live: u32 = 0;
  memory.fill(sums, 0, <usize>m << 3);
  store<u32>(y, (k + span - 1) / span);
  y += 4;
  for (let begin = 0; begin < k; begin += span) {
    const end = min(k, begin + span);
    for (let channel = 0; channel < m; channel++) {
      const row = w + (<usize>channel * <usize>k << 2);
      const start = groupStart(channel, first, perGroup, groupElements);
      const header = y;
      let sum: f64 = 0;
      y += 4;
      for (let i = begin; i < end; i++) {
        const weight = load<f32>(row + (<usize>i << 2));
        sum += abs<f64>(weight);
        if (!(weight > 0)) continue;
        store<u32>(y, (start + tapAt(offsets, i)) << 2);
        store<f32>(y, weight, 4);
        y += 8;
      }
      const count = <u32>(y - header - 4) >> 3;
      store<u32>(header, count);
      live += count;
      const total = sums + (<usize>channel << 3);
      store<f64>(total, load<f64>(total) + sum);
    }
  }
  store<u32>(scratch, <u32>y);
  store<u32>(scratch, live, 4);
}

/** What the weights of a segment, and of a bundle, add up to at most. */
const segmentLimit: u32 = 65535;
const bundleLimit: i32 = 255;
/** Beyond that, what a bundle costs beside its taps does not count. */
const bundleTaps: u32 = 16;
const bundleBytes: usize = 64;

/**
 * Scratch: the two answers, two bundles that are open at the same time, which sizes of bundles there are (a bit each), and the bundles of
 * every size: how many taps, then the taps. Single taps are bundles of one; plain taps stand in front.
 */
const openAt: usize = 8;
const sizesAt: usize = openAt + 2 * bundleBytes;
const pilesAt: usize = sizesAt + 4;

@inline
function pileBytes(span: i32): usize {
  return 4 + (<usize>span << 2);
}

/** Puts the bundle from `bundle` to `end` to those of its size. */
function closeBundle(bundle: usize, end: usize, scratch: usize, span: i32): void {
  const size = <u32>(end - bundle) >> 2;
  const pile = scratch + pilesAt + <usize>size * pileBytes(span);
  const count = load<u32>(pile);
  store<u32>(pile, count + size);
  store<u32>(scratch + sizesAt, load<u32>(scratch + sizesAt) | (1 << size));
  for (let to = pile + 4 + (<usize>count << 2); bundle < end; bundle += 4) {
    store<u32>(to, load<u32>(bundle));
    to += 4;
  }
}

@inline
function appendPile(pile: usize, y: usize): usize {
  const bytes = <usize>load<u32>(pile) << 2;
  memory.copy(y, pile + 4, bytes);
  store<u32>(pile, 0);
  return y + bytes;
}

/** Plain taps as bundles of one size, and of what is left. */
function writePlainBundles(pile: usize, y: usize, sizes: usize, size: u32): usize {
  let from = pile + 4;
  for (let left = load<u32>(pile); left > 0; ) {
    const taps = min(left, size);
    const count = left / taps;
    const bytes = <usize>(taps * count) << 2;
    store<u32>(sizes, load<u32>(sizes) + 1);
    store<u32>(y, (taps << 2) | 1);
    store<u32>(y, count, 4);
    memory.copy(y + 8, from, bytes);
    y += 8 + bytes;
    from += bytes;
    left -= taps * count;
  }
  store<u32>(pile, 0);
  return y;
}

/** Writes a segment and empties the piles; answers where the list goes on. */
function writeSegment(y: usize, scratch: usize, span: i32, plainSize: u32): usize {
  const plain = scratch + pilesAt;
  const singles = plain + pileBytes(span);
  const sizes = y + 8;
  store<u32>(y, plainSize == 1 ? load<u32>(plain) : 0);
  store<u32>(y, load<u32>(singles), 4);
  store<u32>(sizes, 0);
  y += 12;
  if (plainSize == 1) y = appendPile(plain, y);
  y = appendPile(singles, y);
  if (plainSize > 1) y = writePlainBundles(plain, y, sizes, plainSize);
  // No taps, and single ones, are no sizes.
  let left = load<u32>(scratch + sizesAt) & ~3;
  store<u32>(scratch + sizesAt, 0);
  store<u32>(sizes, load<u32>(sizes) + popcnt<u32>(left));
  for (; left; left &= left - 1) {
    const size = ctz<u32>(left);
    const pile = plain + <usize>size * pileBytes(span);
    store<u32>(y, size << 2);
    store<u32>(y, load<u32>(pile) / size, 4);
    y = appendPile(pile, y + 8);
  }
  return y;
}

/**
 * Lists as sum-codes.ts reads them. `mostCode` bounds the codes of x: of a weight that large or larger the minimum is x itself, which
 * makes the tap a plain one. The others go to the open bundle that they fill best; where they fit into none, the fuller one is closed.
 * Of all that runs before a first answer this takes longest, in code that engines have not optimised yet: it should do little for a tap.
 */
export function u8_list_taps(
  w: usize, offsets: usize, y: usize, sums: usize, scratch: usize,
  k: i32, m: i32, first: i32, perGroup: i32, groupElements: i32, span: i32, mostCode: u32,
): void {
  const plain = scratch + pilesAt;
  const a = scratch + openAt;
  const b = a + bundleBytes;
  const plainSize = min(bundleTaps, max<u32>(1, <u32>bundleLimit / max<u32>(1, mostCode)));
  let live: u32 = 0;
  memory.fill(sums, 0, <usize>m << 3);
  store<u32>(scratch + sizesAt, 0);
  for (let size: u32 = 0; size <= bundleTaps; size++) store<u32>(plain + <usize>size * pileBytes(span), 0);
  store<u32>(y, (k + span - 1) / span);
  y += 4;
  for (let begin = 0; begin < k; begin += span) {
    const end = min(k, begin + span);
    for (let channel = 0; channel < m; channel++) {
      const row = w + <usize>channel * <usize>k;
      const start = groupStart(channel, first, perGroup, groupElements);
      const header = y;
      let segments: u32 = 1;
      let sum: u32 = 0;
      let inSegment: u32 = 0;
      let roomA = bundleLimit;
      let roomB = bundleLimit;
      let endA = a;
      let endB = b;
      let endPlain = plain + 4;
      y += 4;
      for (let i = begin; i < end; i++) {
        const code = <u32>load<u8>(row + i);
        if (!code) continue;
        const weight = min(code, mostCode);
        inSegment += weight;
        if (inSegment > segmentLimit) {
          closeBundle(a, endA, scratch, span);
          closeBundle(b, endB, scratch, span);
          store<u32>(plain, <u32>(endPlain - plain - 4) >> 2);
          y = writeSegment(y, scratch, span, plainSize);
          segments++;
          inSegment = weight;
          roomA = roomB = bundleLimit;
          endA = a;
          endB = b;
          endPlain = plain + 4;
        }
        sum += code;
        live++;
        const tap = ((start + tapAt(offsets, i)) << 8) | weight;
        if (weight == mostCode) {
          store<u32>(endPlain, tap);
          endPlain += 4;
          continue;
        }
        const leftA = roomA - <i32>weight;
        const leftB = roomB - <i32>weight;
        if (leftA >= 0 && (leftB < 0 || leftA <= leftB)) {
          store<u32>(endA, tap);
          endA += 4;
          roomA = leftA;
          if (endA == b) {
            closeBundle(a, b, scratch, span);
            endA = a;
            roomA = bundleLimit;
          }
        } else if (leftB >= 0) {
          store<u32>(endB, tap);
          endB += 4;
          roomB = leftB;
          if (endB == b + bundleBytes) {
            closeBundle(b, endB, scratch, span);
            endB = b;
            roomB = bundleLimit;
          }
        } else if (roomA <= roomB) {
          closeBundle(a, endA, scratch, span);
          store<u32>(a, tap);
          endA = a + 4;
          roomA = bundleLimit - <i32>weight;
        } else {
          closeBundle(b, endB, scratch, span);
          store<u32>(b, tap);
          endB = b + 4;
          roomB = bundleLimit - <i32>weight;
        }
      }
      closeBundle(a, endA, scratch, span);
      closeBundle(b, endB, scratch, span);
      store<u32>(plain, <u32>(endPlain - plain - 4) >> 2);
      y = writeSegment(y, scratch, span, plainSize);
      store<u32>(header, segments);
      const total = sums + (<usize>channel << 3);
      store<f64>(total, load<f64>(total) + <f64>sum);
    }
  }
  store<u32>(scratch, <u32>y);
  store<u32>(scratch, live, 4);
}
