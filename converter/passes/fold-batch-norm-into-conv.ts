// BatchNormalization after Conv or Gemm goes into the weights.

import type { Node } from "../../src/core/ir/model.ts";
import { batchNormAffine } from "./batch-norm.ts";
import { affineLayer } from "./channel-affine.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { isAdder2d, soleSource } from "./sources.ts";

function fold(node: Node, site: Site): boolean {
  const source = soleSource(site, node, 0);
  const layer = isAdder2d(source) ? undefined : affineLayer(site.graph, source);
  const affine = layer && batchNormAffine(site, node, layer.channels);
  if (affine === undefined) return false;
  layer!.absorb(node, affine);
  return true;
}

/**
 * With a = gamma/sqrt(var + epsilon): W' = a·W and B' = a·(B - mean) + beta, computed in float64 and rounded once.
 */
export const foldBatchNormIntoConv: Pass = {
  name: "fold-batch-norm-into-conv",
  description: "BatchNormalization after Conv or Gemm goes into weights and bias",
  run: ({ graph }) => rewriteEach(graph, ["BatchNormalization"], fold),
};
