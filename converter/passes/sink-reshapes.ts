// What follows a flattened adder layer moves before the flattening, where it can be fused into the layer.

import {
  addInitializer,
  freshName,
  makeNode,
  namesIn,
  removeNode,
  replaceNode,
} from "../../src/core/ir/edit.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { channelValues, realConstantOf, realTensor } from "./constants.ts";
import { type Facts, factsOf, sameDim } from "./facts.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { isAdder2d, soleSource } from "./sources.ts";

const reshapeOps = ["Reshape", "Flatten", "Squeeze"];
/** Ops on one tensor whose other inputs do not depend on its rank. */
const channelOps = ["BatchNormalization", "Relu", "Clip"];
const binaryOps = ["Add", "Sub", "Mul", "Div"];

/** Whether [N, M, 1, 1] becomes [N, M]: with N and M kept, height and width can only be 1. */
function dropsPoint(facts: Facts, reshape: Node): boolean {
  const [input, output] = [facts.get(reshape.inputs[0]!)?.shape, facts.get(reshape.outputs[0]!)?.shape];
  if (input?.length !== 4 || output?.length !== 2) return false;
  return [0, 1].every((axis) => sameDim(input[axis], output[axis]));
}

/** The reshape at input `side` of the node, when an adder layer feeds it and nothing else reads either. */
function reshapeAt(site: Site, facts: Facts, node: Node, side: number): Node | undefined {
  const reshape = soleSource(site, node, side);
  if (reshape?.domain !== "" || !reshapeOps.includes(reshape.opType)) return undefined;
  return isAdder2d(soleSource(site, reshape, 0)) && dropsPoint(facts, reshape) ? reshape : undefined;
}

/** The other operand with the axes that the reshape dropped; undefined unless it is one constant per channel. */
function operandBefore(graph: Graph, facts: Facts, reshape: Node, name: string): string | undefined {
  const channels = facts.get(reshape.inputs[0]!)?.shape?.[1];
  const tensor = realConstantOf(graph, name);
  if (tensor === undefined || typeof channels !== "number") return undefined;
  const values = channelValues(tensor, 2, 1, channels);
  return values && addInitializer(graph, name, realTensor(tensor.type, values, [channels, 1, 1]));
}

function sinkAt(site: Site, facts: Facts, node: Node, side: number): boolean {
  const { graph } = site;
  const reshape = reshapeAt(site, facts, node, side);
  if (reshape === undefined) return false;
  const inputs = [...node.inputs];
  inputs[side] = reshape.inputs[0]!;
  if (binaryOps.includes(node.opType)) {
    const operand = operandBefore(graph, facts, reshape, node.inputs[1 - side]!);
    if (operand === undefined) return false;
    inputs[1 - side] = operand;
  }
  const value = freshName(namesIn(graph), `${node.outputs[0]}_before_${reshape.opType}`);
  const sunk = makeNode(
    reshape.opType,
    [value, ...reshape.inputs.slice(1)],
    [node.outputs[0]!],
    reshape.attributes,
  );
  replaceNode(graph, node, { ...node, inputs, outputs: [value] }, { ...sunk, name: reshape.name });
  removeNode(graph, reshape);
  return true;
}

function sink(site: Site, facts: Facts, node: Node): boolean {
  if (node.outputs.slice(1).some((name) => name !== "")) return false;
  return (binaryOps.includes(node.opType) ? [0, 1] : [0]).some((side) => sinkAt(site, facts, node, side));
}

/** Adder2d → Flatten → f becomes Adder2d → f → Flatten for maps of one point and f that works per channel. */
export const sinkReshapes: Pass = {
  name: "sink-reshapes",
  description: "batch norm, bias and Relu of a flattened Adder2d move before the flattening",
  run: (model, context) => {
    const { graph } = model;
    if (!graph.nodes.some(isAdder2d)) return 0;
    const facts = factsOf(model, context);
    return rewriteEach(graph, [...channelOps, ...binaryOps], (node, site) => sink(site, facts, node));
  },
};
