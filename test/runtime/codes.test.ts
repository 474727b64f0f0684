// Layers of 8-bit codes on the runtime against the formulas in integers and single float32 steps, bit for bit, on every instruction
// set; and whole chains of them against the references.

import { describe, expect, it, test } from "vitest";
import { ops } from "../../custom-ops/index.ts";
import { createExecutor, unsupportedNodes } from "../../runtime/index.ts";
import { interpret } from "../../src/core/interpret.ts";
import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Model, Node } from "../../src/core/ir/model.ts";
import { elementCount, float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomNumbers } from "../core/suites/op-case.ts";
import type { AdderCase } from "../custom-ops/adder-case.ts";
import { outputDims, plain } from "../custom-ops/adder-case.ts";
import {
  type CodeCase,
  code,
  codeCase,
  codeCases,
  codeFeeds,
  codeModel,
  plainCodeSums,
  plainCodes,
  tensorsOf,
} from "../custom-ops/qlinear-case.ts";
import { kernelCalls, levels } from "./compare.ts";

const same = [1, 1, 1, 1] as const;

/** Pixels and taps on both sides of blocks and segments, bands, and windows of all kinds. */
const edges: readonly AdderCase[] = [
  ...[1, 15, 16, 17, 33, 48, 63, 64, 65, 130].map(
    (width): AdderCase => ({ name: `${width} pixels`, x: [1, 3, 1, width], w: [5, 3, 1, 1], ...plain }),
  ),
  ...[256, 257, 258, 515].map(
    (c): AdderCase => ({ name: `${c} taps`, x: [1, c, 2, 3], w: [3, c, 1, 1], ...plain }),
  ),
  { name: "several bands", x: [2, 160, 33, 32], w: [2, 160, 3, 3], ...plain, pads: same },
  {
    name: "several bands, stride 2",
    x: [1, 200, 61, 60],
    w: [2, 200, 3, 3],
    ...plain,
    pads: same,
    strides: [2, 2],
  },
  {
    name: "7x7, stride 2",
    x: [1, 3, 30, 30],
    w: [4, 3, 7, 7],
    ...plain,
    strides: [2, 2],
    pads: [3, 3, 3, 3],
  },
  { name: "far beyond the edge", x: [1, 2, 3, 4], w: [3, 2, 2, 2], ...plain, pads: [9, 500, 7, 470] },
  { name: "stride 3", x: [1, 2, 10, 11], w: [3, 2, 3, 3], ...plain, strides: [3, 3] },
  { name: "fully connected", x: [5, 16, 5, 5], w: [70, 16, 5, 5], ...plain },
  { name: "fully connected, 1x1", x: [2, 300, 1, 1], w: [13, 300, 1, 1], ...plain },
  { name: "many sparse rows", x: [1, 64, 8, 8], w: [16, 64, 3, 3], ...plain, pads: same },
];
const cases: readonly CodeCase[] = [...codeCases, ...edges.map((adder, seed) => codeCase(adder, seed + 500))];

/** The case with codes of X and W that are 0 or the largest. */
function withExtremes(given: CodeCase): { readonly model: Model; readonly x: Tensor; readonly w: Tensor } {
  const model = codeModel([given]);
  const extreme = (dims: readonly number[], seed: number): Tensor => ({
    type: "uint8",
    data: Uint8Array.from(randomNumbers(elementCount(dims), seed), (value) => (value < 0 ? 0 : 255)),
    dims,
  });
  const w = extreme(given.adder.w, 8);
  model.graph.initializers.set("w0", w);
  return { model, x: extreme(given.adder.x, 9), w };
}

describe.each(levels)("%s", (simd) => {
  test.each(cases.map((given) => ({ given, name: given.adder.name })))("$name", async ({ given }) => {
    const session = await createExecutor(codeModel([given]), { simd });
    const { y0, sum0 } = await session.run(Object.fromEntries(codeFeeds([given])));
    const tensors = tensorsOf(given);
    expect(sum0).toEqual({
      type: "int32",
      data: plainCodeSums(given, tensors),
      dims: outputDims(given.adder),
    });
    expect(y0).toEqual({ type: "uint8", data: plainCodes(given, tensors), dims: outputDims(given.adder) });
  });

  test.each(cases.slice(0, 40).map((given) => ({ given, name: given.adder.name })))(
    "$name, codes of 0 and 255",
    async ({ given }) => {
      const { model, x, w } = withExtremes(given);
      const session = await createExecutor(model, { simd });
      const { y0, sum0 } = await session.run({ ...Object.fromEntries(codeFeeds([given])), x0: x });
      const tensors = { ...tensorsOf(given), x, w };
      expect(sum0!.data).toEqual(plainCodeSums(given, tensors));
      expect(y0!.data).toEqual(plainCodes(given, tensors));
    },
  );
});

const dims = [2, 6, 9, 10] as const;

/** x (float) -> codes -> the nodes -> y. */
function quantizedModel(nodes: Node[], constants: Readonly<Record<string, Tensor>>, opset = 13): Model {
  const first = makeNode("QuantizeLinear", ["x", "step", "zero"], ["q"]);
  const input = { name: "x", type: { kind: "tensor", elemType: "float32", shape: dims } } as const;
  const model = emptyModel(emptyGraph([first, ...nodes], [input], [{ name: "y" }]), opset);
  model.opsetImports.set("addernet", 1);
  const shared = { step: float32Tensor([0.02], []), zero: code(7) };
  for (const [name, tensor] of Object.entries({ ...shared, ...constants })) {
    model.graph.initializers.set(name, tensor);
  }
  return model;
}

function weights(shape: readonly number[], most: number, seed = 3): Tensor {
  const data = Uint8Array.from(
    randomNumbers(elementCount(shape), seed),
    (value) => Math.max(0, value) * most,
  );
  return { type: "uint8", data, dims: shape };
}

const input: Tensor = {
  type: "float32",
  data: Float32Array.from(randomNumbers(elementCount(dims), 1), (v) => 4 * v),
  dims,
};
const perFilter = (values: number[]): Tensor => float32Tensor(values, [values.length]);

function expectBits(found: Tensor, wanted: Tensor): void {
  expect(found.type).toBe(wanted.type);
  expect(found.dims).toEqual([...wanted.dims]);
  expect([...(found.data as Float32Array)]).toEqual([...(wanted.data as Float32Array)]);
}

async function expectLikeReferences(model: Model, simd: (typeof levels)[number]) {
  const session = await createExecutor(model, { simd });
  const { y } = await session.run({ x: input });
  const feeds = new Map([["x", input]]);
  expectBits(y!, interpret(model.graph, model.opsetImports, ops, feeds).get("y")!);
  return session;
}

const layer = (from: string, to: string, residual: string[] = [], most = 255): Node =>
  makeNode(
    "QLinearAdder2d",
    [from, "zero", "w", "scale", "bias", "zero", ...residual],
    [to],
    [
      ["pads", intsAttribute(same)],
      ["y_min", intAttribute(7)],
      ["y_max", intAttribute(most)],
    ],
    { domain: "addernet" },
  );
const affine = {
  scale: perFilter([0.01, -0.02, 0.015, 0.01, 0.02, 0.012]),
  bias: perFilter([60, 20, 90, 70, 100, 80]),
};

const chains: readonly { name: string; nodes: Node[]; constants: Record<string, Tensor>; kernels: RegExp }[] =
  [
    {
      name: "codes from layer to layer, with a residual",
      nodes: [
        layer("q", "a"),
        layer("a", "b"),
        layer("b", "c", ["a", "step", "zero"], 100),
        makeNode("DequantizeLinear", ["c", "step", "zero"], ["y"]),
      ],
      constants: { w: weights([6, 6, 3, 3], 255), ...affine },
      kernels: /^u8_quantize,u8_expand,u8_window_sums,u8_adder_sparse_1x64,u8_dequantize$/,
    },
    {
      name: "small codes, pooled and flattened",
      nodes: [
        layer("q", "a", [], 60),
        makeNode(
          "MaxPool",
          ["a"],
          ["p"],
          [
            ["kernel_shape", intsAttribute([3, 3])],
            ["strides", intsAttribute([2, 2])],
            ["pads", intsAttribute(same)],
          ],
        ),
        layer("p", "b", [], 63),
        makeNode("Flatten", ["b"], ["f"]),
        makeNode("DequantizeLinear", ["f", "step", "zero"], ["y"]),
      ],
      constants: { w: weights([6, 6, 3, 3], 63), ...affine },
      kernels: /u8_max_pool_1x16/,
    },
    {
      name: "codes moved: transposed, cut, joined, padded",
      nodes: [
        makeNode("Transpose", ["q"], ["t"], [["perm", intsAttribute([0, 1, 3, 2])]]),
        makeNode("Slice", ["t", "from", "to", "axes"], ["s"]),
        makeNode("Concat", ["s", "s"], ["c"], [["axis", intAttribute(1)]]),
        makeNode("Pad", ["c", "pads", "seven"], ["p"]),
        makeNode("DequantizeLinear", ["p", "step", "zero"], ["y"]),
      ],
      constants: {
        from: { type: "int64", data: BigInt64Array.of(1n, 2n), dims: [2] },
        to: { type: "int64", data: BigInt64Array.of(8n, 9n), dims: [2] },
        axes: { type: "int64", data: BigInt64Array.of(2n, 3n), dims: [2] },
        pads: { type: "int64", data: BigInt64Array.of(0n, 0n, 1n, 2n, 0n, 0n, 0n, 1n), dims: [8] },
        seven: code(7),
      },
      kernels: /b8_copy,b8_gather/,
    },
    {
      name: "a residual that broadcasts",
      nodes: [
        layer("q", "a", ["perFilter", "step", "zero"]),
        makeNode("DequantizeLinear", ["a", "step"], ["y"]),
      ],
      constants: { w: weights([6, 6, 3, 3], 200), ...affine, perFilter: weights([6, 1, 1], 255, 9) },
      kernels: /b8_copy/,
    },
  ];

it("a residual that adds nothing costs nothing", async () => {
  const nodes = [
    layer("q", "a", ["nothing", "step", "zero"]),
    makeNode("DequantizeLinear", ["a", "step", "zero"], ["y"]),
  ];
  const nothing: Tensor = { type: "uint8", data: Uint8Array.of(7), dims: [1] };
  const model = quantizedModel(nodes, { w: weights([6, 6, 3, 3], 255), ...affine, nothing });
  expect(kernelCalls(await expectLikeReferences(model, "scalar"))).not.toHaveProperty("b8_copy");
});

const integerSums = makeNode("AdderInteger2d", ["q", "w", "zero"], ["i"], [["pads", intsAttribute(same)]], {
  domain: "addernet",
});
const toFloats = makeNode("Cast", ["i"], ["f"], [["to", intAttribute(1)]]);
const floatAffine = {
  w: weights([6, 6, 3, 3], 255),
  factor: float32Tensor([0.011, -0.023, 0.0153, 0.01, 0.02, 0.012], [1, 6, 1, 1]),
  shift: float32Tensor([60, 20, 90, 70, 100, 80], [6, 1, 1]),
  half: float32Tensor([0.37], []),
};
const sums = "u8_quantize,u8_expand,u8_window_sums,u8_adder_sparse_f32_1x64";
const integerChains: typeof chains = [
  {
    name: "integer sums to floats",
    nodes: [integerSums, makeNode("Cast", ["i"], ["y"], [["to", intAttribute(1)]])],
    constants: floatAffine,
    kernels: new RegExp(`^${sums}$`),
  },
  {
    name: "integer sums scaled, shifted and clipped",
    nodes: [
      integerSums,
      toFloats,
      makeNode("Mul", ["f", "factor"], ["s"]),
      makeNode("Add", ["shift", "s"], ["b"]),
      makeNode("Relu", ["b"], ["y"]),
    ],
    constants: floatAffine,
    kernels: new RegExp(`^${sums}$`),
  },
  {
    name: "integer sums with a residual",
    nodes: [
      makeNode("DequantizeLinear", ["q", "step", "zero"], ["d"]),
      integerSums,
      toFloats,
      makeNode("Mul", ["f", "half"], ["s"]),
      makeNode("Add", ["s", "shift"], ["b"]),
      makeNode("Add", ["b", "d"], ["y"]),
    ],
    constants: floatAffine,
    kernels: /^u8_quantize,u8_dequantize,u8_expand,u8_window_sums,u8_adder_sparse_f32_1x64$/,
  },
  {
    name: "integer sums scaled twice",
    nodes: [
      integerSums,
      toFloats,
      makeNode("Mul", ["f", "factor"], ["s"]),
      makeNode("Mul", ["s", "factor"], ["y"]),
    ],
    constants: floatAffine,
    kernels: new RegExp(`^${sums},f32_mul$`),
  },
  {
    name: "integer sums read twice",
    nodes: [
      integerSums,
      toFloats,
      makeNode("Mul", ["f", "factor"], ["s"]),
      makeNode("Add", ["s", "f"], ["y"]),
    ],
    constants: floatAffine,
    kernels: new RegExp(`^${sums},f32_mul,f32_add$`),
  },
];

describe.each(levels)("chains of codes, %s", (simd) => {
  test.each([...chains, ...integerChains])("$name", async ({ nodes, constants, kernels }) => {
    const model = quantizedModel(structuredClone(nodes), constants);
    const session = await expectLikeReferences(model, simd);
    expect(Object.keys(kernelCalls(session)).join()).toMatch(kernels);
  });
});

it("quantizing saturates and rounds halves to even", async () => {
  const halves = [-1.75, -1.25, -0.75, -0.25, 0, 0.25, 0.75, 1.25];
  const values = Float32Array.of(...halves, 123.6, 123.8, 1e30, Infinity, -1e30, -Infinity, -3.49, -3.51);
  const node = makeNode("QuantizeLinear", ["x", "half", "zero"], ["y"]);
  const shape = [values.length];
  const model = emptyModel(
    emptyGraph(
      [node],
      [{ name: "x", type: { kind: "tensor", elemType: "float32", shape } }],
      [{ name: "y" }],
    ),
    13,
  );
  model.graph.initializers.set("half", float32Tensor([0.5], []));
  model.graph.initializers.set("zero", code(7));
  const { y } = await (await createExecutor(model)).run({
    x: { type: "float32", data: values, dims: shape },
  });
  const wanted = [3, 5, 5, 7, 7, 7, 9, 9, 254, 255, 255, 255, 0, 0, 0, 0];
  expect([...(y!.data as Uint8Array)]).toEqual(wanted);
});

const refusals: readonly {
  name: string;
  nodes: Node[];
  constants: Record<string, Tensor>;
  reason: RegExp;
}[] = [
  {
    name: "one scale per channel",
    nodes: [makeNode("DequantizeLinear", ["q", "steps"], ["y"])],
    constants: { steps: perFilter([1, 2, 3, 4, 5, 6]) },
    reason: /one scale per channel/,
  },
  {
    name: "signed codes",
    nodes: [makeNode("QuantizeLinear", ["x", "step", "signed"], ["y"])],
    constants: { signed: { type: "int8", data: Int8Array.of(0), dims: [] } },
    reason: /int8 codes/,
  },
  {
    name: "scales that are not finite",
    nodes: [layer("q", "y")],
    constants: { w: weights([6, 6, 3, 3], 255), ...affine, scale: perFilter([1, 2, 3, Infinity, 5, 6]) },
    reason: /not finite/,
  },
  {
    name: "weights computed from data",
    nodes: [makeNode("AdderInteger2d", ["q", "q", "zero"], ["y"], [], { domain: "addernet" })],
    constants: {},
    reason: /input 1 is computed from data/,
  },
  {
    name: "too many taps",
    nodes: [
      makeNode("AdderInteger2d", ["q", "w", "zero"], ["y"], [["group", intAttribute(1)]], {
        domain: "addernet",
      }),
    ],
    constants: { w: weights([1, 6, 80, 80], 255) },
    reason: /38400 taps/,
  },
];

describe("refuses", () => {
  it.each(refusals)("$name", ({ nodes, constants, reason }) => {
    const model = quantizedModel(structuredClone(nodes), constants);
    if (constants.w?.dims[2] === 80) {
      model.graph.inputs[0] = {
        name: "x",
        type: { kind: "tensor", elemType: "float32", shape: [1, 6, 80, 80] },
      };
    }
    expect(unsupportedNodes(model).map((missing) => missing.reason)).toEqual([expect.stringMatching(reason)]);
  });
});
