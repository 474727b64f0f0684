// Ops that fold or normalise along axes: reductions, global pools, softmax, batch normalisation.

import { getFloat, getInt, getInts } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { axisFromFront } from "../../src/core/ops/operands.ts";
import { elementCount, toNumbers } from "../../src/core/tensor.ts";
import type { BoundNode } from "../bind.ts";
import type { Argument, PlanBuilder } from "../builder.ts";
import { type Facts, floatsOf, type Lowering } from "../lowering.ts";
import { copyValue } from "./elementwise.ts";

type ReduceKernel = "f32_reduce_sum" | "f32_reduce_max";

/** One reduction over neighbouring axes: x as [outer][count][inner]. */
interface Fold {
  readonly outer: number;
  readonly count: number;
  readonly inner: number;
}

/** Reductions over runs of neighbouring axes, innermost run first; each finds the later axes already folded to 1. */
function foldsOver(dims: readonly number[], axes: readonly number[]): Fold[] {
  const lengths = [...dims];
  const folds: Fold[] = [];
  for (let last = dims.length - 1; last >= 0; last--) {
    if (!axes.includes(last)) continue;
    let first = last;
    while (first > 0 && axes.includes(first - 1)) first--;
    folds.push({
      outer: elementCount(lengths.slice(0, first)),
      count: elementCount(lengths.slice(first, last + 1)),
      inner: elementCount(lengths.slice(last + 1)),
    });
    lengths.fill(1, first, last + 1);
    last = first;
  }
  return folds;
}

function callReduce(
  kernel: ReduceKernel,
  x: Argument,
  y: Argument,
  fold: Fold,
  divisor: number,
  build: PlanBuilder,
) {
  if (kernel === "f32_reduce_sum") build.call(kernel, { x, y, ...fold, divisor });
  else if (fold.count === 0)
    build.call("f32_fill", { y, count: fold.outer * fold.inner, value: Number.NEGATIVE_INFINITY });
  else build.call(kernel, { x, y, ...fold });
}

/** Folds over `axes`; `isMean` divides by what was folded. */
function reduceOver(
  { inputs, outputs }: BoundNode,
  axes: readonly number[],
  kernel: ReduceKernel,
  isMean: boolean,
  build: PlanBuilder,
  prepare: (x: Argument, count: number) => Argument = (x) => x,
): void {
  const [x, y] = [inputs[0]!, outputs[0]!];
  const folds = foldsOver(x.dims, axes);
  let from = prepare(build.read(x), elementCount(x.dims));
  const total = isMean ? axes.reduce((product, axis) => product * x.dims[axis]!, 1) : 1;
  for (const [index, fold] of folds.entries()) {
    const isLast = index === folds.length - 1;
    const to = isLast ? build.output(y) : build.scratch(fold.outer * fold.inner * 4);
    callReduce(kernel, from, to, fold, isLast ? total : 1, build);
    from = to;
  }
}

/** Reduced axes from the front; none means all, or with noop_with_empty_axes none. */
function reducedAxes({ node, opset, inputs, where }: BoundNode): number[] {
  const rank = inputs[0]!.dims.length;
  const takesInput = opset >= (node.opType === "ReduceSum" ? 13 : 18);
  const given = takesInput ? inputs[1] && toNumbers(inputs[1].constant!) : getInts(node, "axes");
  if (given !== undefined && given.length > 0) return given.map((axis) => axisFromFront(axis, rank, where));
  if (takesInput && getInt(node, "noop_with_empty_axes") === 1) return [];
  return Array.from({ length: rank }, (_, axis) => axis);
}

function reduction(kernel: ReduceKernel, isMean: boolean): Lowering["lower"] {
  return (bound, build) => {
    const axes = reducedAxes(bound);
    if (axes.length === 0) copyValue(bound.inputs[0]!, bound.outputs[0]!, build);
    else reduceOver(bound, axes, kernel, isMean, build);
  };
}

function lowerReduceL1(bound: BoundNode, build: PlanBuilder): void {
  const sizes = (x: Argument, count: number): Argument => {
    const y = build.scratch(count * 4);
    build.call("f32_abs", { x, y, count, a: 0, b: 0 });
    return y;
  };
  const axes = reducedAxes(bound);
  if (axes.length > 0) {
    reduceOver(bound, axes, "f32_reduce_sum", false, build, sizes);
    return;
  }
  const [x, y] = [bound.inputs[0]!, bound.outputs[0]!];
  build.call("f32_abs", { x: build.read(x), y: build.output(y), count: elementCount(x.dims), a: 0, b: 0 });
}

function globalPool(kernel: ReduceKernel, isMean: boolean): Lowering["lower"] {
  return (bound, build) => {
    const axes = bound.inputs[0]!.dims.flatMap((_, axis) => (axis < 2 ? [] : [axis]));
    if (axes.length === 0) copyValue(bound.inputs[0]!, bound.outputs[0]!, build);
    else reduceOver(bound, axes, kernel, isMean, build);
  };
}

/** Before opset 13 the axes from `axis` on count as one. */
function softmax(kernel: "f32_softmax" | "f32_log_softmax"): Lowering["lower"] {
  return ({ node, opset, where, inputs, outputs }, build) => {
    const [x, y] = [inputs[0]!, outputs[0]!];
    const rank = x.dims.length;
    const axis = axisFromFront(getInt(node, "axis") ?? (opset < 13 ? 1 : -1), rank, where);
    const end = opset < 13 ? rank : axis + 1;
    const from = build.read(x);
    build.call(kernel, {
      x: from,
      y: build.output(y, x),
      outer: elementCount(x.dims.slice(0, axis)),
      count: elementCount(x.dims.slice(axis, end)),
      inner: elementCount(x.dims.slice(end)),
    });
  };
}

/** Factor and shift per channel: scale/√(var + ε) and B - mean·factor, in float64. */
export function normalizationAffine({ node, inputs }: BoundNode): {
  scale: Float64Array;
  bias: Float64Array;
} {
  const [gamma, beta, mean, variance] = inputs.slice(1, 5).map((value) => floatsOf(value!.constant!)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const epsilon = getFloat(node, "epsilon") ?? 1e-5;
  const scale = Float64Array.from(gamma, (value, channel) => value / Math.sqrt(variance[channel]! + epsilon));
  const bias = Float64Array.from(beta, (value, channel) => value - mean[channel]! * scale[channel]!);
  return { scale, bias };
}

function lowerBatchNormalization(bound: BoundNode, build: PlanBuilder): void {
  const [x, y] = [bound.inputs[0]!, bound.outputs[0]!];
  const parameters = bound.inputs.slice(1, 5).map((value) => value!);
  const { scale, bias } = normalizationAffine(bound);
  const kind = `of ${bound.where} ${getFloat(bound.node, "epsilon") ?? ""}`;
  const from = build.read(x);
  build.call("f32_affine", {
    x: from,
    scale: build.packed(parameters, `factor ${kind}`, () => Float32Array.from(scale)),
    bias: build.packed(parameters, `shift ${kind}`, () => Float32Array.from(bias)),
    y: build.output(y, x),
    outer: x.dims[0]!,
    channels: scale.length,
    inner: elementCount(x.dims.slice(2)),
  });
}

function refusesTraining(node: Node, _inputs: Facts, { opset }: { opset: number }): string | undefined {
  if (opset >= 14 && getInt(node, "training_mode") === 1) return "training mode";
  return node.outputs.slice(1).some((name) => name !== "") ? "running statistics as outputs" : undefined;
}

const always = (): boolean => true;
const likeInput: NonNullable<Lowering["keepsNotNegative"]> = (_bound, isNotNegative) => isNotNegative(0);

export const alongAxisLowerings = {
  GlobalAveragePool: { lower: globalPool("f32_reduce_sum", true), keepsNotNegative: likeInput },
  GlobalMaxPool: { lower: globalPool("f32_reduce_max", false), keepsNotNegative: likeInput },
  ReduceMean: { parameters: [1], lower: reduction("f32_reduce_sum", true), keepsNotNegative: likeInput },
  ReduceSum: { parameters: [1], lower: reduction("f32_reduce_sum", false), keepsNotNegative: likeInput },
  ReduceMax: { parameters: [1], lower: reduction("f32_reduce_max", false), keepsNotNegative: likeInput },
  ReduceL1: { parameters: [1], lower: lowerReduceL1, keepsNotNegative: always },
  Softmax: { lower: softmax("f32_softmax"), keepsNotNegative: always },
  LogSoftmax: { lower: softmax("f32_log_softmax") },
  BatchNormalization: { parameters: [1, 2, 3, 4], refuses: refusesTraining, lower: lowerBatchNormalization },
} satisfies Record<string, Lowering>;
