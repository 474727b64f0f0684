// Codes of values and weights: rounding, saturation, and that the clip of weights loses nothing.

import { describe, expect, test } from "vitest";
import { centre, decode, encode, encodeWeights, type Grid, gridOver } from "../../converter/quantize/grid.ts";
import { randomNumbers } from "../core/suites/op-case.ts";

const unit = (zeroPoint: number, maxCode: number): Grid => ({ step: 1, zeroPoint, maxCode });

describe("gridOver", () => {
  test.each([
    [0, 6, 255, 0],
    [1, 6, 15, 0],
    [-2, 6, 255, 64],
    [-3, -1, 7, 7],
    [-1, 2, 15, 5],
  ])("from %f to %f with codes up to %i", (min, max, maxCode, zeroPoint) => {
    const grid = gridOver(min, max, maxCode);
    expect(grid.zeroPoint).toBe(zeroPoint);
    expect(grid.step).toBe(Math.fround(grid.step));
    const [low, high] = [Math.min(min, 0), Math.max(max, 0)];
    expect(grid.step).toBeCloseTo((high - low) / maxCode, 6);
    expect([...decode(encode(Float32Array.of(0), grid), grid)]).toEqual([0]);
  });

  test.each([
    [0, 0],
    [Number.NaN, 1],
    [0, 1e-46],
    [0, Number.POSITIVE_INFINITY],
  ])("a range without a step, %f to %f, is still a grid", (min, max) => {
    expect(gridOver(min, max, 255)).toEqual({ step: 1, zeroPoint: 0, maxCode: 255 });
  });
});

describe("encode", () => {
  test("rounds halves to even, beyond both ends too", () => {
    const values = Float32Array.of(-9, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.5000002, 3.5, 300);
    expect([...encode(values, unit(0, 255))]).toEqual([0, 0, 0, 0, 0, 2, 2, 3, 4, 255]);
    expect([...encode(values, unit(3, 7))]).toEqual([0, 1, 1, 3, 3, 5, 5, 6, 7, 7]);
  });

  test("decode and centre take the zero point off", () => {
    const codes = Uint8Array.of(0, 3, 7);
    expect([...decode(codes, { step: 0.5, zeroPoint: 3, maxCode: 7 })]).toEqual([-1.5, 0, 2]);
    expect([...centre(codes, unit(3, 7))]).toEqual([-3, 0, 4]);
  });
});

describe("encodeWeights", () => {
  test.each([
    ["never negative", gridOver(0, 1.5, 255)],
    ["of both signs", gridOver(-0.7, 1.1, 255)],
  ])("the excess restores -Σ|x - w| for inputs %s", (_, grid) => {
    const [filters, taps] = [4, 60];
    const weights = Float32Array.from(randomNumbers(filters * taps, 1), (number) => 5 * number);
    const { codes, excess, clipped } = encodeWeights(weights, filters, grid);
    const [low, high] = [-grid.zeroPoint * grid.step, (grid.maxCode - grid.zeroPoint) * grid.step];
    expect(clipped).toBe(weights.filter((weight) => weight < low || weight > high).length);
    expect(clipped).toBeGreaterThan(100);
    for (let trial = 0; trial < 20; trial++) {
      const x = randomNumbers(taps, trial + 2).map((number) => low + ((number + 1) / 2) * (high - low));
      for (let m = 0; m < filters; m++) {
        const row = weights.subarray(m * taps, (m + 1) * taps);
        const wanted = row.reduce((sum, weight, k) => sum - Math.abs(x[k]! - weight), 0);
        const coded = decode(codes.subarray(m * taps, (m + 1) * taps), grid);
        const found = coded.reduce((sum, weight, k) => sum - Math.abs(x[k]! - weight), -excess[m]!);
        // What is left is rounding: half a step for each weight inside the range.
        expect(Math.abs(found - wanted)).toBeLessThan(0.5 * grid.step * taps);
      }
    }
  });

  test("without rounding nothing at all is lost", () => {
    const grid = gridOver(0, 15, 15);
    const weights = Float32Array.of(-70, -3, 0, 7, 15, 16, 69);
    const { codes, excess } = encodeWeights(weights, 1, grid);
    expect([...codes]).toEqual([0, 0, 0, 7, 15, 15, 15]);
    for (let x = 0; x <= 15; x++) {
      const sum = (row: Iterable<number>) => [...row].reduce((total, w) => total - Math.abs(x - w), 0);
      expect(sum(codes) - excess[0]!).toBe(sum(weights));
    }
  });
});
