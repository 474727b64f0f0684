// Batch, instance, layer and local response normalisation, as they are at inference.

import { AdderNetError } from "../errors.ts";
import { getFloat, getInt } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { broadcastDims, elementCount, stridesOf, type Tensor } from "../tensor.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { factOf } from "./facts.ts";
import {
  axisFromFront,
  computedFloats,
  numbersOf,
  requireDim,
  requireFloatType,
  requireSameType,
  requireTensor,
  shapeOfRank,
  tensorFrom,
} from "./operands.ts";
import { broadcastSteps, forEachRow, makeWalk } from "./strided.ts";

const anyRank = Number.POSITIVE_INFINITY;

function factsOf(inputs: Inputs): (ValueFact | undefined)[] {
  return inputs.map((tensor) => tensor && factOf(tensor));
}

/** Throws ADN_TYPE or ADN_SHAPE unless each of `names`, the inputs after X, is a vector of floats, one per channel. */
function requirePerChannel(
  inputs: readonly (ValueFact | undefined)[],
  names: readonly string[],
  channels: Dim | undefined,
  where: string,
): void {
  names.forEach((name, index) => {
    const fact = inputs[index + 1];
    if (fact !== undefined) requireFloatType(fact.elemType, name, where);
    requireDim(shapeOfRank(fact, name, 1, 1, where)?.[0], channels, name, where);
  });
}

/** y = factor[c]·x + shift[c] for X of shape (N,C,…). */
function affinePerChannel(
  x: ArrayLike<number>,
  dims: readonly number[],
  factorAndShift: (channel: number) => readonly [number, number],
): Float64Array {
  const channels = dims[1] ?? 1;
  const plane = elementCount(dims.slice(2));
  const pairs = Array.from({ length: channels }, (_, channel) => factorAndShift(channel));
  const y = new Float64Array(elementCount(dims));
  for (let start = 0, index = 0; start < y.length; start += plane, index++) {
    const [factor, shift] = pairs[index % channels]!;
    for (let at = start; at < start + plane; at++) y[at] = factor * x[at]! + shift;
  }
  return y;
}

const batchNormInputs = ["scale", "B", "mean", "var"];

function inferBatchNormalization(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where, opset }: OpContext,
): (ValueFact | undefined)[] {
  const x = inputs[0];
  if (x === undefined) return [undefined];
  requireFloatType(x.elemType, "X", where);
  if (opset < 9 && getInt(node, "spatial") === 0) {
    throw new AdderNetError("ADN_ATTRIBUTE", "statistics per position are not supported", {
      where,
      expected: "spatial 1",
      found: "0",
    });
  }
  const shape = shapeOfRank(x, "X", 1, anyRank, where);
  requirePerChannel(inputs, batchNormInputs, shape && (shape.length === 1 ? 1 : shape[1]), where);
  return [shape === undefined ? { elemType: x.elemType } : { elemType: x.elemType, shape }];
}

function referenceBatchNormalization(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const x = requireTensor(inputs, 0, "X", where);
  if (context.opset >= 14 && (getInt(node, "training_mode") ?? 0) !== 0) {
    throw new AdderNetError("ADN_OP_UNSUPPORTED", "batch normalisation in training mode", {
      where,
      fix: "export the model after model.eval()",
    });
  }
  inferBatchNormalization(node, factsOf(inputs), context);
  const [scale, b, mean, variance] = batchNormInputs.map((name, index) =>
    numbersOf(requireTensor(inputs, index + 1, name, where), name, computedFloats, where),
  );
  const epsilon = getFloat(node, "epsilon") ?? 1e-5;
  const y = affinePerChannel(numbersOf(x, "X", computedFloats, where), x.dims, (channel) => {
    const factor = scale![channel]! / Math.sqrt(variance![channel]! + epsilon);
    return [factor, b![channel]! - mean![channel]! * factor];
  });
  return [tensorFrom(x.type, y, x.dims)];
}

/**
 * Batch normalisation with given statistics: Y = scale·(X - mean)/√(var + epsilon) + B per channel.
 * X (N,C,…), the others (C) -> Y. Only Y: the running statistics that training yields are not computed.
 */
const BatchNormalization: OpDefinition = {
  domain: "",
  opType: "BatchNormalization",
  first: 7,
  infer: inferBatchNormalization,
  reference: referenceBatchNormalization,
};

function inferInstanceNormalization(
  _node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const x = inputs[0];
  if (x === undefined) return [undefined];
  requireFloatType(x.elemType, "input", where);
  const shape = shapeOfRank(x, "input", 3, anyRank, where);
  requirePerChannel(inputs, ["scale", "B"], shape?.[1], where);
  return [shape === undefined ? { elemType: x.elemType } : { elemType: x.elemType, shape }];
}

/** Mean and 1/√(variance + epsilon) of `count` elements. */
function momentsOf(x: ArrayLike<number>, start: number, count: number, epsilon: number): [number, number] {
  let sum = 0;
  for (let at = start; at < start + count; at++) sum += x[at]!;
  const mean = sum / count;
  let squares = 0;
  for (let at = start; at < start + count; at++) squares += (x[at]! - mean) ** 2;
  return [mean, 1 / Math.sqrt(squares / count + epsilon)];
}

function referenceInstanceNormalization(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  inferInstanceNormalization(node, factsOf(inputs), context);
  const tensors = ["input", "scale", "B"].map((name, index) => requireTensor(inputs, index, name, where));
  const [x, scale, b] = tensors.map((tensor) => numbersOf(tensor, "input", computedFloats, where));
  const { type, dims } = tensors[0]!;
  const plane = elementCount(dims.slice(2));
  const epsilon = getFloat(node, "epsilon") ?? 1e-5;
  const y = new Float64Array(elementCount(dims));
  for (let start = 0, index = 0; start < y.length; start += plane, index++) {
    const channel = index % dims[1]!;
    const [mean, factor] = momentsOf(x!, start, plane, epsilon);
    for (let at = start; at < start + plane; at++) {
      y[at] = (x![at]! - mean) * factor * scale![channel]! + b![channel]!;
    }
  }
  return [tensorFrom(type, y, dims)];
}

/** Normalises every (n, c) plane by its own mean and variance: Y = scale·(X - mean)/√(var + epsilon) + B. */
const InstanceNormalization: OpDefinition = {
  domain: "",
  opType: "InstanceNormalization",
  first: 6,
  infer: inferInstanceNormalization,
  reference: referenceInstanceNormalization,
};

function inferLayerNormalization(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const [x, scale, b] = inputs;
  if (x === undefined) return [undefined];
  requireFloatType(x.elemType, "X", where);
  requireSameType(["X", x], ["Scale", scale], where);
  requireSameType(["X", x], ["B", b], where);
  const shape = shapeOfRank(x, "X", 1, anyRank, where);
  if (shape === undefined)
    return [{ elemType: x.elemType }, { elemType: "float32" }, { elemType: "float32" }];
  const axis = axisFromFront(getInt(node, "axis") ?? -1, shape.length, where);
  const moments: ValueFact = {
    elemType: x.elemType === "float64" ? "float64" : "float32",
    shape: shape.map((length, at) => (at < axis ? length : 1)),
  };
  return [{ elemType: x.elemType, shape }, moments, moments];
}

/** Element for element of X, which element of an operand that broadcasts to it. */
function broadcastIndex(tensor: Tensor, name: string, dims: readonly number[], where: string): Int32Array {
  if (broadcastDims(tensor.dims, dims)?.join() !== dims.join()) {
    throw new AdderNetError("ADN_SHAPE", `${name} does not broadcast to X`, {
      where,
      expected: dims.join("x"),
      found: tensor.dims.join("x"),
    });
  }
  const walk = makeWalk(dims, [stridesOf(dims), broadcastSteps(tensor.dims, dims)]);
  const index = new Int32Array(elementCount(dims));
  const step = walk.steps[1]!.at(-1)!;
  forEachRow(walk, ([row, start]) => {
    for (let i = 0; i < walk.dims.at(-1)!; i++) index[row! + i] = start! + i * step;
  });
  return index;
}

function referenceLayerNormalization(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const tensor = requireTensor(inputs, 0, "X", where);
  const [, momentFact] = inferLayerNormalization(node, factsOf(inputs), context);
  const { type, dims } = tensor;
  const x = numbersOf(tensor, "X", computedFloats, where);
  const [scale, b] = ["Scale", "B"].map((name, index) => {
    const operand = name === "B" ? inputs[2] : requireTensor(inputs, index + 1, name, where);
    if (operand === undefined) return undefined;
    return {
      data: numbersOf(operand, name, computedFloats, where),
      at: broadcastIndex(operand, name, dims, where),
    };
  });
  const momentDims = momentFact!.shape as number[];
  const rows = elementCount(momentDims);
  const count = elementCount(dims) / Math.max(rows, 1);
  const epsilon = getFloat(node, "epsilon") ?? 1e-5;
  const y = new Float64Array(elementCount(dims));
  const [means, factors] = [new Float64Array(rows), new Float64Array(rows)];
  for (let row = 0; row < rows; row++) {
    const [mean, factor] = momentsOf(x, row * count, count, epsilon);
    means[row] = mean;
    factors[row] = factor;
    for (let at = row * count; at < (row + 1) * count; at++) {
      const shift = b === undefined ? 0 : b.data[b.at[at]!]!;
      y[at] = (x[at]! - mean) * factor * scale!.data[scale!.at[at]!]! + shift;
    }
  }
  const moments = [means, factors].map((values) => tensorFrom(momentFact!.elemType, values, momentDims));
  return [tensorFrom(type, y, dims), ...moments];
}

/**
 * Normalises all axes from `axis` on together: Y = Scale·(X - mean)/√(var + epsilon) + B.
 * Outputs Y, Mean and InvStdDev, the last two with length 1 on the normalised axes.
 */
const LayerNormalization: OpDefinition = {
  domain: "",
  opType: "LayerNormalization",
  first: 17,
  infer: inferLayerNormalization,
  reference: referenceLayerNormalization,
};

function channelSpan(node: Node, where: string): number {
  const size = getInt(node, "size");
  if (size !== undefined && size >= 1) return size;
  throw new AdderNetError("ADN_ATTRIBUTE", size === undefined ? "size is missing" : "size is out of range", {
    where,
    expected: ">= 1",
    ...(size === undefined ? {} : { found: `${size}` }),
  });
}

function inferLRN(
  node: Node,
  [x]: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  if (x === undefined) return [undefined];
  requireFloatType(x.elemType, "X", where);
  channelSpan(node, where);
  const shape = shapeOfRank(x, "X", 2, anyRank, where);
  return [shape === undefined ? { elemType: x.elemType } : { elemType: x.elemType, shape }];
}

function referenceLRN(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const tensor = requireTensor(inputs, 0, "X", where);
  inferLRN(node, factsOf(inputs), context);
  const x = numbersOf(tensor, "X", computedFloats, where);
  const size = channelSpan(node, where);
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const alpha = (getFloat(node, "alpha") ?? 1e-4) / size;
  const [beta, bias] = [getFloat(node, "beta") ?? 0.75, getFloat(node, "bias") ?? 1];
  const channels = tensor.dims[1]!;
  const plane = elementCount(tensor.dims.slice(2));
  const y = new Float64Array(elementCount(tensor.dims));
  for (let start = 0, index = 0; start < y.length; start += plane, index++) {
    const channel = index % channels;
    const first = start - Math.min(before, channel) * plane;
    const last = start + Math.min(after, channels - 1 - channel) * plane;
    for (let offset = 0; offset < plane; offset++) {
      let squares = 0;
      for (let at = first + offset; at <= last + offset; at += plane) squares += x[at]! ** 2;
      y[start + offset] = x[start + offset]! / (bias + alpha * squares) ** beta;
    }
  }
  return [tensorFrom(tensor.type, y, tensor.dims)];
}

/** Local response normalisation: Y = X / (bias + alpha/size·Σ X²)^beta, the sum over `size` neighbouring channels. */
const LRN: OpDefinition = { domain: "", opType: "LRN", first: 1, infer: inferLRN, reference: referenceLRN };

export const normalizationOps: readonly OpDefinition[] = [
  BatchNormalization,
  InstanceNormalization,
  LayerNormalization,
  LRN,
];
