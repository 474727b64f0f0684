// Ops that make tensors: from attributes, from a shape, from bounds.

import type { DataType } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import { getInt, getTensor } from "../ir/attributes.ts";
import type { Attribute, Dim, Node } from "../ir/model.ts";
import {
  allocate,
  type BigIntArray,
  elementCount,
  float32Tensor,
  type NumberArray,
  type Tensor,
} from "../tensor.ts";
import { typeAttribute } from "./cast.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import {
  elementsOf,
  factOf,
  longestElements,
  shapesFor,
  standardOp,
  unknownElements,
  withElements,
} from "./facts.ts";
import { numericTypes, requireSameType, shapeOfRank } from "./operands.ts";
import { allocateLike } from "./strided.ts";

type Facts = readonly (ValueFact | undefined)[];

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const strings = (data: string[], dims: readonly number[]): Tensor => ({ type: "string", data, dims });
const integers = (values: readonly bigint[], dims: readonly number[]): Tensor => ({
  type: "int64",
  data: BigInt64Array.from(values),
  dims,
});

/** What each attribute of Constant stands for. sparse_value is missing: it has no dense form here. */
const constantForms: Record<string, (attribute: Attribute) => Tensor | undefined> = {
  value: (a) => (a.type === "TENSOR" ? a.value : undefined),
  value_float: (a) => (a.type === "FLOAT" ? float32Tensor([a.value], []) : undefined),
  value_floats: (a) => (a.type === "FLOATS" ? float32Tensor(a.value) : undefined),
  value_int: (a) => (a.type === "INT" ? integers([a.value], []) : undefined),
  value_ints: (a) => (a.type === "INTS" ? integers(a.value, [a.value.length]) : undefined),
  value_string: (a) => (a.type === "STRING" ? strings([text(a.value)], []) : undefined),
  value_strings: (a) => (a.type === "STRINGS" ? strings(a.value.map(text), [a.value.length]) : undefined),
};

/** The value of a Constant node. A node without a dense value is ADN_ATTRIBUTE. */
export function constantValue(node: Node, where: string): Tensor {
  for (const [name, attribute] of node.attributes) {
    const value = constantForms[name]?.(attribute);
    if (value !== undefined) return value;
  }
  throw new AdderNetError("ADN_ATTRIBUTE", "no value that can be read", {
    where,
    expected: Object.keys(constantForms).join(", "),
    found: [...node.attributes.keys()].join(", ") || "no attribute",
  });
}

function fillValue(node: Node, where: string): Tensor {
  const value = getTensor(node, "value") ?? float32Tensor([0]);
  if (value.data.length === 1) return value;
  throw new AdderNetError("ADN_ATTRIBUTE", "attribute value is no single element", {
    where,
    found: `[${value.dims.join(", ")}]`,
  });
}

function inferConstantOfShape(node: Node, [shape]: Facts, { where }: OpContext): Inferred {
  const value = fillValue(node, where);
  shapeOfRank(shape, "the input", 1, 1, where);
  const dims = elementsOf(shape) ?? unknownElements(shape);
  if (dims === undefined) return [{ elemType: value.type }];
  if (dims.some((dim) => typeof dim === "number" && dim < 0)) {
    throw new AdderNetError("ADN_SHAPE", "a negative length", { where, found: `[${dims.join(", ")}]` });
  }
  const fact: ValueFact = { elemType: value.type, shape: dims };
  const length = dims.length === 0 ? 1 : dims[0];
  if (dims.length > 1 || typeof length !== "number" || length > longestElements) return [fact];
  return [
    withElements(
      fact,
      elementsOf({ ...factOf(value), shape: [1] })?.flatMap((v) => Array(length).fill(v)),
    ),
  ];
}

function constantOfShape(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const value = fillValue(node, context.where);
  const dims = shapesFor(inferConstantOfShape, node, inputs, context)[0]!;
  const data = allocateLike(value, elementCount(dims));
  (data as NumberArray).fill(value.data[0] as number);
  return [{ type: value.type, data, dims }];
}

function requireNumbers(type: DataType, where: string): void {
  if (numericTypes.includes(type)) return;
  throw new AdderNetError("ADN_TYPE", "no arithmetic on this type", { where, found: type });
}

function rangeCount(start: number, limit: number, delta: number, where: string): number {
  const count = Math.ceil((limit - start) / delta);
  if (Number.isFinite(count)) return Math.max(0, count);
  throw new AdderNetError("ADN_SHAPE", "the range has no end", {
    where,
    found: `from ${start} to ${limit} by ${delta}`,
  });
}

function rangeLength(bounds: Facts, where: string): Dim {
  const [start, limit, delta] = bounds.map((fact) => {
    const first = fact?.constant?.data[0];
    return first === undefined ? (elementsOf(fact)?.[0] ?? null) : Number(first);
  });
  if (start === 0 && delta === 1 && typeof limit === "string") return limit;
  if (typeof start !== "number" || typeof limit !== "number" || typeof delta !== "number") return null;
  return rangeCount(start, limit, delta, where);
}

function inferRange(_node: Node, bounds: Facts, { where }: OpContext): Inferred {
  const known = bounds.find((fact) => fact !== undefined);
  if (known === undefined) return [undefined];
  for (const [index, fact] of bounds.entries()) {
    requireSameType(["start", known], [`input ${index}`, fact], where);
    if (fact?.shape?.some((dim) => typeof dim === "number" && dim !== 1)) {
      throw new AdderNetError("ADN_SHAPE", `input ${index} is no scalar`, {
        where,
        found: `[${fact.shape.join(", ")}]`,
      });
    }
  }
  return [{ elemType: known.elemType, shape: [rangeLength(bounds, where)] }];
}

function range(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { type } = inputs[0]!;
  requireNumbers(type, context.where);
  const dims = shapesFor(inferRange, node, inputs, context)[0]!;
  const data = allocate(type, dims[0]!);
  if (data instanceof BigInt64Array) {
    const [start, delta] = [inputs[0]!.data[0] as bigint, inputs[2]!.data[0] as bigint];
    for (let index = 0; index < data.length; index++) data[index] = start + BigInt(index) * delta;
  } else {
    const [start, delta] = [Number(inputs[0]!.data[0]), Number(inputs[2]!.data[0])];
    for (let index = 0; index < data.length; index++) (data as NumberArray)[index] = start + index * delta;
  }
  return [{ type, data, dims }];
}

function inferEyeLike(node: Node, [like]: Facts, { where }: OpContext): Inferred {
  const isGiven = node.attributes.has("dtype");
  if (!isGiven && like === undefined) return [undefined];
  const shape = shapeOfRank(like, "the input", 2, 2, where) ?? [null, null];
  return [{ elemType: isGiven ? typeAttribute(node, "dtype", where) : like!.elemType, shape }];
}

function eyeLike(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { elemType, shape } = inferEyeLike(
    node,
    inputs.map((like) => like && factOf(like)),
    context,
  )[0]!;
  const [rows, columns] = shape as [number, number];
  const data = allocate(elemType, rows * columns);
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  const offset = getInt(node, "k") ?? 0;
  for (let row = Math.max(0, -offset); row < Math.min(rows, columns - offset); row++) {
    const at = row * columns + row + offset;
    if (isBig) (data as BigIntArray)[at] = 1n;
    else (data as NumberArray)[at] = 1;
  }
  return [{ type: elemType, data, dims: [rows, columns] }];
}

export const constantOps: readonly OpDefinition[] = [
  /** A tensor held by an attribute. */
  standardOp(
    "Constant",
    1,
    0,
    (node, _facts, { where }) => [factOf(constantValue(node, where))],
    (node, _inputs, { where }) => [constantValue(node, where)],
  ),
  /** A tensor of the given shape, every element `value` (float32 0). */
  standardOp("ConstantOfShape", 9, 1, inferConstantOfShape, constantOfShape),
  /** start, start + delta, … before limit. */
  standardOp("Range", 11, 3, inferRange, range),
  /** 1 on diagonal k, 0 elsewhere, in the shape of the input. */
  standardOp("EyeLike", 9, 1, inferEyeLike, eyeLike),
];
