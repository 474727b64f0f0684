// A batch gone through image by image: the bits of the batch as a whole, in less memory, and only where images need nothing of each other.

import { describe, expect, it } from "vitest";
import { bind } from "../../runtime/bind.ts";
import { fuseEpilogues } from "../../runtime/fuse.ts";
import { imagesOf } from "../../runtime/images.ts";
import { createExecutor } from "../../runtime/index.ts";
import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Model, Node } from "../../src/core/ir/model.ts";
import { int64Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import { runArranged } from "./arranged.ts";
import { expectLikeReference, levels } from "./compare.ts";

const pads = intsAttribute([1, 1, 1, 1]);
const image = [3, 96, 96] as const;
const many = 16;

const constants: Readonly<Record<string, Tensor>> = {
  w1: randomTensor([5, 3, 3, 3], 1),
  w2: randomTensor([5, 5, 3, 3], 2),
  w3: randomTensor([7, 5], 3),
  shift: randomTensor([1, 5, 1, 1], 4),
  perImage: randomTensor([many, 1, 1, 1], 5),
  v1: randomTensor([5, 6, 3, 3], 6),
  v2: randomTensor([8, 3, 2, 3], 7),
  v3: randomTensor([6, 1, 3, 3], 8),
  v4: randomTensor([6, 6, 3, 3], 10),
  b: randomTensor([8], 11),
  zero: int64Tensor([0]),
  last: int64Tensor([2 ** 40]),
  backwards: int64Tensor([-1]),
};

const convolution = makeNode("Conv", ["x", "w1"], ["c"], [["pads", pads]]);
const positive = makeNode("Relu", ["c"], ["r"]);
const adder = makeNode("Adder2d", ["r", "w2", "", "", "r"], ["a"], [["pads", pads]], { domain: "addernet" });
const shift = makeNode("Add", ["a", "shift"], ["s"]);
const pool = makeNode(
  "MaxPool",
  ["s"],
  ["m"],
  [
    ["kernel_shape", intsAttribute([2, 2])],
    ["strides", intsAttribute([2, 2])],
  ],
);
const head = [
  makeNode("GlobalAveragePool", ["m"], ["g"]),
  makeNode("Flatten", ["g"], ["f"]),
  makeNode("Gemm", ["f", "w3"], ["y"], [["transB", intAttribute(1)]]),
];
const body = [convolution, positive, adder, shift, pool];

function modelOf(
  nodes: Node[],
  outputs: readonly string[],
  batch: number | string = "n",
  size: readonly number[] = image,
): Model {
  const input = {
    name: "x",
    type: { kind: "tensor", elemType: "float32", shape: [batch, ...size] },
  } as const;
  const model = emptyModel(
    emptyGraph(
      nodes,
      [input],
      outputs.map((name) => ({ name })),
    ),
    17,
  );
  model.opsetImports.set("addernet", 1);
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  for (const [name, tensor] of Object.entries(constants)) {
    if (read.has(name)) model.graph.initializers.set(name, tensor);
  }
  return model;
}

const feedsOf = (batch: number, size: readonly number[] = image) => ({
  x: randomTensor([batch, ...size], 9),
});

/** How many nodes after fusing are gone through image by image. */
function nodesByImage(model: Model, batch: number): number {
  const bound = (shapes: ReadonlyMap<string, readonly number[]>) => fuseEpilogues(bind(model, shapes));
  const whole = bound(new Map([["x", [batch, ...image]]]));
  return imagesOf(model, whole, bound)?.nodes ?? 0;
}

describe.each(levels)("%s", (simd) => {
  const whole = modelOf([...body, ...head], ["y", "m"], many);
  const free = modelOf([...body, ...head], ["y", "m"]);

  it("answers what the references answer, bit for bit as the whole batch, in less memory", async () => {
    const feeds = feedsOf(many);
    const options = { simd, kernels: "predicted" } as const;
    const atOnce = await createExecutor(whole, options);
    const session = await expectLikeReference(free, feeds, options);
    expect(await session.run(feeds)).toEqual(await atOnce.run(feeds));
    const [bytes, bytesAtOnce] = [session, atOnce].map((one) => one.explain().plans[0]!.arenaBytes);
    expect(bytes!).toBeLessThan(bytesAtOnce!);
  });

  it.each([2, 3, 5, 40])("the same with %i threads, some images left over", async (threads) => {
    const feeds = feedsOf(many);
    const alone = await (await createExecutor(whole, { simd, kernels: "predicted" })).run(feeds);
    const { outputs, arrangement } = await runArranged(free, feeds, { simd, threads, seed: threads });
    expect(outputs).toEqual(alone);
    const imagesAtOnce = arrangement.phases.filter(({ tasks }) => (tasks[0]?.parts.length ?? 0) > 1);
    expect(imagesAtOnce.map(({ tasks }) => tasks.at(-1)!.end)).toEqual(
      threads > many ? [] : [many - (many % threads)],
    );
  });

  it("every step's time is told, for all its images", async () => {
    const session = await createExecutor(free, { simd });
    const steps = await session.profile(feedsOf(many));
    expect(steps.map(({ milliseconds }) => milliseconds > 0)).toEqual(steps.map(() => true));
  });
});

/** Layers of many small images, which are no work for the caches: each is gone through for all of them. */
const small = [6, 6, 5] as const;
const layersOfMany: readonly { readonly name: string; readonly nodes: Node[] }[] = [
  { name: "convolution", nodes: [makeNode("Conv", ["x", "v1"], ["y"], [["pads", pads]])] },
  {
    name: "groups",
    nodes: [makeNode("Conv", ["x", "v2", "b"], ["y"], [["group", intAttribute(2)]])],
  },
  {
    name: "depthwise",
    nodes: [
      makeNode(
        "Conv",
        ["x", "v3"],
        ["y"],
        [
          ["group", intAttribute(6)],
          ["pads", pads],
        ],
      ),
    ],
  },
  {
    name: "adder layers with residuals",
    nodes: [
      makeNode("Adder2d", ["x", "v4", "", "", "x"], ["a"], [["pads", pads]], { domain: "addernet" }),
      makeNode("Relu", ["a"], ["r"]),
      makeNode("Adder2d", ["r", "v4", "", "", "a"], ["y"], [["pads", pads]], { domain: "addernet" }),
    ],
  },
  {
    name: "weights that are computed",
    nodes: [
      makeNode("Abs", ["v1"], ["w"]),
      makeNode("Mul", ["x", "x"], ["squares"]),
      makeNode("ReduceMax", ["squares"], ["most"], [["keepdims", intAttribute(0)]]),
      makeNode("Mul", ["w", "most"], ["scaled"]),
      makeNode("Conv", ["x", "scaled"], ["y"]),
    ],
  },
  {
    name: "pools",
    nodes: [
      makeNode(
        "MaxPool",
        ["x"],
        ["m"],
        [
          ["kernel_shape", intsAttribute([3, 3])],
          ["pads", pads],
        ],
      ),
      makeNode("AveragePool", ["m"], ["y"], [["kernel_shape", intsAttribute([2, 3])]]),
    ],
  },
];

describe.each(levels)("many small images, %s", (simd) => {
  it.each(layersOfMany)("$name", async ({ nodes }) => {
    const count = 37;
    const model = modelOf(nodes, ["y"], "n", small);
    const feeds = feedsOf(count, small);
    const options = { simd, kernels: "predicted", tolerance: 2e-5 } as const;
    const session = await expectLikeReference(model, feeds, options);
    const { y } = await session.run(feeds);
    for (const threads of [2, 3, 64]) {
      const { outputs } = await runArranged(model, feeds, { simd, threads, seed: threads });
      expect(outputs.y, `${threads} threads`).toEqual(y);
    }
  });
});

describe("what a plan takes", () => {
  it.each([1, 2, 3])("is little for forty images and for four thousand, with %i threads", async (threads) => {
    const model = modelOf(
      layersOfMany.find(({ name }) => name.startsWith("adder"))!.nodes,
      ["y"],
      "n",
      small,
    );
    for (const count of [42, 4200]) {
      const options = { simd: "simd", threads, seed: 1 } as const;
      const { arrangement } = await runArranged(model, feedsOf(count, small), options);
      const parts = new Set(arrangement.phases.flatMap(({ tasks }) => tasks.map((task) => task.parts)));
      expect([...parts].flat().flatMap(({ calls }) => calls).length).toBeLessThan(20);
      expect(arrangement.phases.flatMap(({ tasks }) => tasks).length).toBeLessThan(200);
    }
  });
});

describe("which nodes", () => {
  it("those whose values would not stay in the caches", () => {
    expect(nodesByImage(modelOf([...body, ...head], ["y"]), many)).toBe(3);
    expect(nodesByImage(modelOf([...body, ...head], ["y"]), 4 * many)).toBe(4);
  });

  it("none of a batch whose values stay in the caches, nor of one image", () => {
    expect(nodesByImage(modelOf([...body, ...head], ["y"]), 2)).toBe(0);
    expect(nodesByImage(modelOf([...body, ...head], ["y"]), 1)).toBe(0);
  });

  it("none where the file fixes the number of images", () => {
    expect(nodesByImage(modelOf(body, ["m"], many), many)).toBe(0);
  });

  const stops: readonly { name: string; nodes: Node[] }[] = [
    { name: "a number for each image", nodes: [makeNode("Mul", ["r", "perImage"], ["o"])] },
    {
      name: "softmax over the images",
      nodes: [makeNode("Softmax", ["r"], ["o"], [["axis", intAttribute(0)]])],
    },
    {
      name: "images in the opposite order",
      nodes: [makeNode("Slice", ["r", "backwards", "last", "zero", "backwards"], ["o"])],
    },
    {
      name: "the number of images as a factor",
      nodes: [
        makeNode("Shape", ["x"], ["dims"]),
        makeNode("Gather", ["dims", "zero"], ["count"]),
        makeNode("Cast", ["count"], ["factor"], [["to", intAttribute(1)]]),
        makeNode("Mul", ["r", "factor"], ["o"]),
      ],
    },
    {
      name: "images as channels",
      nodes: [makeNode("Concat", ["r", "r"], ["o"], [["axis", intAttribute(0)]])],
    },
  ];
  it.each(stops)("no further than $name", async ({ nodes }) => {
    const model = modelOf([convolution, positive, ...nodes], ["o"]);
    expect(nodesByImage(model, many)).toBeLessThanOrEqual(1);
    await expectLikeReference(model, feedsOf(many), { tolerance: 2e-5 });
  });
});
