// A layer of filters: its weights checked against what the topology expects here, then written as Adder2d, Conv or Gemm.

import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import type { Attribute } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import type { ModuleAttribute } from "../checkpoints/checkpoint.ts";
import { asFloat32, moduleAt } from "../checkpoints/normalise-names.ts";
import {
  addConstant,
  type Draft,
  emit,
  flatten,
  hasShape,
  type LayerKind,
  moveOn,
  shape,
  unflatten,
  unknownChannels,
  use,
  windowAttributes,
} from "./draft.ts";
import type { FilterLayer } from "./layers.ts";
import type { FilterStep } from "./topology.ts";

/** A pair from an int or a pair; undefined for what is neither, such as "same". */
function pairOf(value: ModuleAttribute | undefined): readonly number[] | undefined {
  if (typeof value === "number") return [value, value];
  return Array.isArray(value) && value.length === 2 ? value : undefined;
}

/** Where the module itself was saved, its geometry has to be the topology's. */
function checkModule(draft: Draft, layer: FilterLayer, step: FilterStep): void {
  const attributes = moduleAt(draft.modules, layer.path)?.attributes;
  for (const [name, expected] of [
    ["stride", step.stride],
    ["padding", step.pad],
    ["dilation", 1],
  ] as const) {
    const found = pairOf(attributes?.get(name));
    if (found === undefined || found.every((value) => value === expected)) continue;
    draft.problems.push(`${layer.path}: the module has ${name} ${found.join("x")}, the topology ${expected}`);
  }
}

/** Groups of a filter bank whose filters see fewer channels than there are: the module's, or for an adder, what the shape says. */
function groupsOf(draft: Draft, layer: FilterLayer, kind: LayerKind): number {
  const given = moduleAt(draft.modules, layer.path)?.attributes.get("groups");
  if (typeof given === "number") return given;
  const [outputs, inputs] = layer.weight.dims as [number, number];
  const groups = draft.current.channels / inputs;
  return kind === "adder" && Number.isInteger(groups) && outputs % groups === 0 ? groups : 1;
}

/** Kernel and channels that the weights must have here; the number of filters is theirs to say. */
function checkFilter(
  draft: Draft,
  key: string,
  layer: FilterLayer,
  step: FilterStep,
  groups: number,
): boolean {
  const { channels, height, width } = draft.current;
  const { dims } = layer.weight;
  const kernel = step.isLinear ? [height, width] : [step.kernel, step.kernel];
  const expected =
    dims.length === 2 ? [dims[0]!, channels * height * width] : [dims[0]!, channels / groups, ...kernel];
  const bias = layer.bias?.dims;
  if (bias !== undefined && !hasShape(bias, [dims[0]!])) {
    draft.problems.push(`${layer.path}.bias is ${shape(bias)}, expected ${shape([dims[0]!])}`);
  }
  if (hasShape(dims, expected)) return true;
  draft.problems.push(`${key} is ${shape(dims)}, expected ${shape(expected)}`);
  return false;
}

function checkClasses(draft: Draft, path: string, found: number): void {
  if (draft.classes === undefined || draft.classes === found) return;
  draft.problems.push(`${path} has ${found} classes, expected ${draft.classes}`);
}

function biasInput(draft: Draft, layer: FilterLayer): string[] {
  if (layer.bias === undefined) return [];
  const key = layer.keys.at(-1)!;
  return [addConstant(draft, key, asFloat32(layer.bias, `${draft.where}, tensor ${key}`))];
}

function emitLinear(draft: Draft, layer: FilterLayer, weight: Tensor): void {
  flatten(draft, layer.path);
  const inputs = [addConstant(draft, layer.keys[0]!, weight), ...biasInput(draft, layer)];
  emit(draft, "Gemm", layer.path, inputs, [["transB", intAttribute(1)]]);
  draft.current = { ...draft.current, channels: weight.dims[0]! };
}

function emitFilter(
  draft: Draft,
  layer: FilterLayer,
  weight: Tensor,
  step: FilterStep,
  kind: LayerKind,
  group: number,
): void {
  unflatten(draft, layer.path);
  const kernel = weight.dims.slice(2);
  const inputs = [addConstant(draft, layer.keys[0]!, weight), ...biasInput(draft, layer)];
  const attributes: [string, Attribute][] = [
    ["dilations", intsAttribute([1, 1])],
    ["group", intAttribute(group)],
    ...windowAttributes(kernel, step.stride, step.pad),
  ];
  const [opType, domain] = kind === "adder" ? ["Adder2d", "addernet"] : ["Conv", ""];
  emit(draft, opType!, layer.path, inputs, attributes, domain!);
  moveOn(draft, layer.path, kernel, step.stride, step.pad);
  draft.current = { ...draft.current, channels: weight.dims[0]! };
}

/** A fully connected adder layer is one whose window is the whole map. */
function emitLinearAdder(draft: Draft, layer: FilterLayer, weight: Tensor, step: FilterStep): void {
  const { channels, height, width } = draft.current;
  const whole = { ...weight, dims: [weight.dims[0]!, channels, height, width] };
  emitFilter(draft, layer, whole, { ...step, stride: 1, pad: 0 }, "adder", 1);
}

/** Goes on behind a layer that cannot be written, so that what follows is checked as well. */
function skipFilter(draft: Draft, step: FilterStep, channels: number): void {
  if (step.isLinear) draft.current = { ...draft.current, channels, height: 1, width: 1 };
  else {
    moveOn(draft, step.name, [step.kernel, step.kernel], step.stride, step.pad);
    draft.current = { ...draft.current, channels };
  }
}

/** Told with the reference's widths, where the checkpoint does not say others. */
function missingFilter(draft: Draft, step: FilterStep): void {
  const [outputs, inputs, ...kernel] = draft.reference.get(step.name)!;
  const { channels, height, width } = draft.current;
  const known = Number.isNaN(channels) ? inputs! : channels;
  const size = step.isLinear ? [height, width] : kernel;
  draft.problems.push(`missing ${step.name}.adder or .weight ${shape([outputs!, known, ...size])}`);
  skipFilter(draft, step, unknownChannels);
}

function addBoundFilter(draft: Draft, layer: FilterLayer, step: FilterStep): void {
  use(draft, layer.keys);
  const kind = draft.kindOf(layer, step);
  const groups = layer.weight.dims.length === 2 ? 1 : groupsOf(draft, layer, kind);
  const key = layer.keys[0]!;
  const fits = checkFilter(draft, key, layer, step, groups);
  checkModule(draft, layer, step);
  if (step.outputs === "classes") checkClasses(draft, layer.path, layer.weight.dims[0]!);
  if (!fits) {
    skipFilter(draft, step, layer.weight.dims[0]!);
    return;
  }
  const weight = asFloat32(layer.weight, `${draft.where}, tensor ${key}`);
  if (weight.dims.length > 2) emitFilter(draft, layer, weight, step, kind, groups);
  else if (kind === "conv") emitLinear(draft, layer, weight);
  else emitLinearAdder(draft, layer, weight, step);
}

export function addFilter(draft: Draft, step: FilterStep): void {
  const layer = draft.binding.get(step.name);
  if (layer?.kind === "filter") addBoundFilter(draft, layer, step);
  else missingFilter(draft, step);
}
