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

/** Bounds that a float32 attribute can hold. */
function boundsOf(graph: Graph, node: Node): Bounds | undefined {
  if (node.opType === "Relu") return [0, Number.POSITIVE_INFINITY];
  const least = clipBound(graph, node.inputs[1], Number.NEGATIVE_INFINITY);
  const most = clipBound(graph, node.inputs[2], Number.POSITIVE_INFINITY);
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

function fuse(node: Node, site: Site): boolean {
  const adder = soleSource(site, node, 0);
  const clip = isAdder2d(adder) ? boundsOf(site.graph, node) : undefined;
  if (clip === undefined) return false;
  absorbReader(site.graph, adder!, node, { attributes: clipAttributes(adder!, clip) });
  return true;
}

/** Adder2d → Relu or Clip with constant bounds becomes Adder2d with `activation_min` and `activation_max`. */
export const fuseRelu: Pass = {
  name: "fuse-relu",
  description: "Relu and Clip after Adder2d become its activation_min and activation_max",
  run: ({ graph }) => rewriteEach(graph, ["Relu", "Clip"], fuse),
};
