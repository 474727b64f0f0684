// Pad: elements added to, or taken away from, the ends of axes.

import { AdderNetError } from "../errors.ts";
import { getFloat, getInts, getString } from "../ir/attributes.ts";
import type { Node } from "../ir/model.ts";
import { elementCount, type NumberArray, stridesOf, type Tensor } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { axesFromFront, factOf, hasInput, integersOf, shapesFor, standardOp } from "./facts.ts";
import { gatherAxis } from "./gather.ts";
import { requireSameType } from "./operands.ts";
import { allocateLike, copyStrided } from "./strided.ts";

type Facts = readonly (ValueFact | undefined)[];

const padModes = ["constant", "reflect", "edge", "wrap"] as const;
type PadMode = (typeof padModes)[number];

function padMode(node: Node, where: string): PadMode {
  const mode = getString(node, "mode") ?? "constant";
  const known = padModes.find((name) => name === mode);
  if (known !== undefined) return known;
  throw new AdderNetError("ADN_ATTRIBUTE", "attribute mode is unknown", {
    where,
    expected: padModes.join(", "),
    found: mode,
  });
}

/** Elements added before and after every axis (negative: taken away), or undefined when unknown. */
function padsByAxis(node: Node, facts: Facts, rank: number, { opset, where }: OpContext) {
  const isAttribute = opset < 11;
  const pads = isAttribute ? getInts(node, "pads") : integersOf(facts[1]);
  if (pads === undefined && !isAttribute && hasInput(node, 1)) return undefined;
  const isGiven = !isAttribute && hasInput(node, 3);
  const asked = isGiven ? integersOf(facts[3]) : [...Array(rank).keys()];
  if (asked === undefined) return undefined;
  const axes = axesFromFront(asked, rank, where);
  if (pads?.length !== 2 * axes.length) {
    throw new AdderNetError("ADN_SHAPE", "pads has the wrong length", {
      where,
      expected: `${2 * axes.length}`,
      found: `${pads?.length ?? "none"}`,
    });
  }
  const result = Array.from({ length: rank }, () => ({ begin: 0, end: 0 }));
  for (const [index, axis] of axes.entries()) {
    result[axis] = { begin: pads[index]!, end: pads[index + axes.length]! };
  }
  return result;
}

function inferPad(node: Node, facts: Facts, context: OpContext): Inferred {
  const [data, , value] = facts;
  padMode(node, context.where);
  if (data === undefined) return [undefined];
  const { elemType, shape } = data;
  if (hasInput(node, 2)) requireSameType(["data", data], ["constant_value", value], context.where);
  if (shape === undefined) return [{ elemType }];
  const pads = padsByAxis(node, facts, shape.length, context);
  const dims = shape.map((dim, axis) => {
    if (pads === undefined) return null;
    const { begin, end } = pads[axis]!;
    if (typeof dim !== "number") return begin === 0 && end === 0 ? dim : null;
    if (dim + begin + end >= 0) return dim + begin + end;
    throw new AdderNetError("ADN_SHAPE", `axis ${axis} is cut below nothing`, {
      where: context.where,
      expected: `at most ${dim} elements taken away`,
      found: `${-begin - end}`,
    });
  });
  return [{ elemType, shape: dims }];
}

type Pads = readonly { readonly begin: number; readonly end: number }[];

function padConstant(data: Tensor, dims: readonly number[], pads: Pads, value: unknown): Tensor {
  const padded = allocateLike(data, elementCount(dims));
  if (value !== undefined) (padded as NumberArray).fill(value as number);
  const [fromSteps, toSteps] = [stridesOf(data.dims), stridesOf(dims)];
  const kept = data.dims.map((dim, axis) =>
    Math.max(0, dim + Math.min(0, pads[axis]!.begin) + Math.min(0, pads[axis]!.end)),
  );
  const offset = (steps: readonly number[], sign: number) =>
    steps.reduce((sum, step, axis) => sum + step * Math.max(0, sign * pads[axis]!.begin), 0);
  copyStrided(data.data, padded, {
    dims: kept,
    fromSteps,
    fromOffset: offset(fromSteps, -1),
    toSteps,
    toOffset: offset(toSteps, 1),
  });
  return { type: data.type, data: padded, dims };
}

const modulo = (value: number, length: number): number => ((value % length) + length) % length;

function reflected(at: number, length: number): number {
  const period = 2 * (length - 1);
  if (period === 0) return 0;
  const inside = modulo(at, period);
  return inside < length ? inside : period - inside;
}

/** Which element of `length` stands `at` places after the first, beyond the ends too. */
const continuations: Record<Exclude<PadMode, "constant">, (at: number, length: number) => number> = {
  reflect: reflected,
  edge: (at, length) => Math.max(0, Math.min(length - 1, at)),
  wrap: modulo,
};

/** Source index of every element of one padded axis; what negative pads take away is not continued from. */
function continuedIndices(
  length: number,
  begin: number,
  end: number,
  mode: Exclude<PadMode, "constant">,
  where: string,
) {
  const cut = Math.max(0, -begin);
  const kept = length - cut - Math.max(0, -end);
  const count = length + begin + end;
  if (kept <= 0 && count > 0) {
    throw new AdderNetError("ADN_SHAPE", `an empty axis cannot be padded in mode ${mode}`, { where });
  }
  const first = -Math.max(0, begin);
  return Float64Array.from({ length: count }, (_, index) => cut + continuations[mode](first + index, kept));
}

function pad(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const data = inputs[0]!;
  const dims = shapesFor(inferPad, node, inputs, context)[0]!;
  const facts = inputs.map((tensor) => tensor && factOf(tensor));
  const pads = padsByAxis(node, facts, dims.length, context)!;
  const mode = padMode(node, context.where);
  if (mode === "constant") {
    const value = context.opset < 11 ? getFloat(node, "value") : inputs[2]?.data[0];
    return [padConstant(data, dims, pads, value)];
  }
  let result = data;
  for (const [axis, { begin, end }] of pads.entries()) {
    if (begin === 0 && end === 0) continue;
    const indices = continuedIndices(data.dims[axis]!, begin, end, mode, context.where);
    result = gatherAxis(result, axis, indices, [indices.length]);
  }
  return [result];
}

export const padOps: readonly OpDefinition[] = [
  /** X with elements added or (negative) taken away at the ends of its axes. */
  standardOp("Pad", 2, [1, 4], inferPad, pad),
];
