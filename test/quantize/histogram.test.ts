// Streaming histograms against the sorted values themselves, and the ranges taken from them.

import { describe, expect, test } from "vitest";
import { encode, type Grid } from "../../converter/quantize/grid.ts";
import { filledBins, type Histogram, makeHistogram, quantile } from "../../converter/quantize/histogram.ts";
import { bestCandidate, codingError, gridByHistogram } from "../../converter/quantize/ranges.ts";
import { randomNumbers } from "../core/suites/op-case.ts";

function histogramOf(...chunks: readonly (readonly number[])[]): Histogram {
  const builder = makeHistogram("value");
  for (const chunk of chunks) builder.add(Float32Array.from(chunk));
  return builder.result();
}

/** Products of uniforms: many small values and few large ones, as activations are. */
function tailed(count: number, seed: number, isSigned: boolean): number[] {
  const [a, b, c] = [0, 1, 2].map((index) => randomNumbers(count, seed + index));
  return a!.map((x, index) =>
    Math.fround(4 * (isSigned ? x : Math.abs(x)) * b![index]! ** 2 * c![index]! ** 2),
  );
}

describe("histogram", () => {
  test.each([false, true])("quantiles are those of the sorted values, signed: %s", (isSigned) => {
    // Ever larger chunks, so that the range doubles many times.
    const chunks = [1e-3, 0.02, 1, 7, 300].map((factor, index) =>
      tailed(3000, index * 10, isSigned).map((value) => value * factor),
    );
    const histogram = histogramOf(...chunks);
    const sorted = chunks
      .flat()
      .map(Math.fround)
      .sort((a, b) => a - b);
    expect(histogram.total).toBe(15000);
    expect([histogram.min, histogram.max]).toEqual([sorted[0], sorted.at(-1)]);
    const width = (2 * histogram.reach) / 4096;
    expect(histogram.reach).toBeLessThan(2.1 * Math.max(-sorted[0]!, sorted.at(-1)!));
    for (const share of [0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9997, 1]) {
      const wanted = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
      expect(Math.abs(quantile(histogram, share) - wanted)).toBeLessThanOrEqual(width);
    }
  });

  test("every element is in one bin, zeros before anything else included", () => {
    const histogram = histogramOf([0, 0, 0], [0, 1e-3], [-5, 5]);
    expect([...filledBins(histogram)].reduce((sum, [, count]) => sum + count, 0)).toBe(7);
    expect(histogramOf([0, 0]).reach).toBe(0);
    expect(quantile(histogramOf([0, 0]), 0.99)).toBe(0);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%f is refused", (value) => {
    expect(() => histogramOf([1, 2], [3, value, 4])).toThrow(
      expect.objectContaining({ code: "ADN_DATA", message: expect.stringContaining('"value"') }),
    );
  });
});

describe("ranges", () => {
  const values = tailed(20000, 5, false);
  const histogram = histogramOf(values);
  const reach = ({ step, maxCode, zeroPoint }: Grid) => step * (maxCode - zeroPoint);

  test("minmax covers everything", async () => {
    expect(reach(await gridByHistogram("minmax", histogram, 255))).toBeCloseTo(Math.max(...values), 5);
  });

  test("percentile keeps its share", async () => {
    for (const percentile of [99, 99.9, 99.99]) {
      const high = reach(await gridByHistogram("percentile", histogram, 15, percentile));
      const kept = values.filter((value) => value <= high).length / values.length;
      expect(kept).toBeGreaterThanOrEqual(percentile / 100);
      expect(kept).toBeLessThan(percentile / 100 + 0.002);
    }
  });

  test("percentile cuts both tails of signed values", async () => {
    const signed = tailed(20000, 6, true);
    const { step, zeroPoint, maxCode } = await gridByHistogram("percentile", histogramOf(signed), 255, 99);
    const [low, high] = [-zeroPoint * step, (maxCode - zeroPoint) * step];
    const below = signed.filter((value) => value < low).length / signed.length;
    const above = signed.filter((value) => value > high).length / signed.length;
    for (const share of [below, above]) expect(Math.abs(share - 0.005)).toBeLessThan(0.001);
  });

  /** Squared distance to the decoded codes, element by element. */
  function plainError(grid: Grid): number {
    const floats = Float32Array.from(values);
    const codes = encode(floats, grid);
    return (
      values.reduce((sum, value, i) => sum + (value - (codes[i]! - grid.zeroPoint) * grid.step) ** 2, 0) /
      values.length
    );
  }

  test.each([7, 15, 63])("mse is within three percent of the best clip for %i codes", async (maxCode) => {
    const grid = await gridByHistogram("mse", histogram, maxCode);
    const most = Math.max(...values);
    const errors = Array.from({ length: 400 }, (_, index) =>
      plainError({ step: Math.fround((most * (index + 1)) / 400 / maxCode), zeroPoint: 0, maxCode }),
    );
    expect(plainError(grid)).toBeLessThan(Math.min(...errors) * 1.03);
    expect(codingError(histogram, grid)).toBeCloseTo(plainError(grid), 5);
  });

  test("candidates stop after four that are no better", async () => {
    const seen: number[] = [];
    const best = await bestCandidate(histogram, 255, (grid) => {
      seen.push(grid.step);
      return Math.abs(seen.length - 6);
    });
    expect(seen).toHaveLength(10);
    expect(best.grid.step).toBe(seen[5]);
  });
});
