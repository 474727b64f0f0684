// Counts of a value's elements in bins over a range that doubles when it must: bounded memory, one pass.

import { AdderNetError } from "../../src/core/errors.ts";

const binCount = 4096;
const half = binCount / 2;

export interface Histogram {
  /** Bins cover [-reach, reach); 0 until an element other than 0 was seen. */
  readonly reach: number;
  readonly counts: Float64Array;
  readonly min: number;
  readonly max: number;
  readonly total: number;
}

/** Neighbouring bins become one, on both sides of 0. */
function doubled(counts: Float64Array): Float64Array<ArrayBuffer> {
  const merged = new Float64Array(binCount);
  for (let bin = 0; bin < binCount; bin++) merged[half + Math.floor((bin - half) / 2)]! += counts[bin]!;
  return merged;
}

function notFinite(name: string): AdderNetError {
  return new AdderNetError("ADN_DATA", `the value "${name}" is not finite on a sample`, {
    fix: "check how the samples are normalised",
  });
}

export interface HistogramBuilder {
  /** Counts more elements. NaN and infinities are ADN_DATA. */
  add(values: Float32Array): void;
  result(): Histogram;
}

export function makeHistogram(name: string): HistogramBuilder {
  let counts = new Float64Array(binCount);
  let [reach, min, max, total] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  function widen(low: number, high: number): void {
    const wanted = Math.max(-low, high);
    if (reach === 0 && wanted > 0) reach = wanted * 1.0001;
    while (reach <= wanted && wanted > 0) {
      counts = doubled(counts);
      reach *= 2;
    }
  }
  return {
    add(values) {
      let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (let index = 0; index < values.length; index++) {
        const value = values[index]!;
        if (!Number.isFinite(value)) throw notFinite(name);
        if (value < low) low = value;
        if (value > high) high = value;
      }
      if (values.length === 0) return;
      const hadReach = reach > 0;
      widen(low, high);
      if (!hadReach) counts[half] = total;
      const scale = reach > 0 ? half / reach : 0;
      for (let index = 0; index < values.length; index++) {
        counts[half + Math.floor(values[index]! * scale)]! += 1;
      }
      [min, max, total] = [Math.min(min, low), Math.max(max, high), total + values.length];
    },
    result: () => ({ reach, counts, min, max, total }),
  };
}

const binWidth = ({ reach }: Histogram): number => reach / half;

/** The value that `share` of all elements do not exceed, to the width of a bin and never outside what was seen. */
export function quantile(histogram: Histogram, share: number): number {
  const { counts, total, min, max, reach } = histogram;
  let below = 0;
  for (let bin = 0; bin < binCount; bin++) {
    below += counts[bin]!;
    if (below >= share * total) return Math.min(max, Math.max(min, (bin + 1 - half) * binWidth(histogram)));
  }
  return reach === 0 ? 0 : max;
}

/** Middles of the bins that hold something, with their counts. */
export function* filledBins(histogram: Histogram): Generator<readonly [value: number, count: number]> {
  const width = binWidth(histogram);
  for (let bin = 0; bin < binCount; bin++) {
    if (histogram.counts[bin]! > 0) yield [(bin - half + 0.5) * width, histogram.counts[bin]!];
  }
}
