// The work of a run divided among threads gives the bits of one thread: every kernel, every op, any order, any thread.

import { describe, expect, it, test } from "vitest";
import { kernelNames } from "../../custom-ops/kernels/table.ts";
import { createExecutor, unsupportedNodes } from "../../runtime/index.ts";
import { loweringOf } from "../../runtime/lowerings.ts";
import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Model, Node } from "../../src/core/ir/model.ts";
import { elementCount, float32Tensor, int64Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel, nodeOf, oneNodeModel } from "../core/one-node-model.ts";
import { randomNumbers, randomTensor } from "../core/suites/op-case.ts";
import { standardCases } from "../core/suites/standard.ts";
import {
  type AdderCase,
  adderFeeds,
  adderModel,
  chosenCases,
  plain,
  randomCase,
} from "../custom-ops/adder-case.ts";
import { codeCase, codeCases, codeFeeds, codeModel } from "../custom-ops/qlinear-case.ts";
import { runArranged } from "./arranged.ts";
import { levels } from "./compare.ts";

const same = [1, 1, 1, 1] as const;

/** Shapes with something to divide: several bands, images, groups, tiles of filters, and few pixels under many filters. */
const layers: readonly AdderCase[] = [
  ...chosenCases,
  ...Array.from({ length: 20 }, (_, seed) => randomCase(seed)),
  { name: "several bands", x: [2, 80, 33, 32], w: [9, 80, 3, 3], ...plain, pads: same, z: [2, 9, 33, 32] },
  {
    name: "several bands, stride 2",
    x: [1, 200, 61, 60],
    w: [5, 200, 3, 3],
    ...plain,
    pads: same,
    strides: [2, 2],
  },
  { name: "few pixels, many filters", x: [1, 8, 3, 3], w: [70, 8, 3, 3], ...plain, pads: same, bias: true },
  {
    name: "fully connected, nine rows",
    x: [9, 16, 2, 2],
    w: [130, 16, 2, 2],
    ...plain,
    bias: true,
    scale: true,
  },
  { name: "fully connected, one row", x: [1, 300, 1, 1], w: [150, 300, 1, 1], ...plain },
  {
    name: "groups of four filters",
    x: [2, 6, 12, 12],
    w: [12, 2, 3, 3],
    ...plain,
    group: 3,
    pads: same,
    min: 0,
  },
  { name: "depthwise", x: [2, 9, 13, 12], w: [9, 1, 3, 3], ...plain, group: 9, pads: same },
  {
    name: "many images",
    x: [37, 6, 5, 4],
    w: [10, 3, 3, 3],
    ...plain,
    group: 2,
    pads: same,
    z: [37, 10, 5, 4],
  },
  { name: "many images, depthwise", x: [37, 8, 8, 9], w: [8, 1, 3, 3], ...plain, group: 8, bias: true },
];

/** The case with a ReLU in front of X, so that X is provably not negative. */
function withRelu(adder: AdderCase): Model {
  const model = adderModel([adder]);
  model.graph.nodes[0]!.inputs[0] = "positive";
  model.graph.nodes.unshift(makeNode("Relu", ["x0"], ["positive"]));
  return model;
}

/** The same with most weights above 0, where tiles are faster than lists. */
function withPositiveWeights(model: Model): Model {
  const weights = model.graph.initializers.get("w0")!;
  const data = (weights.data as Float32Array).map(Math.abs);
  model.graph.initializers.set("w0", { ...weights, data } as Tensor);
  return model;
}

interface Problem {
  readonly name: string;
  readonly model: Model;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

function adderProblems(): Problem[] {
  return layers.flatMap((adder) => {
    const feeds = Object.fromEntries(adderFeeds([adder]));
    return [
      { name: `${adder.name}, signed`, model: adderModel([adder]), feeds },
      { name: `${adder.name}, after ReLU`, model: withRelu(adder), feeds },
    ];
  });
}

function tileProblems(): Problem[] {
  return layers.slice(-10).map((adder) => ({
    name: `${adder.name}, weights above 0`,
    model: withPositiveWeights(withRelu(adder)),
    feeds: Object.fromEntries(adderFeeds([adder])),
  }));
}

function codeProblems(): Problem[] {
  const cases = [...codeCases.slice(0, 20), ...layers.map((adder, seed) => codeCase(adder, seed))];
  return cases.map((given) => ({
    name: `${given.adder.name}, codes`,
    model: codeModel([given]),
    feeds: Object.fromEntries(codeFeeds([given])),
  }));
}

/** Operands fed, but for those that must be constants. */
function opProblems(): Problem[] {
  const problems = standardCases.map((testCase): Problem => {
    const model = oneNodeModel(testCase);
    const feeds: Record<string, Tensor> = {};
    for (const [index, tensor] of testCase.inputs.entries()) {
      if (tensor === null) continue;
      const name = `in${index}`;
      if (!loweringOf(nodeOf(testCase))?.parameters?.includes(index)) {
        feeds[name] = tensor;
        continue;
      }
      model.graph.initializers.set(name, tensor);
      model.graph.inputs = model.graph.inputs.filter((info) => info.name !== name);
    }
    return { name: testCase.name, model, feeds };
  });
  return problems.filter(({ model }) => unsupportedNodes(model).length === 0);
}

/** What the suites have only in sizes that are not worth dividing: chains of nodes from x to y. */
const chains: readonly { name: string; x: readonly number[]; nodes: Node[] }[] = [
  ...["Sqrt", "Reciprocal", "Exp", "Log", "Abs", "Sigmoid"].map((op) => ({
    name: `${op} of 1000`,
    x: [10, 100],
    nodes: [makeNode(op, ["x"], ["y"])],
  })),
  { name: "Gemm", x: [9, 20], nodes: [makeNode("Gemm", ["x", "matrix"], ["y"])] },
  {
    name: "the largest of nothing",
    x: [50, 1],
    nodes: [
      makeNode("Slice", ["x", "zero", "zero", "one"], ["empty"]),
      makeNode("ReduceMax", ["empty"], ["y"], [["axes", intsAttribute([1])]]),
    ],
  },
  {
    name: "codes pooled and padded",
    x: [2, 6, 12, 12],
    nodes: [
      makeNode("QuantizeLinear", ["x", "step", "code"], ["q"]),
      makeNode("MaxPool", ["q"], ["p"], [["kernel_shape", intsAttribute([3, 3])]]),
      makeNode("Pad", ["p", "pads", "code"], ["padded"]),
      makeNode("DequantizeLinear", ["padded", "step", "code"], ["y"]),
    ],
  },
  {
    name: "integer sums to floats",
    x: [2, 6, 12, 12],
    nodes: [
      makeNode("QuantizeLinear", ["x", "step", "code"], ["q"]),
      makeNode("AdderInteger2d", ["q", "w", "code"], ["i"], [], { domain: "addernet" }),
      makeNode("Cast", ["i"], ["f"], [["to", intAttribute(1)]]),
      makeNode("AdderInteger2d", ["q", "all", "code"], ["j"], [], { domain: "addernet" }),
      makeNode("Cast", ["j"], ["g"], [["to", intAttribute(1)]]),
      makeNode("Add", ["f", "g"], ["y"]),
    ],
  },
  {
    name: "weights computed for many images, which are pooled",
    x: [40, 5, 8, 9],
    nodes: [
      makeNode("Slice", ["x", "zero", "seven", "zero"], ["some"]),
      makeNode("Slice", ["some", "zero", "three", "two"], ["low"]),
      makeNode("Slice", ["low", "zero", "three", "last"], ["w0"]),
      makeNode("Conv", ["x", "w0"], ["c"], [["pads", intsAttribute(same)]]),
      makeNode("AveragePool", ["c"], ["a"], [["kernel_shape", intsAttribute([3, 3])]]),
      makeNode(
        "MaxPool",
        ["a"],
        ["y"],
        [
          ["kernel_shape", intsAttribute([2, 2])],
          ["pads", intsAttribute(same)],
        ],
      ),
    ],
  },
  {
    name: "integers to floats",
    x: [100],
    nodes: [
      makeNode("QuantizeLinear", ["x", "step", "code"], ["q"]),
      makeNode("Reshape", ["q", "column"], ["c"]),
      makeNode("AdderInteger2d", ["c", "single", "code"], ["i"], [], { domain: "addernet" }),
      makeNode("Transpose", ["i"], ["t"], [["perm", intsAttribute([1, 0, 2, 3])]]),
      makeNode("Cast", ["t"], ["y"], [["to", intAttribute(1)]]),
    ],
  },
];

const codesOf = (dims: readonly number[]): Tensor => ({
  type: "uint8",
  data: Uint8Array.from(randomNumbers(elementCount(dims), 4), (value) => Math.max(0, value) * 255),
  dims,
});

const chainConstants: Readonly<Record<string, Tensor>> = {
  matrix: randomTensor([20, 30], 3),
  zero: int64Tensor([0]),
  one: int64Tensor([1]),
  two: int64Tensor([2]),
  three: int64Tensor([3]),
  seven: int64Tensor([7]),
  last: int64Tensor([-1]),
  column: int64Tensor([-1, 1, 1, 1]),
  pads: int64Tensor([0, 0, 1, 2, 0, 0, 2, 1]),
  step: float32Tensor([0.01], []),
  code: { type: "uint8", data: Uint8Array.of(9), dims: [] },
  w: codesOf([5, 6, 3, 3]),
  all: codesOf([5, 6, 12, 12]),
  single: codesOf([3, 1, 1, 1]),
};

function chainProblems(): Problem[] {
  return chains.map(({ name, x, nodes }) => {
    const input = { name: "x", type: { kind: "tensor", elemType: "float32", shape: x } } as const;
    const model = emptyModel(emptyGraph(nodes, [input], [{ name: "y" }]), 13);
    model.opsetImports.set("addernet", 1);
    const read = new Set(nodes.flatMap(({ inputs }) => inputs));
    for (const [constant, tensor] of Object.entries(chainConstants)) {
      if (read.has(constant)) model.graph.initializers.set(constant, tensor);
    }
    return { name, model, feeds: { x: randomTensor(x, 6) } };
  });
}

const problems = [
  ...adderProblems(),
  ...tileProblems(),
  ...codeProblems(),
  ...opProblems(),
  ...chainProblems(),
];
/** Kernels of which a call was divided, or done by another thread as a whole. */
const shared = new Set<string>();

describe.each(levels)("%s", (simd) => {
  test.each(problems)("$name", async ({ model, feeds }) => {
    const session = await createExecutor(model, { simd, kernels: "predicted" });
    const alone = await session.run(feeds);
    for (const threads of [2, 3, 5]) {
      const { outputs, arrangement } = await runArranged(model, feeds, { simd, threads, seed: threads });
      expect(outputs, `${threads} threads`).toEqual(alone);
      for (const { tasks, isShared } of arrangement.phases) {
        if (!isShared) continue;
        for (const { calls } of tasks.flatMap(({ parts }) => parts))
          for (const { kernel } of calls) shared.add(kernel);
      }
    }
  });
});

it("every kernel was shared out by a case", () => {
  // Lists are made while planning.
  const run = kernelNames.filter((kernel) => !kernel.endsWith("list_taps"));
  expect(run.filter((kernel) => !shared.has(kernel))).toEqual([]);
});
