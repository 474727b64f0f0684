// The kernels that sum over taps, against the same sums written plainly in float64.

import { describe, expect, it } from "vitest";
import { isLevelAvailable, simdLevels } from "../../custom-ops/kernels/load.ts";
import { imageScratchBytes, linearScratchBytes } from "../../custom-ops/kernels/table.ts";
import { makeRandom, makeRig, randomFloats } from "./rig.ts";

type Tap = (x: number, w: number) => number;
const adder: Tap = (x, w) => -Math.abs(x - w);
const product: Tap = (x, w) => x * w;

interface ImageCase {
  readonly k: number;
  readonly m: number;
  readonly p: number;
  readonly panels?: number;
  /** Elements between neighbouring pixels; 1 makes runs, anything else is gathered. */
  readonly step?: number;
  readonly residual?: boolean;
  readonly low?: number;
  readonly high?: number;
}

// Tile edges in every direction, around the chunk length of 64 taps too.
const imageCases: readonly ImageCase[] = [
  ...[1, 3, 4, 5, 7, 13].flatMap((m) => [1, 4, 7, 8, 9, 23].map((p) => ({ k: 27, m, p }))),
  ...[1, 2, 63, 64, 65, 128, 131, 577].map((k) => ({ k, m: 6, p: 11 })),
  ...[1, 2, 3].map((panels) => ({ k: 9, m: 5, p: 41, panels })),
  { k: 18, m: 8, p: 16, step: 2 },
  { k: 18, m: 9, p: 21, step: 3, panels: 2 },
  { k: 18, m: 9, p: 21, residual: true },
  { k: 18, m: 4, p: 24, residual: true, low: 0 },
  { k: 18, m: 5, p: 10, low: -8, high: -2 },
];

/** The largest error float32 may make: a few roundings of the partial sums, seen through scale. */
function tolerance(magnitude: number): number {
  return 1e-6 + magnitude * 2 ** -21;
}

function packByRows(w: Float32Array, m: number, k: number): Float32Array {
  const packed = new Float32Array(Math.ceil(m / 4) * 4 * k);
  for (let row = 0; row < m; row++) {
    for (let i = 0; i < k; i++) packed[(Math.floor(row / 4) * k + i) * 4 + (row % 4)] = w[row * k + i]!;
  }
  return packed;
}

function packByColumns(w: Float32Array, m: number, k: number): Float32Array {
  const packed = new Float32Array(Math.ceil(m / 8) * 8 * k);
  for (let row = 0; row < m; row++) {
    for (let i = 0; i < k; i++) packed[(Math.floor(row / 8) * k + i) * 8 + (row % 8)] = w[row * k + i]!;
  }
  return packed;
}

const clip = (value: number, { low = -Infinity, high = Infinity }: { low?: number; high?: number }) =>
  Math.min(Math.max(value, low), high);

const imageKernels = [
  { kernel: "f32_adder_4x8", tap: adder, least: -1 },
  { kernel: "f32_adder_min_4x8", tap: adder, least: 0 },
  { kernel: "f32_conv_4x8", tap: product, least: -1 },
] as const;

describe.each(simdLevels.filter(isLevelAvailable))("%s", (level) => {
  describe.each(imageKernels)("$kernel", ({ kernel, tap, least }) => {
    it.each(imageCases)("$m x $p over $k taps ($panels panels, step $step)", async (imageCase) => {
      const { k, m, p, panels = 4, step = 1, residual = false } = imageCase;
      const rig = await makeRig(level);
      const random = makeRandom(k * 1000 + m * 100 + p);
      const x = randomFloats(random, k + p * step, least, 2);
      const w = randomFloats(random, m * k, least, 3);
      const [scale, bias] = [randomFloats(random, m), randomFloats(random, m)];
      // Taps in no order.
      const taps = Array.from({ length: k }, (_, i) => (i * 7) % k);
      const wide = m * p;
      const z = randomFloats(random, wide, -5, 5);
      // Σw of what the min form leaves out belongs in the bias.
      const weightSums = Array.from({ length: m }, (_, r) =>
        w.subarray(r * k, (r + 1) * k).reduce((sum, value) => sum + value, 0),
      );
      const givenBias =
        kernel === "f32_adder_min_4x8" ? bias.map((value, r) => value - scale[r]! * weightSums[r]!) : bias;
      const y = rig.output("y", wide);
      rig.call(kernel, {
        x: rig.floats("x", x),
        taps: rig.words(
          "taps",
          taps.map((tapOffset) => tapOffset * 4),
        ),
        w: rig.floats("w", packByRows(w, m, k)),
        scale: rig.floats("scale", scale),
        bias: rig.floats("bias", givenBias),
        z: residual ? rig.floats("z", z) : 0,
        y,
        scratch: rig.scratch(imageScratchBytes(k, panels)),
        k,
        m,
        p,
        step: step * 4,
        panels,
        yStride: p * 4,
        low: imageCase.low ?? -Infinity,
        high: imageCase.high ?? Infinity,
      });
      const got = rig.read(y, wide);
      for (let r = 0; r < m; r++) {
        for (let c = 0; c < p; c++) {
          let [sum, size] = [0, 0];
          for (let i = 0; i < k; i++) {
            const value = tap(x[taps[i]! + c * step]!, w[r * k + i]!);
            sum += value;
            size += Math.abs(x[taps[i]! + c * step]!) + Math.abs(w[r * k + i]!);
          }
          const expected = clip(scale[r]! * sum + bias[r]! + (residual ? z[r * p + c]! : 0), imageCase);
          const error = Math.abs(got[r * p + c]! - expected);
          expect(error, `row ${r} column ${c}: ${got[r * p + c]} for ${expected}`).toBeLessThanOrEqual(
            tolerance(size),
          );
        }
      }
      expect(rig.damage()).toEqual([]);
    });
  });

  const linearKernels = [
    { kernel: "f32_adder_linear_4x8", tap: adder, least: -1 },
    { kernel: "f32_adder_min_linear_4x8", tap: adder, least: 0 },
    { kernel: "f32_linear_4x8", tap: product, least: -1 },
  ] as const;
  const linearCases = [
    ...[1, 3, 4, 5, 9].flatMap((rows) => [1, 7, 8, 9, 17].map((m) => ({ k: 21, m, rows }))),
    ...[1, 2, 3, 63, 64, 65, 130, 400].map((k) => ({ k, m: 10, rows: 5 })),
  ];

  describe.each(linearKernels)("$kernel", ({ kernel, tap, least }) => {
    it.each(linearCases)("$rows rows, $m features over $k", async ({ k, m, rows }) => {
      const rig = await makeRig(level);
      const random = makeRandom(k * 100 + m * 10 + rows);
      const x = randomFloats(random, rows * (k + 3), least, 2);
      const w = randomFloats(random, m * k, least, 3);
      const [scale, bias] = [randomFloats(random, m), randomFloats(random, m)];
      const isMin = kernel === "f32_adder_min_linear_4x8";
      const givenBias = bias.map((value, r) => {
        const sum = w.subarray(r * k, (r + 1) * k).reduce((total, weight) => total + weight, 0);
        return isMin ? value - scale[r]! * sum : value;
      });
      const z = randomFloats(random, rows * m, -5, 5);
      const y = rig.output("y", rows * m);
      rig.call(kernel, {
        x: rig.floats("x", x),
        w: rig.floats("w", packByColumns(w, m, k)),
        scale: rig.floats("scale", scale),
        bias: rig.floats("bias", givenBias),
        z: rows % 2 ? rig.floats("z", z) : 0,
        y,
        scratch: rig.scratch(linearScratchBytes(k)),
        k,
        m,
        rows,
        xStride: (k + 3) * 4,
        yStride: m * 4,
        low: -3,
        high: 1e6,
      });
      const got = rig.read(y, rows * m);
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < m; c++) {
          let [sum, size] = [0, 0];
          for (let i = 0; i < k; i++) {
            const [value, weight] = [x[r * (k + 3) + i]!, w[c * k + i]!];
            sum += tap(value, weight);
            size += Math.abs(value) + Math.abs(weight);
          }
          const expected = clip(scale[c]! * sum + bias[c]! + (rows % 2 ? z[r * m + c]! : 0), {
            low: -3,
            high: 1e6,
          });
          const error = Math.abs(got[r * m + c]! - expected);
          expect(error, `row ${r} feature ${c}`).toBeLessThanOrEqual(tolerance(size));
        }
      }
      expect(rig.damage()).toEqual([]);
    });
  });

  const depthwiseKernels = [
    { kernel: "f32_adder_depthwise_1x4", tap: adder },
    { kernel: "f32_conv_depthwise_1x4", tap: product },
  ] as const;
  const depthwiseCases = [
    ...[1, 3, 4, 5, 8, 11, 15, 16, 17, 20, 31, 32, 53].map((p) => ({ k: 9, m: 3, p, multiplier: 1 })),
    ...[64, 65, 130].map((k) => ({ k, m: 2, p: 37, multiplier: 1 })),
    ...[1, 64, 65, 200].map((k) => ({ k, m: 2, p: 9, multiplier: 1 })),
    { k: 25, m: 6, p: 13, multiplier: 2 },
  ];

  describe.each(depthwiseKernels)("$kernel", ({ kernel, tap }) => {
    it.each(depthwiseCases)("$m x $p over $k taps", async ({ k, m, p, multiplier }) => {
      const rig = await makeRig(level);
      const random = makeRandom(k + m + p);
      const plane = k + p + 8;
      const x = randomFloats(random, (m / multiplier) * plane);
      const w = randomFloats(random, m * k);
      const [scale, bias] = [randomFloats(random, m), randomFloats(random, m)];
      const z = randomFloats(random, m * p);
      const y = rig.output("y", m * p);
      rig.call(kernel, {
        x: rig.floats("x", x),
        taps: rig.words(
          "taps",
          Array.from({ length: k }, (_, i) => i * 4),
        ),
        w: rig.floats("w", w),
        scale: rig.floats("scale", scale),
        bias: rig.floats("bias", bias),
        z: rig.floats("z", z),
        y,
        k,
        m,
        p,
        multiplier,
        xStride: plane * 4,
        yStride: p * 4,
        low: -4,
        high: 4,
      });
      const got = rig.read(y, m * p);
      for (let r = 0; r < m; r++) {
        for (let c = 0; c < p; c++) {
          let sum = 0;
          for (let i = 0; i < k; i++)
            sum += tap(x[Math.floor(r / multiplier) * plane + i + c]!, w[r * k + i]!);
          const expected = clip(scale[r]! * sum + bias[r]! + z[r * p + c]!, { low: -4, high: 4 });
          expect(Math.abs(got[r * p + c]! - expected)).toBeLessThanOrEqual(tolerance(2 * k));
        }
      }
      expect(rig.damage()).toEqual([]);
    });
  });

  it("sums of one sign over thousands of taps stay accurate", async () => {
    const rig = await makeRig(level);
    const [k, m, p] = [4608, 4, 8];
    const random = makeRandom(9);
    const x = randomFloats(random, k * p, 0, 2);
    const w = randomFloats(random, m * k, -40, 40);
    const y = rig.output("y", m * p);
    const ones = rig.floats("ones", new Float32Array(m).fill(1));
    rig.call("f32_adder_4x8", {
      x: rig.floats("x", x),
      taps: rig.words(
        "taps",
        Array.from({ length: k }, (_, i) => i * p * 4),
      ),
      w: rig.floats("w", packByRows(w, m, k)),
      scale: ones,
      bias: rig.floats("zeros", new Float32Array(m)),
      z: 0,
      y,
      scratch: rig.scratch(imageScratchBytes(k, 1)),
      k,
      m,
      p,
      step: 4,
      panels: 1,
      yStride: p * 4,
      low: -Infinity,
      high: Infinity,
    });
    const got = rig.read(y, m * p);
    for (let r = 0; r < m; r++) {
      for (let c = 0; c < p; c++) {
        let sum = 0;
        for (let i = 0; i < k; i++) sum -= Math.abs(x[i * p + c]! - w[r * k + i]!);
        // A plain float32 loop is off by about 0.5 here; one unit in the last place of the sum is 0.008.
        expect(sum).toBeLessThan(-80_000);
        expect(Math.abs(got[r * p + c]! - sum)).toBeLessThan(0.06);
      }
    }
  });
});
