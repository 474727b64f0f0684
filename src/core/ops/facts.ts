// What shape rules share: elements that carry shapes, broadcasting of partly known shapes, axes.

import type { DataType } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import type { Dim, Node } from "../ir/model.ts";
import { elementCount, type Tensor, toNumbers } from "../tensor.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { axisFromFront } from "./operands.ts";

/** Longest integer tensor whose elements are followed one by one. */
export const longestElements = 1024;

const followedTypes: readonly DataType[] = ["int64", "int32", "bool"];
const isFollowed = ({ elemType }: ValueFact): boolean => followedTypes.includes(elemType);

/** Whether the node gives input `index`; an input it gives may still be unknown to shape inference. */
export function hasInput(node: Node, index: number): boolean {
  return (node.inputs[index] ?? "") !== "";
}

/** How many inputs an op takes: exactly so many, or from the first number to the second. */
export type InputCount = number | readonly [number, number];

/** Throws ADN_ONNX_MODEL when one of the first inputs is not given, or one more than the op takes is. */
export function requireInputs(node: Node, count: InputCount, where: string): void {
  const [least, most] = typeof count === "number" ? [count, count] : count;
  for (let index = 0; index < Math.max(least, node.inputs.length); index++) {
    if (hasInput(node, index) ? index < most : index >= least) continue;
    throw new AdderNetError("ADN_ONNX_MODEL", `input ${index} is ${index < least ? "missing" : "unknown"}`, {
      where,
      expected: `${least === most ? "" : `${least} to `}${most} input${most === 1 ? "" : "s"}`,
      found: `${node.inputs.filter((name) => name !== "").length}`,
    });
  }
}

/** All that is known of a value that exists. */
export function factOf(tensor: Tensor): ValueFact {
  return { elemType: tensor.type, shape: tensor.dims, constant: tensor };
}

/** The elements of an integer or bool scalar or vector, each as far as it is known; undefined where nothing is. */
export function elementsOf(fact: ValueFact | undefined): readonly Dim[] | undefined {
  if (fact === undefined || !isFollowed(fact) || (fact.shape?.length ?? 0) > 1) return undefined;
  if (fact.elements !== undefined) return fact.elements;
  const { constant } = fact;
  return constant && elementCount(constant.dims) <= longestElements ? toNumbers(constant) : undefined;
}

/** More axes than any tensor has. */
const mostAxes = 64;

/** As many unknown lengths as a vector of lengths has elements. */
export function unknownElements(fact: ValueFact | undefined): Dim[] | undefined {
  const length = fact?.shape?.length === 1 ? fact.shape[0] : undefined;
  return typeof length === "number" && length <= mostAxes ? new Array<Dim>(length).fill(null) : undefined;
}

function requireIntegers(values: number[], { elemType }: ValueFact): number[] {
  const odd = values.find((value) => !Number.isInteger(value));
  if (odd === undefined) return values;
  throw new AdderNetError("ADN_TYPE", "lengths and axes must be integers", { found: `${odd}, ${elemType}` });
}

/** Every element of an integer scalar or vector, or undefined unless all are known. Throws ADN_TYPE for constants that are none. */
export function integersOf(fact: ValueFact | undefined): number[] | undefined {
  if (fact === undefined) return undefined;
  if (fact.constant !== undefined) return requireIntegers(toNumbers(fact.constant), fact);
  const elements = elementsOf(fact);
  return elements?.every((element) => typeof element === "number") ? [...(elements as number[])] : undefined;
}

/** Adds `elements` to an integer fact, when there are any worth following. */
export function withElements(fact: ValueFact, elements: readonly Dim[] | undefined): ValueFact {
  if (elements === undefined || elements.length > longestElements || !isFollowed(fact)) return fact;
  if ((fact.shape?.length ?? 0) > 1 || elements.every((element) => element === null)) return fact;
  return { ...fact, elements };
}

/** Axes counted from the front, each at most once. */
export function axesFromFront(axes: readonly number[], rank: number, where: string): number[] {
  const found = axes.map((axis) => axisFromFront(axis, rank, where));
  if (new Set(found).size === found.length) return found;
  throw new AdderNetError("ADN_ATTRIBUTE", "an axis is given twice", {
    where,
    found: `[${axes.join(", ")}]`,
  });
}

function broadcastDim(left: Dim, right: Dim): Dim | undefined {
  if (left === right) return left;
  if (left === 1) return right;
  if (right === 1) return left;
  if (typeof left === "number") return typeof right === "number" ? undefined : left;
  return typeof right === "number" ? right : null;
}

/** The shape that operands broadcast to; undefined when a rank is unknown, ADN_SHAPE when they do not fit. */
export function broadcastShapes(facts: readonly (ValueFact | undefined)[], where: string): Dim[] | undefined {
  let result: readonly Dim[] = [];
  for (const fact of facts) {
    const shape = fact?.shape;
    if (shape === undefined) return undefined;
    const rank = Math.max(result.length, shape.length);
    const before = result;
    result = Array.from({ length: rank }, (_, axis) => {
      const left = before[axis - rank + before.length];
      const right = shape[axis - rank + shape.length];
      const dim = broadcastDim(left === undefined ? 1 : left, right === undefined ? 1 : right);
      if (dim !== undefined) return dim;
      throw new AdderNetError("ADN_SHAPE", "the inputs do not broadcast", {
        where,
        found: facts.map((operand) => `[${operand?.shape?.join(", ") ?? "?"}]`).join(" and "),
      });
    });
  }
  return [...result];
}

/** Number of elements of a shape: exact when known, a symbol when the rest multiplies to 1, else null. */
export function productOf(shape: readonly Dim[]): Dim {
  const factors = shape.filter((dim) => dim !== 1);
  if (factors.includes(0)) return 0;
  if (factors.every((dim) => typeof dim === "number")) return elementCount(factors as number[]);
  return factors.length === 1 ? factors[0]! : null;
}

type Infer = OpDefinition["infer"];

/** Output shapes of a node whose inputs exist, by the op's own shape rule. */
export function shapesFor(
  infer: Infer,
  node: Node,
  inputs: Inputs,
  context: OpContext,
): (readonly number[])[] {
  const facts = inputs.map((tensor) => tensor && factOf(tensor));
  return infer(node, facts, context).map((fact) => {
    if (fact?.shape?.every((dim) => typeof dim === "number" && dim >= 0))
      return fact.shape as readonly number[];
    throw new AdderNetError("ADN_SHAPE", "the inputs give no shape for an output", {
      where: context.where,
      found: `[${fact?.shape?.map((dim) => dim ?? "?").join(", ") ?? "?"}]`,
    });
  });
}

/** The op, its inputs counted before `infer` and `reference` run: what they rely on is then there, and nothing else. */
export function takingInputs(op: OpDefinition, count: InputCount): OpDefinition {
  const checked =
    <Given, Answer>(act: (node: Node, given: Given, context: OpContext) => Answer) =>
    (node: Node, given: Given, context: OpContext): Answer => {
      requireInputs(node, count, context.where);
      return act(node, given, context);
    };
  return {
    ...op,
    infer: checked(op.infer),
    ...(op.reference && { reference: checked(op.reference) }),
  };
}

/** An op of ONNX's own domain. */
export function standardOp(
  opType: string,
  first: number,
  inputs: InputCount,
  infer: Infer,
  reference?: NonNullable<OpDefinition["reference"]>,
): OpDefinition {
  const op = { domain: "", opType, first, infer };
  return takingInputs(reference === undefined ? op : { ...op, reference }, inputs);
}
