// Tensors of integer labels as sums of small tables: how a value was moved, without its elements.
//
// Every element of a source gets a number that is linear in its coordinates. Movement ops (Reshape, Transpose, Gather …)
// then keep the labels of a whole tensor a sum of tables over few axes, so that an im2col matrix of millions of elements
// is held, and checked exactly, in a few thousand numbers.

import { elementCount, stridesOf } from "../../../src/core/tensor.ts";

/** Labels over the axes `axes` (ascending), row-major. */
export interface LabelTable {
  readonly axes: readonly number[];
  readonly values: Float64Array;
}

/** The label at an index is `base` plus one value of each table. An axis is in at most one table; tables start with 0. */
export interface LabelView {
  readonly dims: readonly number[];
  readonly base: number;
  readonly tables: readonly LabelTable[];
}

/** Larger tables are refused: nothing an exporter writes comes near. */
const largestTable = 1 << 26;

/** Adds to `out`, of shape `dims`, the elements of `values` read with `strides` (0 along an axis that it lacks). */
function addStrided(
  out: Float64Array,
  dims: readonly number[],
  values: Float64Array,
  strides: readonly number[],
): void {
  const index = new Array<number>(dims.length).fill(0);
  let offset = 0;
  for (let at = 0; at < out.length; at++) {
    out[at] = out[at]! + values[offset]!;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      offset += strides[axis]!;
      index[axis] = index[axis]! + 1;
      if (index[axis]! < dims[axis]!) break;
      offset -= strides[axis]! * dims[axis]!;
      index[axis] = 0;
    }
  }
}

/** Steps of `table` along each of `axes`, 0 where it does not vary. */
function stridesAlong(table: LabelTable, dims: readonly number[], axes: readonly number[]): number[] {
  const own = stridesOf(table.axes.map((axis) => dims[axis]!));
  return axes.map((axis) => {
    const place = table.axes.indexOf(axis);
    return place < 0 ? 0 : own[place]!;
  });
}

/** The tables that touch `axes`, as one table over `axes`; they must not reach other axes. */
function joined(view: LabelView, axes: readonly number[]): Float64Array | undefined {
  const dims = axes.map((axis) => view.dims[axis]!);
  const count = elementCount(dims);
  if (count > largestTable) return undefined;
  const values = new Float64Array(count);
  for (const table of view.tables) {
    if (!table.axes.some((axis) => axes.includes(axis))) continue;
    if (!table.axes.every((axis) => axes.includes(axis))) return undefined;
    addStrided(values, dims, table.values, stridesAlong(table, view.dims, axes));
  }
  return values;
}

/** The part of `values` that varies with `axis` alone, if values = that part + the rest. */
function separate(
  values: Float64Array,
  dims: readonly number[],
  axis: number,
): { own: Float64Array; rest: Float64Array } | undefined {
  const inner = elementCount(dims.slice(axis + 1));
  const size = dims[axis]!;
  const outer = values.length / (inner * size);
  const own = Float64Array.from({ length: size }, (_, at) => values[at * inner]! - values[0]!);
  const rest = new Float64Array(outer * inner);
  for (let a = 0; a < outer; a++) {
    for (let b = 0; b < inner; b++) {
      const first = values[a * size * inner + b]!;
      for (let at = 1; at < size; at++) {
        if (values[(a * size + at) * inner + b]! - first !== own[at]!) return undefined;
      }
      rest[a * inner + b] = first;
    }
  }
  return { own, rest };
}

/** Splits a table into tables over single axes as far as it is a sum of such, and takes its first value out. */
function simplify(
  dims: readonly number[],
  axes: readonly number[],
  values: Float64Array,
): { base: number; tables: LabelTable[] } {
  const tables: LabelTable[] = [];
  let left = axes.filter((axis) => dims[axis] !== 1);
  let rest = values;
  for (const axis of [...left]) {
    if (left.length === 1) break;
    const parts = separate(
      rest,
      left.map((other) => dims[other]!),
      left.indexOf(axis),
    );
    if (parts === undefined) continue;
    tables.push({ axes: [axis], values: parts.own });
    rest = parts.rest;
    left = left.filter((other) => other !== axis);
  }
  const base = rest[0]!;
  tables.push({ axes: left, values: rest.map((value) => value - base) });
  return { base, tables: tables.filter((table) => table.values.some((value) => value !== 0)) };
}

function build(dims: readonly number[], base: number, parts: readonly LabelTable[]): LabelView {
  const simple = parts.map((part) => simplify(dims, part.axes, part.values));
  return {
    dims,
    base: simple.reduce((sum, part) => sum + part.base, base),
    tables: simple.flatMap((part) => part.tables),
  };
}

/** Labels that grow by `steps[axis]` along each axis, from 0. */
export function linearView(dims: readonly number[], steps: readonly number[]): LabelView {
  const tables = dims.map((size, axis) => ({
    axes: [axis],
    values: Float64Array.from({ length: size }, (_, at) => at * steps[axis]!),
  }));
  return build(dims, 0, tables);
}

export function transpose(view: LabelView, order: readonly number[]): LabelView {
  const tables = view.tables.map((table) => {
    const axes = order.flatMap((from, to) => (table.axes.includes(from) ? [to] : []));
    const sources = axes.map((to) => order[to]!);
    const values = new Float64Array(table.values.length);
    addStrided(
      values,
      sources.map((axis) => view.dims[axis]!),
      table.values,
      stridesAlong(table, view.dims, sources),
    );
    return { axes, values };
  });
  return { dims: order.map((axis) => view.dims[axis]!), base: view.base, tables };
}

interface ReshapeBlock {
  readonly from: number[];
  readonly to: number[];
}

/** Runs of axes of equal product on both sides; axes of length 1 are in no block. */
function reshapeBlocks(from: readonly number[], to: readonly number[]): ReshapeBlock[] {
  const blocks: ReshapeBlock[] = [];
  let [i, o] = [0, 0];
  const next = (dims: readonly number[], at: number): number => {
    let axis = at;
    while (dims[axis] === 1) axis++;
    return axis;
  };
  for (
    i = next(from, 0), o = next(to, 0);
    i < from.length && o < to.length;
    i = next(from, i), o = next(to, o)
  ) {
    const block: ReshapeBlock = { from: [i], to: [o] };
    let [left, right] = [from[i++]!, to[o++]!];
    while (left !== right) {
      if (left < right) {
        i = next(from, i);
        block.from.push(i);
        left *= from[i++]!;
      } else {
        o = next(to, o);
        block.to.push(o);
        right *= to[o++]!;
      }
    }
    blocks.push(block);
  }
  return blocks;
}

/** Blocks that share a table are one block: its labels cannot be told apart per axis. */
function linkBlocks(blocks: readonly ReshapeBlock[], tables: readonly LabelTable[]): ReshapeBlock[] {
  let linked = blocks.map((block) => ({ from: [...block.from], to: [...block.to] }));
  for (const { axes } of tables) {
    const touched = linked.filter((block) => block.from.some((axis) => axes.includes(axis)));
    if (touched.length < 2) continue;
    const merged = { from: touched.flatMap(({ from }) => from), to: touched.flatMap(({ to }) => to) };
    const first = linked.indexOf(touched[0]!);
    linked = linked.flatMap((block, at) => {
      if (at === first) return [merged];
      return touched.includes(block) ? [] : [block];
    });
  }
  const ascending = (a: number, b: number): number => a - b;
  return linked.map(({ from, to }) => ({ from: from.sort(ascending), to: to.sort(ascending) }));
}

export function reshape(view: LabelView, dims: readonly number[]): LabelView | undefined {
  const count = elementCount(dims);
  if (count !== elementCount(view.dims) || count === 0) return undefined;
  const parts: LabelTable[] = [];
  for (const { from, to } of linkBlocks(reshapeBlocks(view.dims, dims), view.tables)) {
    if (!view.tables.some((table) => table.axes.some((axis) => from.includes(axis)))) continue;
    const values = joined(view, from);
    if (values === undefined) return undefined;
    parts.push({ axes: to, values });
  }
  return build(dims, view.base, parts);
}

/** Elements `positions` of an axis, arranged as `shape`: what Gather, Slice, Split and Tile do to one axis. */
export function gatherAxis(
  view: LabelView,
  axis: number,
  positions: ArrayLike<number>,
  shape: readonly number[],
): LabelView | undefined {
  const size = view.dims[axis]!;
  const moved = (other: number): number => (other > axis ? other + shape.length - 1 : other);
  const dims = [...view.dims.slice(0, axis), ...shape, ...view.dims.slice(axis + 1)];
  const parts = view.tables.map((table): LabelTable => {
    const place = table.axes.indexOf(axis);
    if (place < 0) return { axes: table.axes.map(moved), values: table.values };
    const inner = elementCount(table.axes.slice(place + 1).map((other) => view.dims[other]!));
    const outer = table.values.length / (inner * size);
    const values = new Float64Array(outer * positions.length * inner);
    for (let a = 0, at = 0; a < outer; a++) {
      for (let i = 0; i < positions.length; i++) {
        const row = (a * size + positions[i]!) * inner;
        for (let b = 0; b < inner; b++) values[at++] = table.values[row + b]!;
      }
    }
    const own = shape.map((_, offset) => axis + offset);
    const axes = [
      ...table.axes.slice(0, place).map(moved),
      ...own,
      ...table.axes.slice(place + 1).map(moved),
    ];
    return { axes, values };
  });
  if (elementCount(dims) === 0 || parts.some(({ values }) => values.length > largestTable)) return undefined;
  return build(dims, view.base, parts);
}

/** The view repeated along new leading axes and axes of length 1, as in ONNX broadcasting. */
export function broadcastTo(view: LabelView, dims: readonly number[]): LabelView | undefined {
  const added = dims.length - view.dims.length;
  if (added < 0) return undefined;
  if (view.dims.some((size, axis) => size !== 1 && size !== dims[axis + added])) return undefined;
  const tables = view.tables.map(({ axes, values }) => ({ axes: axes.map((axis) => axis + added), values }));
  return { dims, base: view.base, tables };
}

function sameTable(a: LabelTable, b: LabelTable): boolean {
  return a.axes.join() === b.axes.join() && a.values.every((value, at) => value === b.values[at]);
}

/** `axis` and every axis along which the views differ, with what shares a table with them. */
function differingAxes(views: readonly LabelView[], axis: number): number[] {
  const axes = new Set([axis]);
  const first = views[0]!;
  for (const view of views) {
    for (const [one, others] of [
      [view, first],
      [first, view],
    ] as const) {
      for (const table of one.tables) {
        if (!others.tables.some((other) => sameTable(table, other)))
          for (const each of table.axes) axes.add(each);
      }
    }
  }
  for (let before = 0; before !== axes.size; ) {
    before = axes.size;
    for (const { axes: shared } of views.flatMap(({ tables }) => tables)) {
      if (shared.some((each) => axes.has(each))) for (const each of shared) axes.add(each);
    }
  }
  return [...axes].sort((a, b) => a - b);
}

/** The views one after the other along `axis`; all other lengths are equal. */
export function concat(views: readonly LabelView[], axis: number): LabelView | undefined {
  const first = views[0]!;
  const axes = differingAxes(views, axis);
  const place = axes.indexOf(axis);
  const length = views.reduce((sum, view) => sum + view.dims[axis]!, 0);
  const dims = first.dims.map((size, each) => (each === axis ? length : size));
  const own = axes.map((each) => dims[each]!);
  if (elementCount(own) > largestTable) return undefined;
  const values = new Float64Array(elementCount(own));
  const inner = elementCount(own.slice(place + 1));
  const outer = elementCount(own.slice(0, place));
  let start = 0;
  for (const view of views) {
    const part = joined(view, axes);
    if (part === undefined) return undefined;
    const row = view.dims[axis]! * inner;
    for (let a = 0; a < outer; a++) {
      for (let b = 0; b < row; b++) values[(a * length + start) * inner + b] = part[a * row + b]! + view.base;
    }
    start += view.dims[axis]!;
  }
  const others = first.tables.filter((table) => !table.axes.some((each) => axes.includes(each)));
  return build(dims, 0, [...others, { axes, values }]);
}

/** Neighbouring axes `first` … `first + count - 1` replaced by the elements at `positions` (row-major) of shape `shape`. */
export function gatherAxes(
  view: LabelView,
  first: number,
  count: number,
  positions: ArrayLike<number>,
  shape: readonly number[],
): LabelView | undefined {
  const length = elementCount(view.dims.slice(first, first + count));
  const flat = reshape(view, [...view.dims.slice(0, first), length, ...view.dims.slice(first + count)]);
  return flat && gatherAxis(flat, first, positions, shape);
}

/** The view with an axis of another length along which labels are `values`, which says everything about that axis. */
export function withAxis(view: LabelView, axis: number, values: Float64Array): LabelView {
  const dims = view.dims.map((size, each) => (each === axis ? values.length : size));
  const others = view.tables.filter((table) => !table.axes.includes(axis));
  return build(dims, view.base, [...others, { axes: [axis], values }]);
}

/** The table over `axes` (filled with 0 where nothing varies), or undefined when other axes share a table with them. */
export function tableOver(view: LabelView, axes: readonly number[]): Float64Array | undefined {
  return joined(view, axes);
}

/** Whether some table varies along one of `axes`. */
export function variesAlong(view: LabelView, axes: readonly number[]): boolean {
  return view.tables.some((table) => table.axes.some((axis) => axes.includes(axis)));
}
