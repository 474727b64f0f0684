// The closed form against planted lines and the definition of least squares.

import { describe, expect, it } from "vitest";
import { addPairs, solveLine, startMoments, statisticsOf } from "../../converter/adderize/least-squares.ts";
import { randomNumbers } from "../core/suites/op-case.ts";

function lineOf(sums: readonly number[], targets: readonly number[], parts = 1) {
  const moments = startMoments();
  const [a, t] = [Float32Array.from(sums), Float32Array.from(targets)];
  const size = Math.ceil(a.length / parts);
  for (let start = 0; start < a.length; start += size) {
    addPairs(moments, a, t, start, Math.min(size, a.length - start));
  }
  return { ...solveLine(moments), ...statisticsOf(moments) };
}

describe("least squares", () => {
  it("finds a planted line on a huge offset, in parts", () => {
    const sums = randomNumbers(600, 1).map((v) => -3000 + 4 * v);
    const { scale, bias, r2, mean, variance } = lineOf(
      sums,
      sums.map((a) => -0.25 * Math.fround(a) + 7),
      5,
    );
    expect(scale).toBeCloseTo(-0.25, 5);
    expect(bias + scale * -3000).toBeCloseTo(757, 3);
    expect(r2).toBeCloseTo(1, 6);
    const exact = sums.map(Math.fround);
    const average = exact.reduce((a, b) => a + b) / exact.length;
    expect(mean).toBeCloseTo(average, 6);
    expect(variance).toBeCloseTo(exact.reduce((sum, v) => sum + (v - average) ** 2, 0) / exact.length, 6);
  });
  it("leaves a residual without mean, and without covariance with the sums", () => {
    const sums = randomNumbers(400, 2).map((v) => -50 + 9 * v);
    const targets = randomNumbers(400, 3).map((v, i) => v + 0.1 * sums[i]!);
    const { scale, bias, r2 } = lineOf(sums, targets);
    const rest = sums.map((a, i) => Math.fround(targets[i]!) - scale * Math.fround(a) - bias);
    expect(rest.reduce((a, b) => a + b) / rest.length).toBeCloseTo(0, 6);
    expect(rest.reduce((sum, v, i) => sum + v * sums[i]!, 0) / rest.length).toBeCloseTo(0, 4);
    const spread = (values: readonly number[]): number => {
      const middle = values.reduce((a, b) => a + b) / values.length;
      return values.reduce((sum, v) => sum + (v - middle) ** 2, 0);
    };
    expect(r2).toBeCloseTo(1 - spread(rest) / spread(targets), 5);
  });
  it.each([
    ["sums that are all alike", [-3, -3, -3], [1, 2, 6], 3],
    ["targets that are all alike", [1, 2, 5], [4, 4, 4], 4],
  ])("answers the mean for %s", (_, sums, targets, mean) => {
    const { scale, bias } = lineOf(sums, targets);
    expect(scale).toBe(0);
    expect(bias).toBeCloseTo(mean, 6);
  });
});
