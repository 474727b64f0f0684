// Pooling over windows and over whole planes.

import { AdderNetError } from "../errors.ts";
import { getInt, getInts } from "../ir/attributes.ts";
import type { Node } from "../ir/model.ts";
import { elementCount, type Tensor } from "../tensor.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import {
  computedFloats,
  numbersOf,
  numericTypes,
  requireFloatType,
  requireTensor,
  shapeOfRank,
  tensorFrom,
} from "./operands.ts";
import {
  type BoundWindow,
  bindWindow,
  intsOfLength,
  outputLengths,
  readWindow,
  windowStretches,
} from "./spatial-window.ts";

/** kernel_shape, which pooling must give. */
function kernelOf(node: Node, rank: number, where: string): number[] {
  const kernel = intsOfLength(node, "kernel_shape", rank, 1, where);
  if (kernel !== undefined) return kernel;
  throw new AdderNetError("ADN_ATTRIBUTE", "kernel_shape is missing", {
    where,
    expected: `${rank} integers`,
  });
}

function isCeilMode(node: Node): boolean {
  return (getInt(node, "ceil_mode") ?? 0) !== 0;
}

function inferWindowed(
  node: Node,
  [x]: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  if (x === undefined) return [undefined];
  const rank = getInts(node, "kernel_shape")?.length;
  const shape = shapeOfRank(x, "X", 3, Number.POSITIVE_INFINITY, where);
  const unknown = rank === undefined ? undefined : new Array<null>(rank + 2).fill(null);
  const dims = shape ?? unknown;
  if (dims === undefined) return [{ elemType: x.elemType }];
  const size = dims.slice(2);
  const window = readWindow(node, size, kernelOf(node, size.length, where), where);
  const lengths = outputLengths(window, size, where, isCeilMode(node));
  return [{ elemType: x.elemType, shape: [dims[0]!, dims[1]!, ...lengths] }];
}

function inferMaxPool(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  context: OpContext,
): (ValueFact | undefined)[] {
  const [y] = inferWindowed(node, inputs, context);
  return [y, y?.shape === undefined ? { elemType: "int64" } : { elemType: "int64", shape: y.shape }];
}

function inferAveragePool(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  context: OpContext,
): (ValueFact | undefined)[] {
  if (inputs[0] !== undefined) requireFloatType(inputs[0].elemType, "X", context.where);
  return inferWindowed(node, inputs, context);
}

interface PoolOperand {
  readonly x: Tensor;
  readonly window: BoundWindow;
  readonly stretches: Int32Array;
  readonly planes: number;
}

function poolOperand(node: Node, inputs: Inputs, where: string): PoolOperand {
  const x = requireTensor(inputs, 0, "X", where);
  shapeOfRank({ elemType: x.type, shape: x.dims }, "X", 3, Number.POSITIVE_INFINITY, where);
  const size = x.dims.slice(2);
  const kernel = kernelOf(node, size.length, where);
  const window = bindWindow(readWindow(node, size, kernel, where), size, where, isCeilMode(node));
  return { x, window, stretches: windowStretches(window), planes: x.dims[0]! * x.dims[1]! };
}

type Fold = (
  totals: Float64Array,
  x: ArrayLike<number>,
  start: number,
  stretches: Int32Array,
  step: number,
) => void;

const foldMax: Fold = (totals, x, start, stretches, step) => {
  for (let index = 0; index < stretches.length; index += 4) {
    let read = start + stretches[index + 1]!;
    const first = stretches[index + 2]!;
    for (let o = first; o < first + stretches[index + 3]!; o++, read += step) {
      if (x[read]! > totals[o]!) totals[o] = x[read]!;
    }
  }
};

const foldSum: Fold = (totals, x, start, stretches, step) => {
  for (let index = 0; index < stretches.length; index += 4) {
    let read = start + stretches[index + 1]!;
    const first = stretches[index + 2]!;
    for (let o = first; o < first + stretches[index + 3]!; o++, read += step) totals[o]! += x[read]!;
  }
};

/** Folds every window of every plane, starting from `initial`. */
function pool(
  { window, stretches, planes }: PoolOperand,
  x: ArrayLike<number>,
  initial: number,
  fold: Fold,
): Float64Array {
  const [plane, area] = [elementCount(window.input), elementCount(window.output)];
  const y = new Float64Array(planes * area).fill(initial);
  for (let index = 0; index < planes; index++) {
    fold(y.subarray(index * area, (index + 1) * area), x, index * plane, stretches, window.strides.at(-1)!);
  }
  return y;
}

function referenceMaxPool(node: Node, inputs: Inputs, { where }: OpContext): Tensor[] {
  if (node.outputs[1] !== undefined && node.outputs[1] !== "") {
    throw new AdderNetError("ADN_OP_UNSUPPORTED", "the output Indices of MaxPool is not computed", {
      where,
      fix: "drop the output where nothing reads it",
    });
  }
  const operand = poolOperand(node, inputs, where);
  const { x, window } = operand;
  const y = pool(operand, numbersOf(x, "X", numericTypes, where), Number.NEGATIVE_INFINITY, foldMax);
  return [tensorFrom(x.type, y, [...x.dims.slice(0, 2), ...window.output])];
}

/** Taps of every window that lie on the input, or with `includePad` on the padded input; ceil_mode reaches beyond both. */
function divisors({ window, stretches }: PoolOperand, includePad: boolean): Float64Array {
  const rank = window.kernel.length;
  const padded = window.input.map((size, axis) => size + window.pads[axis]! + window.pads[axis + rank]!);
  const counted = includePad
    ? windowStretches({ ...window, input: padded, pads: window.pads.map(() => 0) })
    : stretches;
  const counts = new Float64Array(elementCount(window.output));
  for (let index = 0; index < counted.length; index += 4) {
    const first = counted[index + 2]!;
    for (let o = first; o < first + counted[index + 3]!; o++) counts[o]! += 1;
  }
  return counts;
}

function referenceAveragePool(node: Node, inputs: Inputs, { where }: OpContext): Tensor[] {
  const operand = poolOperand(node, inputs, where);
  const { x, window } = operand;
  const y = pool(operand, numbersOf(x, "X", computedFloats, where), 0, foldSum);
  const counts = divisors(operand, (getInt(node, "count_include_pad") ?? 0) !== 0);
  for (let index = 0; index < y.length; index++) y[index]! /= counts[index % counts.length]!;
  return [tensorFrom(x.type, y, [...x.dims.slice(0, 2), ...window.output])];
}

/** Largest element of every window; padding never wins. X (N,C,D1,…) -> Y (N,C,O1,…). Indices is inferred, not computed. */
const MaxPool: OpDefinition = {
  domain: "",
  opType: "MaxPool",
  first: 1,
  infer: inferMaxPool,
  reference: referenceMaxPool,
};

/** Mean of every window, over its taps on the input or, with count_include_pad, on the padded input. */
const AveragePool: OpDefinition = {
  domain: "",
  opType: "AveragePool",
  first: 1,
  infer: inferAveragePool,
  reference: referenceAveragePool,
};

function inferGlobal(
  _node: Node,
  [x]: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  if (x === undefined) return [undefined];
  requireFloatType(x.elemType, "X", where);
  const shape = shapeOfRank(x, "X", 2, Number.POSITIVE_INFINITY, where);
  if (shape === undefined) return [{ elemType: x.elemType }];
  return [{ elemType: x.elemType, shape: shape.map((length, axis) => (axis < 2 ? length : 1)) }];
}

/** One number per plane, from its elements `start`..`end` - 1. */
type PlaneFold = (x: ArrayLike<number>, start: number, end: number) => number;

const meanOf: PlaneFold = (x, start, end) => {
  let sum = 0;
  for (let at = start; at < end; at++) sum += x[at]!;
  return sum / (end - start);
};

const maxOf: PlaneFold = (x, start, end) => {
  let max = Number.NEGATIVE_INFINITY;
  for (let at = start; at < end; at++) if (x[at]! > max) max = x[at]!;
  return max;
};

function referenceGlobal(fold: PlaneFold) {
  return (node: Node, inputs: Inputs, context: OpContext): Tensor[] => {
    const tensor = requireTensor(inputs, 0, "X", context.where);
    const [fact] = inferGlobal(node, [{ elemType: tensor.type, shape: tensor.dims }], context);
    const x = numbersOf(tensor, "X", computedFloats, context.where);
    const plane = elementCount(tensor.dims.slice(2));
    const y = Float64Array.from({ length: tensor.dims[0]! * tensor.dims[1]! }, (_, index) =>
      fold(x, index * plane, (index + 1) * plane),
    );
    return [tensorFrom(tensor.type, y, fact!.shape as number[])];
  };
}

/** Mean of every plane: X (N,C,D1,…) -> Y (N,C,1,…). */
const GlobalAveragePool: OpDefinition = {
  domain: "",
  opType: "GlobalAveragePool",
  first: 1,
  infer: inferGlobal,
  reference: referenceGlobal(meanOf),
};

/** Largest element of every plane: X (N,C,D1,…) -> Y (N,C,1,…). */
const GlobalMaxPool: OpDefinition = {
  domain: "",
  opType: "GlobalMaxPool",
  first: 1,
  infer: inferGlobal,
  reference: referenceGlobal(maxOf),
};

export const poolingOps: readonly OpDefinition[] = [MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool];
