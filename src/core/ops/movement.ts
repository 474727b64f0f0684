// Ops that only move elements by fixed steps: they work on any element type.

import { AdderNetError } from "../errors.ts";
import { getInt, getInts, getString } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { elementCount, stridesOf, type Tensor } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import {
  broadcastShapes,
  elementsOf,
  hasInput,
  integersOf,
  requireInputs,
  shapesFor,
  standardOp,
  unknownElements,
  withElements,
} from "./facts.ts";
import { axisFromFront, requireSameType, shapeOfRank } from "./operands.ts";
import { allocateLike, broadcastSteps, copyStrided, gatherStrided } from "./strided.ts";

type Facts = readonly (ValueFact | undefined)[];

function permutation(node: Node, rank: number, where: string): number[] {
  const perm = getInts(node, "perm");
  if (perm === undefined) return Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const sorted = [...perm].sort((a, b) => a - b);
  if (perm.length === rank && sorted.every((axis, index) => axis === index)) return perm;
  throw new AdderNetError("ADN_ATTRIBUTE", "perm is no permutation of the axes", {
    where,
    expected: `the numbers 0 to ${rank - 1}`,
    found: `[${perm.join(", ")}]`,
  });
}

function inferTranspose(node: Node, [data]: Facts, { where }: OpContext): Inferred {
  if (data === undefined) return [undefined];
  const rank = data.shape?.length ?? getInts(node, "perm")?.length;
  if (rank === undefined) return [{ elemType: data.elemType }];
  const perm = permutation(node, rank, where);
  return [{ elemType: data.elemType, shape: perm.map((axis) => data.shape?.[axis] ?? null) }];
}

function transpose(node: Node, [data]: Inputs, { where }: OpContext): Tensor[] {
  const { dims } = data!;
  const perm = permutation(node, dims.length, where);
  const strides = stridesOf(dims);
  return [
    gatherStrided(
      data!,
      perm.map((axis) => dims[axis]!),
      perm.map((axis) => strides[axis]!),
    ),
  ];
}

function inferExpand(_node: Node, [data, shape]: Facts, { where }: OpContext): Inferred {
  if (data === undefined) return [undefined];
  const target = elementsOf(shape) ?? unknownElements(shape);
  if (target?.some((dim) => typeof dim === "number" && dim < 0)) {
    throw new AdderNetError("ADN_SHAPE", "a negative length", { where, found: `[${target.join(", ")}]` });
  }
  const asked = target && { elemType: data.elemType, shape: target };
  const result = broadcastShapes([data, asked], where);
  return [result === undefined ? { elemType: data.elemType } : { elemType: data.elemType, shape: result }];
}

function expand(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const data = inputs[0]!;
  const dims = shapesFor(inferExpand, node, inputs, context)[0]!;
  return [gatherStrided(data, dims, broadcastSteps(data.dims, dims))];
}

function times(dim: Dim, factor: Dim): Dim {
  if (dim === 0 || factor === 0) return 0;
  if (factor === 1) return dim;
  if (dim === 1) return factor;
  return typeof dim === "number" && typeof factor === "number" ? dim * factor : null;
}

function inferTile(_node: Node, [data, repeats]: Facts, { where }: OpContext): Inferred {
  if (data === undefined) return [undefined];
  if (data.shape === undefined) return [{ elemType: data.elemType }];
  const factors = elementsOf(repeats);
  const isWrong = factors?.some((factor) => typeof factor === "number" && factor < 0);
  if (factors !== undefined && (isWrong || factors.length !== data.shape.length)) {
    throw new AdderNetError("ADN_SHAPE", "repeats does not fit the input", {
      where,
      expected: `${data.shape.length} numbers >= 0`,
      found: `[${factors.join(", ")}]`,
    });
  }
  const shape = data.shape.map((dim, axis) => times(dim, factors === undefined ? null : factors[axis]!));
  return [{ elemType: data.elemType, shape }];
}

function tile(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const data = inputs[0]!;
  const dims = shapesFor(inferTile, node, inputs, context)[0]!;
  const strides = stridesOf(data.dims);
  // Each axis is read as (repeat, length), where a repeat starts over.
  const pairs = data.dims.flatMap((length, axis) => [length === 0 ? 0 : dims[axis]! / length, length]);
  const steps = data.dims.flatMap((_, axis) => [0, strides[axis]!]);
  return [{ ...gatherStrided(data, pairs, steps), dims }];
}

function concatAxis(node: Node, rank: number, where: string): number {
  const axis = getInt(node, "axis");
  if (axis === undefined) throw new AdderNetError("ADN_ATTRIBUTE", "attribute axis is missing", { where });
  return axisFromFront(axis, rank, where);
}

function mergedDim(shapes: readonly (readonly Dim[])[], axis: number, where: string): Dim {
  const dims = shapes.map((shape) => shape[axis] as Dim);
  const known = [...new Set(dims.filter((dim) => typeof dim === "number"))];
  if (known.length > 1) {
    throw new AdderNetError("ADN_SHAPE", `the inputs differ along axis ${axis}`, {
      where,
      found: shapes.map((shape) => `[${shape.join(", ")}]`).join(", "),
    });
  }
  if (known.length === 1) return known[0]!;
  return dims.every((dim) => dim === dims[0]) ? dims[0]! : null;
}

function sumOf(dims: readonly Dim[]): Dim {
  const parts = dims.filter((dim) => dim !== 0);
  if (parts.every((dim) => typeof dim === "number")) return parts.reduce((sum, dim) => sum + dim, 0);
  return parts.length === 1 ? parts[0]! : null;
}

function inferConcat(node: Node, facts: Facts, { where }: OpContext): Inferred {
  const first = facts.find((fact) => fact !== undefined);
  if (first === undefined) return [undefined];
  for (const [index, fact] of facts.entries()) {
    requireSameType(["input 0", first], [`input ${index}`, fact], where);
  }
  const known = facts.flatMap((fact) => (fact?.shape === undefined ? [] : [fact.shape]));
  const rank = known[0]?.length;
  if (rank === undefined) return [{ elemType: first.elemType }];
  for (const [index, fact] of facts.entries()) shapeOfRank(fact, `input ${index}`, rank, rank, where);
  const axis = concatAxis(node, rank, where);
  const shape = known[0]!.map((_, at) => (at === axis ? null : mergedDim(known, at, where)));
  if (known.length === facts.length) shape[axis] = sumOf(known.map((dims) => dims[axis] as Dim));
  const parts = facts.map((fact) => elementsOf(fact) ?? unknownElements(fact));
  const elements = parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  return [withElements({ elemType: first.elemType, shape }, elements)];
}

function concat(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  requireInputs(node, node.inputs.length, context.where);
  const dims = shapesFor(inferConcat, node, inputs, context)[0]!;
  const axis = concatAxis(node, dims.length, context.where);
  const toSteps = stridesOf(dims);
  const data = allocateLike(inputs[0]!, elementCount(dims));
  let toOffset = 0;
  for (const part of inputs) {
    copyStrided(part!.data, data, {
      dims: part!.dims,
      fromSteps: stridesOf(part!.dims),
      toOffset,
      toSteps,
    });
    toOffset += part!.dims[axis]! * toSteps[axis]!;
  }
  return [{ type: inputs[0]!.type, data, dims }];
}

/** Lengths of the parts of a split: given, or as equal as possible with the remainder in the last one. */
function splitLengths(node: Node, facts: Facts, length: Dim, { opset, where }: OpContext): Dim[] {
  const count = node.outputs.length;
  const isGiven = hasInput(node, 1);
  const asked = isGiven ? integersOf(facts[1]) : getInts(node, "split");
  if (isGiven && asked === undefined) return new Array<Dim>(count).fill(null);
  if (asked === undefined && opset < 18 && typeof length === "number" && length % count !== 0) {
    throw new AdderNetError("ADN_SHAPE", "the axis does not split into equal parts", {
      where,
      expected: `a multiple of ${count}`,
      found: `${length}`,
    });
  }
  const parts = asked ?? equalParts(length, getInt(node, "num_outputs") ?? count, count);
  const isShort = typeof length === "number" && asked !== undefined && sumOf(asked) !== length;
  if (parts.length >= count && !isShort && parts.every((part) => part === null || part >= 0)) return parts;
  throw new AdderNetError("ADN_SHAPE", "the parts do not make up the axis", {
    where,
    expected: `${count} parts of ${length ?? "?"} in all`,
    found: `[${parts.join(", ")}]`,
  });
}

/** The first `wanted` of `count` parts. */
function equalParts(length: Dim, count: number, wanted: number): (number | null)[] {
  const part = typeof length === "number" ? Math.ceil(length / count) : null;
  return Array.from({ length: Math.min(count, wanted) }, (_, index) =>
    part === null ? null : Math.min(part, (length as number) - index * part),
  );
}

function inferSplit(node: Node, facts: Facts, context: OpContext): Inferred {
  const [data] = facts;
  if (data === undefined) return node.outputs.map(() => undefined);
  const { elemType, shape } = data;
  if (shape === undefined) return node.outputs.map(() => ({ elemType }));
  const axis = axisFromFront(getInt(node, "axis") ?? 0, shape.length, context.where);
  const lengths = splitLengths(node, facts, shape[axis]!, context);
  const elements = elementsOf(data);
  let begin: number | null = 0;
  return node.outputs.map((_, index) => {
    const length = lengths[index]!;
    const from: number | null = begin;
    begin = from === null || typeof length !== "number" ? null : from + length;
    const part = from === null || begin === null ? undefined : elements?.slice(from, begin);
    return withElements({ elemType, shape: shape.with(axis, length) }, part);
  });
}

function split(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const data = inputs[0]!;
  const axis = axisFromFront(getInt(node, "axis") ?? 0, data.dims.length, context.where);
  const strides = stridesOf(data.dims);
  let offset = 0;
  return shapesFor(inferSplit, node, inputs, context).map((dims) => {
    const part = gatherStrided(data, dims, strides, offset);
    offset += dims[axis]! * strides[axis]!;
    return part;
  });
}

function blockSize(node: Node, where: string): number {
  const size = getInt(node, "blocksize");
  if (size !== undefined && size > 0) return size;
  throw new AdderNetError("ADN_ATTRIBUTE", "attribute blocksize is out of range", {
    where,
    expected: ">= 1",
    found: `${size ?? "none"}`,
  });
}

function divided(dim: Dim | undefined, divisor: number, where: string): Dim {
  if (divisor === 1) return dim ?? null;
  if (typeof dim !== "number") return null;
  if (dim % divisor === 0) return dim / divisor;
  throw new AdderNetError("ADN_SHAPE", "blocksize does not divide the input", {
    where,
    expected: `a multiple of ${divisor}`,
    found: `${dim}`,
  });
}

function inferDepthToSpace(node: Node, [data]: Facts, { where }: OpContext): Inferred {
  if (data === undefined) return [undefined];
  const size = blockSize(node, where);
  const [n, c, h, w] = shapeOfRank(data, "the input", 4, 4, where) ?? [null, null, null, null];
  const shape = [n!, divided(c, size * size, where), times(h!, size), times(w!, size)];
  return [{ elemType: data.elemType, shape }];
}

function depthToSpace(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const data = inputs[0]!;
  const dims = shapesFor(inferDepthToSpace, node, inputs, context)[0]!;
  const size = blockSize(node, context.where);
  const [n, depth, h, w] = [data.dims[0]!, dims[1]!, data.dims[2]!, data.dims[3]!];
  const isColumnRowDepth = getString(node, "mode") === "CRD";
  const split = isColumnRowDepth ? [n, depth, size, size, h, w] : [n, size, size, depth, h, w];
  const perm = isColumnRowDepth ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return [{ ...permuted(data, split, perm), dims }];
}

function permuted(data: Tensor, split: readonly number[], perm: readonly number[]): Tensor {
  const strides = stridesOf(split);
  return gatherStrided(
    data,
    perm.map((axis) => split[axis]!),
    perm.map((axis) => strides[axis]!),
  );
}

function inferSpaceToDepth(node: Node, [data]: Facts, { where }: OpContext): Inferred {
  if (data === undefined) return [undefined];
  const size = blockSize(node, where);
  const [n, c, h, w] = shapeOfRank(data, "the input", 4, 4, where) ?? [null, null, null, null];
  const shape = [n!, times(c!, size * size), divided(h, size, where), divided(w, size, where)];
  return [{ elemType: data.elemType, shape }];
}

function spaceToDepth(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const data = inputs[0]!;
  const dims = shapesFor(inferSpaceToDepth, node, inputs, context)[0]!;
  const size = blockSize(node, context.where);
  const split = [data.dims[0]!, data.dims[1]!, dims[2]!, size, dims[3]!, size];
  return [{ ...permuted(data, split, [0, 3, 5, 1, 2, 4]), dims }];
}

export const movementOps: readonly OpDefinition[] = [
  /** Y's axis i is X's axis perm[i]; reversed axes without perm. */
  standardOp("Transpose", 1, 1, inferTranspose, transpose),
  /** X broadcast against a shape given as data. */
  standardOp("Expand", 8, 2, inferExpand, expand),
  /** X repeated along every axis. */
  standardOp("Tile", 6, 2, inferTile, tile),
  /** Inputs one after the other along an axis. */
  standardOp("Concat", 4, [1, Number.POSITIVE_INFINITY], inferConcat, concat),
  /** X cut along an axis; lengths by attribute (opset < 13), input, or equal parts. */
  standardOp("Split", 2, [1, 2], inferSplit, split),
  /** Channels to blocks of pixels, in DCR or CRD order. */
  standardOp("DepthToSpace", 1, 1, inferDepthToSpace, depthToSpace),
  /** Blocks of pixels to channels. */
  standardOp("SpaceToDepth", 1, 1, inferSpaceToDepth, spaceToDepth),
];
