// The refit of an affine per filter against least squares written out.

import { describe, expect, test } from "vitest";
import { type ChannelAffine, makeFit } from "../../converter/quantize/correction.ts";
import { randomNumbers } from "../core/suites/op-case.ts";

const [batch, filters, plane] = [40, 3, 50];
const count = batch * plane;

/** Large sums with a small spread, as L1 distances are; targets near an affine of them. */
const sums = Float32Array.from(randomNumbers(batch * filters * plane, 1), (number) =>
  Math.round(-90000 + 900 * number),
);
const noise = randomNumbers(sums.length, 2);
const slopes = [0.004, -0.002, 0.003];
const targets = sums.map(
  (sum, index) => slopes[Math.floor(index / plane) % filters]! * (sum + 90000) + 0.3 * noise[index]!,
);
const base: ChannelAffine = {
  scale: Float64Array.from(slopes, (slope) => slope * 1.2),
  bias: Float64Array.of(1, 2, 3),
};

function channels(values: Float32Array): readonly (readonly number[])[] {
  const rows: number[][] = slopes.map(() => []);
  for (const [index, value] of values.entries()) rows[Math.floor(index / plane) % filters]!.push(value);
  return rows;
}

const [sumRows, targetRows] = [channels(sums), channels(targets)];

function build() {
  const fit = makeFit(filters);
  const half = sums.length / 2;
  fit.add(sums.subarray(0, half), targets.subarray(0, half), batch / 2);
  fit.add(sums.subarray(half), targets.subarray(half), batch / 2);
  return fit;
}

/** Mean squared error of an affine over the variance of the targets, all filters together. */
function plainError({ scale, bias }: ChannelAffine): number {
  let [error, spread] = [0, 0];
  for (let m = 0; m < filters; m++) {
    const [a, t] = [sumRows[m]!, targetRows[m]!];
    const mean = t.reduce((sum, value) => sum + value, 0) / count;
    error += a.reduce((sum, value, i) => sum + (t[i]! - scale[m]! * value - bias[m]!) ** 2, 0);
    spread += t.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  }
  return error / spread;
}

describe("makeFit", () => {
  test("affine is least squares, pulled towards the old scale by 64 samples", () => {
    const found = build().solve(base, "affine");
    for (let m = 0; m < filters; m++) {
      const [a, t] = [sumRows[m]!, targetRows[m]!];
      const [meanA, meanT] = [a, t].map((row) => row.reduce((sum, value) => sum + value, 0) / count) as [
        number,
        number,
      ];
      const covariance = a.reduce((sum, value, i) => sum + (value - meanA) * (t[i]! - meanT), 0);
      const variance = a.reduce((sum, value) => sum + (value - meanA) ** 2, 0);
      const slope = covariance / variance;
      const wanted = base.scale[m]! + (slope - base.scale[m]!) * (count / (count + 64));
      expect(found.scale[m]! / wanted).toBeCloseTo(1, 9);
      expect(found.bias[m]!).toBeCloseTo(meanT - found.scale[m]! * meanA, 6);
    }
    expect(found.error).toBeCloseTo(plainError(found), 9);
    expect(found.error).toBeLessThan(build().solve(base, "bias").error);
  });

  test("bias makes the means agree and leaves the scale", () => {
    const found = build().solve(base, "bias");
    expect([...found.scale]).toEqual([...base.scale]);
    for (let m = 0; m < filters; m++) {
      const residuals = targetRows[m]!.map((t, i) => t - found.scale[m]! * sumRows[m]![i]! - found.bias[m]!);
      expect(residuals.reduce((sum, value) => sum + value, 0) / count).toBeCloseTo(0, 6);
    }
    expect(found.error).toBeCloseTo(plainError(found), 9);
  });

  test("none changes nothing and tells the error", () => {
    const found = build().solve(base, "none");
    expect([[...found.scale], [...found.bias]]).toEqual([[...base.scale], [...base.bias]]);
    expect(found.error / plainError(base)).toBeCloseTo(1, 6);
  });

  test("a dead filter keeps its scale, and no scale changes by more than a factor of two", () => {
    const fit = makeFit(2);
    const constant = Float32Array.of(-5, -5, -5, -5, -5, -1, -2, -3, -4, -5);
    fit.add(
      constant,
      constant.map((value, index) => (index < 5 ? index : -9 * value)),
      1,
    );
    const dead = fit.solve({ scale: Float64Array.of(0.5, 0.01), bias: Float64Array.of(0, 0) }, "affine");
    expect(dead.scale[0]).toBe(0.5);
    expect(dead.bias[0]).toBeCloseTo(2 + 2.5, 9);
    expect(dead.scale[1]).toBeGreaterThanOrEqual(0.005);
    expect(dead.scale[1]).toBeLessThanOrEqual(0.02);
    const zero = fit.solve({ scale: Float64Array.of(0, 0), bias: Float64Array.of(0, 0) }, "affine");
    expect([...zero.scale]).toEqual([0, 0]);
  });
});
