// Slice: every step-th element between two bounds, along any axes.

import { AdderNetError } from "../errors.ts";
import { getInts } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { stridesOf, type Tensor } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { axesFromFront, elementsOf, factOf, hasInput, shapesFor, standardOp, withElements } from "./facts.ts";
import { gatherStrided } from "./strided.ts";

type Facts = readonly (ValueFact | undefined)[];

interface Window {
  readonly axis: number;
  readonly start: Dim;
  readonly end: Dim;
  readonly step: Dim;
}

/** A parameter that was an attribute before `since` and is input `index` from then on; null when given but unknown. */
function parameter(
  node: Node,
  facts: Facts,
  name: string,
  index: number,
  isAttribute: boolean,
): readonly Dim[] | null | undefined {
  if (isAttribute) return getInts(node, name);
  return hasInput(node, index) ? (elementsOf(facts[index]) ?? null) : undefined;
}

/** The sliced axes, or undefined when it is not known which they are. */
function windowsOf(
  node: Node,
  facts: Facts,
  rank: number,
  { opset, where }: OpContext,
): Window[] | undefined {
  const isAttribute = opset < 10;
  const starts = parameter(node, facts, "starts", 1, isAttribute);
  const ends = parameter(node, facts, "ends", 2, isAttribute);
  const asked = parameter(node, facts, "axes", 3, isAttribute);
  const steps = isAttribute ? undefined : parameter(node, facts, "steps", 4, false);
  if (starts === undefined || ends === undefined) {
    throw new AdderNetError("ADN_ATTRIBUTE", "starts or ends are missing", { where });
  }
  const length = facts[1]?.shape?.[0];
  const count = starts?.length ?? (typeof length === "number" ? length : ends?.length);
  const axes = asked === undefined && count !== undefined ? [...Array(count).keys()] : asked;
  if (axes == null || !axes.every((axis) => typeof axis === "number")) return undefined;
  for (const list of [starts, ends, steps]) {
    if (list == null || list.length === axes.length) continue;
    throw new AdderNetError("ADN_SHAPE", "starts, ends, axes and steps differ in length", {
      where,
      expected: `${axes.length}`,
      found: `${list.length}`,
    });
  }
  return axesFromFront(axes, rank, where).map((axis, index) => ({
    axis,
    start: starts === null ? null : starts[index]!,
    end: ends === null ? null : ends[index]!,
    step: steps === undefined ? 1 : steps === null ? null : steps[index]!,
  }));
}

/** First index and number of elements of one sliced axis of known length. */
function bounds(length: number, start: number, end: number, step: number): { first: number; count: number } {
  const cut = (at: number, least: number, most: number) =>
    Math.max(least, Math.min(most, at < 0 ? at + length : at));
  const first = step > 0 ? cut(start, 0, length) : cut(start, 0, length - 1);
  const last = step > 0 ? cut(end, 0, length) : cut(end, -1, length - 1);
  return { first, count: length === 0 ? 0 : Math.max(0, Math.ceil((last - first) / step)) };
}

const isBeyond = (at: Dim): boolean => typeof at === "number" && at >= 2 ** 31 - 1;
const isBefore = (at: Dim): boolean => typeof at === "number" && at <= 1 - 2 ** 31;

function slicedDim(dim: Dim, { start, end, step }: Window, where: string): Dim {
  if (step === 0) throw new AdderNetError("ADN_ATTRIBUTE", "a step is 0", { where });
  const isWhole = start === 0 && step === 1 && (isBeyond(end) || (typeof dim === "string" && end === dim));
  const isReversed = step === -1 && (start === -1 || isBeyond(start)) && isBefore(end);
  if (isWhole || isReversed) return dim;
  if (typeof start !== "number" || typeof end !== "number" || typeof step !== "number") return null;
  return typeof dim === "number" ? bounds(dim, start, end, step).count : null;
}

function inferSlice(node: Node, facts: Facts, context: OpContext): Inferred {
  const [data] = facts;
  if (data === undefined) return [undefined];
  const { elemType, shape } = data;
  if (shape === undefined) return [{ elemType }];
  const windows = windowsOf(node, facts, shape.length, context);
  if (windows === undefined) return [{ elemType, shape: shape.map(() => null) }];
  const dims = [...shape];
  for (const window of windows) dims[window.axis] = slicedDim(dims[window.axis]!, window, context.where);
  return [withElements({ elemType, shape: dims }, slicedElements(elementsOf(data), windows[0]))];
}

function slicedElements(elements: readonly Dim[] | undefined, window: Window | undefined): Dim[] | undefined {
  if (elements === undefined || window === undefined) return elements && [...elements];
  const { start, end, step } = window;
  if (typeof start !== "number" || typeof end !== "number" || typeof step !== "number") return undefined;
  const { first, count } = bounds(elements.length, start, end, step);
  return Array.from({ length: count }, (_, index) => elements[first + index * step]!);
}

function slice(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const data = inputs[0]!;
  const dims = shapesFor(inferSlice, node, inputs, context)[0]!;
  const facts = inputs.map((tensor) => tensor && factOf(tensor));
  const steps = stridesOf(data.dims);
  let offset = 0;
  for (const { axis, start, end, step } of windowsOf(node, facts, dims.length, context)!) {
    const { first } = bounds(data.dims[axis]!, start as number, end as number, step as number);
    offset += first * steps[axis]!;
    steps[axis]! *= step as number;
  }
  return [gatherStrided(data, dims, steps, offset)];
}

export const sliceOps: readonly OpDefinition[] = [
  /** X[start:end:step] along the given axes, with NumPy's bounds. */
  standardOp("Slice", 1, [1, 5], inferSlice, slice),
];
