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
const bundleLimit: u32 = 255;
/** Beyond that, what a bundle costs beside its taps does not count. */
const bundleTaps: u32 = 16;
/** Bundles that are open at the same time: enough to fill most of them, few enough to look through. */
const openBundles: usize = 4;

/** An open bundle in scratch: sum of its weights, number of its taps, the taps. */
const openBytes: usize = 72;
/** Closed bundles of one size: their taps' number, then the taps. Single taps are bundles of one; plain taps stand in front. */
@inline
function pileBytes(span: i32): usize {
  return 4 + (<usize>span << 2);
}

@inline
function pushTap(pile: usize, tap: u32): void {
  const count = load<u32>(pile);
  store<u32>(pile + 4 + (<usize>count << 2), tap);
  store<u32>(pile, count + 1);
}

function closeBundle(bundle: usize, piles: usize, span: i32): void {
  const size = load<u32>(bundle, 4);
  const pile = piles + <usize>size * pileBytes(span);
  for (let i: u32 = 0; i < size; i++) pushTap(pile, load<u32>(bundle + 8 + (<usize>i << 2)));
  store<u64>(bundle, 0);
}

/** Adds a tap to the fullest open bundle that has room for its weight; where none has, the fullest makes way for a new one. */
function addToBundle(tap: u32, weight: u32, open: usize, piles: usize, span: i32): void {
  const end = open + openBundles * openBytes;
  let fitting: usize = 0;
  let fullest = open;
  for (let bundle = open; bundle < end; bundle += openBytes) {
    const sum = load<u32>(bundle);
    if (sum + weight <= bundleLimit && (!fitting || sum > load<u32>(fitting))) fitting = bundle;
    if (sum > load<u32>(fullest)) fullest = bundle;
  }
  if (!fitting) {
    closeBundle(fullest, piles, span);
    fitting = fullest;
  }
  const size = load<u32>(fitting, 4);
  store<u32>(fitting + 8 + (<usize>size << 2), tap);
  store<u32>(fitting, load<u32>(fitting) + weight);
  store<u32>(fitting, size + 1, 4);
  if (size + 1 == bundleTaps) closeBundle(fitting, piles, span);
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
function writeSegment(y: usize, open: usize, piles: usize, span: i32, plainSize: u32): usize {
  for (let i: usize = 0; i < openBundles; i++) closeBundle(open + i * openBytes, piles, span);
  const singles = piles + pileBytes(span);
  const plain = load<u32>(piles);
  const sizes = y + 8;
  store<u32>(y, plainSize == 1 ? plain : 0);
  store<u32>(y, load<u32>(singles), 4);
  store<u32>(sizes, 0);
  y += 12;
  if (plainSize == 1) y = appendPile(piles, y);
  y = appendPile(singles, y);
  if (plainSize > 1) y = writePlainBundles(piles, y, sizes, plainSize);
  for (let size: u32 = 2; size <= bundleTaps; size++) {
    const pile = piles + <usize>size * pileBytes(span);
    const count = load<u32>(pile);
    if (count == 0) continue;
    store<u32>(sizes, load<u32>(sizes) + 1);
    store<u32>(y, size << 2);
    store<u32>(y, count / size, 4);
    y = appendPile(pile, y + 8);
  }
  return y;
}

/**
 * Lists as sum-codes.ts reads them. `mostCode` bounds the codes of x: of a weight that large or larger the minimum is x itself, which
 * makes the tap a plain one.
 */
export function u8_list_taps(
  w: usize, offsets: usize, y: usize, sums: usize, scratch: usize,
  k: i32, m: i32, first: i32, perGroup: i32, groupElements: i32, span: i32, mostCode: u32,
): void {
  const open = scratch + 8;
  const piles = open + openBundles * openBytes;
  const plainSize = min(bundleTaps, max<u32>(1, bundleLimit / max<u32>(1, mostCode)));
  let live: u32 = 0;
  memory.fill(sums, 0, <usize>m << 3);
  memory.fill(open, 0, openBundles * openBytes);
  for (let size: u32 = 0; size <= bundleTaps; size++) store<u32>(piles + <usize>size * pileBytes(span), 0);
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
      y += 4;
      for (let i = begin; i < end; i++) {
        const code = <u32>load<u8>(row + i);
        if (code == 0) continue;
        const weight = min(code, mostCode);
        if (inSegment + weight > segmentLimit) {
          y = writeSegment(y, open, piles, span, plainSize);
          segments++;
          inSegment = 0;
        }
        inSegment += weight;
        sum += code;
        live++;
        const tap = ((start + tapAt(offsets, i)) << 8) | weight;
        if (weight == mostCode) pushTap(piles, tap);
        else addToBundle(tap, weight, open, piles, span);
      }
      y = writeSegment(y, open, piles, span, plainSize);
      store<u32>(header, segments);
      const total = sums + (<usize>channel << 3);
      store<f64>(total, load<f64>(total) + <f64>sum);
    }
  }
  store<u32>(scratch, <u32>y);
  store<u32>(scratch, live, 4);
}
