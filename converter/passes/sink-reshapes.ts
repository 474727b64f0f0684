// What follows a reshaped or transposed adder layer moves before that, where it can be fused into the layer.

import { getInts } from "../../src/core/ir/attributes.ts";
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

const movers = ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"];
const elementwiseOps = ["Relu", "Clip"];
const binaryOps = ["Add", "Sub", "Mul", "Div"];

/** The reshape or transposition at input `side` of the node, when an adder layer feeds it and nothing else reads either. */
function moverAt(node: Node, side: number, site: Site): Node | undefined {
  const mover = soleSource(site, node, side);
  if (mover?.domain !== "" || !movers.includes(mover.opType)) return undefined;
  return isAdder2d(soleSource(site, mover, 0)) ? mover : undefined;
}

/** Where the channels of [N, M, OH, OW] are afterwards; undefined when they are no axis of their own. */
function channelAxis(facts: Facts, mover: Node): number | undefined {
  if (mover.opType === "Transpose") return getInts(mover, "perm")?.indexOf(1);
  const [input, output] = [facts.get(mover.inputs[0]!)?.shape, facts.get(mover.outputs[0]!)?.shape];
  return [0, 1].every((axis) => sameDim(input?.[axis], output?.[axis])) ? 1 : undefined;
}

/** One constant per channel, as it has to be before the mover; undefined unless it is that. */
function operandBefore(graph: Graph, facts: Facts, mover: Node, name: string): string | undefined {
  const channels = facts.get(mover.inputs[0]!)?.shape?.[1];
  const rank = facts.get(mover.outputs[0]!)?.shape?.length;
  const axis = channelAxis(facts, mover);
  const tensor = realConstantOf(graph, name);
  if (tensor === undefined || typeof channels !== "number") return undefined;
  if (rank === undefined || axis === undefined) return undefined;
  const values = channelValues(tensor, rank, axis, channels);
  return values && addInitializer(graph, name, realTensor(tensor.type, values, [channels, 1, 1]));
}

/** The node's inputs when it reads what the mover reads; undefined when the two do not commute. */
function inputsBefore(
  graph: Graph,
  facts: Facts,
  node: Node,
  side: number,
  mover: Node,
): string[] | undefined {
  const inputs = [...node.inputs];
  inputs[side] = mover.inputs[0]!;
  if (elementwiseOps.includes(node.opType)) return inputs;
  if (node.opType === "BatchNormalization") return channelAxis(facts, mover) === 1 ? inputs : undefined;
  const operand = operandBefore(graph, facts, mover, node.inputs[1 - side]!);
  if (operand === undefined) return undefined;
  inputs[1 - side] = operand;
  return inputs;
}

function sinkAt(node: Node, side: number, facts: Facts, site: Site): boolean {
  const { graph } = site;
  const mover = moverAt(node, side, site);
  const inputs = mover && inputsBefore(graph, facts, node, side, mover);
  if (mover === undefined || inputs === undefined) return false;
  const output = node.outputs[0]!;
  const value = freshName(namesIn(graph), `${output}_before_${mover.opType}`);
  const moved = makeNode(mover.opType, [value, ...mover.inputs.slice(1)], [output], mover.attributes);
  replaceNode(graph, node, { ...node, inputs, outputs: [value] }, { ...moved, name: mover.name });
  removeNode(graph, mover);
  return true;
}

function sink(node: Node, facts: Facts, site: Site): boolean {
  if (node.outputs.slice(1).some((name) => name !== "")) return false;
  const sides = binaryOps.includes(node.opType) ? [0, 1] : [0];
  return sides.some((side) => sinkAt(node, side, facts, site));
}

/**
 * Adder2d → Flatten → f becomes Adder2d → f → Flatten: for any change of shape or order where f is Relu or Clip, and where the
 * channels keep an axis of their own where f works per channel.
 */
export const sinkReshapes: Pass = {
  name: "sink-reshapes",
  description:
    "batch norm, bias and Relu of a reshaped or transposed Adder2d move before the change of shape",
  run: (model, context) => {
    const { graph } = model;
    if (!graph.nodes.some(isAdder2d)) return 0;
    const facts = factsOf(model, context);
    return rewriteEach(graph, [...elementwiseOps, "BatchNormalization", ...binaryOps], (node, site) =>
      sink(node, facts, site),
    );
  },
};
