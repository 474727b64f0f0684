// Lists of live taps for the sparse kernels: weights of 0 add nothing to a sum of minima and are left out.

export interface TapLists {
  /** The lists of all output channels, one after the other. */
  readonly words: Uint32Array;
  /** Where the list of each channel starts, in words; at the end where the last one ends. */
  readonly starts: Uint32Array;
  /** Sum of the weights' sizes, by channel. */
  readonly sums: Float64Array;
  /** Taps in lists. */
  readonly live: number;
}

/** Taps of one output channel: elements from the start of its group's planes, and where that group starts. */
export interface TapPlaces {
  readonly offsets: Uint32Array;
  readonly groupStart: (channel: number) => number;
}

/** Per output channel: count, then offset in bytes and weight of each tap with w > 0. */
export function floatLists(w: Float32Array, channels: number, { offsets, groupStart }: TapPlaces): TapLists {
  const k = offsets.length;
  const words = new Uint32Array(channels * (2 * k + 1));
  const weights = new Float32Array(words.buffer);
  const starts = new Uint32Array(channels + 1);
  const sums = new Float64Array(channels);
  let [length, live] = [0, 0];
  for (let m = 0; m < channels; m++) {
    const [header, start] = [length++, groupStart(m)];
    starts[m] = header;
    let sum = 0;
    for (let i = 0; i < k; i++) {
      const weight = w[m * k + i]!;
      sum += Math.abs(weight);
      if (!(weight > 0)) continue;
      words[length] = (start + offsets[i]!) * 4;
      weights[length + 1] = weight;
      length += 2;
    }
    sums[m] = sum;
    words[header] = (length - header - 1) / 2;
    live += words[header];
  }
  starts[channels] = length;
  return { words: words.slice(0, length), starts, sums, live };
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

/** Words a list can have beside its taps: its own header, and the headers of segments of at least 257 taps. */
const headerWords = (k: number): number => 1 + (3 + 2 * bundleTaps) * (Math.ceil(k / 257) + 1);

/**
 * Per output channel the list that sum-codes.ts describes. `mostCode` bounds the codes of x: of a weight that large or larger the
 * minimum is x itself.
 */
export function codeLists(
  w: Uint8Array,
  channels: number,
  { offsets, groupStart }: TapPlaces,
  mostCode: number,
): TapLists {
  const k = offsets.length;
  // A plain tap is cheaper than a single one, but bundles of several are cheaper still.
  const hasPlain = 2 * mostCode > bundleLimit;
  const words = new Uint32Array(channels * (k + headerWords(k)));
  const [starts, sums] = [new Uint32Array(channels + 1), new Float64Array(channels)];
  const segment = makeSegment(k);
  let [length, live] = [0, 0];
  for (let m = 0; m < channels; m++) {
    const [header, start] = [length++, groupStart(m)];
    starts[m] = header;
    let [sum, inSegment] = [0, 0];
    for (let i = 0; i < k; i++) {
      const code = w[m * k + i]!;
      if (code === 0) continue;
      const weight = Math.min(code, mostCode);
      if (inSegment + weight > segmentLimit) {
        length = writeSegment(segment, words, length);
        words[header]!++;
        inSegment = 0;
      }
      inSegment += weight;
      sum += code;
      live++;
      const tap = (((start + offsets[i]!) << 8) | weight) >>> 0;
      if (hasPlain && weight === mostCode) segment.plain[segment.plainCount++] = tap;
      else addToBundle(segment, tap, weight);
    }
    length = writeSegment(segment, words, length);
    words[header]!++;
    sums[m] = sum;
  }
  starts[channels] = length;
  return { words: words.slice(0, length), starts, sums, live };
}
