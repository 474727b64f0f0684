// A graph in the making: the nodes so far, the value that the next one reads, and what did not fit.

import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { freshName, makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Node } from "../../src/core/ir/model.ts";
import { int64Tensor, type Tensor } from "../../src/core/tensor.ts";
import type { ModuleNode } from "../checkpoints/checkpoint.ts";
import type { FilterLayer } from "./layers.ts";
import type { Binding } from "./match-layers.ts";
import { type FilterStep, outputSize } from "./topology.ts";

export type LayerKind = "adder" | "conv";

export interface GraphOptions {
  readonly where: string;
  readonly binding: Binding;
  /** The reference's shape of every layer's weights, by name. */
  readonly reference: ReadonlyMap<string, readonly number[]>;
  /** False for a checkpoint whose normalisations are folded into the filters: then the topology's are left out. */
  readonly hasNorms: boolean;
  readonly modules?: ModuleNode | undefined;
  readonly classes?: number | undefined;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly kindOf: (layer: FilterLayer, step: FilterStep) => LayerKind;
}

/** The value that the next step reads. */
export interface Current {
  value: string;
  channels: number;
  height: number;
  width: number;
  /** [N,C] in place of [N,C,H,W]. */
  isFlat: boolean;
}

export interface Draft extends GraphOptions {
  readonly nodes: Node[];
  readonly initializers: Map<string, Tensor>;
  readonly names: Set<string>;
  readonly problems: string[];
  readonly used: Set<string>;
  leftovers: number;
  current: Current;
}

/** The channels after a layer that the checkpoint does not have: whatever follows is not held against them. */
export const unknownChannels = Number.NaN;

export const shape = (dims: readonly number[]): string =>
  `[${dims.map((dim) => (Number.isNaN(dim) ? "?" : dim)).join(", ")}]`;

/** True where the shapes agree, as far as the expected one is known. */
export function hasShape(found: readonly number[], expected: readonly number[]): boolean {
  const agree = (dim: number, axis: number): boolean => Number.isNaN(dim) || dim === found[axis];
  return found.length === expected.length && expected.every(agree);
}

export function emit(
  draft: Draft,
  opType: string,
  name: string,
  inputs: readonly string[],
  attributes: Iterable<readonly [string, Attribute]> = [],
  domain = "",
): void {
  const output = freshName(draft.names, name);
  draft.nodes.push(makeNode(opType, [draft.current.value, ...inputs], [output], attributes, { domain }));
  draft.current = { ...draft.current, value: output };
}

export function addConstant(draft: Draft, wanted: string, tensor: Tensor): string {
  const name = freshName(draft.names, wanted);
  draft.initializers.set(name, tensor);
  return name;
}

export function use(draft: Draft, keys: readonly string[]): void {
  for (const key of keys) draft.used.add(key);
}

export function flatten(draft: Draft, name: string): void {
  if (draft.current.isFlat) return;
  const { channels, height, width } = draft.current;
  emit(draft, "Flatten", `${name}.flatten`, [], [["axis", intAttribute(1)]]);
  draft.current = {
    ...draft.current,
    channels: channels * height * width,
    height: 1,
    width: 1,
    isFlat: true,
  };
}

/** [N,C] as [N,C,1,1]. */
export function unflatten(draft: Draft, name: string): void {
  if (!draft.current.isFlat) return;
  emit(draft, "Reshape", `${name}.maps`, [addConstant(draft, `${name}.shape`, int64Tensor([0, -1, 1, 1]))]);
  draft.current = { ...draft.current, isFlat: false };
}

/** Moves on to the size after a window; one that does not fit is noted. */
export function moveOn(
  draft: Draft,
  name: string,
  kernel: readonly number[],
  stride: number,
  pad: number,
): void {
  const { height, width } = draft.current;
  const [after, across] = [
    outputSize(height, kernel[0]!, stride, pad),
    outputSize(width, kernel[1]!, stride, pad),
  ];
  if (after < 1 || across < 1) {
    draft.problems.push(`${name}: a map of ${height}x${width} is smaller than its window`);
  }
  draft.current = { ...draft.current, height: Math.max(1, after), width: Math.max(1, across) };
}

export const windowAttributes = (
  kernel: readonly number[],
  stride: number,
  pad: number,
): [string, Attribute][] => [
  ["kernel_shape", intsAttribute(kernel)],
  ["pads", intsAttribute([pad, pad, pad, pad])],
  ["strides", intsAttribute([stride, stride])],
];
