// The fit of one layer: columns and gradient against plain loops in float64, and layers with a known answer.

import { describe, expect, it } from "vitest";
import {
  drawPositions,
  gatherColumns,
  gatherTargets,
  type LayerData,
  pixelsOf,
} from "../../converter/adderize/columns.ts";
import { startFitter } from "../../converter/adderize/fit.ts";
import { loadFitKernels } from "../../converter/adderize/kernels/load.ts";
import type { AdderWindow } from "../../custom-ops/adder-window.ts";
import { seededUniform } from "../../src/core/sample-feeds.ts";
import { randomNumbers } from "../core/suites/op-case.ts";

interface Geometry {
  readonly channels: number;
  readonly size: readonly [number, number];
  readonly filters: number;
  readonly kernel: readonly [number, number];
  readonly window: AdderWindow;
}

const plain: AdderWindow = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 };

const geometries: readonly (readonly [string, Geometry])[] = [
  [
    "3x3",
    { channels: 4, size: [8, 8], filters: 5, kernel: [3, 3], window: { ...plain, pads: [1, 1, 1, 1] } },
  ],
  ["1x1", { channels: 7, size: [6, 5], filters: 3, kernel: [1, 1], window: plain }],
  [
    "strides, dilations, uneven pads",
    {
      channels: 3,
      size: [11, 9],
      filters: 4,
      kernel: [3, 2],
      window: { strides: [2, 1], pads: [2, 0, 1, 1], dilations: [2, 3], group: 1 },
    },
  ],
  ["groups", { channels: 6, size: [7, 7], filters: 4, kernel: [3, 3], window: { ...plain, group: 2 } }],
  [
    "depthwise",
    {
      channels: 5,
      size: [9, 9],
      filters: 5,
      kernel: [3, 3],
      window: { ...plain, pads: [1, 1, 1, 1], group: 5 },
    },
  ],
  ["a row of features", { channels: 24, size: [1, 1], filters: 6, kernel: [1, 1], window: plain }],
];

function outputSize({ size, kernel, window }: Geometry): [number, number] {
  const along = (axis: 0 | 1) =>
    Math.floor(
      (size[axis] +
        window.pads[axis]! +
        window.pads[axis + 2]! -
        window.dilations[axis] * (kernel[axis] - 1) -
        1) /
        window.strides[axis],
    ) + 1;
  return [along(0), along(1)];
}

const tapsOf = ({ channels, kernel, window }: Geometry) => (channels / window.group) * kernel[0] * kernel[1];

/** Σ term(x, w) at every output position of one image, by the definition of a windowed layer. */
function layer(
  geometry: Geometry,
  image: ArrayLike<number>,
  weight: ArrayLike<number>,
  term: (x: number, w: number) => number,
): number[] {
  const { channels, size, filters, kernel, window } = geometry;
  const [height, width] = outputSize(geometry);
  const perGroup = channels / window.group;
  const result: number[] = [];
  for (let m = 0; m < filters; m++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let c = 0; c < perGroup; c++)
          for (let i = 0; i < kernel[0]; i++)
            for (let j = 0; j < kernel[1]; j++) {
              const channel = Math.floor(m / (filters / window.group)) * perGroup + c;
              const line = y * window.strides[0] + i * window.dilations[0] - window.pads[0];
              const column = x * window.strides[1] + j * window.dilations[1] - window.pads[1];
              const inside = line >= 0 && line < size[0] && column >= 0 && column < size[1];
              const value = inside ? image[(channel * size[0] + line) * size[1] + column]! : 0;
              sum += term(value, weight[((m * perGroup + c) * kernel[0] + i) * kernel[1] + j]!);
            }
        result.push(sum);
      }
  return result;
}

/** `count` images in feeds of four, and targets of one image each. */
function dataOf(
  geometry: Geometry,
  count: number,
  targetsOf: (image: Float32Array) => readonly number[],
): LayerData {
  const { channels, size, filters, kernel, window } = geometry;
  const length = channels * size[0] * size[1];
  const feeds = Array.from({ length: count / 4 }, (_, feed) => {
    const data = Float32Array.from(randomNumbers(4 * length, 50 + feed), (v) => Math.max(0, 2 * v));
    const targets = Array.from({ length: 4 }, (_, row) =>
      targetsOf(data.subarray(row * length, (row + 1) * length)),
    );
    return { data, targets: Float32Array.from(targets.flat()) };
  });
  return {
    x: feeds.map(({ data }) => ({ data, dims: [4, channels, ...size] as const })),
    target: feeds.map(({ targets }) => ({
      data: targets,
      dims: [4, filters, ...outputSize(geometry)] as const,
    })),
    window,
    kernel,
  };
}

describe.each(geometries)("%s", (_, geometry) => {
  const { channels, filters, kernel, window } = geometry;
  const taps = tapsOf(geometry);
  const weightCount = filters * taps;
  const dims = [filters, channels / window.group, kernel[0], kernel[1]] as const;

  it("reads what the layer reads at the positions it draws", () => {
    const weight = randomNumbers(weightCount, 9);
    const data = dataOf(geometry, 8, (image) => layer(geometry, image, weight, (x, w) => x * w));
    const positions = drawPositions(data, 37, seededUniform(3));
    const perGroup = filters / window.group;
    for (let group = 0; group < window.group; group++) {
      const columns = new Float32Array(taps * 40);
      const targets = new Float32Array(perGroup * 40);
      gatherColumns(data, pixelsOf(data), positions, group * dims[1], dims[1], columns, 40);
      gatherTargets(data, positions, group * perGroup, perGroup, targets, 40);
      for (let q = 0; q < 37; q++) {
        for (let m = 0; m < perGroup; m++) {
          let sum = 0;
          for (let k = 0; k < taps; k++)
            sum += columns[k * 40 + q]! * weight[(group * perGroup + m) * taps + k]!;
          expect(sum).toBeCloseTo(targets[m * 40 + q]!, 4);
        }
      }
    }
  });

  it("finds a planted adder layer again", async () => {
    const planted = randomNumbers(weightCount, 12).map((v) => 0.9 + 0.8 * v);
    const [scale, bias] = [randomNumbers(filters, 13), randomNumbers(filters, 14)];
    const plane = outputSize(geometry)[0] * outputSize(geometry)[1];
    const data = dataOf(geometry, 80, (image) =>
      layer(geometry, image, planted, (x, w) => -Math.abs(x - w)).map(
        (sum, at) => (0.5 + 0.4 * scale[Math.floor(at / plane)]!) * sum + bias[Math.floor(at / plane)]!,
      ),
    );
    const fitter = await startFitter();
    // A convolution that wants more of x where the planted weight is large, with an error of its own.
    const start = Float32Array.from(randomNumbers(weightCount, 15), (v, at) => planted[at]! - 0.9 + 0.3 * v);
    const settings = { steps: 400, positions: 256, rate: 0.1 };
    const fit = await fitter.fit(data, start, dims, settings, seededUniform(1), async () => {});
    expect(fit.r2).toBeGreaterThan(0.985);
    expect(fit.r2).toBeGreaterThan(fit.r2Start);
    const error = fit.weight.reduce((sum, w, at) => sum + Math.abs(w - planted[at]!), 0) / weightCount;
    expect(error).toBeLessThan(0.2);
  });
});

describe("the kernels of the fit", () => {
  it("answer sums and the gradient that finite differences show", async () => {
    const [m, k, q] = [5, 7, 21];
    const row = 24;
    const memory = new WebAssembly.Memory({ initial: 1 });
    const kernels = await loadFitKernels(memory);
    const view = (at: number, count: number) => new Float32Array(memory.buffer, at, count);
    const [columns, sums, weight, gradient] = [
      view(1024, k * row),
      view(4096, m * row),
      view(8192, m * k),
      view(12288, m * k),
    ];
    columns.set(randomNumbers(k * row, 1));
    weight.set(randomNumbers(m * k, 2));
    const targets = randomNumbers(m * row, 3);
    const distance = (at: number, position: number, w: number) => Math.abs(columns[at * row + position]! - w);
    const sumOf = (filter: number, position: number, changed = -1, by = 0): number => {
      let sum = 0;
      for (let at = 0; at < k; at++) {
        sum -= distance(at, position, weight[filter * k + at]! + (filter * k + at === changed ? by : 0));
      }
      return sum;
    };
    kernels.adder(1024, 8192, 0, 4096, m, k, q, 4 * row, 4 * row);
    for (let filter = 0; filter < m; filter++) {
      for (let position = 0; position < q; position++) {
        expect(sums[filter * row + position]).toBeCloseTo(sumOf(filter, position), 4);
      }
    }
    const loss = (changed: number, by: number): number => {
      let total = 0;
      for (let filter = 0; filter < m; filter++)
        for (let position = 0; position < q; position++)
          total += (sumOf(filter, position, changed, by) - targets[filter * row + position]!) ** 2 / 2;
      return total;
    };
    for (let index = 0; index < m * row; index++) {
      const position = index % row;
      sums[index] = position < q ? sums[index]! - targets[index]! : 0;
    }
    kernels.signWeightGradient(1024, 4096, 8192, 12288, m, k, q, 4 * row, 4 * row);
    for (let at = 0; at < m * k; at++) {
      expect(gradient[at]).toBeCloseTo((loss(at, 1e-6) - loss(at, -1e-6)) / 2e-6, 2);
    }
  });
});
