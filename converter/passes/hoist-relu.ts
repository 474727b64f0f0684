// Relu after the MaxPool of an adder layer moves before the pooling, where it can be fused into the layer.

import { removeNode, replaceNode } from "../../src/core/ir/edit.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { hasMoreOutputs, isAdder2d, soleSource } from "./sources.ts";

function hoist(relu: Node, site: Site): boolean {
  const { graph } = site;
  const pool = soleSource(site, relu, 0);
  if (pool?.domain !== "" || pool.opType !== "MaxPool" || hasMoreOutputs(site, pool)) return false;
  if (!isAdder2d(soleSource(site, pool, 0))) return false;
  const between = pool.outputs[0]!;
  replaceNode(
    graph,
    relu,
    { ...relu, inputs: [pool.inputs[0]!], outputs: [between] },
    { ...pool, inputs: [between], outputs: [...relu.outputs] },
  );
  removeNode(graph, pool);
  graph.valueInfo.delete(between);
  return true;
}

/**
 * max and Relu commute: both only compare. Positions of maxima (a second output) would not survive, so a pool that
 * gives them stays.
 */
export const hoistRelu: Pass = {
  name: "hoist-relu",
  description: "Adder2d → MaxPool → Relu becomes Adder2d → Relu → MaxPool",
  run: ({ graph }) => rewriteEach(graph, ["Relu"], hoist),
};
