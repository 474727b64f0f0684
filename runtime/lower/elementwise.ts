// Ops that work element by element: one input, or several that broadcast.

import type { KernelName } from "../../custom-ops/kernels/table.ts";
import { getFloat } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { clipBounds } from "../../src/core/ops/regulation.ts";
import { broadcastSteps, forEachRow, makeWalk, type Walk } from "../../src/core/ops/strided.ts";
import { elementCount, stridesOf } from "../../src/core/tensor.ts";
import type { BoundNode, BoundValue } from "../bind.ts";
import { type ArenaAddress, type Argument, elementBytes, type PlanBuilder, shifted } from "../builder.ts";
import type { Lowering } from "../lowering.ts";

/** A walk as at most four axes of one call, and the offsets at which the call is repeated for the axes that are left. */
export function asFourAxes(walk: Walk): {
  dims: number[];
  steps: number[][];
  repeats: (readonly number[])[];
} {
  const outer = Math.max(0, walk.dims.length - 4);
  const fill = <T>(values: readonly T[], value: T) => [
    ...new Array<T>(4 - values.length).fill(value),
    ...values,
  ];
  const repeats: (readonly number[])[] = [];
  const outerWalk: Walk = {
    dims: [...walk.dims.slice(0, outer), 1],
    steps: walk.steps.map((steps) => [...steps.slice(0, outer), 0]),
  };
  forEachRow(outerWalk, (offsets) => repeats.push([...offsets]));
  return {
    dims: fill(walk.dims.slice(outer), 1),
    steps: walk.steps.map((steps) => fill(steps.slice(outer), 0)),
    repeats,
  };
}

/** Copies strided elements: `from` and `to` advance by `fromSteps` and `toSteps` elements of `bytes` along `dims`. */
export function copyStrided(
  from: Argument,
  to: Argument,
  dims: readonly number[],
  fromSteps: readonly number[],
  toSteps: readonly number[],
  build: PlanBuilder,
  bytes: 1 | 4 = 4,
): void {
  const { dims: n, steps, repeats } = asFourAxes(makeWalk(dims, [fromSteps, toSteps]));
  const [x, y] = steps.map((own) => own.map((step) => step * bytes)) as [number[], number[]];
  for (const [fromOffset, toOffset] of repeats) {
    build.call(bytes === 1 ? "b8_copy" : "b32_copy", {
      x: shifted(from, fromOffset! * bytes),
      y: shifted(to, toOffset! * bytes),
      ...{ n0: n[0]!, n1: n[1]!, n2: n[2]!, n3: n[3]! },
      ...{ x0: x[0]!, x1: x[1]!, x2: x[2]!, x3: x[3]! },
      ...{ y0: y[0]!, y1: y[1]!, y2: y[2]!, y3: y[3]! },
    });
  }
}

/** A copy of a value, broadcast to `dims`, in scratch. */
export function expandTo(value: BoundValue, dims: readonly number[], build: PlanBuilder): ArenaAddress {
  const bytes = elementBytes(value.type);
  const to = build.scratch(elementCount(dims) * bytes);
  copyStrided(build.read(value), to, dims, broadcastSteps(value.dims, dims), stridesOf(dims), build, bytes);
  return to;
}

type BinaryKernel = "f32_add" | "f32_sub" | "f32_mul" | "f32_div" | "f32_min" | "f32_max" | "f32_prelu";

interface Broadcast {
  readonly address: Argument;
  readonly dims: readonly number[];
}

function callBinary(
  kernel: BinaryKernel,
  a: Broadcast,
  b: Broadcast,
  y: Argument,
  dims: readonly number[],
  build: PlanBuilder,
): void {
  const walk = makeWalk(dims, [broadcastSteps(a.dims, dims), broadcastSteps(b.dims, dims), stridesOf(dims)]);
  const { dims: n, steps, repeats } = asFourAxes(walk);
  const [left, right] = steps.map((own) => own.map((step) => step * 4)) as [number[], number[]];
  for (const [aOffset, bOffset, yOffset] of repeats) {
    build.call(kernel, {
      a: shifted(a.address, aOffset! * 4),
      b: shifted(b.address, bOffset! * 4),
      y: shifted(y, yOffset! * 4),
      ...{ n0: n[0]!, n1: n[1]!, n2: n[2]!, n3: n[3]! },
      ...{ a0: left[0]!, a1: left[1]!, a2: left[2]!, a3: left[3]! },
      ...{ b0: right[0]!, b1: right[1]!, b2: right[2]!, b3: right[3]! },
    });
  }
}

/** Folds two inputs, or as many as the op takes, with one kernel from the left. */
function foldInputs(kernel: BinaryKernel, most = 2): Lowering["lower"] {
  return ({ inputs, outputs }, build) => {
    const [first, ...rest] = inputs.slice(0, most) as BoundValue[];
    const y = outputs[0]!;
    if (rest.length === 0) {
      copyValue(first!, y, build);
      return;
    }
    const full = [first!, rest[0]!].find((value) => !value.constant && value.dims.join() === y.dims.join());
    let left: Broadcast = { address: build.read(first!), dims: first!.dims };
    const operands = rest.map((value) => ({ address: build.read(value), dims: value.dims }));
    const target = build.output(y, full);
    for (const right of operands) {
      callBinary(kernel, left, right, target, y.dims, build);
      left = { address: target, dims: y.dims };
    }
  };
}

/** An output with the elements of a value. */
export function copyValue(from: BoundValue, to: BoundValue, build: PlanBuilder): void {
  if (!from.constant) {
    build.alias(to, from);
    return;
  }
  const count = elementCount(to.dims);
  copyStrided(build.read(from), build.output(to), [count], [1], [1], build, elementBytes(to.type));
}

type UnaryKernel = {
  [K in KernelName]: typeof import("../../custom-ops/kernels/table.ts").kernelTable[K] extends readonly [
    "x",
    "y",
    "count",
    "a",
    "b",
  ]
    ? K
    : never;
}[KernelName];

/** One kernel over all elements; a and b from the node's attributes. */
function unary(
  kernel: UnaryKernel,
  parametersOf: (bound: BoundNode) => readonly [number, number] = () => [0, 0],
): Lowering["lower"] {
  return (bound, build) => {
    const [x, y] = [bound.inputs[0]!, bound.outputs[0]!];
    const [a, b] = parametersOf(bound);
    const from = build.read(x);
    build.call(kernel, { x: from, y: build.output(y, x), count: elementCount(x.dims), a, b });
  };
}

function clipParameters({ node, inputs, opset }: BoundNode): [number, number] {
  const [low, high] = clipBounds(
    node,
    inputs.map((value) => value?.constant),
    opset,
  );
  return [Number(low ?? Number.NEGATIVE_INFINITY), Number(high ?? Number.POSITIVE_INFINITY)];
}

/** Low and high of a node that only clips; undefined for any other node. */
export function clipOf(bound: BoundNode): readonly [number, number] | undefined {
  const { domain, opType } = bound.node;
  if (domain !== "") return undefined;
  if (opType === "Relu") return [0, Number.POSITIVE_INFINITY];
  return opType === "Clip" ? clipParameters(bound) : undefined;
}

const alpha = (missing: number) => (bound: BoundNode) =>
  [getFloat(bound.node, "alpha") ?? missing, 0] as const;

function hardSigmoidParameters({ node }: BoundNode): [number, number] {
  return [getFloat(node, "alpha") ?? 0.2, getFloat(node, "beta") ?? 0.5];
}

const always = (): boolean => true;
const likeFirst: NonNullable<Lowering["keepsNotNegative"]> = (_bound, isNotNegative) => isNotNegative(0);
const likeAll: NonNullable<Lowering["keepsNotNegative"]> = ({ inputs }, isNotNegative) =>
  inputs.every((_, index) => isNotNegative(index));
const likeAny: NonNullable<Lowering["keepsNotNegative"]> = ({ inputs }, isNotNegative) =>
  inputs.some((_, index) => isNotNegative(index));

/** Powers that other kernels compute exactly. */
const powers: Readonly<Record<number, (x: BoundValue, y: BoundValue, build: PlanBuilder) => void>> = {
  0.5: (x, y, build) => {
    const from = build.read(x);
    build.call("f32_sqrt", { x: from, y: build.output(y, x), count: elementCount(x.dims), a: 0, b: 0 });
  },
  1: copyValue,
  2: (x, y, build) => {
    const operand = { address: build.read(x), dims: x.dims };
    callBinary("f32_mul", operand, operand, build.output(y, x), x.dims, build);
  },
};

function exponentOf(tensor: { readonly data: unknown } | undefined): number {
  const data = tensor?.data as ArrayLike<number | bigint> | undefined;
  return data?.length === 1 ? Number(data[0]) : Number.NaN;
}

function refusesPower(_node: Node, inputs: readonly ({ constant?: { data: unknown } } | undefined)[]) {
  const exponent = exponentOf(inputs[1]?.constant);
  return exponent in powers ? undefined : `an exponent other than ${Object.keys(powers).join(", ")}`;
}

export const elementwiseLowerings = {
  Add: { lower: foldInputs("f32_add"), keepsNotNegative: likeAll },
  Sub: { lower: foldInputs("f32_sub") },
  Mul: { lower: foldInputs("f32_mul"), keepsNotNegative: likeAll },
  // A divisor of -0 counts as not negative, and the quotient is -Infinity.
  Div: { lower: foldInputs("f32_div") },
  Sum: { lower: foldInputs("f32_add", Infinity), keepsNotNegative: likeAll },
  Min: { lower: foldInputs("f32_min", Infinity), keepsNotNegative: likeAll },
  Max: { lower: foldInputs("f32_max", Infinity), keepsNotNegative: likeAny },
  PRelu: { lower: foldInputs("f32_prelu"), keepsNotNegative: likeFirst },
  Pow: {
    parameters: [1],
    refuses: refusesPower,
    lower: ({ inputs, outputs }, build) => {
      powers[exponentOf(inputs[1]!.constant)]!(inputs[0]!, outputs[0]!, build);
    },
    keepsNotNegative: likeFirst,
  },
  Relu: { lower: unary("f32_clip", () => [0, Number.POSITIVE_INFINITY]), keepsNotNegative: always },
  Clip: {
    parameters: [1, 2],
    lower: unary("f32_clip", clipParameters),
    keepsNotNegative: (bound, isNotNegative) => isNotNegative(0) || clipParameters(bound)[0] >= 0,
  },
  LeakyRelu: { lower: unary("f32_leaky_relu", alpha(0.01)), keepsNotNegative: likeFirst },
  HardSigmoid: { lower: unary("f32_hard_sigmoid", hardSigmoidParameters), keepsNotNegative: always },
  HardSwish: { lower: unary("f32_hard_swish", () => [1 / 6, 0.5]), keepsNotNegative: likeFirst },
  Sigmoid: { lower: unary("f32_sigmoid"), keepsNotNegative: always },
  Tanh: { lower: unary("f32_tanh"), keepsNotNegative: likeFirst },
  Elu: { lower: unary("f32_elu", alpha(1)), keepsNotNegative: likeFirst },
  Exp: { lower: unary("f32_exp"), keepsNotNegative: always },
  Log: { lower: unary("f32_log") },
  Sqrt: { lower: unary("f32_sqrt"), keepsNotNegative: always },
  Abs: { lower: unary("f32_abs"), keepsNotNegative: always },
  Neg: { lower: unary("f32_neg") },
  Reciprocal: { lower: unary("f32_reciprocal") },
} satisfies Record<string, Lowering>;
