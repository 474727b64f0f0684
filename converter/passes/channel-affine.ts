// Layers that can take a per-channel y -> factor·y + offset into their own constants: Adder2d, Conv, Gemm.

import { floatAttribute, getFloat, getInt } from "../../src/core/ir/attributes.ts";
import { absorbReader, addInitializer, replaceInitializer } from "../../src/core/ir/edit.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { stridesOf, type Tensor } from "../../src/core/tensor.ts";
import { channelValues, layerOfWeight, realConstantOf, realTensor, realValues } from "./constants.ts";
import { isAdder2d } from "./sources.ts";

/** y -> factor[c]·y + offset[c] along axis 1, in float64. */
export interface ChannelAffine {
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

/** A layer with constant weights. Its output has `rank` axes and `channels` entries along axis 1. */
export interface AffineLayer {
  readonly node: Node;
  readonly rank: number;
  readonly channels: number;
  /** Whether a factor other than 1 can be taken. */
  readonly takesFactor: boolean;
  /** Folds the affine function that `reader`, the only reader of the layer, computes. */
  readonly absorb: (reader: Node, affine: ChannelAffine) => void;
}

export const ones = (length: number): Float64Array => new Float64Array(length).fill(1);
const isAll = (values: Float64Array, number: number): boolean => values.every((value) => value === number);

/**
 * `values` as the constant input `index` of a layer; an absent input stays absent when all its values are `neutral`.
 */
function constantInput(
  graph: Graph,
  node: Node,
  index: number,
  wanted: string,
  type: Tensor["type"],
  values: Float64Array,
  neutral: number,
): string {
  const old = node.inputs[index] ?? "";
  if (isAll(values, neutral)) return "";
  const tensor = realTensor(type, values, [values.length]);
  return old === "" ? addInitializer(graph, wanted, tensor) : replaceInitializer(graph, node, old, tensor);
}

function withInputs(node: Node, changes: ReadonlyMap<number, string>): string[] {
  const length = Math.max(node.inputs.length, ...[...changes.keys()].map((index) => index + 1));
  const inputs = Array.from({ length }, (_, index) => changes.get(index) ?? node.inputs[index] ?? "");
  while (inputs.at(-1) === "") inputs.pop();
  return inputs;
}

/** Weights with every slice along `axis` multiplied by its factor. */
function scaledWeights(weights: Tensor, axis: number, factor: Float64Array): Tensor {
  const values = realValues(weights);
  const step = stridesOf(weights.dims)[axis]!;
  for (let index = 0; index < values.length; index++) {
    values[index]! *= factor[Math.floor(index / step) % factor.length]!;
  }
  return realTensor(weights.type, values, weights.dims);
}

const affineOf = (values: Float64Array, { factor, offset }: ChannelAffine): Float64Array =>
  values.map((value, channel) => factor[channel]! * value + offset[channel]!);

/**
 * The constant vector at input `index`, `absent` for every channel when there is none; undefined when it is no such
 * constant.
 */
function vectorInput(
  graph: Graph,
  node: Node,
  index: number,
  channels: number,
  absent: number,
): Float64Array | undefined {
  const name = node.inputs[index] ?? "";
  if (name === "") return new Float64Array(channels).fill(absent);
  const tensor = realConstantOf(graph, name);
  return tensor?.dims.join() === `${channels}` ? realValues(tensor) : undefined;
}

const hasClip = (node: Node): boolean =>
  node.attributes.has("activation_min") || node.attributes.has("activation_max");

function adderLayer(graph: Graph, node: Node): AffineLayer | undefined {
  const weights = realConstantOf(graph, node.inputs[1]);
  if (weights?.dims.length !== 4 || hasClip(node)) return undefined;
  const channels = weights.dims[0]!;
  const bias = vectorInput(graph, node, 2, channels, 0);
  const scale = vectorInput(graph, node, 3, channels, 1);
  if (bias === undefined || scale === undefined) return undefined;
  const layer = layerOfWeight(node.inputs[1]!);
  return {
    node,
    rank: 4,
    channels,
    takesFactor: (node.inputs[4] ?? "") === "",
    absorb: (reader, affine) => {
      const newScale = scale.map((value, channel) => affine.factor[channel]! * value);
      const changes = new Map([
        [2, constantInput(graph, node, 2, `${layer}.bias`, weights.type, affineOf(bias, affine), 0)],
        [3, constantInput(graph, node, 3, `${layer}.scale`, weights.type, newScale, 1)],
      ]);
      absorbReader(graph, node, reader, { inputs: withInputs(node, changes) });
    },
  };
}

function convLayer(graph: Graph, node: Node): AffineLayer | undefined {
  const weights = realConstantOf(graph, node.inputs[1]);
  if (weights === undefined || weights.dims.length < 3) return undefined;
  const channels = weights.dims[0]!;
  const bias = vectorInput(graph, node, 2, channels, 0);
  if (bias === undefined) return undefined;
  return {
    node,
    rank: weights.dims.length,
    channels,
    takesFactor: true,
    absorb: (reader, affine) => {
      const layer = layerOfWeight(node.inputs[1]!);
      const newBias = affineOf(bias, affine);
      const changes = new Map([
        [2, constantInput(graph, node, 2, `${layer}.bias`, weights.type, newBias, 0)],
      ]);
      if (!isAll(affine.factor, 1)) {
        changes.set(
          1,
          replaceInitializer(graph, node, node.inputs[1]!, scaledWeights(weights, 0, affine.factor)),
        );
      }
      absorbReader(graph, node, reader, { inputs: withInputs(node, changes) });
    },
  };
}

/** Y = alpha·A·B + beta·C: factors go into the columns of B, beta into C. */
function gemmLayer(graph: Graph, node: Node): AffineLayer | undefined {
  const weights = realConstantOf(graph, node.inputs[1]);
  if (weights?.dims.length !== 2) return undefined;
  const axis = getInt(node, "transB") ? 0 : 1;
  const channels = weights.dims[axis]!;
  const old = node.inputs[2] ?? "";
  const constant = realConstantOf(graph, old);
  const bias = old === "" ? new Float64Array(channels) : constant && channelValues(constant, 2, 1, channels);
  if (bias === undefined) return undefined;
  const beta = getFloat(node, "beta") ?? 1;
  return {
    node,
    rank: 2,
    channels,
    takesFactor: true,
    absorb: (reader, affine) => {
      const layer = layerOfWeight(node.inputs[1]!);
      const newBias = affineOf(
        bias.map((value) => beta * value),
        affine,
      );
      const changes = new Map([
        [2, constantInput(graph, node, 2, `${layer}.bias`, weights.type, newBias, 0)],
      ]);
      if (!isAll(affine.factor, 1)) {
        changes.set(
          1,
          replaceInitializer(graph, node, node.inputs[1]!, scaledWeights(weights, axis, affine.factor)),
        );
      }
      const attributes = new Map(node.attributes);
      if (attributes.has("beta")) attributes.set("beta", floatAttribute(1));
      absorbReader(graph, node, reader, { inputs: withInputs(node, changes), attributes });
    },
  };
}

/** The node as a layer that takes per-channel affine functions in, or undefined. */
export function affineLayer(graph: Graph, node: Node | undefined): AffineLayer | undefined {
  if (node === undefined) return undefined;
  if (isAdder2d(node)) return adderLayer(graph, node);
  if (node.domain !== "") return undefined;
  if (node.opType === "Conv") return convLayer(graph, node);
  return node.opType === "Gemm" ? gemmLayer(graph, node) : undefined;
}
