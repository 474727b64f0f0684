// Slope matching against covariances computed plainly in float64.

import { describe, expect, it } from "vitest";
import { matchSlopes, placeOfSlope, slopeCurve } from "../../converter/adderize/slope.ts";
import { randomNumbers } from "../core/suites/op-case.ts";

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** cov(-|x - w|, x) / var(x), from its definition. */
function slopeAt(values: readonly number[], w: number): number {
  const distances = values.map((x) => -Math.abs(x - w));
  const [middle, centre] = [mean(values), mean(distances)];
  const covariance = mean(values.map((x, i) => (x - middle) * (distances[i]! - centre)));
  return covariance / mean(values.map((x) => (x - middle) ** 2));
}

const channels: readonly (readonly [string, readonly number[]])[] = [
  ["spread around 0", randomNumbers(999, 3).map((v) => 2 * v)],
  ["behind a ReLU", randomNumbers(1000, 4).map((v) => Math.max(0, v))],
  ["far from 0", randomNumbers(500, 5).map((v) => 100 + v)],
  ["of two values", randomNumbers(400, 6).map((v) => (v > 0.3 ? 1 : 0))],
  ["skewed", randomNumbers(700, 7).map((v) => Math.exp(3 * v))],
];

describe.each(channels)("a channel %s", (_, given) => {
  const values = Float32Array.from(given);
  const exact = Array.from(values);
  const curve = slopeCurve(Float32Array.from(values))!;
  it("has the slopes of the definition, from -1 to 1 and rising", () => {
    for (const [point, w] of curve.places.entries()) {
      expect(Math.abs(curve.slopes[point]! - slopeAt(exact, w))).toBeLessThan(2e-3);
      if (point > 0) expect(curve.slopes[point]).toBeGreaterThanOrEqual(curve.slopes[point - 1]!);
    }
    expect(curve.slopes.at(-1)).toBeCloseTo(1, 3);
    expect(Math.max(...curve.slopes)).toBeLessThanOrEqual(1 + 1e-6);
  });
  it.each([-1, -0.7, -0.2, 0, 0.35, 0.9, 1])("finds the place of slope %d", (wanted) => {
    const place = placeOfSlope(curve, wanted);
    const [low, high] = [Math.min(...exact), Math.max(...exact)];
    expect(place).toBeGreaterThanOrEqual(low);
    expect(place).toBeLessThanOrEqual(high + 1e-6);
    // Between two places the slope may jump as far as one value's share of the variance.
    const step = (high - low) / 255;
    expect(slopeAt(exact, place - step)).toBeLessThanOrEqual(Math.max(wanted, slopeAt(exact, low)) + 2e-3);
    expect(slopeAt(exact, place + step)).toBeGreaterThanOrEqual(wanted - 2e-3);
  });
});

describe("matched weights", () => {
  it("keep the order of a filter's weights, and saturate beyond the 80 % quantile", () => {
    const curve = slopeCurve(Float32Array.from(randomNumbers(2000, 8)));
    const filter = Float32Array.from([-4, -1, -0.5, 0, 0.25, 0.5, 0.75, 0.9, 1, 8]);
    const matched = matchSlopes(
      filter,
      () => 0,
      [curve],
      () => 0,
    );
    for (let tap = 1; tap < matched.length; tap++)
      expect(matched[tap]).toBeGreaterThanOrEqual(matched[tap - 1]!);
    expect(matched[0]).toBeCloseTo(curve!.places[0]!, 5);
    expect(matched.at(-1)).toBe(matched.at(-2));
  });
  it("add nothing in a channel whose values are all alike", () => {
    expect(slopeCurve(new Float32Array(100).fill(0.3))).toBeUndefined();
    expect(slopeCurve(new Float32Array(100))).toBeUndefined();
    const matched = matchSlopes(
      Float32Array.of(1, -2),
      () => 0,
      [undefined],
      () => 0.25,
    );
    expect(Array.from(matched)).toEqual([0.25, 0.25]);
  });
  it("take a filter of zeros", () => {
    const curve = slopeCurve(Float32Array.from(randomNumbers(500, 9)));
    const matched = matchSlopes(
      new Float32Array(9),
      () => 0,
      [curve],
      () => 0,
    );
    expect(matched.every(Number.isFinite)).toBe(true);
  });
});
