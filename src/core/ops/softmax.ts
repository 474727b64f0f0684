// Softmax and LogSoftmax.

import { getInt } from "../ir/attributes.ts";
import type { Node } from "../ir/model.ts";
import { elementCount, type Tensor } from "../tensor.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import {
  axisFromFront,
  computedFloats,
  numbersOf,
  requireFloatType,
  requireTensor,
  tensorFrom,
} from "./operands.ts";

/** Before opset 13 the default axis is 1 and all axes from it on are one; since then it is the last, alone. */
function axisOf(node: Node, rank: number, { opset, where }: OpContext): number {
  return axisFromFront(getInt(node, "axis") ?? (opset < 13 ? 1 : -1), rank, where);
}

function infer(
  node: Node,
  [x]: readonly (ValueFact | undefined)[],
  context: OpContext,
): (ValueFact | undefined)[] {
  if (x === undefined) return [undefined];
  requireFloatType(x.elemType, "input", context.where);
  if (x.shape === undefined) return [{ elemType: x.elemType }];
  axisOf(node, x.shape.length, context);
  return [{ elemType: x.elemType, shape: x.shape }];
}

/** Writes exp(x - max) and answers the largest element and the sum of what was written, over `count` elements `step` apart. */
function exponentials(x: ArrayLike<number>, y: Float64Array, start: number, count: number, step: number) {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) max = Math.max(max, x[start + i * step]!);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const value = Math.exp(x[start + i * step]! - max);
    y[start + i * step] = value;
    sum += value;
  }
  return { max, sum };
}

function softmaxAlong(
  x: ArrayLike<number>,
  y: Float64Array,
  start: number,
  count: number,
  step: number,
): void {
  const { sum } = exponentials(x, y, start, count, step);
  for (let i = 0; i < count; i++) y[start + i * step]! /= sum;
}

function logSoftmaxAlong(
  x: ArrayLike<number>,
  y: Float64Array,
  start: number,
  count: number,
  step: number,
): void {
  const { max, sum } = exponentials(x, y, start, count, step);
  const shift = max + Math.log(sum);
  for (let i = 0; i < count; i++) y[start + i * step] = x[start + i * step]! - shift;
}

function referenceOf(along: typeof softmaxAlong) {
  return (node: Node, inputs: Inputs, context: OpContext): Tensor[] => {
    const x = requireTensor(inputs, 0, "input", context.where);
    const data = numbersOf(x, "input", computedFloats, context.where);
    const axis = axisOf(node, x.dims.length, context);
    const count = context.opset < 13 ? elementCount(x.dims.slice(axis)) : x.dims[axis]!;
    const step = context.opset < 13 ? 1 : elementCount(x.dims.slice(axis + 1));
    const y = new Float64Array(elementCount(x.dims));
    for (let block = 0; block < y.length; block += count * step) {
      for (let offset = 0; offset < step; offset++) along(data, y, block + offset, count, step);
    }
    return [tensorFrom(x.type, y, x.dims)];
  };
}

/** exp(x) / Σ exp(x) along `axis`. */
const Softmax: OpDefinition = {
  domain: "",
  opType: "Softmax",
  first: 1,
  infer,
  reference: referenceOf(softmaxAlong),
};

/** x - log Σ exp(x) along `axis`. */
const LogSoftmax: OpDefinition = {
  domain: "",
  opType: "LogSoftmax",
  first: 1,
  infer,
  reference: referenceOf(logSoftmaxAlong),
};

export const softmaxOps: readonly OpDefinition[] = [Softmax, LogSoftmax];
