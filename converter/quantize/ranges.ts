// Which range of a value's elements gets codes: all of it, a percentile, the one of least squared error, or candidates to measure.

import { type Grid, gridOver } from "./grid.ts";
import { filledBins, type Histogram, quantile } from "./histogram.ts";

export const rangeMethods = ["auto", "minmax", "percentile", "mse"] as const;
/** "auto" measures candidates by the error of the layers that read the value. */
export type RangeMethod = (typeof rangeMethods)[number];

/** Share of elements kept, in percent, where nothing else is asked: the fewer codes, the dearer an outlier. */
const percentiles: Readonly<Record<number, number>> = {
  8: 99.99,
  7: 99.99,
  6: 99.97,
  5: 99.95,
  4: 99.9,
  3: 99.5,
};

/** Candidates shrink the observed range by this factor, again and again. */
const shrink = 0.93;

/** The observed range times shrink^index, as a grid. */
export function candidateGrid({ min, max }: Histogram, index: number, maxCode: number): Grid {
  return gridOver(min * shrink ** index, max * shrink ** index, maxCode);
}

/** Tries candidates from the widest on and answers the best; stops where four in a row were no better, or after 64. */
export async function bestCandidate(
  histogram: Histogram,
  maxCode: number,
  errorOf: (grid: Grid) => number | Promise<number>,
): Promise<{ readonly grid: Grid; readonly error: number }> {
  let best = { grid: candidateGrid(histogram, 0, maxCode), error: Number.POSITIVE_INFINITY };
  for (let index = 0, since = 0; since < 4 && index < 64; index++, since++) {
    const grid = candidateGrid(histogram, index, maxCode);
    const error = await errorOf(grid);
    if (!(error < best.error)) continue;
    best = { grid, error };
    since = -1;
  }
  return best;
}

/** Mean squared distance of the counted elements to their nearest code. */
export function codingError(histogram: Histogram, { step, zeroPoint, maxCode }: Grid): number {
  let [sum, total] = [0, 0];
  for (const [value, count] of filledBins(histogram)) {
    const code = Math.min(Math.max(Math.round(value / step) + zeroPoint, 0), maxCode);
    sum += count * (value - (code - zeroPoint) * step) ** 2;
    total += count;
  }
  return total === 0 ? 0 : sum / total;
}

function percentileGrid(histogram: Histogram, percentile: number, maxCode: number): Grid {
  const { min, max } = histogram;
  // Both tails share what is cut off; a value that is never negative has one.
  const share = (1 - percentile / 100) / (min < 0 ? 2 : 1);
  const low = min < 0 ? quantile(histogram, share) : 0;
  const high = max > 0 ? quantile(histogram, 1 - share) : 0;
  return gridOver(low, high, maxCode);
}

/** The grid by a method that needs the histogram alone. `percentile` overrides the usual one for the number of codes. */
export async function gridByHistogram(
  method: Exclude<RangeMethod, "auto">,
  histogram: Histogram,
  maxCode: number,
  percentile?: number,
): Promise<Grid> {
  if (method === "minmax") return gridOver(histogram.min, histogram.max, maxCode);
  if (method === "percentile") {
    return percentileGrid(histogram, percentile ?? percentiles[Math.log2(maxCode + 1)] ?? 99.99, maxCode);
  }
  return (await bestCandidate(histogram, maxCode, (grid) => codingError(histogram, grid))).grid;
}
