// A sum of distances in labels: for every element of its value, which weight is compared with which place of a source.

import { bottomUp } from "./bottom-up.ts";
import type { ConcreteFacts } from "./concrete-facts.ts";
import { type ConstantViews, constantViews } from "./constant-views.ts";
import { type DataViews, dataViews, type Source } from "./data-views.ts";
import { broadcastTo, concat, type LabelView, reshape, transpose } from "./label-view.ts";
import { concatAxis, moveLabels } from "./movement.ts";
import type { LabelCode } from "./source-labels.ts";
import {
  type Distance,
  type Joined,
  type Moved,
  partsOf,
  type Reduced,
  type Shifted,
  type Sum,
} from "./sums.ts";

/** factor · Σ |x - w| over the hidden axes that lead in both views, for every index of the axes that follow. */
export interface Term {
  readonly factor: number;
  readonly lead: number;
  /** Labels of places in the source. */
  readonly data: LabelView;
  /** Labels of constants. */
  readonly weight: LabelView;
}

/** A constant added to the sum. */
export interface Offset {
  readonly factor: number;
  readonly value: LabelView;
}

export interface SumLabels {
  readonly dims: readonly number[];
  readonly terms: readonly Term[];
  readonly offsets: readonly Offset[];
}

/** The sums of a graph as labels of one source. */
export interface Reading {
  readonly code: LabelCode;
  readonly padEnd: { readonly h: number; readonly w: number };
  readonly constants: ConstantViews;
  /** Undefined when some step cannot be told by labels. */
  labels(sum: Sum): SumLabels | undefined;
}

interface Reader {
  readonly facts: ConcreteFacts;
  readonly data: DataViews;
  readonly constants: ConstantViews;
  readonly labels: (sum: Sum) => SumLabels | undefined;
}

const range = (from: number, length: number): number[] => Array.from({ length }, (_, at) => from + at);

/** Own dims become `dims` by broadcasting; hidden axes stay in front. */
function broadcastOwn(view: LabelView, lead: number, dims: readonly number[]): LabelView | undefined {
  const [hidden, own] = [view.dims.slice(0, lead), view.dims.slice(lead)];
  if (own.length > dims.length) return undefined;
  const ones = new Array<number>(dims.length - own.length).fill(1);
  const lifted = reshape(view, [...hidden, ...ones, ...own]);
  return lifted && broadcastTo(lifted, [...hidden, ...dims]);
}

/** Both views of a term through the same step. */
function mapTerm(
  term: Term,
  step: (view: LabelView, lead: number) => LabelView | undefined,
  change: Partial<Pick<Term, "lead" | "factor">> = {},
): Term | undefined {
  const [data, weight] = [step(term.data, term.lead), step(term.weight, term.lead)];
  return data && weight && { ...term, ...change, data, weight };
}

function mapOffset(
  offset: Offset,
  step: (view: LabelView, lead: number) => LabelView | undefined,
): Offset | undefined {
  const value = step(offset.value, 0);
  return value && { ...offset, value };
}

function allDefined<T>(items: readonly (T | undefined)[]): T[] | undefined {
  return items.includes(undefined) ? undefined : (items as T[]);
}

/** The sum with every view through the same step, or undefined when one cannot take it. */
export function mapSum(
  sum: SumLabels | undefined,
  dims: readonly number[],
  step: (view: LabelView, lead: number) => LabelView | undefined,
): SumLabels | undefined {
  const terms = sum && allDefined(sum.terms.map((term) => mapTerm(term, step)));
  const offsets = sum && allDefined(sum.offsets.map((offset) => mapOffset(offset, step)));
  return terms && offsets && { dims, terms, offsets };
}

function scaleSum(sum: SumLabels | undefined, factor: number): SumLabels | undefined {
  const scale = <T extends { readonly factor: number }>(item: T): T => ({
    ...item,
    factor: item.factor * factor,
  });
  return sum && { ...sum, terms: sum.terms.map(scale), offsets: sum.offsets.map(scale) };
}

function broadcastSum(sum: SumLabels | undefined, dims: readonly number[]): SumLabels | undefined {
  if (sum === undefined || sum.dims.join() === dims.join()) return sum;
  return mapSum(sum, dims, (view, lead) => broadcastOwn(view, lead, dims));
}

/** The sum with its own axes in another order. */
export function arrangeSum(sum: SumLabels, order: readonly number[]): SumLabels {
  if (order.every((axis, at) => axis === at)) return sum;
  const dims = order.map((axis) => sum.dims[axis]!);
  return mapSum(sum, dims, (view, lead) => {
    return transpose(view, [...range(0, lead), ...order.map((axis) => axis + lead)]);
  })!;
}

function readDistance(sum: Distance, { data, constants }: Reader): SumLabels | undefined {
  const [places, weight] = [data.view(sum.data), constants.view(sum.weight, sum.sign)];
  if (places === undefined || weight === undefined) return undefined;
  const term = mapTerm({ factor: 1, lead: 0, data: places, weight }, (view) =>
    broadcastOwn(view, 0, sum.dims),
  );
  return term && { dims: sum.dims, terms: [term], offsets: [] };
}

/** Summed axes become hidden ones. */
function readReduced(sum: Reduced, { labels }: Reader): SumLabels | undefined {
  const of = labels(sum.of);
  if (of === undefined || of.offsets.length > 0) return undefined;
  const kept = range(0, of.dims.length).filter((axis) => !sum.axes.includes(axis));
  const terms = of.terms.map((term) => {
    const order = [...range(0, term.lead), ...[...sum.axes, ...kept].map((axis) => axis + term.lead)];
    const lead = term.lead + sum.axes.length;
    const hide = (view: LabelView) => {
      const hidden = transpose(view, order);
      return reshape(hidden, [...hidden.dims.slice(0, lead), ...sum.dims]);
    };
    return mapTerm(term, hide, { lead, factor: term.factor * sum.scale });
  });
  const defined = allDefined(terms);
  return defined && { dims: sum.dims, terms: defined, offsets: [] };
}

function readMoved({ of, node, output, dims }: Moved, { labels, facts }: Reader): SumLabels | undefined {
  const pad = () => undefined;
  return mapSum(labels(of), dims, (view, lead) => moveLabels({ node, output, facts, view, lead, pad }));
}

function readShifted(
  { of, constant, sign, dims }: Shifted,
  { labels, constants }: Reader,
): SumLabels | undefined {
  const inner = broadcastSum(labels(of), dims);
  const view = constants.view(constant, 1);
  const value = view && broadcastOwn(view, 0, dims);
  return inner && value && { ...inner, offsets: [...inner.offsets, { factor: sign, value }] };
}

function readAdded(
  parts: readonly Sum[],
  dims: readonly number[],
  { labels }: Reader,
): SumLabels | undefined {
  const read = allDefined(parts.map((part) => broadcastSum(labels(part), dims)));
  if (read === undefined) return undefined;
  return { dims, terms: read.flatMap(({ terms }) => terms), offsets: read.flatMap(({ offsets }) => offsets) };
}

/** Whether two sums have terms that can be joined one by one. */
function areAlike(a: SumLabels, b: SumLabels): boolean {
  const shape = ({ terms, offsets }: SumLabels) =>
    JSON.stringify([
      terms.map(({ lead, factor, data }) => [factor, data.dims.slice(0, lead)]),
      offsets.map(({ factor }) => factor),
    ]);
  return shape(a) === shape(b);
}

/** Sums one after the other: their first terms are joined, their second terms, and so on. */
function readJoined({ parts, node, dims }: Joined, { labels }: Reader): SumLabels | undefined {
  const sums = allDefined(parts.map(labels));
  const first = sums?.[0];
  if (sums === undefined || first === undefined || !sums.every((sum) => areAlike(sum, first)))
    return undefined;
  const axis = concatAxis(node, dims.length);
  const terms = first.terms.map((term, at): Term | undefined => {
    const each = sums.map((sum) => sum.terms[at]!);
    const data = concat(
      each.map((part) => part.data),
      axis + term.lead,
    );
    const weight = concat(
      each.map((part) => part.weight),
      axis + term.lead,
    );
    return data && weight && { ...term, data, weight };
  });
  const offsets = first.offsets.map((offset, at): Offset | undefined => {
    const value = concat(
      sums.map((sum) => sum.offsets[at]!.value),
      axis,
    );
    return value && { ...offset, value };
  });
  const [joinedTerms, joinedOffsets] = [allDefined(terms), allDefined(offsets)];
  return joinedTerms && joinedOffsets && { dims, terms: joinedTerms, offsets: joinedOffsets };
}

function readSum(sum: Sum, reader: Reader): SumLabels | undefined {
  switch (sum.kind) {
    case "distance":
      return readDistance(sum, reader);
    case "reduced":
      return readReduced(sum, reader);
    case "moved":
      return readMoved(sum, reader);
    case "scaled":
      return scaleSum(reader.labels(sum.of), sum.factor);
    case "shifted":
      return readShifted(sum, reader);
    case "added":
      return readAdded(sum.parts, sum.dims, reader);
    case "joined":
      return readJoined(sum, reader);
  }
  return sum satisfies never;
}

/** A reader of a graph's sums with one source; what it has read once it keeps. */
export function readFrom(source: Source): Reading {
  const data = dataViews(source);
  const constants = constantViews(source.producer, source.facts);
  const known = new Map<Sum, SumLabels | undefined>();
  const labels = (sum: Sum): SumLabels | undefined =>
    bottomUp(sum, known, partsOf, (part) => readSum(part, reader));
  const reader: Reader = { facts: source.facts, data, constants, labels: (part) => known.get(part) };
  return { code: data.code, padEnd: data.padEnd, constants, labels };
}
