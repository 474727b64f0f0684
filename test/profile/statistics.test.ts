// Quantiles by hand, and intervals that hold the true median as often as they say.

import { describe, expect, it } from "vitest";
import { distribution, median, medianInterval, quantile, ratioOf } from "../../runtime/profile/statistics.ts";
import { seededNormal, seededUniform } from "../../src/core/sample-feeds.ts";

describe("statistics", () => {
  it("takes quantiles linearly between neighbours", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([1, 2, 3, 4, 5], 0.9)).toBeCloseTo(4.6, 12);
    expect([quantile([7], 0.99), median([3, 1, 2])]).toEqual([7, 2]);
  });

  it("tells a distribution", () => {
    const { n, min, mean, std, p50, max } = distribution([2, 4, 4, 4, 5, 5, 7, 9]);
    expect({ n, min, mean, p50, max }).toEqual({ n: 8, min: 2, mean: 5, p50: 4.5, max: 9 });
    expect(std).toBeCloseTo(Math.sqrt(32 / 7), 12);
  });

  /** How often the interval of 80 draws holds the true median, 0. */
  function coverage(correlation: number): number {
    const normal = seededNormal(seededUniform(5));
    let held = 0;
    const trials = 800;
    for (let trial = 0; trial < trials; trial++) {
      let value = normal();
      const draws = Array.from({ length: 80 }, () => {
        value = correlation * value + Math.sqrt(1 - correlation ** 2) * normal();
        return value;
      });
      const [low, high] = medianInterval(draws);
      if (low <= 0 && high >= 0) held++;
    }
    return held / trials;
  }

  it.each([
    ["independent runs", 0, 0.93, 0.99],
    ["runs that resemble their neighbours", 0.6, 0.88, 0.99],
  ])("the interval of the median holds it about 95 times of 100: %s", (_name, correlation, least, most) => {
    const share = coverage(correlation);
    expect(share).toBeGreaterThan(least);
    expect(share).toBeLessThan(most);
  });

  it("compares rounds that both took part in", () => {
    const ours = new Map([0, 1, 2, 3, 4].map((round) => [round, 1 + round / 10]));
    const peer = new Map([0, 2, 4].map((round) => [round, 2 * (1 + round / 10)]));
    const { ratio, quartiles, rounds } = ratioOf(ours, peer);
    expect(rounds).toBe(3);
    for (const value of [ratio, ...quartiles]) expect(value).toBeCloseTo(0.5, 12);
  });
});
