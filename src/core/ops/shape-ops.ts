// Ops that read or change shapes and leave the elements where they are.

import { AdderNetError } from "../errors.ts";
import { getInt, getInts } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { elementCount, int64Tensor, type Tensor } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import {
  axesFromFront,
  elementsOf,
  hasInput,
  integersOf,
  productOf,
  shapesFor,
  standardOp,
  unknownElements,
  withElements,
} from "./facts.ts";
import { reshaped } from "./strided.ts";

type Facts = readonly (ValueFact | undefined)[];

function inferIdentity(_node: Node, [data]: Facts): Inferred {
  return [data];
}

/** First and last axis that Shape answers, cut to the rank. */
function shapeRange(node: Node, rank: number): [number, number] {
  const cut = (axis: number) => Math.max(0, Math.min(rank, axis < 0 ? axis + rank : axis));
  return [cut(getInt(node, "start") ?? 0), cut(getInt(node, "end") ?? rank)];
}

function inferShape(node: Node, [data]: Facts): Inferred {
  if (data?.shape === undefined) return [{ elemType: "int64", shape: [null] }];
  const dims = data.shape.slice(...shapeRange(node, data.shape.length));
  return [withElements({ elemType: "int64", shape: [dims.length] }, dims)];
}

function shape(node: Node, [data]: Inputs): Tensor[] {
  return [int64Tensor(data!.dims.slice(...shapeRange(node, data!.dims.length)))];
}

function inferSize(_node: Node, [data]: Facts): Inferred {
  const count = data?.shape && productOf(data.shape);
  return [withElements({ elemType: "int64", shape: [] }, count === undefined ? undefined : [count])];
}

function size(_node: Node, [data]: Inputs): Tensor[] {
  return [int64Tensor([elementCount(data!.dims)], [])];
}

const isNumber = (dim: Dim): dim is number => typeof dim === "number";

/** What `whole` multiplies to when divided by `parts`: null where that is unknown, undefined where it does not divide. */
function quotient(whole: readonly Dim[], parts: readonly Dim[]): Dim | undefined {
  const symbols = whole.filter((dim) => !isNumber(dim));
  for (const part of parts.filter((dim) => !isNumber(dim))) {
    const at = part === null ? -1 : symbols.indexOf(part);
    if (at < 0) return null;
    symbols.splice(at, 1);
  }
  const [top, bottom] = [elementCount(whole.filter(isNumber)), elementCount(parts.filter(isNumber))];
  if (symbols.length === 0) return bottom !== 0 && top % bottom === 0 ? top / bottom : undefined;
  if (top === 0 && bottom !== 0) return 0;
  return symbols.length === 1 && top === bottom ? symbols[0]! : null;
}

function mismatch(from: readonly Dim[], to: readonly Dim[], where: string): AdderNetError {
  return new AdderNetError("ADN_SHAPE", "the shape asked for does not hold the elements", {
    where,
    expected: `the elements of [${from.map((dim) => dim ?? "?").join(", ")}]`,
    found: `[${to.map((dim) => dim ?? "?").join(", ")}]`,
  });
}

/** The target of a Reshape with its zeros copied from the input. */
function copiedZeros(target: readonly Dim[], from: readonly Dim[] | undefined, where: string): Dim[] {
  return target.map((dim, axis) => {
    if (dim !== 0) return dim;
    const copied = from === undefined ? null : from[axis];
    if (copied !== undefined) return copied;
    throw new AdderNetError("ADN_SHAPE", `shape copies axis ${axis}, which the input lacks`, {
      where,
      found: `[${from!.join(", ")}]`,
    });
  });
}

function reshapeDims(
  from: readonly Dim[] | undefined,
  asked: readonly Dim[],
  allowZero: boolean,
  where: string,
): Dim[] {
  const target = allowZero ? [...asked] : copiedZeros(asked, from, where);
  const open = target.indexOf(-1);
  const isWrong = target.some((dim, at) => typeof dim === "number" && dim < 0 && at !== open);
  if (isWrong) throw mismatch(from ?? [], asked, where);
  if (from === undefined) return target.map((dim) => (dim === -1 ? null : dim));
  if (open < 0) {
    if (quotientIsWrong(from, target)) throw mismatch(from, asked, where);
    return target;
  }
  const rest = target.toSpliced(open, 1);
  const dim = quotient(from, rest);
  if (dim === undefined || rest.includes(0)) throw mismatch(from, asked, where);
  return target.with(open, dim);
}

function quotientIsWrong(from: readonly Dim[], target: readonly Dim[]): boolean {
  const [before, after] = [productOf(from), productOf(target)];
  return typeof before === "number" && typeof after === "number" && before !== after;
}

function inferReshape(node: Node, [data, target]: Facts, { where }: OpContext): Inferred {
  if (data === undefined) return [undefined];
  const asked = elementsOf(target);
  if (asked === undefined) {
    const unknown = unknownElements(target);
    return [
      unknown === undefined ? { elemType: data.elemType } : { elemType: data.elemType, shape: unknown },
    ];
  }
  const dims = reshapeDims(data.shape, asked, getInt(node, "allowzero") === 1, where);
  return [withElements({ elemType: data.elemType, shape: dims }, elementsOf(data))];
}

function inferFlatten(node: Node, [data]: Facts, { where }: OpContext): Inferred {
  if (data === undefined) return [undefined];
  if (data.shape === undefined) return [{ elemType: data.elemType, shape: [null, null] }];
  const rank = data.shape.length;
  const asked = getInt(node, "axis") ?? 1;
  if (asked < -rank || asked > rank) {
    throw new AdderNetError("ADN_ATTRIBUTE", "attribute axis is out of range", {
      where,
      expected: `${-rank} to ${rank}`,
      found: `${asked}`,
    });
  }
  const axis = asked < 0 ? asked + rank : asked;
  const dims = [productOf(data.shape.slice(0, axis)), productOf(data.shape.slice(axis))];
  return [{ elemType: data.elemType, shape: dims }];
}

/** Axes by attribute (opset < 13) or by input 1; null when given but unknown, undefined when not given. */
function givenAxes(node: Node, facts: Facts, opset: number): number[] | null | undefined {
  if (opset < 13) return getInts(node, "axes");
  return hasInput(node, 1) ? (integersOf(facts[1]) ?? null) : undefined;
}

function inferSqueeze(node: Node, facts: Facts, { opset, where }: OpContext): Inferred {
  const [data] = facts;
  if (data === undefined) return [undefined];
  const given = givenAxes(node, facts, opset);
  const { elemType, shape: dims } = data;
  const isOpen = given === undefined && dims?.some((dim) => typeof dim !== "number");
  if (dims === undefined || given === null || isOpen) return [{ elemType }];
  const axes = given
    ? axesFromFront(given, dims.length, where)
    : [...dims.keys()].filter((axis) => dims[axis] === 1);
  for (const axis of axes) {
    if (typeof dims[axis] !== "number" || dims[axis] === 1) continue;
    throw new AdderNetError("ADN_SHAPE", `axis ${axis} cannot be squeezed`, {
      where,
      expected: "1",
      found: `${dims[axis]}`,
    });
  }
  const kept = dims.filter((_, axis) => !axes.includes(axis));
  return [withElements({ elemType, shape: kept }, elementsOf(data))];
}

function inferUnsqueeze(node: Node, facts: Facts, { opset, where }: OpContext): Inferred {
  const [data] = facts;
  if (data === undefined) return [undefined];
  const given = givenAxes(node, facts, opset);
  if (given === undefined) throw new AdderNetError("ADN_ATTRIBUTE", "axes are missing", { where });
  if (given === null || data.shape === undefined) return [{ elemType: data.elemType }];
  const axes = axesFromFront(given, data.shape.length + given.length, where);
  const dims: Dim[] = [...data.shape];
  for (const axis of axes.sort((a, b) => a - b)) dims.splice(axis, 0, 1);
  return [withElements({ elemType: data.elemType, shape: dims }, elementsOf(data))];
}

/** The reference of every op whose result is its first input under the shape that `infer` gives. */
function reshapedBy(infer: OpDefinition["infer"]): NonNullable<OpDefinition["reference"]> {
  return (node: Node, inputs: Inputs, context: OpContext) => {
    const dims = shapesFor(infer, node, inputs, context)[0]!;
    return [reshaped(inputs[0]!, dims, context.where)];
  };
}

export const shapeOps: readonly OpDefinition[] = [
  /** Y = X. */
  standardOp("Identity", 1, 1, inferIdentity, (_node, [data]) => [data!]),
  /** The dims of X from axis `start` to before `end`. */
  standardOp("Shape", 1, 1, inferShape, shape),
  /** The number of elements of X, a scalar. */
  standardOp("Size", 1, 1, inferSize, size),
  /** X under the shape of input 1: 0 copies a dim (unless allowzero), -1 takes what is left. */
  standardOp("Reshape", 5, 2, inferReshape, reshapedBy(inferReshape)),
  /** X as a matrix: axes before `axis`, axes from `axis` on. */
  standardOp("Flatten", 1, 1, inferFlatten, reshapedBy(inferFlatten)),
  /** X without the given axes of length 1, or without all of them. */
  standardOp("Squeeze", 1, [1, 2], inferSqueeze, reshapedBy(inferSqueeze)),
  /** X with new axes of length 1, counted in the result. */
  standardOp("Unsqueeze", 1, [1, 2], inferUnsqueeze, reshapedBy(inferUnsqueeze)),
];
