// Accuracy counted against hand-made scores; what reaches the model is checked value by value.

import { describe, expect, it } from "vitest";
import type { Samples } from "../../src/cli/data-sets/samples.ts";
import { type EvaluateArguments, evaluate, imageDims } from "../../src/cli/evaluate.ts";
import type { ModelInput } from "../../src/cli/feeds.ts";
import type { Tensor } from "../../src/core/tensor.ts";

/** Image i is one pixel of value i with label `labels[i]`. */
function pixels(labels: readonly number[], kind: Samples["kind"] = "pixels"): Samples {
  return {
    name: "pixels",
    count: labels.length,
    shape: [1, 1, 1],
    kind,
    label: (index) => labels[index]!,
    read: (index, target, offset) => {
      target[offset] = index;
    },
  };
}

const input: ModelInput = { name: "x", type: "float32", shape: ["batch", 1, 1, 1] };

/** Answers row i of `scores` for the image of value i, and keeps what was fed. */
function scorer(scores: readonly (readonly number[])[]) {
  const fed: Tensor[] = [];
  const run: EvaluateArguments["run"] = async (feeds) => {
    const x = feeds.get("x")!;
    fed.push(x);
    const rows = Array.from(x.data as Float32Array, (value) => scores[value] ?? scores[0]!);
    return new Map([
      ["y", { type: "float32", data: Float32Array.from(rows.flat()), dims: [rows.length, rows[0]!.length] }],
    ]);
  };
  return { run, fed };
}

const defaults = {
  input,
  output: "y",
  normalisation: undefined,
  limit: 1000,
  batch: 2,
  onProgress: () => {},
};

describe("counting", () => {
  const scores = [
    [9, 0, 0, 0, 0, 0],
    [1, 2, 3, 4, 5, 6],
    [6, 5, 4, 3, 2, 1],
    [1, 1, 1, 1, 1, 1],
    [Number.NaN, 0, 0, 0, 0, 1],
  ];

  it("top-1, top-5 and the confusion matrix", async () => {
    const { run } = scorer(scores);
    const result = await evaluate({ ...defaults, run, samples: pixels([0, 1, 5, 0, 5]) });
    // Image 1: label 1 is fifth. Image 2: label 5 is last. Image 3: all equal, the first wins. Image 4: NaN is never right.
    expect(result).toMatchObject({ images: 5, top1: 2 / 5, top5: 4 / 5 });
    expect(result.confusion[0]![0]).toBe(2);
    expect(result.confusion[1]![5]).toBe(1);
    expect(result.confusion[5]![0]).toBe(2);
    expect(result.confusion.flat().reduce((a, b) => a + b)).toBe(5);
  });

  it("stops at the limit, in batches", async () => {
    const { run, fed } = scorer(scores);
    const seen: number[][] = [];
    const onProgress = (done: number, total: number) => seen.push([done, total]);
    const result = await evaluate({
      ...defaults,
      run,
      onProgress,
      limit: 3,
      samples: pixels([0, 1, 5, 0, 5]),
    });
    expect(result.images).toBe(3);
    expect(fed.map(({ dims }) => dims[0])).toEqual([2, 1]);
    expect(seen).toEqual([
      [2, 3],
      [3, 3],
    ]);
  });

  it("fills up a fixed batch without counting what fills it", async () => {
    const { run, fed } = scorer(scores);
    const fixed: ModelInput = { ...input, shape: [4, 1, 1, 1] };
    const result = await evaluate({ ...defaults, run, input: fixed, samples: pixels([0, 1, 5, 0, 5]) });
    expect(fed.map(({ dims }) => dims[0])).toEqual([4, 4]);
    expect(result.images).toBe(5);
  });
});

describe("normalisation", () => {
  it("pixels become (v/255 - mean)/std in float32", async () => {
    const { run, fed } = scorer([[1, 0]]);
    const normalisation = { mean: [0.1307], std: [0.3081] };
    await evaluate({ ...defaults, run, normalisation, batch: 4, samples: pixels([0, 0, 0, 0]) });
    const expected = [0, 1, 2, 3].map((v) => (v / 255 - 0.1307) / 0.3081);
    const found = Array.from(fed[0]!.data as Float32Array);
    for (const [index, value] of found.entries()) expect(value).toBeCloseTo(expected[index]!, 6);
  });

  it("values are fed as they are unless flags say otherwise", async () => {
    const { run, fed } = scorer([[1, 0]]);
    await evaluate({ ...defaults, run, samples: pixels([0, 0], "values") });
    await evaluate({
      ...defaults,
      run,
      normalisation: { mean: [1], std: [2] },
      samples: pixels([0, 0], "values"),
    });
    expect(Array.from(fed[0]!.data as Float32Array)).toEqual([0, 1]);
    expect(Array.from(fed[1]!.data as Float32Array)).toEqual([-0.5, 0]);
  });
});

describe("images and models that do not fit", () => {
  const cifar = { ...pixels([0]), name: "cifar10", shape: [3, 32, 32] as const };

  // biome-ignore format: a table
  it.each([
    [["batch", 3, 32, 32], [3, 32, 32]],
    [[1, 3, null, "w"], [3, 32, 32]],
    [["batch", 3072], [3072]],
    [undefined, [3, 32, 32]],
  ])("a model that takes %j is fed %j", (shape, dims) => {
    const wanted = { name: "x", type: "float32", ...(shape && { shape }) } as ModelInput;
    expect(imageDims(wanted, cifar)).toEqual(dims);
  });

  it("grey against colour is said in words", () => {
    const grey: ModelInput = { name: "x", type: "float32", shape: [1, 1, 28, 28] };
    expect(() => imageDims(grey, cifar)).toThrow(
      /cifar10 do not fit.*expected grey 1x28x28, found colour 3x32x32/,
    );
  });

  it("labels beyond the model's classes are refused", async () => {
    const failed = evaluate({ ...defaults, ...scorer([[1, 0]]), samples: pixels([7]) });
    await expect(failed).rejects.toThrow(/label is outside.*0 to 1.*7/);
  });

  it("an output that is no list of scores is refused", async () => {
    const run: EvaluateArguments["run"] = async () =>
      new Map([["y", { type: "float32", data: new Float32Array(2), dims: [1, 2] }]]);
    const failed = evaluate({ ...defaults, run, batch: 2, samples: pixels([0, 0]) });
    await expect(failed).rejects.toThrow(/no list of scores/);
  });
});
