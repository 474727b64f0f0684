// Small adder networks in the form `convert` leaves, their affines set so that every layer's result is spread around 0.

import { ops } from "../../custom-ops/index.ts";
import { interpret } from "../../src/core/interpret.ts";
import { floatAttribute, intsAttribute, stringAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Model } from "../../src/core/ir/model.ts";
import { elementCount, float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomNumbers, randomTensor } from "../core/suites/op-case.ts";

export type Feed = ReadonlyMap<string, Tensor>;

export interface AdderSettings {
  readonly stride?: number;
  readonly pad?: number;
  readonly z?: string;
  readonly min?: number;
  readonly max?: number;
  readonly group?: number;
  /** Uses SAME_UPPER in place of pads. */
  readonly same?: boolean;
  /** Weights of another layer in place of its own. */
  readonly weights?: string;
}

export interface NetBuilder {
  readonly model: Model;
  readonly input: readonly number[];
  add(
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes?: readonly [string, Attribute][],
  ): string;
  constant(name: string, tensor: Tensor): string;
  adder(x: string, output: string, filters: number, kernel: number, settings?: AdderSettings): string;
}

/** Random samples of a net's input, `batch` at a time. */
export function feedsFor(input: readonly number[], count: number, batch = 1): Feed[] {
  return Array.from({ length: count / batch }, (_, index) => {
    const { data, dims } = randomTensor([batch, ...input], 1000 + index);
    return new Map([
      ["x", { type: "float32" as const, data: (data as Float32Array).map((v) => 2 * v), dims }],
    ]);
  });
}

function meanAndSpread(tensor: Tensor): { mean: Float64Array; spread: Float64Array } {
  const [batch, filters] = tensor.dims as [number, number];
  const plane = elementCount(tensor.dims.slice(2));
  const [mean, spread] = [new Float64Array(filters), new Float64Array(filters)];
  const data = tensor.data as Float32Array;
  const filterOf = (index: number) => Math.floor(index / plane) % filters;
  for (const [index, value] of data.entries()) mean[filterOf(index)]! += value / (batch * plane);
  for (const [index, value] of data.entries()) {
    const m = filterOf(index);
    spread[m]! += (value - mean[m]!) ** 2 / (batch * plane);
  }
  return { mean, spread: spread.map((variance) => Math.sqrt(variance) + 1e-3) };
}

export function startNet(input: readonly number[], opset = 17): NetBuilder {
  const info = {
    name: "x",
    type: { kind: "tensor", elemType: "float32", shape: ["batch", ...input] },
  } as const;
  const model = emptyModel(emptyGraph([], [info], []), opset);
  model.opsetImports.set("addernet", 1);
  const { graph } = model;
  const [sample] = feedsFor(input, 4, 4);
  const tensorOf = (name: string): Tensor => {
    const outputs = name === "x" ? [] : [{ name }];
    return interpret({ ...graph, outputs }, model.opsetImports, ops, sample!).get(name) ?? sample!.get(name)!;
  };
  const add: NetBuilder["add"] = (opType, inputs, output, attributes = []) => {
    graph.nodes.push(makeNode(opType, inputs, [output], attributes));
    return output;
  };
  const constant: NetBuilder["constant"] = (name, tensor) => {
    graph.initializers.set(name, tensor);
    return name;
  };
  const adder: NetBuilder["adder"] = (x, output, filters, kernel, settings = {}) => {
    const { stride = 1, pad = 0, z, min, max, group = 1, same, weights } = settings;
    const channels = tensorOf(x).dims[1]! / group;
    const seed = graph.nodes.length + 7;
    if (weights === undefined) {
      const { data, dims } = randomTensor([filters, channels, kernel, kernel], seed);
      constant(`${output}.w`, {
        type: "float32",
        data: (data as Float32Array).map((v) => 6 * v * v * v),
        dims,
      });
    }
    const w = weights ?? `${output}.w`;
    const attributes = new Map<string, Attribute>([
      ["strides", intsAttribute([stride, stride])],
      ["group", { type: "INT", value: BigInt(group) }],
      same ? ["auto_pad", stringAttribute("SAME_UPPER")] : ["pads", intsAttribute([pad, pad, pad, pad])],
    ]);
    const node = makeNode("Adder2d", [x, w], [output], attributes, {
      domain: "addernet",
      name: `${output}.layer`,
    });
    graph.nodes.push(node);
    const { mean, spread } = meanAndSpread(tensorOf(output));
    // Now and then a batch norm has a negative scale.
    const scale = Float32Array.from(spread, (value, m) => (m % 5 === 4 ? -1 : 1) / value);
    const shift = randomNumbers(filters, seed + 1);
    const bias = Float32Array.from(mean, (value, m) => shift[m]! - value * scale[m]!);
    node.inputs.push(
      constant(`${output}.b`, float32Tensor(bias)),
      constant(`${output}.s`, float32Tensor(scale)),
      ...(z ? [z] : []),
    );
    if (min !== undefined) node.attributes.set("activation_min", floatAttribute(min));
    if (max !== undefined) node.attributes.set("activation_max", floatAttribute(max));
    return output;
  };
  return { model, input, add, constant, adder };
}

const relu = { min: 0 } as const;
const poolOfTwo: readonly [string, Attribute][] = [
  ["kernel_shape", intsAttribute([2, 2])],
  ["strides", intsAttribute([2, 2])],
];

export function finish(net: NetBuilder, ...outputs: string[]): NetBuilder {
  net.model.graph.outputs = outputs.map((name) => ({ name }));
  return net;
}

function stem(net: NetBuilder, filters: number): string {
  const { data, dims } = randomTensor([filters, net.input[0]!, 3, 3], 99);
  net.constant("stem.w", { type: "float32", data: (data as Float32Array).map((v) => v / 2), dims });
  net.add("Conv", ["x", "stem.w"], "stem.conv", [["pads", intsAttribute([1, 1, 1, 1])]]);
  return net.add("Relu", ["stem.conv"], "stem");
}

/** Ordinary first and last layers, two blocks, one of them with a shortcut that changes the shape. */
export function residualNet(opset = 17): NetBuilder {
  const net = startNet([3, 8, 8], opset);
  const x = stem(net, 8);
  net.adder(x, "a1", 8, 3, { pad: 1, ...relu });
  net.adder("a1", "a2", 8, 3, { pad: 1, z: x, ...relu });
  net.adder("a2", "b1", 16, 3, { pad: 1, stride: 2, ...relu });
  net.adder("b1", "b2", 16, 3, { pad: 1 });
  net.adder("a2", "b3", 16, 1, { stride: 2, z: "b2", ...relu });
  net.add("GlobalAveragePool", ["b3"], "pooled");
  net.add("Flatten", ["pooled"], "flat");
  net.constant("fc.w", randomTensor([10, 16], 5));
  net.add("Gemm", ["flat", "fc.w"], "y", [["transB", { type: "INT", value: 1n }]]);
  return finish(net, "y");
}

/** Adders from the normalised image to the logits, pooling between them, no activation, a bounded one, logits from sums. */
export function allAdderNet(opset = 17): NetBuilder {
  const net = startNet([2, 12, 12], opset);
  net.adder("x", "c1", 6, 3);
  net.add("MaxPool", ["c1"], "p1", poolOfTwo);
  net.adder("p1", "c2", 8, 3, { pad: 1, min: 0, max: 1.5 });
  net.add("MaxPool", ["c2"], "p2", poolOfTwo);
  net.adder("p2", "c3", 12, 2, relu);
  net.adder("c3", "c4", 10, 1, { min: -1, max: 2 });
  net.add("Flatten", ["c4"], "y");
  return finish(net, "y");
}

/** Floats between adders, groups, SAME padding, weights that two layers share, a result that is an output as well. */
export function mixedNet(opset = 17): NetBuilder {
  const net = startNet([4, 9, 9], opset);
  net.adder("x", "g1", 8, 3, { group: 2, pad: 1, ...relu });
  net.add("Sigmoid", ["g1"], "soft");
  net.adder("soft", "g2", 8, 3, { same: true, stride: 2, ...relu });
  const { data, dims } = randomTensor([8, 8, 3, 3], 77);
  net.constant("both.w", { type: "float32", data: (data as Float32Array).map((v) => 4 * v), dims });
  net.adder("g2", "g3", 8, 3, { pad: 1, weights: "both.w", ...relu });
  net.adder("g3", "g4", 8, 3, { pad: 1, weights: "both.w", z: "g2" });
  net.add("AveragePool", ["g4"], "averaged", poolOfTwo);
  return finish(net, "averaged", "g2");
}

/** Pooling of floats before the first adder, pooling of codes twice in a row, and a pooled residual. */
export function pooledNet(opset = 17): NetBuilder {
  const net = startNet([3, 18, 18], opset);
  net.add("MaxPool", [stem(net, 6)], "small", poolOfTwo);
  net.adder("small", "d1", 6, 3, { pad: 1, ...relu });
  net.add("MaxPool", ["d1"], "d2", poolOfTwo);
  net.add("MaxPool", ["d2"], "d3", [
    ["kernel_shape", intsAttribute([3, 3])],
    ["pads", intsAttribute([1, 1, 1, 1])],
  ]);
  net.adder("d2", "d4", 6, 3, { pad: 1, z: "d3", ...relu });
  net.add("GlobalAveragePool", ["d4"], "y");
  return finish(net, "y");
}
