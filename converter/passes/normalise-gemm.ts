// One way to write a fully connected layer: Gemm with weights of [outputs, inputs] and no factors.

import { getFloat, getInt, intAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode, replaceInitializer, replaceNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Graph, Node } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { realConstantOf, realTensor, realValues } from "./constants.ts";
import { type Facts, factsOf } from "./facts.ts";
import { type Pass, rewriteEach } from "./pass.ts";

/** MatMul of a matrix by a constant matrix. */
function matMulToGemm(graph: Graph, facts: Facts, node: Node): boolean {
  const weights = realConstantOf(graph, node.inputs[1]);
  if (weights?.dims.length !== 2 || facts.get(node.inputs[0]!)?.shape?.length !== 2) return false;
  replaceNode(graph, node, { ...makeNode("Gemm", node.inputs, node.outputs), name: node.name });
  return true;
}

function scaled(tensor: Tensor, factor: number): Tensor {
  return realTensor(
    tensor.type,
    realValues(tensor).map((value) => factor * value),
    tensor.dims,
  );
}

function transposed(tensor: Tensor): Tensor {
  const [rows, columns] = tensor.dims as [number, number];
  const values = realValues(tensor);
  const result = values.map((_, index) => values[(index % rows) * columns + Math.floor(index / rows)]!);
  return realTensor(tensor.type, result, [columns, rows]);
}

/**
 * alpha goes into constant weights, beta into a constant C, and the weights lie as PyTorch's Linear has them (transB
 * = 1).
 */
function normalise(graph: Graph, node: Node): boolean {
  const weights = realConstantOf(graph, node.inputs[1]);
  const bias = realConstantOf(graph, node.inputs[2]);
  const [alpha, beta] = [getFloat(node, "alpha") ?? 1, getFloat(node, "beta") ?? 1];
  const scalesWeights = weights !== undefined && alpha !== 1;
  const scalesBias = bias !== undefined && beta !== 1;
  const turns = weights?.dims.length === 2 && getInt(node, "transB") !== 1;
  if (!scalesWeights && !scalesBias && !turns) return false;
  const attributes = new Map<string, Attribute>(node.attributes);
  const inputs = [...node.inputs];
  if (scalesBias) {
    inputs[2] = replaceInitializer(graph, node, node.inputs[2]!, scaled(bias, beta));
    attributes.delete("beta");
  }
  if (weights !== undefined && (scalesWeights || turns)) {
    const layout = turns ? transposed(weights) : weights;
    inputs[1] = replaceInitializer(
      graph,
      node,
      node.inputs[1]!,
      alpha === 1 ? layout : scaled(layout, alpha),
    );
    attributes.delete("alpha");
    attributes.set("transB", intAttribute(1));
  }
  replaceNode(graph, node, { ...node, inputs, attributes });
  return true;
}

export const normaliseGemm: Pass = {
  name: "normalise-gemm",
  description:
    "MatMul by a constant matrix becomes Gemm; Gemm with constant weights loses alpha and beta and gets transB = 1",
  run: (model, context) => {
    const { graph } = model;
    const facts = factsOf(model, context);
    const matMuls = rewriteEach(graph, ["MatMul"], (node) => matMulToGemm(graph, facts, node));
    return matMuls + rewriteEach(graph, ["Gemm"], (node) => normalise(graph, node));
  },
};
