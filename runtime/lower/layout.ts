// Ops that only move or rename elements. What an op does is read off its own reference: run on element numbers instead of
// elements it answers where each element comes from.

import { ops } from "../../custom-ops/index.ts";
import { getInt } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { axisFromFront } from "../../src/core/ops/operands.ts";
import { broadcastSteps } from "../../src/core/ops/strided.ts";
import { elementCount, stridesOf, type Tensor } from "../../src/core/tensor.ts";
import type { BoundNode, BoundValue } from "../bind.ts";
import { type Argument, elementBytes, type PlanBuilder, shifted } from "../builder.ts";
import { type Facts, heldTypes, type Lowering } from "../lowering.ts";
import { copyStrided, copyValue } from "./elementwise.ts";

/** Element number that stands for a constant filling. */
const filling = -1;

/** For every output, the element of the first input that each of its elements is. */
function sourcesOf({ node, inputs, opset, where }: BoundNode): readonly Tensor[] {
  const { dims } = inputs[0]!;
  const numbers = Int32Array.from({ length: elementCount(dims) }, (_, index) => index);
  const given = inputs.map((value) => value?.constant);
  given[0] = { type: "int32", data: numbers, dims };
  const fill: Tensor = { type: "int32", data: Int32Array.of(filling), dims: [] };
  const isPad = node.opType === "Pad";
  if (isPad && opset >= 11) given[2] = fill;
  const meant = isPad
    ? {
        ...node,
        inputs: opset >= 11 ? padInputs(node.inputs) : node.inputs,
        attributes: new Map([...node.attributes, ["value", { type: "FLOAT", value: filling } as const]]),
      }
    : node;
  return ops.get("", node.opType)!.reference!(meant, given, { opset, where });
}

/** The inputs of a Pad with the third one given. */
function padInputs(names: readonly string[]): string[] {
  const inputs = [...names];
  while (inputs.length < 3) inputs.push("");
  inputs[2] ||= "filling";
  return inputs;
}

interface Strided {
  readonly offset: number;
  readonly steps: readonly number[];
}

/** Offset and steps with which sources advance along `dims`, when they do so evenly. */
function stridedForm(sources: Int32Array, dims: readonly number[]): Strided | undefined {
  if (sources.length === 0) return { offset: 0, steps: dims.map(() => 0) };
  const strides = stridesOf(dims);
  const offset = sources[0]!;
  const steps = dims.map((dim, axis) => (dim === 1 ? 0 : sources[strides[axis]!]! - offset));
  const at = new Array<number>(dims.length).fill(0);
  let expected = offset;
  for (const source of sources) {
    if (source !== expected || source === filling) return undefined;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      expected += steps[axis]!;
      if (++at[axis]! < dims[axis]!) break;
      expected -= steps[axis]! * dims[axis]!;
      at[axis] = 0;
    }
  }
  return { offset, steps };
}

function isIdentity(sources: Int32Array, count: number): boolean {
  return sources.length === count && sources.every((source, index) => source === index);
}

function paddingValue({ node, inputs, opset }: BoundNode): number {
  if (opset >= 11) return Number(inputs[2]?.constant?.data[0] ?? 0);
  const attribute = node.attributes.get("value");
  return attribute?.type === "FLOAT" ? attribute.value : 0;
}

function moveInto(
  y: BoundValue,
  sources: Int32Array,
  index: number,
  bound: BoundNode,
  build: PlanBuilder,
): void {
  const x = bound.inputs[0]!;
  if (!x.constant && isIdentity(sources, elementCount(x.dims))) {
    build.alias(y, x);
    return;
  }
  const from = build.read(x);
  const form = stridedForm(sources, y.dims);
  const bytes = elementBytes(x.type);
  if (form !== undefined) {
    const start = shifted(from, form.offset * bytes);
    copyStrided(start, build.output(y), y.dims, form.steps, stridesOf(y.dims), build, bytes);
    return;
  }
  build.call(bytes === 1 ? "b8_gather" : "b32_gather", {
    x: from,
    indices: build.table(`sources ${index} of ${bound.where} ${y.name}`, () => Uint32Array.from(sources)),
    y: build.output(y),
    count: sources.length,
    fill: bound.node.opType === "Pad" ? paddingValue(bound) : 0,
  });
}

function lowerMove(bound: BoundNode, build: PlanBuilder): void {
  for (const [index, { data }] of sourcesOf(bound).entries()) {
    const y = bound.outputs[index];
    if (y !== undefined) moveInto(y, data as Int32Array, index, bound, build);
  }
}

function lowerExpand({ inputs, outputs }: BoundNode, build: PlanBuilder): void {
  const [x, y] = [inputs[0]!, outputs[0]!];
  const steps = broadcastSteps(x.dims, y.dims);
  const bytes = elementBytes(x.type);
  copyStrided(build.read(x), build.output(y), y.dims, steps, stridesOf(y.dims), build, bytes);
}

function lowerConcat({ node, where, inputs, outputs }: BoundNode, build: PlanBuilder): void {
  const y = outputs[0]!;
  const axis = axisFromFront(getInt(node, "axis") ?? 0, y.dims.length, where);
  const strides = stridesOf(y.dims);
  const sources: readonly Argument[] = inputs.map((value) => build.read(value!));
  const [to, bytes] = [build.output(y), elementBytes(y.type)];
  let offset = 0;
  for (const [index, value] of inputs.entries()) {
    const { dims } = value!;
    const target = shifted(to, offset * bytes);
    copyStrided(sources[index]!, target, dims, stridesOf(dims), strides, build, bytes);
    offset += dims[axis]! * strides[axis]!;
  }
}

const lowerView: Lowering["lower"] = ({ inputs, outputs }, build) =>
  copyValue(inputs[0]!, outputs[0]!, build);
const likeInput: NonNullable<Lowering["keepsNotNegative"]> = (_bound, isNotNegative) => isNotNegative(0);
const likeAll: NonNullable<Lowering["keepsNotNegative"]> = ({ inputs }, isNotNegative) =>
  inputs.every((_, index) => isNotNegative(index));

const codesLikeInput: NonNullable<Lowering["mostCode"]> = (_bound, mostCode) => mostCode(0);

const move = (parameters: readonly number[] = []): Lowering => ({
  parameters,
  types: heldTypes,
  lower: lowerMove,
  keepsNotNegative: likeInput,
  mostCode: codesLikeInput,
});
const view = (parameters: readonly number[] = [], refuses?: Lowering["refuses"]): Lowering => ({
  parameters,
  types: heldTypes,
  lower: lowerView,
  keepsNotNegative: likeInput,
  mostCode: codesLikeInput,
  ...(refuses && { refuses }),
});

function refusesMask(node: Node, _inputs: Facts, { opset }: { opset: number }): string | undefined {
  if ((node.outputs[1] ?? "") !== "") return "the output mask";
  return opset < 7 ? "training mode" : undefined;
}

function refusesTraining(node: Node, inputs: Facts, context: { opset: number }): string | undefined {
  const isTraining = Boolean(inputs[2]?.constant?.data[0]);
  return isTraining ? "training mode" : refusesMask(node, inputs, context);
}

/** Casts that are made: to float32 or int32 from the same type, and integers to floats. */
function refusesConversion(node: Node, [x]: Facts): string | undefined {
  const [to, from] = [getInt(node, "to"), x?.elemType];
  if (from === undefined) return to === 1 || to === 6 ? undefined : "a change of type";
  const isMade = to === 1 ? from !== "uint8" : to === 6 && from === "int32";
  return isMade ? undefined : "a change of type";
}

function lowerCast(bound: BoundNode, build: PlanBuilder): void {
  const [x, y] = [bound.inputs[0]!, bound.outputs[0]!];
  if (x.type === y.type) {
    copyValue(x, y, build);
    return;
  }
  const from = build.read(x);
  build.call("i32_to_f32", { x: from, y: build.output(y, x), count: elementCount(x.dims) });
}

export const layoutLowerings = {
  Reshape: view([1]),
  Flatten: view(),
  Squeeze: view([1]),
  Unsqueeze: view([1]),
  Identity: view(),
  Dropout: view([1, 2], refusesTraining),
  Cast: { ...view([], refusesConversion), lower: lowerCast },
  Transpose: move(),
  Slice: move([1, 2, 3, 4]),
  Split: move([1]),
  Expand: { ...move([1]), lower: lowerExpand },
  Tile: move([1]),
  DepthToSpace: move(),
  SpaceToDepth: move(),
  Gather: move([1]),
  Pad: {
    ...move([1, 2, 3]),
    keepsNotNegative: (bound, isNotNegative) => isNotNegative(0) && paddingValue(bound) >= 0,
    mostCode: (bound, mostCode) => Math.max(mostCode(0), paddingValue(bound)),
  },
  Concat: {
    types: heldTypes,
    lower: lowerConcat,
    keepsNotNegative: likeAll,
    mostCode: ({ inputs }, mostCode) => Math.max(...inputs.map((_, index) => mostCode(index))),
  },
} satisfies Record<string, Lowering>;
