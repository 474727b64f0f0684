// Small CNNs with every kind of layer and joint that adderize meets, as plain models.

import { intAttribute, intsAttribute, stringAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Model } from "../../src/core/ir/model.ts";
import { elementCount, float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomNumbers } from "../core/suites/op-case.ts";

export type Feed = ReadonlyMap<string, Tensor>;
type Attributes = readonly (readonly [string, Attribute])[];

export interface Cnn {
  readonly model: Model;
  readonly input: readonly number[];
}

const same: Attributes = [["pads", intsAttribute([1, 1, 1, 1])]];
const group = (count: number): readonly [string, Attribute] => ["group", intAttribute(count)];
const stride = (step: number): readonly [string, Attribute] => ["strides", intsAttribute([step, step])];

interface Builder extends Cnn {
  add(opType: string, inputs: readonly string[], output: string, attributes?: Attributes): string;
  weights(name: string, dims: readonly number[]): string;
  conv(x: string, output: string, dims: readonly number[], attributes?: Attributes): string;
  batchNorm(x: string, output: string, channels: number): string;
}

function start(input: readonly number[], opset = 17): Builder {
  const info = {
    name: "x",
    type: { kind: "tensor", elemType: "float32", shape: ["batch", ...input] },
  } as const;
  const model = emptyModel(emptyGraph([], [info], []), opset);
  const { graph } = model;
  const constant = (
    name: string,
    values: readonly number[],
    dims: readonly number[] = [values.length],
  ): string => {
    graph.initializers.set(name, float32Tensor(values, dims));
    return name;
  };
  const seedOf = () => 31 * graph.nodes.length + 5;
  const add: Builder["add"] = (opType, inputs, output, attributes = []) => {
    graph.nodes.push(makeNode(opType, inputs, [output], attributes, { name: `${output}.node` }));
    return output;
  };
  /** Spread so that a layer's result is about as large as its input. */
  const weights: Builder["weights"] = (name, dims) => {
    const spread = Math.sqrt(3 / elementCount(dims.slice(1)));
    return constant(
      name,
      randomNumbers(elementCount(dims), seedOf()).map((v) => 1.4 * spread * v),
      dims,
    );
  };
  const conv: Builder["conv"] = (x, output, dims, attributes = []) => {
    const bias = constant(
      `${output}.b`,
      randomNumbers(dims[0]!, seedOf() + 1).map((v) => v / 4),
    );
    return add("Conv", [x, weights(`${output}.w`, dims), bias], output, attributes);
  };
  const batchNorm: Builder["batchNorm"] = (x, output, channels) => {
    const values = (shift: number, spread: number, seed: number) =>
      randomNumbers(channels, seedOf() + seed).map((v) => shift + spread * v);
    const parameters = [values(1, 0.4, 2), values(0, 0.2, 3), values(0, 0.2, 4), values(1, 0.4, 5)];
    const names = parameters.map((numbers, index) => constant(`${output}.${index}`, numbers));
    return add("BatchNormalization", [x, ...names], output);
  };
  return { model, input, add, weights, conv, batchNorm };
}

function finish({ model, input }: Builder, ...outputs: string[]): Cnn {
  model.graph.outputs = outputs.map((name) => ({ name }));
  return { model, input };
}

function head(net: Builder, x: string, channels: number): Cnn {
  net.add("GlobalAveragePool", [x], "pooled");
  net.add("Flatten", ["pooled"], "flat");
  net.weights("fc.w", [6, channels]);
  net.weights("fc.b", [6]);
  net.add("Gemm", ["flat", "fc.w", "fc.b"], "y", [["transB", intAttribute(1)]]);
  return finish(net, "y");
}

/** Conv, batch norm and ReLU in a row, with strides. */
export function plainCnn(opset = 17): Cnn {
  const net = start([3, 12, 12], opset);
  net.conv("x", "c0", [8, 3, 3, 3], same);
  net.add("Relu", [net.batchNorm("c0", "n0", 8)], "r0");
  net.conv("r0", "c1", [8, 8, 3, 3], same);
  net.add("Relu", [net.batchNorm("c1", "n1", 8)], "r1");
  net.conv("r1", "c2", [12, 8, 3, 3], [...same, stride(2)]);
  net.add("Relu", [net.batchNorm("c2", "n2", 12)], "r2");
  return head(net, "r2", 12);
}

/** Two blocks; the second changes the shape, and its shortcut is a layer as well. */
export function residualCnn(): Cnn {
  const net = start([3, 10, 10]);
  net.add("Relu", [net.conv("x", "c0", [8, 3, 3, 3], same)], "r0");
  net.add("Relu", [net.conv("r0", "a1", [8, 8, 3, 3], same)], "ar");
  net.conv("ar", "a2", [8, 8, 3, 3], same);
  net.add("Add", ["a2", "r0"], "as");
  net.add("Relu", ["as"], "ao");
  net.conv("ao", "short", [12, 8, 1, 1], [stride(2)]);
  net.add("Relu", [net.conv("ao", "b1", [12, 8, 3, 3], [...same, stride(2)])], "br");
  net.conv("br", "b2", [12, 12, 3, 3], same);
  net.add("Add", ["short", "b2"], "bs");
  net.add("Relu", ["bs"], "bo");
  return head(net, "bo", 12);
}

/** Groups, depthwise, 1x1, dilation, SAME padding, a clip, a concat, and a value that is an output as well. */
export function mobileCnn(): Cnn {
  const net = start([4, 9, 9]);
  net.add("Relu", [net.conv("x", "c0", [8, 4, 3, 3], same)], "r0");
  net.add("Relu", [net.conv("r0", "dw", [8, 1, 3, 3], [...same, group(8)])], "dr");
  net.conv("dr", "pw", [8, 8, 1, 1]);
  net.add("Concat", ["pw", "r0"], "both", [["axis", intAttribute(1)]]);
  net.add("Relu", [net.batchNorm("both", "bn", 16)], "cr");
  net.conv("cr", "g", [8, 4, 3, 3], [group(4), ["auto_pad", stringAttribute("SAME_UPPER")], stride(2)]);
  net.add("LeakyRelu", ["g"], "gl");
  net.conv("gl", "d", [8, 8, 2, 2], [["dilations", intsAttribute([2, 2])]]);
  net.add("Sigmoid", ["d"], "s");
  net.conv("s", "e", [4, 8, 1, 1]);
  return finish(net, "e", "gl");
}

/** Products by constant matrices: Gemm both ways and MatMul, with the layers at the edges. */
export function denseCnn(): Cnn {
  const net = start([20]);
  net.weights("w0", [24, 20]);
  net.add("Relu", [net.add("Gemm", ["x", "w0"], "g0", [["transB", intAttribute(1)]])], "r0");
  net.weights("w1", [24, 16]);
  net.add("Relu", [net.add("MatMul", ["r0", "w1"], "m1")], "r1");
  net.weights("w2", [16, 12]);
  net.weights("b2", [12]);
  net.add("Tanh", [net.add("Gemm", ["r1", "w2", "b2"], "g2")], "t2");
  net.weights("w3", [5, 12]);
  net.add("Gemm", ["t2", "w3"], "y", [["transB", intAttribute(1)]]);
  return finish(net, "y");
}

export const cnns: Readonly<Record<string, () => Cnn>> = {
  plain: plainCnn,
  "plain at opset 9": () => plainCnn(9),
  residual: residualCnn,
  mobile: mobileCnn,
  dense: denseCnn,
};

/** Seeded samples, `batch` at a time, smooth enough for neighbouring pixels to be alike. */
export function feedsFor(input: readonly number[], count: number, batch = 4, seed = 1000): Feed[] {
  return Array.from({ length: count / batch }, (_, index) => {
    const values = randomNumbers(batch * elementCount(input), seed + index);
    const data = Float32Array.from(values, (v, at) => v + 0.7 * (values[at - 1] ?? 0));
    return new Map([["x", { type: "float32" as const, data, dims: [batch, ...input] }]]);
  });
}
