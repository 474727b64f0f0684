// The ops that only move elements, as functions on labels. One row per op; what has no row ends a trace.

import { isFloat } from "../../../src/core/dtype.ts";
import { getInt, getInts, getString } from "../../../src/core/ir/attributes.ts";
import type { Node } from "../../../src/core/ir/model.ts";
import { elementCount, type Tensor, toNumbers } from "../../../src/core/tensor.ts";
import type { ConcreteFacts } from "./concrete-facts.ts";
import {
  broadcastTo,
  concat,
  gatherAxes,
  gatherAxis,
  type LabelView,
  reshape,
  transpose,
} from "./label-view.ts";

export interface Movement {
  readonly node: Node;
  /** Which output of the node is asked for. */
  readonly output: number;
  readonly facts: ConcreteFacts;
  /** The moved input: its labels have `lead` hidden axes in front of its own. */
  readonly view: LabelView;
  readonly lead: number;
  /** Lengthens an axis by zeros, where that can be told by labels. */
  readonly pad: PadLabels;
}

export type PadLabels = (
  view: LabelView,
  axis: number,
  before: number,
  after: number,
) => LabelView | undefined;

type Move = (movement: Movement) => LabelView | undefined;

const integers = (facts: ConcreteFacts, name: string | undefined): number[] | undefined => {
  const tensor = name ? facts.constant(name) : undefined;
  return tensor && toNumbers(tensor);
};

const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
const range = (from: number, length: number, step = 1): number[] =>
  Array.from({ length }, (_, at) => from + at * step);

const ownDims = ({ view, lead }: Movement): readonly number[] => view.dims.slice(lead);

function reshapeOwn(movement: Movement, dims: readonly number[] | undefined): LabelView | undefined {
  const { view, lead } = movement;
  return dims && reshape(view, [...view.dims.slice(0, lead), ...dims]);
}

/** Ops that leave the order of elements as it is: the result's dims say everything. */
const keepOrder: Move = (movement) =>
  reshapeOwn(movement, movement.facts.dims(movement.node.outputs[movement.output]!));

/** Between float types values stay what they are, up to their precision. */
const moveCast: Move = (movement) => {
  const { node, facts } = movement;
  const types = [facts.type(node.inputs[0]!), facts.type(node.outputs[0]!)];
  return types.every((type) => type !== undefined && isFloat(type)) ? keepOrder(movement) : undefined;
};

const moveTranspose: Move = (movement) => {
  const { node, view, lead } = movement;
  const rank = view.dims.length - lead;
  const order = getInts(node, "perm") ?? range(rank - 1, rank, -1);
  return transpose(view, [...range(0, lead), ...order.map((axis) => axis + lead)]);
};

const moveGather: Move = (movement) => {
  const { node, view, lead, facts } = movement;
  const indices = facts.constant(node.inputs[1] ?? "");
  if (indices === undefined) return undefined;
  const axis = lead + fromFront(getInt(node, "axis") ?? 0, view.dims.length - lead);
  const size = view.dims[axis]!;
  const positions = toNumbers(indices).map((position) => fromFront(position, size));
  if (positions.some((position) => position < 0 || position >= size)) return undefined;
  return gatherAxis(view, axis, positions, indices.dims);
};

/** Row-major positions in `dims` of the index tuples along the last axis of `indices`. */
function tuplePositions(indices: Tensor, dims: readonly number[]): number[] | undefined {
  const values = toNumbers(indices);
  const width = dims.length;
  const positions: number[] = [];
  for (let at = 0; at < values.length; at += width) {
    let position = 0;
    for (let axis = 0; axis < width; axis++) {
      const index = fromFront(values[at + axis]!, dims[axis]!);
      if (index < 0 || index >= dims[axis]!) return undefined;
      position = position * dims[axis]! + index;
    }
    positions.push(position);
  }
  return positions;
}

const moveGatherNd: Move = (movement) => {
  const { node, view, lead, facts } = movement;
  const indices = facts.constant(node.inputs[1] ?? "");
  if (indices === undefined || (getInt(node, "batch_dims") ?? 0) !== 0) return undefined;
  const width = indices.dims.at(-1)!;
  const positions = tuplePositions(indices, view.dims.slice(lead, lead + width));
  return positions && gatherAxes(view, lead, width, positions, indices.dims.slice(0, -1));
};

/** The positions that ONNX Slice takes along an axis of length `size`. */
function slicePositions(size: number, start: number, end: number, step: number): number[] {
  const clamp = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);
  const [first, last] =
    step > 0
      ? [clamp(fromFront(start, size), 0, size), clamp(fromFront(end, size), 0, size)]
      : [clamp(fromFront(start, size), 0, size - 1), clamp(fromFront(end, size), -1, size - 1)];
  return range(first, Math.max(0, Math.ceil((last - first) / step)), step);
}

const moveSlice: Move = (movement) => {
  const { node, lead, facts } = movement;
  const given = (at: number, name: string) => getInts(node, name) ?? integers(facts, node.inputs[at]);
  const [starts, ends] = [given(1, "starts"), given(2, "ends")];
  if (starts === undefined || ends === undefined) return undefined;
  const axes = given(3, "axes") ?? range(0, starts.length);
  const steps = integers(facts, node.inputs[4]) ?? starts.map(() => 1);
  const rank = movement.view.dims.length - lead;
  let view: LabelView | undefined = movement.view;
  axes.forEach((each, at) => {
    if (view === undefined) return;
    const axis = lead + fromFront(each, rank);
    const positions = slicePositions(view.dims[axis]!, starts[at]!, ends[at]!, steps[at]!);
    view = gatherAxis(view, axis, positions, [positions.length]);
  });
  return view;
};

const moveSplit: Move = (movement) => {
  const { node, view, lead, facts, output } = movement;
  const axis = fromFront(getInt(node, "axis") ?? 0, view.dims.length - lead);
  const sizes = node.outputs.map((name) => facts.dims(name)?.[axis]);
  const before = sizes.slice(0, output);
  if (sizes[output] === undefined || before.includes(undefined)) return undefined;
  const start = (before as number[]).reduce((sum, size) => sum + size, 0);
  return gatherAxis(view, axis + lead, range(start, sizes[output]), [sizes[output]]);
};

const moveExpand: Move = (movement) => {
  const { node, lead, facts } = movement;
  const dims = facts.dims(node.outputs[0]!);
  if (dims === undefined) return undefined;
  const own = ownDims(movement);
  const lifted = reshapeOwn(movement, [...new Array<number>(dims.length - own.length).fill(1), ...own]);
  return lifted && broadcastTo(lifted, [...lifted.dims.slice(0, lead), ...dims]);
};

const moveTile: Move = ({ node, view, lead, facts }) => {
  const repeats = integers(facts, node.inputs[1]);
  return repeats?.reduce((tiled: LabelView | undefined, count, axis) => {
    if (tiled === undefined || count === 1) return tiled;
    const size = tiled.dims[axis + lead]!;
    const positions = range(0, size * count).map((at) => at % size);
    return gatherAxis(tiled, axis + lead, positions, [positions.length]);
  }, view);
};

function padAmounts({ node, facts }: Movement, rank: number): number[] | undefined {
  const given = getInts(node, "pads") ?? integers(facts, node.inputs[1]);
  const axes = integers(facts, node.inputs[3]);
  if (given === undefined || axes === undefined) return given;
  const amounts = new Array<number>(2 * rank).fill(0);
  axes.forEach((each, at) => {
    const axis = fromFront(each, rank);
    amounts[axis] = given[at]!;
    amounts[axis + rank] = given[at + axes.length]!;
  });
  return amounts;
}

function padsWithZeros({ node, facts }: Movement): boolean {
  if ((getString(node, "mode") ?? "constant") !== "constant") return false;
  const fill = node.attributes.get("value");
  if (fill?.type === "FLOAT") return fill.value === 0;
  if (!node.inputs[2]) return true;
  return integers(facts, node.inputs[2])?.every((value) => value === 0) ?? false;
}

/** Negative amounts cut, as in ONNX. */
const movePad: Move = (movement) => {
  const { lead } = movement;
  const rank = movement.view.dims.length - lead;
  const amounts = padAmounts(movement, rank);
  if (amounts === undefined || !padsWithZeros(movement)) return undefined;
  let view: LabelView | undefined = movement.view;
  for (let axis = 0; axis < rank && view !== undefined; axis++) {
    const [before, after] = [amounts[axis]!, amounts[axis + rank]!];
    const [cut, length] = [Math.max(0, -before), view.dims[axis + lead]!];
    const kept = length - cut - Math.max(0, -after);
    if (kept < length) view = gatherAxis(view, axis + lead, range(cut, kept), [kept]);
    if (view === undefined || (before <= 0 && after <= 0)) continue;
    view = movement.pad(view, axis + lead, Math.max(0, before), Math.max(0, after));
  }
  return view;
};

/** DepthToSpace and SpaceToDepth are a Reshape, a Transpose and a Reshape. */
const moveDepthToSpace: Move = (movement) => {
  const { node, facts } = movement;
  const [n, c, h, w] = ownDims(movement) as [number, number, number, number];
  const size = getInt(node, "blocksize")!;
  const isDepthFirst = (getString(node, "mode") ?? "DCR") === "DCR";
  const depth = c / (size * size);
  const split = reshapeOwn(
    movement,
    isDepthFirst ? [n, size, size, depth, h, w] : [n, depth, size, size, h, w],
  );
  const order = isDepthFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3];
  return (
    split && reshapeIn(transposeOwn(split, movement.lead, order), movement.lead, facts.dims(node.outputs[0]!))
  );
};

const moveSpaceToDepth: Move = (movement) => {
  const { node, facts } = movement;
  const [n, c, h, w] = ownDims(movement) as [number, number, number, number];
  const size = getInt(node, "blocksize")!;
  const split = reshapeOwn(movement, [n, c, h / size, size, w / size, size]);
  const order = [0, 3, 5, 1, 2, 4];
  return (
    split && reshapeIn(transposeOwn(split, movement.lead, order), movement.lead, facts.dims(node.outputs[0]!))
  );
};

/** Position of the only 1 among zeros in each filter, or undefined. */
function oneHotPositions(weight: Tensor | undefined): number[] | undefined {
  if (weight?.dims.length !== 4) return undefined;
  const values = weight.data as ArrayLike<number>;
  const length = elementCount(weight.dims.slice(1));
  const found: number[] = [];
  for (let m = 0; m < weight.dims[0]!; m++) {
    const used = range(0, length).filter((at) => values[m * length + at] !== 0);
    if (used.length !== 1 || values[m * length + used[0]!] !== 1) return undefined;
    found.push(used[0]!);
  }
  return found;
}

/** Places that a convolution's windows read along an axis: [kernel, outputs]. */
function windowPositions(kernel: number, outputs: number, stride: number, dilation: number): number[] {
  return range(0, kernel).flatMap((tap) => range(0, outputs).map((at) => at * stride + tap * dilation));
}

/** A convolution each filter of which picks one place: unfolding written as Conv with an identity weight. */
const moveOneHotConv: Move = (movement) => {
  const { node, lead, facts, view } = movement;
  const weight = facts.constant(node.inputs[1] ?? "");
  const [picks, dims] = [oneHotPositions(weight), facts.dims(node.outputs[0]!)];
  if (picks === undefined || dims?.length !== 4 || node.inputs[2]) return undefined;
  if ((getString(node, "auto_pad") ?? "NOTSET") !== "NOTSET") return undefined;
  const [filters, perGroup, kh, kw] = weight!.dims as [number, number, number, number];
  const [strides, dilations] = [getInts(node, "strides") ?? [1, 1], getInts(node, "dilations") ?? [1, 1]];
  const pads = getInts(node, "pads") ?? [0, 0, 0, 0];
  const perFilterGroup = filters / (getInt(node, "group") ?? 1);
  const channels = picks.map((pick, m) => Math.floor(m / perFilterGroup) * perGroup * kh * kw + pick);
  const tall = pads[0]! + pads[2]! > 0 ? movement.pad(view, lead + 2, pads[0]!, pads[2]!) : view;
  const padded = tall && pads[1]! + pads[3]! > 0 ? movement.pad(tall, lead + 3, pads[1]!, pads[3]!) : tall;
  const [oh, ow] = [dims[2]!, dims[3]!];
  const rows = windowPositions(kh, oh, strides[0]!, dilations[0]!);
  const byRow = padded && gatherAxis(padded, lead + 2, rows, [kh, oh]);
  const windows =
    byRow && gatherAxis(byRow, lead + 4, windowPositions(kw, ow, strides[1]!, dilations[1]!), [kw, ow]);
  const ordered = windows && transposeOwn(windows, lead, [0, 1, 2, 4, 3, 5]);
  const taps = ordered && reshapeIn(ordered, lead, [dims[0]!, ordered.dims[lead + 1]! * kh * kw, oh, ow]);
  return taps && gatherAxis(taps, lead + 1, channels, [filters]);
};

function transposeOwn(view: LabelView, lead: number, order: readonly number[]): LabelView {
  return transpose(view, [...range(0, lead), ...order.map((axis) => axis + lead)]);
}

function reshapeIn(
  view: LabelView,
  lead: number,
  dims: readonly number[] | undefined,
): LabelView | undefined {
  return dims && reshape(view, [...view.dims.slice(0, lead), ...dims]);
}

const moves: Readonly<Record<string, Move>> = {
  Cast: moveCast,
  Conv: moveOneHotConv,
  DepthToSpace: moveDepthToSpace,
  Dropout: keepOrder,
  Expand: moveExpand,
  Flatten: keepOrder,
  Gather: moveGather,
  GatherND: moveGatherNd,
  Identity: keepOrder,
  Pad: movePad,
  Reshape: keepOrder,
  Slice: moveSlice,
  SpaceToDepth: moveSpaceToDepth,
  Split: moveSplit,
  Squeeze: keepOrder,
  Tile: moveTile,
  Transpose: moveTranspose,
  Unsqueeze: keepOrder,
};

/** The inputs whose elements an op moves: none for an op that does more than move. */
export function movedInputs(node: Node): readonly string[] {
  if (node.domain !== "") return [];
  if (node.opType === "Concat") return node.inputs;
  return Object.hasOwn(moves, node.opType) ? node.inputs.slice(0, 1) : [];
}

/** Whether an op moves the elements of one input. */
export function isMovement(node: Node): boolean {
  return node.opType !== "Concat" && movedInputs(node).length > 0;
}

/** Longer axes are refused: no feature map has them. */
export const longestAxis = 1 << 24;

/** Labels of one output of a movement op with a single moved input; undefined when they cannot be told. */
export function moveLabels(movement: Movement): LabelView | undefined {
  const { node, output } = movement;
  if (output > 0 && node.opType !== "Split") return undefined;
  const move = moves[node.opType];
  const dims = movement.facts.dims(node.outputs[output]!);
  const isBounded = dims?.every((length) => length > 0 && length <= longestAxis) ?? false;
  const moved = isBounded ? move?.(movement) : undefined;
  return moved && moved.dims.slice(movement.lead).join() === dims!.join() ? moved : undefined;
}

/** The axis along which a Concat joins, counted from the front. */
export function concatAxis(node: Node, rank: number): number {
  return fromFront(getInt(node, "axis") ?? 0, rank);
}

/** The inputs of a Concat one after the other; a run of constant zeros at either end is padding. */
export function concatLabels(
  node: Node,
  inputs: readonly (LabelView | { readonly zeros: number } | undefined)[],
  lead: number,
  pad: PadLabels,
): LabelView | undefined {
  const views = inputs.filter((input): input is LabelView => input !== undefined && "tables" in input);
  if (views.length === 0 || inputs.includes(undefined)) return undefined;
  const axis = lead + concatAxis(node, views[0]!.dims.length - lead);
  const [first, last] = [inputs.indexOf(views[0]), inputs.lastIndexOf(views.at(-1))];
  if (last - first + 1 !== views.length) return undefined;
  const length = (from: number, to: number): number =>
    inputs.slice(from, to).reduce((sum, input) => sum + (input && "zeros" in input ? input.zeros : 0), 0);
  const [before, after] = [length(0, first), length(last + 1, inputs.length)];
  const joined = concat(views, axis);
  return joined && (before + after > 0 ? pad(joined, axis, before, after) : joined);
}

/** Whether a value is a constant of zeros, of any shape. */
export function isZeroConstant(facts: ConcreteFacts, name: string): boolean {
  const data = facts.constant(name)?.data as ArrayLike<number | bigint> | undefined;
  if (data === undefined) return false;
  for (let at = 0; at < data.length; at++) if (Number(data[at]) !== 0) return false;
  return true;
}
