// Two transpositions in a row become one.

import { getInts, intsAttribute } from "../../src/core/ir/attributes.ts";
import { replaceNode } from "../../src/core/ir/edit.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { type Pass, rewriteEach } from "./pass.ts";
import { makerOf } from "./sources.ts";

function merge(graph: Graph, node: Node): boolean {
  const before = makerOf(graph, node.inputs[0], "Transpose");
  const [inner, outer] = [before && getInts(before, "perm"), getInts(node, "perm")];
  if (before === undefined || inner === undefined || inner.length !== outer?.length) return false;
  const perm = outer.map((axis) => inner[axis]!);
  const attributes = new Map(node.attributes).set("perm", intsAttribute(perm));
  replaceNode(graph, node, { ...node, inputs: [before.inputs[0]!], attributes });
  return true;
}

/** The first transposition stays while others read it. */
export const mergeTransposes: Pass = {
  name: "merge-transposes",
  description: "Transpose of a Transpose becomes one Transpose",
  run: ({ graph }) => rewriteEach(graph, ["Transpose"], (node) => merge(graph, node)),
};
