// Two transpositions in a row become one.

import { getInts, intsAttribute } from "../../src/core/ir/attributes.ts";
import { replaceNode } from "../../src/core/ir/edit.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { makerOf } from "./sources.ts";

function merge(node: Node, site: Site): boolean {
  const before = makerOf(site, node.inputs[0], "Transpose");
  const [inner, outer] = [before && getInts(before, "perm"), getInts(node, "perm")];
  if (before === undefined || inner === undefined || inner.length !== outer?.length) return false;
  const perm = outer.map((axis) => inner[axis]!);
  const attributes = new Map(node.attributes).set("perm", intsAttribute(perm));
  replaceNode(site.graph, node, { ...node, inputs: [before.inputs[0]!], attributes });
  return true;
}

/** The first transposition stays while others read it. */
export const mergeTransposes: Pass = {
  name: "merge-transposes",
  description: "Transpose of a Transpose becomes one Transpose",
  run: ({ graph }) => rewriteEach(graph, ["Transpose"], merge),
};
