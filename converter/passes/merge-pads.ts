// Zero padding before a convolution or an average goes into the pads of that node.

import { getInt, getInts, getString, intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { removeNode, replaceNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Graph, Node } from "../../src/core/ir/model.ts";
import { constantOf, integerConstantOf, uniformValue } from "./constants.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { isAdder2d, soleSource } from "./sources.ts";

/** Begin and end of the spatial axes of a Pad that puts zeros around them and leaves batch and channels alone. */
function spatialPads(graph: Graph, pad: Node, rank: number): number[] | undefined {
  if ((getString(pad, "mode") ?? "constant") !== "constant") return undefined;
  const value = pad.inputs[2] ?? "";
  if (value !== "" && uniformValue(graph, value) !== 0) return undefined;
  const lengths = integerConstantOf(graph, pad.inputs[1]);
  const axes = pad.inputs[3] ? integerConstantOf(graph, pad.inputs[3]) : [...new Array(rank).keys()];
  if (lengths === undefined || lengths.length !== 2 * (axes?.length ?? -1)) return undefined;
  const pads = new Array<number>(2 * rank).fill(0);
  for (const [index, axis] of axes!.entries()) {
    const at = axis < 0 ? axis + rank : axis;
    pads[at] = lengths[index]!;
    pads[at + rank] = lengths[index + axes!.length]!;
  }
  if (pads.some((length) => length < 0)) return undefined;
  const isSpatial = [0, 1, rank, rank + 1].every((at) => pads[at] === 0);
  return isSpatial ? [...pads.slice(2, rank), ...pads.slice(rank + 2)] : undefined;
}

/** The pads of a node with explicit padding. */
function ownPads(node: Node, spatialRank: number): number[] | undefined {
  const mode = getString(node, "auto_pad") ?? "NOTSET";
  const none = new Array<number>(2 * spatialRank).fill(0);
  if (mode === "VALID") return none;
  const pads = getInts(node, "pads") ?? none;
  return mode === "NOTSET" && pads.length === none.length ? pads : undefined;
}

/**
 * An average over zeros from Pad counts them, so the node must count its own pads as well. With ceil_mode, windows
 * past the end count differently. A pool takes only pads smaller than its kernel.
 */
function isLegalAverage(node: Node, own: readonly number[], pads: readonly number[]): boolean {
  const kernel = getInts(node, "kernel_shape") ?? [];
  if (getInt(node, "ceil_mode") === 1) return false;
  if (own.some((length) => length > 0) && getInt(node, "count_include_pad") !== 1) return false;
  return pads.every((length, index) => length < kernel[index % kernel.length]!);
}

/** Number of spatial axes; Conv may leave its kernel_shape to be read off the weights. */
function spatialRankOf(graph: Graph, node: Node): number | undefined {
  if (isAdder2d(node)) return 2;
  if (node.opType === "AveragePool") return getInts(node, "kernel_shape")?.length;
  const weights = constantOf(graph, node.inputs[1]);
  return weights && weights.dims.length - 2;
}

function merge(node: Node, site: Site): boolean {
  const { graph } = site;
  const spatialRank = spatialRankOf(graph, node);
  const pad = spatialRank === undefined ? undefined : soleSource(site, node, 0);
  if (pad?.domain !== "" || pad.opType !== "Pad") return false;
  const [added, own] = [spatialPads(graph, pad, spatialRank! + 2), ownPads(node, spatialRank!)];
  if (added === undefined || own === undefined) return false;
  const pads = own.map((length, index) => length + added[index]!);
  const isAverage = node.opType === "AveragePool";
  if (isAverage && !isLegalAverage(node, own, pads)) return false;
  const attributes = new Map<string, Attribute>(node.attributes).set("pads", intsAttribute(pads));
  attributes.delete("auto_pad");
  if (isAverage) attributes.set("count_include_pad", intAttribute(1));
  replaceNode(graph, node, { ...node, inputs: [pad.inputs[0]!, ...node.inputs.slice(1)], attributes });
  removeNode(graph, pad);
  return true;
}

/** Conv and Adder2d pad with zeros themselves. MaxPool does not: its padding never wins. */
export const mergePads: Pass = {
  name: "merge-pads",
  description: "Pad with zeros before Conv, Adder2d or AveragePool goes into the pads of that node",
  run: ({ graph }) => rewriteEach(graph, ["Conv", "AveragePool", "addernet::Adder2d"], merge),
};
