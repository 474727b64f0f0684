// Layers in nodes of other domains: custom ops under any name, PythonOp, ATen, functions, the broken cdist, and our own nodes.

import { describe, expect, it } from "vitest";
import type { ImportOptions } from "../../converter/importers/index.ts";
import { floatAttribute } from "../../src/core/ir/attributes.ts";
import type { Attribute } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { functionOf } from "../core/small-graph.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import { type AdderCase, outputDims, plainAdder2d, tensorsOf } from "../custom-ops/adder-case.ts";
import { adderNodes, importNet, type NetWriter, netWriter, runNet } from "./net-writer.ts";

const plain = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;
const adder: AdderCase = {
  name: "",
  x: [2, 4, 7, 7],
  w: [6, 4, 3, 3],
  ...plain,
  strides: [2, 2],
  pads: [1, 1, 1, 1],
};
const { x, w } = tensorsOf(adder);

const range = (length: number): number[] => Array.from({ length }, (_, at) => at);

function expectAdder(
  net: NetWriter,
  expected: AdderCase,
  tensors: { x: Tensor; w: Tensor; b?: Tensor } = { x, w },
): void {
  const found = runNet(net, { x: tensors.x });
  const wanted = plainAdder2d(expected, tensors);
  expect(found).toHaveLength(wanted.length);
  for (const [at, value] of found.entries()) expect(value).toBeCloseTo(wanted[at]!, 6);
}

type Attributes = Readonly<Record<string, number | readonly number[] | string | Attribute>>;

interface ForeignCase {
  readonly name: string;
  readonly op: string;
  readonly attributes?: Attributes;
  readonly expected?: Partial<AdderCase>;
  readonly options?: Partial<ImportOptions>;
}

const given = { strides: [2, 2], pads: [1, 1, 1, 1] };

const customOps: readonly ForeignCase[] = [
  {
    name: "ONNX attributes",
    op: "addernet::Adder2d",
    attributes: { kernel_shape: [3, 3], ...given, dilations: [1, 1], group: 1 },
  },
  {
    name: "single integers",
    op: "custom_ops::Adder2D",
    attributes: { kernel_size: 3, stride: 2, padding: 1 },
  },
  { name: "pairs", op: "my.domain::adder2d", attributes: { stride: [2, 2], padding: [1, 1] } },
  { name: "pad", op: "mmdeploy::AdderConv", attributes: { stride: 2, pad: 1 } },
  {
    name: "MindSpore's op with attributes",
    op: "mindspore::adder_f",
    attributes: { stride: [2, 2], padding: 1 },
  },
  { name: "AdderFusion", op: "x::AdderFusion", attributes: { strides: [2, 2], pads: [1, 1, 1, 1] } },
  { name: "no domain", op: "Adder2d", attributes: given },
  {
    name: "auto_pad",
    op: "x::Adder2d",
    attributes: { strides: [1, 1], auto_pad: "SAME_UPPER" },
    expected: { strides: [1, 1] },
  },
  {
    name: "auto_pad with a stride",
    op: "x::Adder2d",
    attributes: { strides: [2, 2], auto_pad: "SAME_LOWER" },
    expected: { pads: [1, 1, 1, 1] },
  },
  {
    name: "padding in words",
    op: "x::adder",
    attributes: { stride: 1, padding: "same" },
    expected: { strides: [1, 1] },
  },
  {
    name: "valid padding in words",
    op: "x::adder",
    attributes: { stride: 1, padding: "valid" },
    expected: { strides: [1, 1], pads: [0, 0, 0, 0] },
  },
  {
    name: "our own domain without attributes has ONNX's defaults",
    op: "addernet::Adder2d",
    expected: { strides: [1, 1], pads: [0, 0, 0, 0] },
  },
  {
    name: "floats that are integers",
    op: "x::Adder2d",
    attributes: { stride: floatAttribute(2), padding: floatAttribute(1) },
  },
  {
    name: "a name of the user's own",
    op: "acme::L1Conv",
    attributes: given,
    options: { mapOps: new Map([["acme::L1Conv", "adder2d"]]) },
  },
  {
    name: "settings complete a layer",
    op: "x::adder",
    options: { set: new Map([["layer", { strides: [2], pads: [1] }]]) },
  },
  {
    name: "settings go before attributes",
    op: "x::adder",
    attributes: { stride: 1, padding: 0 },
    options: { set: new Map([["layer.adder", { strides: [2, 2], pads: [1, 1] }]]) },
  },
];

function foreignNet(
  op: string,
  attributes: Attributes = {},
  more: readonly Tensor[] = [],
  order: "x first" | "w first" = "x first",
): NetWriter {
  const net = netWriter();
  net.input("x", adder.x);
  const constants = [net.constant(w, "layer.adder"), ...more.map((tensor) => net.constant(tensor))];
  const inputs = order === "x first" ? ["x", ...constants] : [constants[0]!, "x", ...constants.slice(1)];
  net.output(net.op(op, inputs, attributes));
  return net;
}

describe("custom ops", () => {
  it.each(customOps)("$name", ({ op, attributes, expected, options }) => {
    const net = foreignNet(op, attributes);
    const { layers } = importNet(net, options);
    expect(layers).toHaveLength(1);
    expect(layers[0]).toMatchObject({ node: "layer", layer: "layer", weightShape: adder.w });
    expect(adderNodes(net)[0]!.inputs).toEqual(["x", "layer.adder"]);
    expectAdder(net, { ...adder, ...expected });
  });

  it("the weight may come first", () => {
    const net = foreignNet("x::Adder2d", given, [], "w first");
    importNet(net);
    expectAdder(net, adder);
  });

  it.each([
    ["[M]", [6]],
    ["[1, M, 1, 1]", [1, 6, 1, 1]],
  ])("a bias %s is B", (_name, dims) => {
    const b = randomTensor(dims, 3);
    const net = foreignNet("x::Adder2d", given, [b]);
    importNet(net);
    expect(net.model.graph.initializers.get(adderNodes(net)[0]!.inputs[2]!)!.dims).toEqual([6]);
    expectAdder(net, { ...adder, bias: true }, { x, w, b: { ...b, dims: [6] } });
  });

  it("a bias of zeros is none", () => {
    const net = foreignNet("x::Adder2d", given, [{ type: "float32", dims: [6], data: new Float32Array(6) }]);
    importNet(net);
    expect(adderNodes(net)[0]!.inputs).toHaveLength(2);
  });

  it("groups follow from the channels", () => {
    const grouped: AdderCase = { ...adder, w: [6, 2, 3, 3], group: 2 };
    const own = tensorsOf(grouped);
    const net = netWriter();
    net.input("x", grouped.x);
    net.output(net.op("x::Adder2d", ["x", net.constant(own.w)], given));
    expect(importNet(net).layers[0]!.group).toBe(2);
    expectAdder(net, grouped, own);
  });

  it.each([
    ["[M, C·KH·KW]", [6, 36]],
    ["[M, C, KH·KW]", [6, 4, 9]],
  ])("a weight %s with its kernel", (_name, dims) => {
    const net = netWriter();
    net.input("x", adder.x);
    net.output(net.op("x::Adder2d", ["x", net.constant({ ...w, dims })], { ...given, kernel_size: 3 }));
    importNet(net);
    expectAdder(net, adder);
  });

  it("a weight computed at run time stays an input", () => {
    const net = netWriter();
    net.input("x", adder.x);
    net.input("w", adder.w);
    net.output(net.op("addernet::Adder2d", ["x", net.op("Relu", ["w"])], given));
    expect(importNet(net).layers).toHaveLength(1);
    expect(adderNodes(net)[0]!.inputs).toEqual(["x", "v0"]);
  });

  it("our own node with everything fused stays as it is", () => {
    const net = netWriter();
    net.input("x", adder.x);
    net.input("z", outputDims(adder));
    const constants = [w, randomTensor([6], 3), randomTensor([6], 4)].map((tensor) => net.constant(tensor));
    net.output(
      net.op("addernet::Adder2d", ["x", ...constants, "z"], { ...given, activation_min: floatAttribute(0) }),
    );
    const before = structuredClone(net.node());
    const { layers } = importNet(net);
    expect(net.node()).toEqual(before);
    expect(layers[0]).toMatchObject({
      form: "addernet::Adder2d",
      weightShape: adder.w,
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    });
  });
});

/** The im2col matrix [K, N·L] around a node that only sums, as AdderNet's own code has it. */
function columnsNet(op: string, attributes: Attributes, order: "w first" | "x first"): NetWriter {
  const net = netWriter();
  const [n, m, oh, ow] = outputDims(adder);
  net.input("x", adder.x);
  net.scope("/block/block.0/conv");
  const padded = net.op("Pad", ["x", net.ints([0, 0, 1, 1, 0, 0, 1, 1])]);
  const at = (outputs: number) => range(3).flatMap((tap) => range(outputs).map((place) => 2 * place + tap));
  const byRow = net.op("Gather", [padded, net.ints(at(oh), [3, oh])], { axis: 2 });
  const windows = net.op("Gather", [byRow, net.ints(at(ow), [3, ow])], { axis: 4 });
  const ordered = net.op("Transpose", [windows], { perm: [1, 2, 4, 3, 5, 0] });
  const columns = net.op("Reshape", [ordered, net.ints([36, -1])]);
  const weight = net.constant({ ...w, dims: [6, 36] }, "prim::PythonOp_17");
  const sum = net.op(op, order === "w first" ? [weight, columns] : [columns, weight], attributes);
  if (op.startsWith("com.microsoft")) net.node().outputs = ["context", sum];
  const maps = net.op("Reshape", [sum, net.ints([m, oh, ow, n])]);
  net.output(net.op("Transpose", [maps], { perm: [3, 0, 1, 2] }));
  return net;
}

describe("a node that only sums between im2col and reshape", () => {
  it.each([
    ["prim::PythonOp", { inplace: 0, module: "adder" }, "w first"],
    ["prim::PythonOp", { inplace: 0, module: "adder" }, "x first"],
    ["addernet::PythonOp", { name: "adder" }, "w first"],
    ["com.microsoft::PythonOp", { func_name: "nets.adder", input_convention: "dd" }, "w first"],
    ["custom::adder", {}, "w first"],
  ] as const)("%s %o, %s", (op, attributes, order) => {
    const net = columnsNet(op, attributes, order);
    const { layers, warnings } = importNet(net);
    expect(layers).toHaveLength(1);
    expect(layers[0]).toMatchObject({
      layer: "block.0.conv",
      weightShape: adder.w,
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    });
    expect(layers[0]!.form).toBe(op.endsWith("PythonOp") ? "PythonOp" : "custom op");
    expect(warnings.map(({ code }) => code)).toEqual(op.startsWith("prim") ? ["ADN_PYTHONOP_ASSUMED"] : []);
    expect(net.model.graph.nodes).toHaveLength(1);
    expectAdder(net, adder);
  });
});

describe("PythonOp for a whole layer", () => {
  const set = new Map([["/layer/PythonOp", { strides: [2, 2], pads: [1, 1, 1, 1] }]]);
  const named = (attributes: Attributes, op = "prim::PythonOp"): NetWriter => {
    const net = foreignNet(op, attributes);
    net.node().name = "/layer/PythonOp";
    return net;
  };

  it("settings bring back what the export lost", () => {
    const net = named({ inplace: 0, module: "adder" });
    const { layers } = importNet(net, { set });
    expect(layers[0]).toMatchObject({ form: "PythonOp", strides: [2, 2], pads: [1, 1, 1, 1] });
    expectAdder(net, adder);
  });

  it("ORTModule's integers are taken where their order is certain", () => {
    const certain = named({ func_name: "net.adder", input_int_scalars: [1, 0] }, "com.microsoft::PythonOp");
    certain.node().outputs = ["context", "y"];
    certain.model.graph.outputs = [{ name: "y" }];
    expect(importNet(certain).layers[0]).toMatchObject({ strides: [1, 1], pads: [0, 0, 0, 0] });
    const open = named({ func_name: "net.adder", input_int_scalars: [2, 1] }, "com.microsoft::PythonOp");
    expect(() => importNet(open)).toThrow(expect.objectContaining({ code: "ADN_ADDER_INCOMPLETE" }));
  });

  it("a function with another name is left alone", () => {
    const net = named({ name: "ShiftFunction" });
    expect(importNet(net).layers).toEqual([]);
    expect(net.model.graph.nodes[0]!.opType).toBe("PythonOp");
  });

  it("shapes that leave no choice bring stride and padding back, and say so", () => {
    const net = named({ name: "adder" });
    const output = outputDims(adder);
    net.model.graph.outputs = [{ name: "v0", type: { kind: "tensor", elemType: "float32", shape: output } }];
    const { layers } = importNet(net);
    expect(layers[0]).toMatchObject({ strides: [2, 2], pads: [1, 1, 1, 1] });
    expect(layers[0]!.evidence).toMatch(/not in the file, but no other ones .* bring 7x7 to 4x4/);
    expectAdder(net, adder);
  });

  it("an addition with a known value does as well", () => {
    const net = netWriter();
    net.input("x", [1, 6, 8, 8]);
    const weight = net.constant(randomTensor([6, 6, 3, 3], 1));
    const y = net.op("prim::PythonOp", ["x", weight], { name: "adder" });
    net.output(net.op("Add", [net.op("Relu", [y]), "x"]));
    expect(importNet(net).layers[0]).toMatchObject({ strides: [1, 1], pads: [1, 1, 1, 1] });
  });

  it("shapes that leave a choice do not", () => {
    const net = named({ name: "adder" });
    net.model.graph.outputs = [
      { name: "v0", type: { kind: "tensor", elemType: "float32", shape: [2, 6, 1, 1] } },
    ];
    expect(() => importNet(net)).toThrow(expect.objectContaining({ code: "ADN_ADDER_INCOMPLETE" }));
  });
});

describe("ATen", () => {
  const call = (net: NetWriter, operator: string, inputs: readonly string[]): string =>
    net.op("org.pytorch.aten::ATen", inputs, { operator, overload_name: "" });

  it("the official layout in PyTorch's own operators", () => {
    const net = netWriter(13);
    const [, m, oh, ow] = outputDims(adder);
    net.input("x", adder.x);
    const flag = (value: boolean) =>
      net.constant({ type: "bool", dims: [], data: Uint8Array.of(value ? 1 : 0) });
    const columns = call(net, "im2col", [
      "x",
      net.ints([3, 3]),
      net.ints([1, 1]),
      net.ints([1, 1]),
      net.ints([2, 2]),
    ]);
    const turned = call(net, "contiguous", [
      call(net, "permute", [columns, net.ints([1, 2, 0])]),
      net.ints([0], []),
    ]);
    const flat = call(net, "view", [turned, net.ints([36, -1])]);
    const weight = call(net, "unsqueeze", [
      net.constant({ ...w, dims: [6, 36] }, "c.adder"),
      net.ints([2], []),
    ]);
    const difference = call(net, "sub", [
      weight,
      call(net, "unsqueeze", [flat, net.ints([0], [])]),
      net.ints([1], []),
    ]);
    const sum = call(net, "neg", [
      call(net, "sum", [call(net, "abs", [difference]), net.ints([1]), flag(false), ""]),
    ]);
    const batch = net.unsqueeze(call(net, "size", ["x", net.ints([0], [])]), 0);
    const target = net.op("Concat", [net.ints([m, oh, ow]), batch], { axis: 0 });
    net.output(call(net, "permute", [call(net, "view", [sum, target]), net.ints([3, 0, 1, 2])]));
    const { layers } = importNet(net);
    expect(layers[0]).toMatchObject({ layer: "c", form: "ATen", strides: [2, 2], pads: [1, 1, 1, 1] });
    expectAdder(net, adder);
  });

  it("cdist with p = 1 means what it says", () => {
    const net = netWriter(13);
    net.input("x", [3, 5]);
    const rows = net.constant(randomTensor([4, 5], 1));
    net.output(call(net, "neg", [call(net, "cdist", ["x", rows, net.floats([1], []), ""])]));
    const { layers, warnings } = importNet(net);
    expect(layers[0]).toMatchObject({ form: "ATen", weightShape: [4, 5, 1, 1] });
    expect(warnings).toEqual([]);
  });

  it("operators as op types, and windows of tensor.unfold", () => {
    const net = netWriter(13);
    net.input("x", [2, 3, 6, 6]);
    const byRow = net.op("org.pytorch.aten::unfold", [
      "x",
      net.ints([2], []),
      net.ints([2], []),
      net.ints([2], []),
    ]);
    const windows = net.op("org.pytorch.aten::unfold", [
      byRow,
      net.ints([3], []),
      net.ints([3], []),
      net.ints([1], []),
    ]);
    const weight = net.constant(randomTensor([4, 3, 1, 1, 2, 3], 1));
    const distances = net.op("Abs", [net.op("Sub", [net.unsqueeze(windows, 1), weight])]);
    net.output(net.op("Neg", [net.sum(distances, [2, 5, 6])]));
    expect(importNet(net).layers[0]).toMatchObject({ weightShape: [4, 3, 2, 3], strides: [2, 1] });
  });

  it("an operator that is not known stays and is named", () => {
    const net = netWriter(13);
    net.input("x", [2, 3]);
    net.output(call(net, "erfinv", ["x"]));
    const { warnings } = importNet(net);
    expect(warnings).toEqual([
      expect.objectContaining({ code: "ADN_ATEN_UNKNOWN", message: expect.stringContaining("aten::erfinv") }),
    ]);
  });
});

/** torch.cdist(p=1) as TorchScript writes it: no Abs. */
function cdistNet(inner: number | undefined, outer: number): NetWriter {
  const net = netWriter(13);
  net.input("x", [2, 5]);
  net.scope("/fc");
  const difference = net.op("Sub", [net.unsqueeze("x", 1), net.constant(randomTensor([1, 4, 5], 1))]);
  const power = inner === undefined ? difference : net.op("Pow", [difference, net.floats([inner], [])]);
  const root = net.op("Pow", [net.sum(power, [2]), net.floats([outer], [])]);
  net.output(net.op("Neg", [root]));
  return net;
}

describe("the broken cdist export", () => {
  it.each([
    ["as exported", 1, 0.9999990463256836],
    ["after an optimiser dropped the inner power", undefined, 0.9999990463256836],
  ])("%s is mended, loudly", (_name, inner, outer) => {
    const net = cdistNet(inner, outer);
    const { layers, warnings, meaning } = importNet(net);
    expect(layers[0]).toMatchObject({ layer: "fc", form: "cdist (repaired)", weightShape: [4, 5, 1, 1] });
    expect(warnings).toEqual([
      expect.objectContaining({ code: "ADN_CDIST_REPAIRED", fix: expect.stringContaining("abs().sum()") }),
    ]);
    const tensors = { x: randomTensor([2, 5], 5), w: randomTensor([1, 4, 5], 1) };
    const flat: AdderCase = { name: "", x: [2, 5, 1, 1], w: [4, 5, 1, 1], ...plain };
    expectAdder(net, flat, tensors);
    expectAdder({ ...net, model: meaning }, flat, tensors);
  });

  it.each([
    ["p = 2", 2, 0.5],
    ["a plain sum to the power of 1", undefined, 1],
  ])("%s is another distance and stays", (_name, inner, outer) => {
    const net = cdistNet(inner, outer);
    const { layers, warnings } = importNet(net);
    expect(layers).toEqual([]);
    expect(warnings.filter(({ code }) => code === "ADN_CDIST_REPAIRED")).toEqual([]);
  });
});

describe("model-local functions", () => {
  it("a module exported as a function is written out and found", () => {
    const net = netWriter();
    net.input("x", [2, 5]);
    const weight = net.constant(randomTensor([1, 4, 5], 1), "head.adder");
    net.output(net.op("local::Adder", ["x", weight]));
    const body = netWriter();
    const difference = body.op("Sub", [
      body.op("Unsqueeze", ["rows", body.op("Constant", [], { value_ints: [1] })]),
      "filters",
    ]);
    const axes = body.op("Constant", [], { value_ints: [2] });
    body.op("Neg", [body.op("ReduceSum", [body.op("Abs", [difference]), axes], { keepdims: 0 })]);
    const result = body.node().outputs[0]!;
    net.model.functions.push(functionOf("Adder", ["rows", "filters"], [result], body.model.graph.nodes));
    const { layers, meaning } = importNet(net);
    expect(layers[0]).toMatchObject({ layer: "head", form: "function", weightShape: [4, 5, 1, 1] });
    expect([net.model.functions, meaning.functions]).toEqual([[], []]);
    const flat: AdderCase = { name: "", x: [2, 5, 1, 1], w: [4, 5, 1, 1], ...plain };
    expectAdder(net, flat, { x: randomTensor([2, 5], 5), w: randomTensor([1, 4, 5], 1) });
  });

  it("a function that calls itself is refused", () => {
    const net = netWriter();
    net.input("x", [2, 5]);
    net.output(net.op("local::Loop", ["x"]));
    const body = netWriter();
    const y = body.op("local::Loop", ["a"]);
    net.model.functions.push(functionOf("Loop", ["a"], [y], body.model.graph.nodes));
    expect(() => importNet(net)).toThrow(expect.objectContaining({ code: "ADN_ONNX_MODEL" }));
  });

  it("the body of our own op is dropped, the node kept", () => {
    const net = foreignNet("addernet::Adder2d", given);
    net.model.functions.push({ ...functionOf("Adder2d", ["X", "W"], ["Y"], []), domain: "addernet" });
    importNet(net);
    expect(net.model.functions).toEqual([]);
    expectAdder(net, adder);
  });
});
