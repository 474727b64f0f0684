// Multiplication by a constant per channel and negation go into the layer before.

import type { Graph, Node } from "../../src/core/ir/model.ts";
import { type AffineLayer, affineLayer, type ChannelAffine } from "./channel-affine.ts";
import { channelValues, realConstantOf } from "./constants.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { soleSource } from "./sources.ts";

/** What the node does to input `side`, given the layer that makes that input. */
type Meaning = (values: Float64Array) => ChannelAffine;

const zeros = (values: Float64Array): Float64Array => new Float64Array(values.length);

const meanings: Record<string, { readonly sides: readonly number[]; readonly meaning: Meaning }> = {
  Mul: { sides: [0, 1], meaning: (values) => ({ factor: values, offset: zeros(values) }) },
  Div: {
    sides: [0],
    meaning: (values) => ({ factor: values.map((value) => 1 / value), offset: zeros(values) }),
  },
  // c - x
  Sub: { sides: [1], meaning: (values) => ({ factor: values.map(() => -1), offset: values }) },
};

function negated({ channels }: AffineLayer): ChannelAffine {
  return { factor: new Float64Array(channels).fill(-1), offset: new Float64Array(channels) };
}

function affineAt(graph: Graph, node: Node, side: number, layer: AffineLayer): ChannelAffine | undefined {
  if (node.opType === "Neg") return negated(layer);
  const constant = realConstantOf(graph, node.inputs[1 - side]);
  const values = constant && channelValues(constant, layer.rank, 1, layer.channels);
  const affine = values && meanings[node.opType]!.meaning(values);
  return affine?.factor.every(Number.isFinite) ? affine : undefined;
}

function fuse(node: Node, site: Site): boolean {
  const sides = meanings[node.opType]?.sides ?? [0];
  return sides.some((side) => {
    const layer = affineLayer(site.graph, soleSource(site, node, side));
    const affine = layer?.takesFactor ? affineAt(site.graph, node, side, layer) : undefined;
    if (affine === undefined) return false;
    layer!.absorb(node, affine);
    return true;
  });
}

/** Adder2d, Conv or Gemm followed by ·c, /c, c - y or -y, where c is constant and varies along the channels only. */
export const fuseChannelScale: Pass = {
  name: "fuse-channel-scale",
  description: "a constant factor per channel or a negation after Adder2d, Conv or Gemm goes into the layer",
  run: ({ graph }) => rewriteEach(graph, [...Object.keys(meanings), "Neg"], fuse),
};
