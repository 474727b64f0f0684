// Lists of live taps for the sparse kernels: weights of 0 add nothing to a sum of minima and are left out.

/** A list that grows; lengths are not known beforehand. */
interface Words {
  words: Uint32Array;
  length: number;
}

function push(list: Words, word: number): void {
  if (list.length === list.words.length) {
    const longer = new Uint32Array(2 * list.length);
    longer.set(list.words);
    list.words = longer;
  }
  list.words[list.length++] = word;
}

const floatWord = new Float32Array(1);
const wordOfFloat = new Uint32Array(floatWord.buffer);

/**
 * Per output channel: count, then offset in bytes and weight of each tap with w > 0. `offsets` are elements for the channels of a
 * group; channel m starts at `starts(m)`.
 */
export function floatLists(
  w: ArrayLike<number>,
  channels: number,
  offsets: Uint32Array,
  starts: (channel: number) => number,
): Uint32Array {
  const k = offsets.length;
  const list: Words = { words: new Uint32Array(channels * (k + 1)), length: 0 };
  for (let m = 0; m < channels; m++) {
    const header = list.length;
    push(list, 0);
    for (let i = 0; i < k; i++) {
      const weight = w[m * k + i]!;
      if (!(weight > 0)) continue;
      floatWord[0] = weight;
      push(list, (starts(m) + offsets[i]!) * 4);
      push(list, wordOfFloat[0]!);
    }
    list.words[header] = (list.length - header - 1) / 2;
  }
  return list.words.slice(0, list.length);
}

/** Offsets of code lists have 24 bits. */
export const mostCodeElements = 2 ** 24;
/** A segment's weights add up to at most this, a bundle's too. */
const segmentLimit = 65535;
const bundleLimit = 255;
const bundleTaps = 4;
/** Bundles that are open at the same time: enough to fill most of them, few enough to look through. */
const openBundles = 4;

interface Bundle {
  sum: number;
  readonly taps: number[];
}

interface Segment {
  readonly plain: number[];
  /** Taps of all bundles of a size, by size; single taps are bundles of 1. */
  readonly bundles: number[][];
}

function fullest(bundles: readonly Bundle[]): number {
  let best = 0;
  for (let i = 1; i < bundles.length; i++) if (bundles[i]!.sum > bundles[best]!.sum) best = i;
  return best;
}

/** The fullest open bundle that has room for a weight; -1 for none. */
function roomiestFor(weight: number, open: readonly Bundle[]): number {
  let best = -1;
  for (let i = 0; i < open.length; i++) {
    const { sum } = open[i]!;
    if (sum + weight <= bundleLimit && (best < 0 || sum > open[best]!.sum)) best = i;
  }
  return best;
}

function addToBundles(tap: number, weight: number, open: Bundle[], { bundles }: Segment): void {
  const close = (at: number): void => {
    const [bundle] = open.splice(at, 1);
    bundles[bundle!.taps.length - 1]!.push(...bundle!.taps);
  };
  const at = roomiestFor(weight, open);
  if (at < 0) {
    if (open.length === openBundles) close(fullest(open));
    open.push({ sum: weight, taps: [tap] });
    return;
  }
  const bundle = open[at]!;
  bundle.sum += weight;
  bundle.taps.push(tap);
  if (bundle.taps.length === bundleTaps) close(at);
}

function pushSegment(list: Words, { plain, bundles }: Segment): void {
  const [singles, ...larger] = bundles as [number[], ...number[][]];
  push(list, plain.length);
  push(list, singles.length);
  push(list, larger.filter((taps) => taps.length > 0).length);
  for (const tap of plain) push(list, tap);
  for (const tap of singles) push(list, tap);
  for (const [index, taps] of larger.entries()) {
    if (taps.length === 0) continue;
    const size = index + 2;
    push(list, size * 4);
    push(list, taps.length / size);
    for (const tap of taps) push(list, tap);
  }
}

/**
 * Per output channel the list that sum-codes.ts describes. `mostCode` bounds the codes of x: a weight that large is as good as
 * none, its tap adds x itself. `offsets` and `starts` as above.
 */
export function codeLists(
  w: Uint8Array,
  channels: number,
  offsets: Uint32Array,
  starts: (channel: number) => number,
  mostCode: number,
): Uint32Array {
  const k = offsets.length;
  // Plain taps are cheaper than single ones, but bundles of several are cheaper still.
  const hasPlain = 2 * mostCode > bundleLimit;
  const list: Words = { words: new Uint32Array(channels * (k + 4)), length: 0 };
  for (let m = 0; m < channels; m++) {
    const header = list.length;
    push(list, 0);
    let i = 0;
    do {
      const segment: Segment = { plain: [], bundles: Array.from({ length: bundleTaps }, () => []) };
      const open: Bundle[] = [];
      for (let sum = 0; i < k; i++) {
        const weight = Math.min(w[m * k + i]!, mostCode);
        if (weight === 0) continue;
        sum += weight;
        if (sum > segmentLimit) break;
        const tap = (starts(m) + offsets[i]!) * 256 + weight;
        if (hasPlain && weight === mostCode) segment.plain.push(tap);
        else addToBundles(tap, weight, open, segment);
      }
      for (const { taps } of open) segment.bundles[taps.length - 1]!.push(...taps);
      pushSegment(list, segment);
      list.words[header]!++;
    } while (i < k);
  }
  return list.words.slice(0, list.length);
}
