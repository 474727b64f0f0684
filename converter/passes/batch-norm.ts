// Batch normalisation at inference as one affine function per channel.

import { getFloat, getInt } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import type { ChannelAffine } from "./channel-affine.ts";
import { realConstantOf, realValues } from "./constants.ts";
import type { Site } from "./pass.ts";
import { hasMoreOutputs } from "./sources.ts";

/** ONNX's default epsilon is the float32 nearest to 1e-5. */
const defaultEpsilon = Math.fround(1e-5);

/**
 * y = gamma·(x - mean)/sqrt(var + epsilon) + beta as factor gamma/sqrt(var + epsilon) and offset beta - factor·mean.
 * Undefined unless the four parameters are constant vectors of `channels` entries with finite results and the node
 * runs in inference mode.
 */
export function batchNormAffine(site: Site, node: Node, channels: number): ChannelAffine | undefined {
  if (getInt(node, "training_mode") === 1 || hasMoreOutputs(site, node)) return undefined;
  const vectors = [1, 2, 3, 4].map((index) => realConstantOf(site.graph, node.inputs[index]));
  if (!vectors.every((vector) => vector?.dims.join() === `${channels}`)) return undefined;
  const [gamma, beta, mean, variance] = vectors.map((vector) => realValues(vector!)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const epsilon = getFloat(node, "epsilon") ?? defaultEpsilon;
  const factor = gamma.map((value, channel) => value / Math.sqrt(variance[channel]! + epsilon));
  const offset = beta.map((value, channel) => value - factor[channel]! * mean[channel]!);
  return factor.every(Number.isFinite) && offset.every(Number.isFinite) ? { factor, offset } : undefined;
}
