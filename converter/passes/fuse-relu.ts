// Relu and Clip after an adder layer become the bounds of the layer.

import { floatAttribute, getFloat } from "../../src/core/ir/attributes.ts";
import { absorbReader } from "../../src/core/ir/edit.ts";
import type { Attribute, Graph, Node } from "../../src/core/ir/model.ts";
import { realConstantOf } from "./constants.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { isAdder2d, soleSource } from "./sources.ts";

type Bounds = readonly [number, number];

/** A constant bound, `absent` when there is none, undefined when it is computed. */
function clipBound(graph: Graph, name: string | undefined, absent: number): number | undefined {
  if (name === undefined || name === "") return absent;
  const tensor = realConstantOf(graph, name);
  return tensor?.data.length === 1 ? Number(tensor.data[0]) : undefined;
}

/** Bounds of Relu and Clip that a float32 attribute can hold. Before opset 11 those of Clip are attributes. */
export function boundsOf(graph: Graph, node: Node, opset: number): Bounds | undefined {
  const [lowest, highest] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  if (node.opType === "Relu") return [0, highest];
  if (opset < 11) return [getFloat(node, "min") ?? lowest, getFloat(node, "max") ?? highest];
  const least = clipBound(graph, node.inputs[1], lowest);
  const most = clipBound(graph, node.inputs[2], highest);
  if (least === undefined || most === undefined) return undefined;
  if (least === Number.POSITIVE_INFINITY || most === Number.NEGATIVE_INFINITY) return undefined;
  return Math.fround(least) === least && Math.fround(most) === most ? [least, most] : undefined;
}

/**
 * Applying a clip to the bounds of an earlier one gives the bounds of both together, also where the two do not meet.
 */
function boundedBy([least, most]: Bounds, value: number): number {
  return Math.min(Math.max(value, least), most);
}

function clipAttributes(adder: Node, clip: Bounds): Map<string, Attribute> {
  const attributes = new Map(adder.attributes);
  const least = boundedBy(clip, getFloat(adder, "activation_min") ?? Number.NEGATIVE_INFINITY);
  const most = boundedBy(clip, getFloat(adder, "activation_max") ?? Number.POSITIVE_INFINITY);
  for (const [name, value] of [
    ["activation_min", least],
    ["activation_max", most],
  ] as const) {
    if (Number.isFinite(value)) attributes.set(name, floatAttribute(value));
  }
  return attributes;
}

function fuse(node: Node, site: Site, opset: number): boolean {
  const adder = soleSource(site, node, 0);
  const clip = isAdder2d(adder) ? boundsOf(site.graph, node, opset) : undefined;
  if (clip === undefined) return false;
  absorbReader(site.graph, adder!, node, { attributes: clipAttributes(adder!, clip) });
  return true;
}

/** Adder2d → Relu or Clip with constant bounds becomes Adder2d with `activation_min` and `activation_max`. */
export const fuseRelu: Pass = {
  name: "fuse-relu",
  description: "Relu and Clip after Adder2d become its activation_min and activation_max",
  run: ({ graph, opsetImports }) =>
    rewriteEach(graph, ["Relu", "Clip"], (node, site) => fuse(node, site, opsetImports.get("") ?? 1)),
};
