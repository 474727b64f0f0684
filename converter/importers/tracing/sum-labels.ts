// A sum of distances in labels: for every element of its value, which weight is compared with which place of a source.

import type { Node } from "../../../src/core/ir/model.ts";
import { elementCount, type Tensor } from "../../../src/core/tensor.ts";
import type { ConcreteFacts } from "./concrete-facts.ts";
import { broadcastTo, concat, type LabelView, positionView, reshape, transpose } from "./label-view.ts";
import type { Layout } from "./layouts.ts";
import { concatLabels, isMovement, isZeroConstant, moveLabels, type PadLabels } from "./movement.ts";
import { decodeLabel, type LabelCode, labelCode, labelSource, padLabels } from "./source-labels.ts";
import type { Distance, Joined, Moved, Reduced, Shifted, Sum } from "./sums.ts";

/** factor · Σ |x - w| over the hidden axes that lead in both views, for every index of the axes that follow. */
export interface Term {
  readonly factor: number;
  readonly lead: number;
  /** Labels of places in the source. */
  readonly data: LabelView;
  /** Labels that `ConstantPool` resolves. */
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

/** Where the numbers behind weight labels are. */
export interface ConstantPool {
  /** Number of a label. */
  at(label: number): number;
  /** The constants in the pool, by the name under which the graph has them. */
  readonly names: readonly string[];
}

interface PooledConstant {
  readonly name: string;
  readonly sign: 1 | -1;
  readonly start: number;
  readonly tensor: Tensor;
}

/** The graph as labels of one source. */
export interface Reading {
  readonly code: LabelCode;
  readonly pool: ConstantPool;
  /** How far padding reaches beyond the end of height and width. */
  readonly padEnd: { h: number; w: number };
  /** Undefined when some step cannot be told by labels. */
  labels(sum: Sum): SumLabels | undefined;
}

export interface ReadingOptions {
  readonly producer: ReadonlyMap<string, Node>;
  readonly facts: ConcreteFacts;
  readonly source: string;
  readonly layout: Layout;
  /** Values that are no longer made by movement: outputs of layers already found. */
  readonly barriers: ReadonlySet<string>;
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

function allDefined<T>(items: readonly (T | undefined)[]): T[] | undefined {
  return items.includes(undefined) ? undefined : (items as T[]);
}

/** A reader of one graph with one source; what it has read once it keeps. */
export function readFrom({ producer, facts, source, layout, barriers }: ReadingOptions): Reading {
  const sourceDims = facts.dims(source)!;
  const code = labelCode(sourceDims, layout);
  const padEnd = { h: 0, w: 0 };
  const constants: PooledConstant[] = [];
  const moved = new Map<string, LabelView | undefined>([[source, labelSource(code, sourceDims, layout)]]);
  const known = new Map<Sum, SumLabels | undefined>();

  const pad: PadLabels = (view, axis, before, after) => {
    const padded = padLabels(code, view, axis, before, after);
    if (padded !== undefined) {
      const last = padded.tables.find(({ axes }) => axes.includes(axis))?.values.at(-1) ?? 0;
      const { h, w } = decodeLabel(code, padded.base + last);
      padEnd.h = Math.max(padEnd.h, h - code.size[2] + 1);
      padEnd.w = Math.max(padEnd.w, w - code.size[3] + 1);
    }
    return padded;
  };

  const followMovement = (name: string): LabelView | undefined => {
    const node = producer.get(name);
    if (node === undefined || !isMovement(node) || barriers.has(name)) return undefined;
    if (node.opType === "Concat") {
      const inputs = node.inputs.map((input) => dataView(input) ?? zerosAlong(node, input));
      const joined = concatLabels(node, inputs, 0, pad);
      return joined?.dims.join() === facts.dims(name)?.join() ? joined : undefined;
    }
    const view = dataView(node.inputs[0]!);
    return view && moveLabels({ node, output: node.outputs.indexOf(name), facts, view, lead: 0, pad });
  };

  const zerosAlong = (node: Node, name: string): { zeros: number } | undefined => {
    const dims = facts.dims(name);
    if (dims === undefined || !isZeroConstant(facts, name)) return undefined;
    const axis = node.attributes.get("axis");
    const at = axis?.type === "INT" ? Number(axis.value) : 0;
    return { zeros: dims[at < 0 ? at + dims.length : at]! };
  };

  const dataView = (name: string): LabelView | undefined => {
    if (!moved.has(name)) {
      // Set first: a malformed graph must not be followed in circles.
      moved.set(name, undefined);
      moved.set(name, followMovement(name));
    }
    return moved.get(name);
  };

  const pooled = (name: string, sign: 1 | -1): LabelView | undefined => {
    const tensor = facts.constant(name);
    if (tensor === undefined) return undefined;
    let entry = constants.find((constant) => constant.name === name && constant.sign === sign);
    if (entry === undefined) {
      const before = constants.at(-1);
      const start = before === undefined ? 0 : before.start + elementCount(before.tensor.dims);
      entry = { name, sign, start, tensor };
      constants.push(entry);
    }
    return positionView(tensor.dims, entry.start);
  };

  /** Labels of a constant by the constant it was moved from, so that repeating it (Expand) repeats labels. */
  const constantView = (name: string, sign: 1 | -1): LabelView | undefined => {
    const node = producer.get(name);
    if (node !== undefined && node.opType !== "Concat" && isMovement(node)) {
      const view = facts.constant(node.inputs[0]!) && constantView(node.inputs[0]!, sign);
      const output = node.outputs.indexOf(name);
      const result = view && moveLabels({ node, output, facts, view, lead: 0, pad: () => undefined });
      if (result !== undefined) return result;
    }
    return pooled(name, sign);
  };

  const readDistance = (sum: Distance): SumLabels | undefined => {
    const [data, weight] = [dataView(sum.data), constantView(sum.weight, sum.sign)];
    const term = data && weight && mapTerm({ factor: 1, lead: 0, data, weight }, (view) => broadcastOwn(view, 0, sum.dims));
    return term && { dims: sum.dims, terms: [term], offsets: [] };
  };

  const readReduced = (sum: Reduced): SumLabels | undefined => {
    const of = labels(sum.of);
    if (of === undefined || of.offsets.length > 0) return undefined;
    const kept = range(0, of.dims.length).filter((axis) => !sum.axes.includes(axis));
    const terms = of.terms.map((term) => {
      const own = (axes: readonly number[]) => axes.map((axis) => axis + term.lead);
      const order = [...range(0, term.lead), ...own(sum.axes), ...own(kept)];
      const lead = term.lead + sum.axes.length;
      const hide = (view: LabelView) => {
        const hidden = transpose(view, order);
        return reshape(hidden, [...hidden.dims.slice(0, lead), ...sum.dims]);
      };
      return mapTerm(term, hide, { lead, factor: term.factor * sum.scale });
    });
    const defined = allDefined(terms);
    return defined && { dims: sum.dims, terms: defined, offsets: [] };
  };

  const readMoved = ({ of, node, output, dims }: Moved): SumLabels | undefined => {
    const inner = labels(of);
    const step = (view: LabelView, lead: number) =>
      moveLabels({ node, output, facts, view, lead, pad: () => undefined });
    const terms = inner && allDefined(inner.terms.map((term) => mapTerm(term, step)));
    const offsets = inner && allDefined(inner.offsets.map((offset) => moveOffset(offset, (view) => step(view, 0))));
    return terms && offsets && { dims, terms, offsets };
  };

  const readShifted = ({ of, constant, sign, dims }: Shifted): SumLabels | undefined => {
    const inner = broadcastSum(labels(of), dims);
    const view = constantView(constant, 1);
    const value = view && broadcastOwn(view, 0, dims);
    return inner && value && { ...inner, offsets: [...inner.offsets, { factor: sign, value }] };
  };

  const readAdded = (parts: readonly Sum[], dims: readonly number[]): SumLabels | undefined => {
    const read = allDefined(parts.map((part) => broadcastSum(labels(part), dims)));
    return read && { dims, terms: read.flatMap(({ terms }) => terms), offsets: read.flatMap(({ offsets }) => offsets) };
  };

  const readJoined = ({ parts, node, dims }: Joined): SumLabels | undefined => {
    const read = allDefined(parts.map(labels));
    return read && joinSums(read, node, dims);
  };

  const read = (sum: Sum): SumLabels | undefined => {
    switch (sum.kind) {
      case "distance":
        return readDistance(sum);
      case "reduced":
        return readReduced(sum);
      case "moved":
        return readMoved(sum);
      case "scaled":
        return scaleSum(labels(sum.of), sum.factor);
      case "shifted":
        return readShifted(sum);
      case "added":
        return readAdded(sum.parts, sum.dims);
      case "joined":
        return readJoined(sum);
    }
    return sum satisfies never;
  };

  const labels = (sum: Sum): SumLabels | undefined => {
    if (!known.has(sum)) known.set(sum, read(sum));
    return known.get(sum);
  };

  let latest: PooledConstant | undefined;
  const holds = (entry: PooledConstant | undefined, label: number): boolean =>
    entry !== undefined && label >= entry.start && label < entry.start + entry.tensor.data.length;
  const pool: ConstantPool = {
    at: (label) => {
      const entry = holds(latest, label) ? latest! : constants.find((each) => holds(each, label))!;
      latest = entry;
      return entry.sign * (entry.tensor.data as ArrayLike<number>)[label - entry.start]!;
    },
    get names() {
      return constants.map(({ name }) => name);
    },
  };
  return { code, pool, padEnd, labels };
}

function moveOffset(offset: Offset, step: (view: LabelView) => LabelView | undefined): Offset | undefined {
  const value = step(offset.value);
  return value && { ...offset, value };
}

function scaleSum(sum: SumLabels | undefined, factor: number): SumLabels | undefined {
  if (sum === undefined) return undefined;
  const scale = <T extends { readonly factor: number }>(item: T): T => ({ ...item, factor: item.factor * factor });
  return { ...sum, terms: sum.terms.map(scale), offsets: sum.offsets.map(scale) };
}

function broadcastSum(sum: SumLabels | undefined, dims: readonly number[]): SumLabels | undefined {
  if (sum === undefined || sum.dims.join() === dims.join()) return sum;
  const terms = allDefined(
    sum.terms.map((term) => mapTerm(term, (view, lead) => broadcastOwn(view, lead, dims))),
  );
  const offsets = allDefined(
    sum.offsets.map((offset) => moveOffset(offset, (view) => broadcastOwn(view, 0, dims))),
  );
  return terms && offsets && { dims, terms, offsets };
}

/** The sum with its own axes in another order. */
export function arrangeSum(sum: SumLabels, order: readonly number[]): SumLabels {
  if (order.every((axis, at) => axis === at)) return sum;
  const own = (view: LabelView, lead: number) =>
    transpose(view, [...range(0, lead), ...order.map((axis) => axis + lead)]);
  return {
    dims: order.map((axis) => sum.dims[axis]!),
    terms: sum.terms.map((term) => ({ ...term, data: own(term.data, term.lead), weight: own(term.weight, term.lead) })),
    offsets: sum.offsets.map((offset) => ({ ...offset, value: own(offset.value, 0) })),
  };
}

function concatAxis(node: Node, rank: number): number {
  const axis = node.attributes.get("axis");
  const at = axis?.type === "INT" ? Number(axis.value) : 0;
  return at < 0 ? at + rank : at;
}

/** Sums one after the other: their first terms are joined, their second terms, and so on. */
function joinSums(sums: readonly SumLabels[], node: Node, dims: readonly number[]): SumLabels | undefined {
  const first = sums[0]!;
  const axis = concatAxis(node, dims.length);
  const alike = sums.every(
    ({ terms, offsets }) =>
      terms.length === first.terms.length &&
      offsets.length === first.offsets.length &&
      terms.every(({ lead, factor, data }, at) => {
        const model = first.terms[at]!;
        const hidden = data.dims.slice(0, lead).join();
        return lead === model.lead && factor === model.factor && hidden === model.data.dims.slice(0, lead).join();
      }) &&
      offsets.every(({ factor }, at) => factor === first.offsets[at]!.factor),
  );
  if (!alike) return undefined;
  const terms = first.terms.map((term, at): Term | undefined => {
    const views = sums.map((sum) => sum.terms[at]!);
    const data = concat(views.map(({ data }) => data), axis + term.lead);
    const weight = concat(views.map(({ weight }) => weight), axis + term.lead);
    return data && weight && { ...term, data, weight };
  });
  const offsets = first.offsets.map((offset, at): Offset | undefined => {
    const value = concat(sums.map((sum) => sum.offsets[at]!.value), axis);
    return value && { ...offset, value };
  });
  const [joinedTerms, joinedOffsets] = [allDefined(terms), allDefined(offsets)];
  return joinedTerms && joinedOffsets && { dims, terms: joinedTerms, offsets: joinedOffsets };
}
