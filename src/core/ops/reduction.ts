// Reductions over axes, ArgMax and ArgMin.

import { getInt, getInts } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { elementCount, stridesOf, type Tensor, toNumbers } from "../tensor.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { hasInput, integersOf } from "./facts.ts";
import { axisFromFront, numbersOf, numericTypes, requireTensor, tensorFrom } from "./operands.ts";
import { broadcastSteps, forEachRow, makeWalk } from "./strided.ts";

/** How a reduction folds: every element combined into `initial`, and what becomes of the total of `count` elements. */
interface Fold {
  readonly initial: number;
  readonly combine: (total: number, value: number) => number;
  readonly finish?: (total: number, count: number) => number;
}

/** log(exp(a) + exp(b)) without overflow. */
function logAddExp(a: number, b: number): number {
  if (a === b) return a + Math.LN2;
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

const folds: Readonly<Record<string, Fold>> = {
  ReduceSum: { initial: 0, combine: (total, value) => total + value },
  ReduceMean: {
    initial: 0,
    combine: (total, value) => total + value,
    finish: (total, count) => total / count,
  },
  ReduceMax: { initial: Number.NEGATIVE_INFINITY, combine: Math.max },
  ReduceMin: { initial: Number.POSITIVE_INFINITY, combine: Math.min },
  ReduceProd: { initial: 1, combine: (total, value) => total * value },
  ReduceL1: { initial: 0, combine: (total, value) => total + Math.abs(value) },
  ReduceL2: { initial: 0, combine: (total, value) => total + value * value, finish: Math.sqrt },
  ReduceSumSquare: { initial: 0, combine: (total, value) => total + value * value },
  ReduceLogSum: { initial: 0, combine: (total, value) => total + value, finish: Math.log },
  ReduceLogSumExp: { initial: Number.NEGATIVE_INFINITY, combine: logAddExp },
};

/** First opset that takes the axes as an input. */
function axesInputSince(opType: string): number {
  return opType === "ReduceSum" ? 13 : 18;
}

/** Axes to reduce over, from the front; "unknown" when they are computed. No axes mean all, or none with noop_with_empty_axes. */
function axesOf(
  node: Node,
  given: readonly number[] | "unknown" | undefined,
  rank: number,
  { opset, where }: OpContext,
): readonly number[] | "unknown" {
  const takesInput = opset >= axesInputSince(node.opType);
  const axes = takesInput ? given : getInts(node, "axes");
  if (axes === "unknown") return axes;
  if (axes !== undefined && axes.length > 0) {
    return [...new Set(axes.map((axis) => axisFromFront(axis, rank, where)))];
  }
  if (takesInput && (getInt(node, "noop_with_empty_axes") ?? 0) !== 0) return [];
  return Array.from({ length: rank }, (_, axis) => axis);
}

function keepsDims(node: Node): boolean {
  return (getInt(node, "keepdims") ?? 1) !== 0;
}

function reducedShape(shape: readonly Dim[], axes: readonly number[], keep: boolean): Dim[] {
  return shape.flatMap((length, axis) => {
    if (!axes.includes(axis)) return [length];
    return keep ? [1] : [];
  });
}

function inferReduce(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  context: OpContext,
): (ValueFact | undefined)[] {
  const x = inputs[0];
  if (x === undefined) return [undefined];
  const { elemType, shape } = x;
  if (shape === undefined) return [{ elemType }];
  const given = hasInput(node, 1) ? (integersOf(inputs[1]) ?? "unknown") : undefined;
  const axes = axesOf(node, given, shape.length, context);
  if (axes !== "unknown") return [{ elemType, shape: reducedShape(shape, axes, keepsDims(node)) }];
  return [keepsDims(node) ? { elemType, shape: shape.map(() => null) } : { elemType }];
}

function foldOver(
  x: ArrayLike<number>,
  dims: readonly number[],
  axes: readonly number[],
  { initial, combine, finish }: Fold,
): Float64Array {
  const kept = reducedShape(dims, axes, true) as number[];
  const totals = new Float64Array(elementCount(kept)).fill(initial);
  const walk = makeWalk(dims, [stridesOf(dims), broadcastSteps(kept, dims)]);
  const length = walk.dims.at(-1)!;
  const [step, intoStep] = walk.steps.map((steps) => steps.at(-1)!) as [number, number];
  forEachRow(walk, ([row, into]) => {
    let target = into!;
    for (let i = 0, read = row!; i < length; i++, read += step, target += intoStep) {
      totals[target] = combine(totals[target]!, x[read]!);
    }
  });
  const count = axes.reduce((product, axis) => product * dims[axis]!, 1);
  return finish === undefined ? totals : totals.map((total) => finish(total, count));
}

function referenceReduce(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const x = requireTensor(inputs, 0, "data", context.where);
  const data = numbersOf(x, "data", numericTypes, context.where);
  const given = inputs[1] === undefined ? undefined : toNumbers(inputs[1]);
  const axes = axesOf(node, given, x.dims.length, context) as readonly number[];
  const totals = foldOver(data, x.dims, axes, folds[node.opType]!);
  return [tensorFrom(x.type, totals, reducedShape(x.dims, axes, keepsDims(node)) as number[])];
}

/** Reductions: Y = fold of X over `axes` (an attribute in old opsets, an input since), each reduced axis kept as 1 or dropped. */
const reductions: readonly OpDefinition[] = Object.keys(folds).map((opType) => ({
  domain: "",
  opType,
  first: 1,
  infer: inferReduce,
  reference: referenceReduce,
}));

function inferArg(
  node: Node,
  [x]: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  if (x?.shape === undefined) return [{ elemType: "int64" }];
  const axis = axisFromFront(getInt(node, "axis") ?? 0, x.shape.length, where);
  return [{ elemType: "int64", shape: reducedShape(x.shape, [axis], keepsDims(node)) }];
}

/** Position of the best of `count` elements `step` apart; of equals the first, or the last with `selectLast`. */
function bestIndex(
  x: ArrayLike<number>,
  start: number,
  count: number,
  step: number,
  isBetter: (value: number, best: number) => boolean,
  selectLast: boolean,
): number {
  let best = 0;
  for (let index = 1; index < count; index++) {
    const [value, champion] = [x[start + index * step]!, x[start + best * step]!];
    if (isBetter(value, champion) || (selectLast && value === champion)) best = index;
  }
  return best;
}

function referenceArg(isBetter: (value: number, best: number) => boolean) {
  return (node: Node, inputs: Inputs, context: OpContext): Tensor[] => {
    const { where } = context;
    const x = requireTensor(inputs, 0, "data", where);
    const data = numbersOf(x, "data", numericTypes, where);
    const [fact] = inferArg(node, [{ elemType: x.type, shape: x.dims }], context);
    const dims = fact!.shape as number[];
    const axis = axisFromFront(getInt(node, "axis") ?? 0, x.dims.length, where);
    const [count, step] = [x.dims[axis]!, elementCount(x.dims.slice(axis + 1))];
    const selectLast = (getInt(node, "select_last_index") ?? 0) !== 0;
    const y = Float64Array.from({ length: elementCount(dims) }, (_, index) => {
      const start = Math.floor(index / step) * count * step + (index % step);
      return bestIndex(data, start, count, step, isBetter, selectLast);
    });
    return [tensorFrom("int64", y, dims)];
  };
}

/** Position of the largest element along `axis`, as int64. */
const ArgMax: OpDefinition = {
  domain: "",
  opType: "ArgMax",
  first: 1,
  infer: inferArg,
  reference: referenceArg((value, best) => value > best),
};

/** Position of the smallest element along `axis`, as int64. */
const ArgMin: OpDefinition = {
  domain: "",
  opType: "ArgMin",
  first: 1,
  infer: inferArg,
  reference: referenceArg((value, best) => value < best),
};

export const reductionOps: readonly OpDefinition[] = [...reductions, ArgMax, ArgMin];
