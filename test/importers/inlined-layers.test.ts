// Layers in their surroundings: signs, factors, biases, neighbours, ranks, layouts, names, and batches that a file fixes.

import { describe, expect, it } from "vitest";
import { AdderNetError } from "../../src/core/errors.ts";
import type { Dim } from "../../src/core/ir/model.ts";
import { elementCount, type Tensor } from "../../src/core/tensor.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import { adderNodes, importNet, type NetWriter, netWriter, runNet } from "./net-writer.ts";

/** -Σ|x - w| of a 1x1 layer, written batched: x [N, C, H, W] known by its dims. */
function pointwise(
  net: NetWriter,
  x: string,
  dims: readonly number[],
  filters: number,
  seed: number,
  sign = "Neg",
): string {
  const w = net.constant(randomTensor([1, filters, dims[1]!, 1, 1], seed));
  const sum = net.sum(net.op("Abs", [net.op("Sub", [net.unsqueeze(x, 1), w])]), [2]);
  return sign === "" ? sum : net.op(sign, [sum]);
}

/** Imports what `write` makes, and checks that its numbers stay. */
function importSame(
  shape: readonly Dim[],
  dims: readonly number[],
  write: (net: NetWriter) => string,
  opset = 17,
) {
  const make = (): NetWriter => {
    const net = netWriter(opset);
    net.input("x", shape);
    net.output(write(net));
    return net;
  };
  const [original, net] = [make(), make()];
  const report = importNet(net);
  const feeds = { x: randomTensor(dims, 9) };
  const [found, expected] = [runNet(net, feeds), runNet(original, feeds)];
  expect(found).toHaveLength(expected.length);
  for (const [at, value] of found.entries()) expect(value).toBeCloseTo(expected[at]!, 6);
  return { net, report, ops: net.model.graph.nodes.map(({ opType }) => opType) };
}

const dims = [2, 3, 4, 5];

describe("sign and factor", () => {
  it("a sum that nobody negates is an adder and a Neg", () => {
    const { ops } = importSame(dims, dims, (net) => net.op("Relu", [pointwise(net, "x", dims, 4, 1, "")]));
    expect(ops).toEqual(["Adder2d", "Neg", "Relu"]);
  });

  it("a mean of distances is an adder and a Mul", () => {
    const { ops } = importSame(dims, dims, (net) => {
      const w = net.constant(randomTensor([1, 4, 3, 1, 1], 1));
      const distances = net.op("Abs", [net.op("Sub", [net.unsqueeze("x", 1), w])]);
      return net.op("ReduceMean", [distances], { axes: [2], keepdims: 0 });
    });
    expect(ops).toEqual(["Adder2d", "Mul"]);
  });

  it("a Neg long after the sum is found", () => {
    const { ops } = importSame(dims, dims, (net) => {
      const sum = pointwise(net, "x", dims, 4, 1, "");
      return net.op("Neg", [net.op("Reshape", [sum, net.ints([0, 0, 0, 0])])]);
    });
    expect(ops).toEqual(["Adder2d"]);
  });
});

it("what is moved after the layer stays", () => {
  const { ops } = importSame(dims, dims, (net) =>
    net.op("Transpose", [pointwise(net, "x", dims, 4, 1)], { perm: [0, 1, 3, 2] }),
  );
  expect(ops).toEqual(["Adder2d", "Transpose"]);
});

describe("bias", () => {
  const bias = (net: NetWriter, shape: readonly number[]) => net.constant(randomTensor(shape, 5), "bias");

  it.each([
    [
      "[1, M, 1, 1] after the layer",
      [1, 4, 1, 1],
      (net: NetWriter, y: string, b: string) => net.op("Add", [y, b]),
    ],
    ["[M, 1, 1] first", [4, 1, 1], (net: NetWriter, y: string, b: string) => net.op("Add", [b, y])],
    ["one number", [], (net: NetWriter, y: string, b: string) => net.op("Add", [y, b])],
    ["taken away", [4, 1, 1], (net: NetWriter, y: string, b: string) => net.op("Sub", [y, b])],
  ] as const)("%s becomes the input B", (_name, shape, add) => {
    const { net, ops } = importSame(dims, dims, (writer) =>
      add(writer, pointwise(writer, "x", dims, 4, 1), bias(writer, shape)),
    );
    expect(ops).toEqual(["Adder2d"]);
    const [node] = adderNodes(net);
    expect(net.model.graph.initializers.get(node!.inputs[2]!)!.dims).toEqual([4]);
  });

  it("is found before the value is reshaped", () => {
    const { ops } = importSame(dims, dims, (net) => {
      const flat = net.op("Reshape", [pointwise(net, "x", dims, 4, 1), net.ints([0, 4, -1])]);
      return net.op("Reshape", [net.op("Add", [flat, bias(net, [1, 4, 1])]), net.ints([0, 4, 4, 5])]);
    });
    expect(ops[0]).toBe("Adder2d");
    expect(ops).not.toContain("Abs");
  });

  it.each([
    ["per place", [4, 5]],
    ["per image", [2, 1, 1, 1]],
  ] as const)("a constant %s stays an Add", (_name, shape) => {
    const { ops } = importSame(dims, dims, (net) =>
      net.op("Add", [pointwise(net, "x", dims, 4, 1), bias(net, shape)]),
    );
    expect(ops).toEqual(["Adder2d", "Add"]);
  });

  it("stays an Add when the layer's value is read without it", () => {
    const { ops } = importSame(dims, dims, (net) => {
      const y = pointwise(net, "x", dims, 4, 1);
      return net.op("Mul", [net.op("Relu", [y]), net.op("Add", [y, bias(net, [4, 1, 1])])]);
    });
    expect(ops.filter((op) => op === "Adder2d")).toHaveLength(1);
    expect(ops).toContain("Add");
  });
});

describe("neighbours", () => {
  it("two layers with nothing between are two layers", () => {
    const { report } = importSame(["N", 3, 4, 5], dims, (net) =>
      pointwise(net, pointwise(net, "x", dims, 4, 1), [2, 4, 4, 5], 6, 2),
    );
    expect(report.layers.map(({ weightShape }) => weightShape)).toEqual([
      [4, 3, 1, 1],
      [6, 4, 1, 1],
    ]);
  });

  it("two layers added are two layers and an Add", () => {
    const { ops } = importSame(dims, dims, (net) =>
      net.op("Add", [pointwise(net, "x", dims, 4, 1), pointwise(net, net.op("Relu", ["x"]), dims, 4, 2)]),
    );
    expect(ops.sort()).toEqual(["Adder2d", "Adder2d", "Add", "Relu"].sort());
  });

  it("two layers of one value joined along the channels are one layer", () => {
    const { report, ops } = importSame(dims, dims, (net) =>
      net.op("Concat", [pointwise(net, "x", dims, 4, 1), pointwise(net, "x", dims, 2, 2)], { axis: 1 }),
    );
    expect(ops).toContain("Adder2d");
    expect(ops).not.toContain("Abs");
    expect(report.layers.reduce((sum, { weightShape }) => sum + weightShape[0]!, 0)).toBe(6);
  });

  it("one weight used twice is one constant", () => {
    const { net } = importSame(dims, dims, (writer) => {
      const w = writer.constant(randomTensor([1, 3, 3, 1, 1], 1), "shared.adder");
      const layer = (x: string) =>
        writer.op("Neg", [
          writer.sum(writer.op("Abs", [writer.op("Sub", [writer.unsqueeze(x, 1), w])]), [2]),
        ]);
      return layer(writer.op("Relu", [layer("x")]));
    });
    const [first, second] = adderNodes(net);
    expect(first!.inputs[1]).toBe(second!.inputs[1]);
    expect(first!.name).not.toBe(second!.name);
  });

  it("a value inside a layer that is an output as well is still made", () => {
    const net = netWriter();
    net.input("x", dims);
    const w = net.constant(randomTensor([1, 4, 3, 1, 1], 1));
    const distances = net.op("Abs", [net.op("Sub", [net.unsqueeze("x", 1), w])]);
    net.output(net.op("Neg", [net.sum(distances, [2])]));
    net.output(distances);
    importNet(net);
    expect(adderNodes(net)).toHaveLength(1);
    expect(net.model.graph.nodes.some(({ outputs }) => outputs.includes(distances))).toBe(true);
  });
});

describe("ranks and layouts", () => {
  const linear = (net: NetWriter, x: string, inputs: number, filters: number, seed: number): string => {
    const w = net.constant(randomTensor([1, filters, inputs], seed));
    return net.op("Neg", [net.sum(net.op("Abs", [net.op("Sub", [net.unsqueeze(x, 1), w])]), [2])]);
  };

  it.each([11, 13, 20])("fully connected layers, opset %i", (opset) => {
    const { report, net } = importSame(
      ["N", 6],
      [3, 6],
      (writer) => linear(writer, writer.op("Relu", [linear(writer, "x", 6, 5, 1)]), 5, 4, 2),
      opset,
    );
    expect(report.layers.map(({ form, weightShape }) => [form, weightShape])).toEqual([
      ["linear", [5, 6, 1, 1]],
      ["linear", [4, 5, 1, 1]],
    ]);
    expect(adderNodes(net)).toHaveLength(2);
  });

  it("a fully connected layer behind Flatten keeps the Flatten", () => {
    const { ops } = importSame(["N", 3, 4, 5], dims, (net) =>
      linear(net, net.op("Flatten", ["x"], { axis: 1 }), 60, 4, 1),
    );
    expect(ops).toEqual(["Flatten", "Reshape", "Adder2d", "Reshape"]);
  });

  it("weight first and transposed, as [M, N]", () => {
    const { report } = importSame(["N", 6], [3, 6], (net) => {
      const w = net.constant(randomTensor([5, 6, 1], 1));
      const x = net.unsqueeze(net.op("Transpose", ["x"], { perm: [1, 0] }), 0);
      const sum = net.op("Neg", [net.sum(net.op("Abs", [net.op("Sub", [w, x])]), [1])]);
      return net.op("Transpose", [sum], { perm: [1, 0] });
    });
    expect(report.layers[0]).toMatchObject({ form: "linear", weightShape: [5, 6, 1, 1] });
  });

  it("a linear layer over the last axis of a sequence", () => {
    const { report, ops } = importSame(["N", 7, 6], [2, 7, 6], (net) => {
      const w = net.constant(randomTensor([5, 6], 1));
      return net.op("Neg", [net.sum(net.op("Abs", [net.op("Sub", [net.unsqueeze("x", 2), w])]), [3])]);
    });
    expect(report.layers[0]!.weightShape).toEqual([5, 6, 1, 1]);
    expect(ops).not.toContain("Abs");
  });

  it("the places of a map as a sequence", () => {
    const { report, ops } = importSame(["N", 3, 4, 5], dims, (net) => {
      const flat = net.op("Reshape", ["x", net.ints([0, 3, -1])]);
      const tokens = net.op("Transpose", [flat], { perm: [0, 2, 1] });
      const w = net.constant(randomTensor([6, 3], 1));
      const sum = net.sum(net.op("Abs", [net.op("Sub", [net.unsqueeze(tokens, 2), w])]), [3]);
      return net.op("Neg", [sum]);
    });
    expect(report.layers[0]!.weightShape).toEqual([6, 3, 1, 1]);
    expect(ops).toContain("Adder2d");
    expect(ops).not.toContain("Abs");
  });

  it("a layer in one dimension, [N, C, L]", () => {
    const { report } = importSame(["N", 2, 8], [2, 2, 8], (net) => {
      const padded = net.op("Pad", ["x", net.ints([0, 0, 1, 0, 0, 1])]);
      const at = [0, 1, 2].flatMap((tap) => [0, 1, 2, 3].map((place) => 2 * place + tap));
      const windows = net.op("Gather", [padded, net.ints(at, [3, 4])], { axis: 2 });
      const columns = net.unsqueeze(net.op("Reshape", [windows, net.ints([0, 6, 4])]), 1);
      const w = net.constant(randomTensor([5, 6, 1], 1));
      return net.op("Neg", [net.sum(net.op("Abs", [net.op("Sub", [columns, w])]), [2])]);
    });
    expect(report.layers[0]).toMatchObject({
      weightShape: [5, 2, 3, 1],
      strides: [2, 1],
      pads: [1, 0, 1, 0],
    });
  });

  it("a value left as [N, M, OH·OW]", () => {
    const { ops } = importSame(["N", 3, 4, 5], dims, (net) => {
      const columns = net.unsqueeze(net.op("Reshape", ["x", net.ints([0, 3, -1])]), 1);
      const w = net.constant(randomTensor([4, 3, 1], 1));
      const sum = net.op("Neg", [net.sum(net.op("Abs", [net.op("Sub", [columns, w])]), [2])]);
      return net.op("Softmax", [sum], { axis: 2 });
    });
    expect(ops).toContain("Adder2d");
    expect(ops).not.toContain("Abs");
  });

  it("channels last, from input to output", () => {
    const shape = [2, 4, 5, 3];
    const { report, ops } = importSame(["N", 4, 5, 3], shape, (net) => {
      const w = net.constant(randomTensor([6, 3], 1));
      return net.op("Neg", [net.sum(net.op("Abs", [net.op("Sub", [net.unsqueeze("x", 3), w])]), [4])]);
    });
    expect(report.layers[0]!.weightShape).toEqual([6, 3, 1, 1]);
    expect(ops).toEqual(["Transpose", "Adder2d", "Transpose"]);
  });
});

describe("names", () => {
  const named = (prepare: (net: NetWriter) => string, weightName?: string) => {
    const net = netWriter();
    net.input("x", dims);
    const path = prepare(net);
    net.scope(path);
    const w = net.constant(randomTensor([1, 4, 3, 1, 1], 1), weightName);
    net.output(net.op("Neg", [net.sum(net.op("Abs", [net.op("Sub", [net.unsqueeze("x", 1), w])]), [2])]));
    const { layers } = importNet(net);
    return { layer: layers[0]!.layer, node: adderNodes(net)[0]! };
  };

  it.each([
    ["/layer1/layer1.0/conv1", "layer1.0.conv1"],
    ["/features/features.3", "features.3"],
    ["/conv", "conv"],
    ["/net/body/net.body", "net.body.net.body"],
  ])("a node path %s is the module %s", (path, layer) => {
    const found = named(() => path);
    expect(found.layer).toBe(layer);
    expect(found.node.name).toBe(layer);
    expect(found.node.inputs[1]).toBe(`${layer}.adder`);
  });

  it("the weight's own name is best", () => {
    expect(named(() => "/wrong", "layer2.1.conv2.adder").layer).toBe("layer2.1.conv2");
  });

  it("names that exporters make up say nothing", () => {
    const found = named(() => "", "onnx::Sub_608");
    expect(found.layer).toBe("adder_1");
    expect(found.node.inputs[1]).toBe("adder_1.adder");
  });

  it("the metadata of torch.export names the module, and its source paths go", () => {
    const net = netWriter(20);
    net.input("x", dims);
    net.output(pointwise(net, "x", dims, 4, 1));
    for (const node of net.model.graph.nodes) {
      node.metadata = new Map([
        ["pkg.torch.onnx.name_scopes", "['', 'body', 'body.conv1', 'sub']"],
        ["pkg.torch.onnx.stack_trace", 'File "/home/somebody/net.py"'],
      ]);
    }
    const { layers, meaning } = importNet(net);
    expect(layers[0]).toMatchObject({ layer: "body.conv1", form: "dynamo" });
    expect(meaning.graph.nodes.flatMap(({ metadata }) => [...metadata!.keys()])).not.toContain(
      "pkg.torch.onnx.stack_trace",
    );
  });

  it("other nodes may have the name already", () => {
    const net = netWriter();
    net.input("x", dims);
    net.scope("/conv1");
    const y = pointwise(net, "x", dims, 4, 1);
    net.output(net.op("Relu", [y]));
    net.node().name = "conv1";
    const { layers } = importNet(net);
    expect(layers[0]).toMatchObject({ node: "conv1_1", layer: "conv1" });
  });
});

describe("free lengths", () => {
  it("a file that calls the batch free and fixes it is read with batch 1, and says so", () => {
    const net = netWriter();
    net.input("x", ["N", 3, 4, 5]);
    const flat = net.op("Reshape", ["x", net.ints([1, 3, 20])]);
    const w = net.constant(randomTensor([1, 4, 3, 1], 1));
    const sum = net.sum(net.op("Abs", [net.op("Sub", [net.unsqueeze(flat, 1), w])]), [2]);
    net.output(net.op("Neg", [net.op("Reshape", [sum, net.ints([1, 4, 4, 5])])]));
    const { layers, warnings } = importNet(net);
    expect(layers).toHaveLength(1);
    expect(warnings.map(({ code }) => code)).toEqual(["ADN_BATCH_FIXED"]);
  });

  it("height and width free: the layer is the same at every size", () => {
    const { report } = importSame(["N", 3, "H", "W"], [2, 3, 6, 9], (net) => {
      const positions = (axis: number) => {
        const length = net.op("Gather", [net.op("Shape", ["x"]), net.ints([axis], [])], { axis: 0 });
        const starts = net.op("Range", [
          net.ints([0], []),
          net.op("Add", [length, net.ints([0], [])]),
          net.ints([2], []),
        ]);
        return net.op("Add", [net.unsqueeze(starts, 0), net.ints([0, 1, 2], [3, 1])]);
      };
      const padded = net.op("Pad", ["x", net.ints([0, 0, 1, 1, 0, 0, 1, 1])]);
      const byRow = net.op("Gather", [padded, positions(2)], { axis: 2 });
      const windows = net.op("Gather", [byRow, positions(3)], { axis: 4 });
      const columns = net.op("Unsqueeze", [
        net.op("Transpose", [windows], { perm: [0, 1, 2, 4, 3, 5] }),
        net.ints([1]),
      ]);
      const w = net.constant(randomTensor([4, 3, 3, 3, 1, 1], 1));
      return net.op("Neg", [net.sum(net.op("Abs", [net.op("Sub", [columns, w])]), [2, 3, 4])]);
    });
    expect(report.layers[0]).toMatchObject({
      weightShape: [4, 3, 3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    });
    expect(report.layers[0]!.evidence).toMatch(
      /3x3, stride 2, padding 1.*batch 2 and 3, input 64x71 and 97x109/,
    );
  });

  it.each<[string, (net: NetWriter, unknown: string) => string]>([
    ["", (net) => net.constant(randomTensor([4, 3, 1, 1], 1))],
    [
      ", even where the weight's follows from it",
      (net, unknown) => {
        const lengths = net.op("Shape", [unknown]);
        return net.op("Reshape", [net.constant(randomTensor([12], 1)), lengths]);
      },
    ],
  ])("a distance of unknown shape is told%s", (_when, weight) => {
    const net = netWriter();
    net.input("x", dims);
    const unknown = net.op("custom::Mystery", ["x"]);
    const w = weight(net, unknown);
    net.output(net.sum(net.op("Abs", [net.op("Sub", [unknown, w])]), [1]));
    const { warnings } = importNet(net);
    expect(warnings).toEqual([
      expect.objectContaining({
        code: "ADN_ADDER_UNRECOGNISED",
        fix: expect.stringContaining("--input-shape"),
      }),
    ]);
  });
});

describe("16-bit floats", () => {
  const halfOf = (tensor: Tensor): Tensor => {
    // 1.5 has the bits 0x3e00, and is exact in both formats.
    return {
      type: "float16",
      dims: tensor.dims,
      data: new Uint16Array(elementCount(tensor.dims)).fill(0x3e00),
    };
  };

  it("become float32, inputs and casts included", () => {
    const net = netWriter();
    net.model.graph.inputs.push({ name: "x", type: { kind: "tensor", elemType: "float16", shape: dims } });
    const w = net.constant(halfOf(randomTensor([1, 4, 3, 1, 1], 1)));
    const difference = net.op("Cast", [net.op("Sub", [net.unsqueeze("x", 1), w])], { to: 1 });
    net.output(net.op("Cast", [net.op("Neg", [net.sum(net.op("Abs", [difference]), [2])])], { to: 10 }));
    const { layers, warnings } = importNet(net);
    expect(layers).toHaveLength(1);
    expect(warnings.map(({ code, node }) => [code, node])).toEqual([["ADN_FLOAT16_WIDENED", "x"]]);
    expect(net.model.graph.inputs[0]!.type).toMatchObject({ elemType: "float32" });
    const weight = net.model.graph.initializers.get(adderNodes(net)[0]!.inputs[1]!)!;
    expect([weight.type, ...new Set(weight.data as Float32Array)]).toEqual(["float32", 1.5]);
  });
});

describe("damaged graphs", () => {
  it.each([
    ["a Gather beyond the end", (net: NetWriter) => net.op("Gather", ["x", net.ints([9])], { axis: 1 })],
    ["a Reshape to another count", (net: NetWriter) => net.op("Reshape", ["x", net.ints([2, 7])])],
    ["a Transpose of another rank", (net: NetWriter) => net.op("Transpose", ["x"], { perm: [0, 1] })],
    ["a value nobody makes", () => "missing"],
  ])("%s before a distance is refused or left, never a crash", (_name, damage) => {
    const net = netWriter();
    net.input("x", dims);
    const w = net.constant(randomTensor([4, 3, 1, 1], 1));
    net.output(net.sum(net.op("Abs", [net.op("Sub", [damage(net), w])]), [1]));
    try {
      expect(importNet(net).layers).toEqual([]);
    } catch (error) {
      expect(error).toBeInstanceOf(AdderNetError);
    }
  });
});
