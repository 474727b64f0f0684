// What Relu and Clip bound their values by.

import { getFloat } from "../../src/core/ir/attributes.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { realConstantOf } from "./constants.ts";

export type Bounds = readonly [number, number];

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
