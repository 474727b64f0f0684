// Add and Sub of a constant per channel go into the bias of the layer before.

import type { Node } from "../../src/core/ir/model.ts";
import { affineLayer, ones } from "./channel-affine.ts";
import { channelValues, realConstantOf } from "./constants.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { soleSource } from "./sources.ts";

function fuse(node: Node, site: Site): boolean {
  const sides = node.opType === "Add" ? [0, 1] : [0];
  return sides.some((side) => {
    const constant = realConstantOf(site.graph, node.inputs[1 - side]);
    const layer = constant && affineLayer(site.graph, soleSource(site, node, side));
    const values = layer && channelValues(constant, layer.rank, 1, layer.channels);
    if (values === undefined) return false;
    const offset = node.opType === "Add" ? values : values.map((value) => -value);
    layer!.absorb(node, { factor: ones(layer!.channels), offset });
    return true;
  });
}

/**
 * Adder2d, Conv or Gemm followed by + c or - c, where c is constant and varies along the channels only: B' = B ± c.
 */
export const fuseBias: Pass = {
  name: "fuse-bias",
  description: "a constant per channel added after Adder2d, Conv or Gemm goes into its bias",
  run: ({ graph }) => rewriteEach(graph, ["Add", "Sub"], fuse),
};
