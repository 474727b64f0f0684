// BatchNormalization after an adder layer becomes the layer's own scale and bias.

import type { Node } from "../../src/core/ir/model.ts";
import { batchNormAffine } from "./batch-norm.ts";
import { affineLayer } from "./channel-affine.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { isAdder2d, soleSource } from "./sources.ts";

function fuse(node: Node, site: Site): boolean {
  const source = soleSource(site, node, 0);
  const layer = isAdder2d(source) ? affineLayer(site.graph, source) : undefined;
  const affine = layer?.takesFactor && batchNormAffine(site, node, layer.channels);
  if (!affine) return false;
  layer!.absorb(node, affine);
  return true;
}

/**
 * With a = gamma/sqrt(var + epsilon): scale' = a·scale and B' = a·(B - mean) + beta, computed in float64 and rounded
 * once. It cannot go into the weights, as Σ|X - W| is not linear in W; nor behind a residual or a clip that the layer
 * already has.
 */
export const batchNormToAffine: Pass = {
  name: "batch-norm-to-affine",
  description: "BatchNormalization after Adder2d becomes its scale and B",
  run: ({ graph }) => rewriteEach(graph, ["BatchNormalization"], fuse),
};
