// The addition that ends a residual block becomes the third summand of the adder layer before it.

import { absorbReader } from "../../src/core/ir/edit.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { broadcastsInto, type Facts, factsOf } from "./facts.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { isAdder2d, soleSource } from "./sources.ts";

function canTakeResidual(adder: Node | undefined): adder is Node {
  if (!isAdder2d(adder)) return false;
  if (adder.attributes.has("activation_min") || adder.attributes.has("activation_max")) return false;
  return (adder.inputs[4] ?? "") === "";
}

/** The adder layer at one side of the addition and the other summand, when that fits the layer's output. */
function adderAt(site: Site, facts: Facts, node: Node, side: number): Node | undefined {
  const adder = soleSource(site, node, side);
  if (!canTakeResidual(adder)) return undefined;
  const [own, other] = [facts.get(node.inputs[side]!), facts.get(node.inputs[1 - side]!)];
  if (own === undefined || own.elemType !== other?.elemType) return undefined;
  return broadcastsInto(other.shape, own.shape) ? adder : undefined;
}

/** Of two adder layers the one made later takes the other: its residual is then ready soonest. */
function fuse(site: Site, facts: Facts, node: Node): boolean {
  if (node.inputs.length !== 2) return false;
  const sides = [0, 1].filter((side) => adderAt(site, facts, node, side) !== undefined);
  const position = (side: number): number => site.graph.nodes.indexOf(adderAt(site, facts, node, side)!);
  const side = sides.sort((left, right) => position(right) - position(left))[0];
  if (side === undefined) return false;
  const adder = adderAt(site, facts, node, side)!;
  const inputs = [0, 1, 2, 3].map((index) => adder.inputs[index] ?? "");
  absorbReader(site.graph, adder, node, { inputs: [...inputs, node.inputs[1 - side]!] });
  return true;
}

/**
 * Add(Adder2d(…), other), or a Sum of two, becomes Adder2d with Z = other, where the layer has no Z and no clip yet
 * and `other` has the layer's shape or broadcasts to it. The layer moves to the place of the addition, where `other`
 * exists.
 */
export const fuseResidualAdd: Pass = {
  name: "fuse-residual-add",
  description: "an addition to the output of Adder2d becomes its input Z",
  run: (model, context) => {
    const { graph } = model;
    if (!graph.nodes.some(isAdder2d)) return 0;
    const facts = factsOf(model, context);
    return rewriteEach(graph, ["Add", "Sum"], (node, site) => fuse(site, facts, node));
  },
};
