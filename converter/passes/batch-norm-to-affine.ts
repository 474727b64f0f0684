// BatchNormalization after an adder layer becomes the layer's own scale and bias.

import type { Graph, Node } from "../../src/core/ir/model.ts";
import { batchNormAffine } from "./batch-norm.ts";
import { affineLayer } from "./channel-affine.ts";
import { type Pass, rewriteEach } from "./pass.ts";
import { isAdder2d, soleSource } from "./sources.ts";

function fuse(graph: Graph, node: Node): boolean {
  const source = soleSource(graph, node, 0);
  const layer = isAdder2d(source) ? affineLayer(graph, source) : undefined;
  const affine = layer?.takesFactor && batchNormAffine(graph, node, layer.channels);
  if (!affine) return false;
  layer!.absorb(node, affine);
  return true;
}

/**
 * With a = gamma/sqrt(var + epsilon): scale' = a·scale and B' = a·(B - mean) + beta, computed in float64 and rounded once. It cannot go
 * into the weights, as Σ|X - W| is not linear in W; nor behind a residual or a clip that the layer already has.
 */
export const batchNormToAffine: Pass = {
  name: "batch-norm-to-affine",
  description: "BatchNormalization after Adder2d becomes its scale and B",
  run: ({ graph }) => rewriteEach(graph, ["BatchNormalization"], (node) => fuse(graph, node)),
};
