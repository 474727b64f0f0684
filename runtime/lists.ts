// Lists of live taps for the sparse kernels: weights of 0 add nothing to a sum of minima and are left out.

export interface TapLists {
  /** The lists of all parts, one after the other. */
  readonly words: Uint32Array;
  readonly parts: readonly ListPart[];
  /** Sum of the weights' sizes, by channel. */
  readonly sums: Float64Array;
  /** Taps in lists. */
  readonly live: number;
}

/** Output channels that one call of a kernel makes. */
export interface ListPart {
  readonly first: number;
  readonly count: number;
  /** Where their lists start, in words. */
  readonly start: number;
}

/** Taps of one output channel: elements from the start of its group's planes, and where that group starts. */
export interface TapPlaces {
  readonly offsets: Uint32Array;
  readonly groupStart: (channel: number) => number;
}

/** Lists are read for every block of pixels: they should stay in a second-level cache. */
const partBytes = 2 ** 18;
/** The sums of a block for that many channels fit beside its pixels. */
const mostChannels = 128;

/** First channels of parts as even as can be; a part has whole groups, or lies in one. */
function partStarts(channels: number, groups: number, bytesPerChannel: number): number[] {
  const perGroup = channels / groups;
  const fitting = Math.max(1, Math.min(mostChannels, Math.floor(partBytes / bytesPerChannel)));
  const unit = groups === 1 ? 1 : perGroup;
  const units = Math.max(1, Math.floor(fitting / unit));
  const parts = Math.ceil(channels / unit / units);
  const size = Math.ceil(channels / unit / parts) * unit;
  return Array.from({ length: Math.ceil(channels / size) }, (_, part) => part * size);
}

/** Writes the taps `begin` to `end` of a channel to words, from `at` on; answers where it ended. */
type WriteList = (channel: number, begin: number, end: number, words: Uint32Array, at: number) => number;

/** Lists by part, chunk of taps and channel. */
function writeParts(
  w: ArrayLike<number>,
  channels: number,
  groups: number,
  { k, span, tapWords, headerWords }: Readonly<Record<"k" | "span" | "tapWords" | "headerWords", number>>,
  write: WriteList,
): TapLists {
  const chunks = Math.max(1, Math.ceil(k / span));
  // About half of the taps are live.
  const starts = partStarts(channels, groups, (k * tapWords * 4) / 2);
  let live = 0;
  const sums = new Float64Array(channels);
  for (let i = 0; i < channels * k; i++) if (w[i]! > 0) live++;
  for (let m = 0; m < channels; m++) {
    let sum = 0;
    for (let i = m * k; i < (m + 1) * k; i++) sum += Math.abs(w[i]!);
    sums[m] = sum;
  }
  const words = new Uint32Array(live * tapWords + channels * chunks * headerWords + starts.length);
  const parts: ListPart[] = [];
  let at = 0;
  for (const [index, first] of starts.entries()) {
    const end = starts[index + 1] ?? channels;
    parts.push({ first, count: end - first, start: at });
    words[at++] = chunks;
    for (let begin = 0; begin < chunks * span; begin += span) {
      for (let m = first; m < end; m++) at = write(m, begin, Math.min(k, begin + span), words, at);
    }
  }
  return { words: words.slice(0, at), parts, sums, live };
}

/** Taps whose pixels stay in a first-level cache while all channels go through them, and whose sums stay accurate. */
const floatSpan = 128;

/** For the kernel over floats: each list is a count, then offset in bytes and weight of each tap with w > 0. */
export function floatLists(
  w: Float32Array,
  channels: number,
  groups: number,
  { offsets, groupStart }: TapPlaces,
): TapLists {
  const k = offsets.length;
  const bits = new Uint32Array(w.buffer, w.byteOffset, w.length);
  return writeParts(
    w,
    channels,
    groups,
    { k, span: floatSpan, tapWords: 2, headerWords: 1 },
    (m, begin, end, words, header) => {
      const start = groupStart(m);
      let at = header + 1;
      for (let i = begin; i < end; i++) {
        if (!(w[m * k + i]! > 0)) continue;
        words[at] = (start + offsets[i]!) * 4;
        words[at + 1] = bits[m * k + i]!;
        at += 2;
      }
      words[header] = (at - header - 1) / 2;
      return at;
    },
  );
}

/** Offsets of code lists have 24 bits. */
export const mostCodeElements = 2 ** 24;
/** What the weights of a segment, and of a bundle, add up to at most. */
const [segmentLimit, bundleLimit] = [65535, 255];
const bundleTaps = 4;
/** Bundles that are open at the same time: enough to fill most of them, few enough to look through. */
const openBundles = 4;

/** Taps of one segment, sorted as they are listed: plain ones, and bundles of 1 to `bundleTaps`. */
interface Segment {
  readonly plain: Uint32Array;
  plainCount: number;
  /** By size less one: taps of all bundles of that size. */
  readonly bundles: readonly Uint32Array[];
  readonly counts: Uint32Array;
  /** Open bundles: sum, size and taps of each; size 0 where there is none. */
  readonly openSums: Uint32Array;
  readonly openSizes: Uint32Array;
  readonly openTaps: Uint32Array;
}

function makeSegment(k: number): Segment {
  return {
    plain: new Uint32Array(k),
    plainCount: 0,
    bundles: Array.from({ length: bundleTaps }, () => new Uint32Array(k)),
    counts: new Uint32Array(bundleTaps),
    openSums: new Uint32Array(openBundles),
    openSizes: new Uint32Array(openBundles),
    openTaps: new Uint32Array(openBundles * bundleTaps),
  };
}

function closeBundle(segment: Segment, at: number): void {
  const { bundles, counts, openSums, openSizes, openTaps } = segment;
  const size = openSizes[at]!;
  if (size === 0) return;
  const to = bundles[size - 1]!;
  for (let i = 0; i < size; i++) to[counts[size - 1]! + i] = openTaps[at * bundleTaps + i]!;
  counts[size - 1]! += size;
  openSizes[at] = 0;
  openSums[at] = 0;
}

/** Adds a tap to the fullest open bundle that has room for its weight; where none has, the fullest makes way for a new one. */
function addToBundle(segment: Segment, tap: number, weight: number): void {
  const { openSums, openSizes, openTaps } = segment;
  let [best, fullest] = [-1, 0];
  for (let at = 0; at < openBundles; at++) {
    const sum = openSums[at]!;
    if (sum + weight <= bundleLimit && (best < 0 || sum > openSums[best]!)) best = at;
    if (sum > openSums[fullest]!) fullest = at;
  }
  // A bundle that is not open has sum 0: it is taken last of those that fit.
  const at = best < 0 ? fullest : best;
  if (best < 0) closeBundle(segment, at);
  openTaps[at * bundleTaps + openSizes[at]!++] = tap;
  openSums[at]! += weight;
  if (openSizes[at] === bundleTaps) closeBundle(segment, at);
}

/** Writes a segment and empties it; answers where the list goes on. */
function writeSegment(segment: Segment, words: Uint32Array, start: number): number {
  for (let at = 0; at < openBundles; at++) closeBundle(segment, at);
  const { plain, plainCount, bundles, counts } = segment;
  let at = start + 3;
  const append = (taps: Uint32Array, count: number): void => {
    for (let i = 0; i < count; i++) words[at++] = taps[i]!;
  };
  words[start] = plainCount;
  words[start + 1] = counts[0]!;
  append(plain, plainCount);
  append(bundles[0]!, counts[0]!);
  for (let size = 2; size <= bundleTaps; size++) {
    const count = counts[size - 1]!;
    if (count === 0) continue;
    words[start + 2]!++;
    words[at++] = size * 4;
    words[at++] = count / size;
    append(bundles[size - 1]!, count);
  }
  segment.plainCount = 0;
  counts.fill(0);
  return at;
}

/** As above, for codes: 64 pixels of them are no more than 16 of floats. */
const codeSpan = 512;
/** Words a list can have beside its taps: its own header, and those of the segments that 512 taps can make. */
const codeHeaderWords = 1 + 3 * (3 + 2 * (bundleTaps - 1));

/**
 * For the kernels over codes: each list is what sum-codes.ts describes. `mostCode` bounds the codes of x: of a weight that large or
 * larger the minimum is x itself.
 */
export function codeLists(
  w: Uint8Array,
  channels: number,
  groups: number,
  { offsets, groupStart }: TapPlaces,
  mostCode: number,
): TapLists {
  const k = offsets.length;
  // A plain tap is cheaper than a single one, but bundles of several are cheaper still.
  const hasPlain = 2 * mostCode > bundleLimit;
  const segment = makeSegment(codeSpan);
  const write: WriteList = (m, begin, end, words, header) => {
    const start = groupStart(m);
    let [at, sum] = [header + 1, 0];
    words[header] = 1;
    for (let i = begin; i < end; i++) {
      const weight = Math.min(w[m * k + i]!, mostCode);
      if (weight === 0) continue;
      if (sum + weight > segmentLimit) {
        at = writeSegment(segment, words, at);
        words[header]!++;
        sum = 0;
      }
      sum += weight;
      const tap = (((start + offsets[i]!) << 8) | weight) >>> 0;
      if (hasPlain && weight === mostCode) segment.plain[segment.plainCount++] = tap;
      else addToBundle(segment, tap, weight);
    }
    return writeSegment(segment, words, at);
  };
  const sizes = { k, span: codeSpan, tapWords: 1, headerWords: codeHeaderWords };
  return writeParts(w, channels, groups, sizes, write);
}
