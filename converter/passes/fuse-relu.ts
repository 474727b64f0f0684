// Relu and Clip after an adder layer become the bounds of the layer.

import { floatAttribute, getFloat } from "../../src/core/ir/attributes.ts";
import { absorbReader } from "../../src/core/ir/edit.ts";
import type { Attribute, Node } from "../../src/core/ir/model.ts";
import { type Bounds, boundsOf } from "./clip-bounds.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { isAdder2d, soleSource } from "./sources.ts";

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
