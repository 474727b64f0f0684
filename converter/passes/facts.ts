// What is known of values before anything runs, and what can be proven of shapes from it.

import { inferShapes } from "../../src/core/infer-shapes.ts";
import type { Dim, Model } from "../../src/core/ir/model.ts";
import type { ValueFact } from "../../src/core/ops/define-op.ts";
import type { PassContext } from "./pass.ts";

export type Facts = ReadonlyMap<string, ValueFact>;

export function factsOf({ graph, opsetImports, functions }: Model, { ops }: PassContext): Facts {
  return inferShapes(graph, opsetImports, ops, { functions });
}

/** Equal numbers or equal symbols; two unknown lengths are not known to be equal. */
export function sameDim(left: Dim | undefined, right: Dim | undefined): boolean {
  return left === right && left !== null && left !== undefined;
}

export function sameShape(left: readonly Dim[] | undefined, right: readonly Dim[] | undefined): boolean {
  return (
    left !== undefined &&
    left.length === right?.length &&
    left.every((dim, axis) => sameDim(dim, right[axis]))
  );
}

/** Whether a tensor of shape `from` broadcasts to `to` without enlarging it, whatever the symbols stand for. */
export function broadcastsInto(from: readonly Dim[] | undefined, to: readonly Dim[] | undefined): boolean {
  if (from === undefined || to === undefined || from.length > to.length) return false;
  const offset = to.length - from.length;
  return from.every((dim, axis) => dim === 1 || sameDim(dim, to[axis + offset]));
}
