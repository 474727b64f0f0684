// The simplest op that turns one shape into another: nothing, Flatten, or Reshape with a constant target that leaves
// the batch open.

import { getInt } from "../../src/core/ir/attributes.ts";
import { addInitializer, bypassNode, makeNode, replaceNode } from "../../src/core/ir/edit.ts";
import type { Dim, Graph, Node } from "../../src/core/ir/model.ts";
import { int64Tensor } from "../../src/core/tensor.ts";
import { integerConstantOf } from "./constants.ts";
import { sameDim } from "./facts.ts";

export type ReshapeForm =
  | { readonly kind: "same" }
  /** Flatten with axis 1. */
  | { readonly kind: "flatten" }
  /** Reshape: 0 copies the input's length, one -1 takes the rest. */
  | { readonly kind: "target"; readonly target: readonly number[] };

/** Same number of elements, same rank and all lengths but one equal: then the last is equal too. */
export function isSameReshape(input: readonly Dim[], output: readonly Dim[]): boolean {
  if (input.length !== output.length || input.includes(0) || output.includes(0)) return false;
  return input.filter((dim, axis) => !sameDim(dim, output[axis])).length <= 1;
}

/** 0 for the leading length and for symbols that stay in place, numbers as they are, -1 for what is left. */
function targetFromShapes(input: readonly Dim[], output: readonly Dim[]): number[] {
  return output.map((dim, axis) => {
    const stays = sameDim(dim, input[axis]);
    if (stays && (axis === 0 || typeof dim === "string")) return 0;
    return typeof dim === "number" ? dim : -1;
  });
}

/** A target that is already constant keeps its numbers; zeros it copies from `copied` are expressed by `input`. */
function targetFromGiven(given: readonly number[], input: readonly Dim[], output: readonly Dim[]): number[] {
  const derived = targetFromShapes(input, output);
  return given.map((length, axis) => {
    if (axis === 0 && derived[0] === 0) return 0;
    return length === 0 ? derived[axis]! : length;
  });
}

/**
 * How to reshape `input` to `output`, shapes of one value before and after. `given` is the target when it is
 * constant. The leading length is copied rather than written wherever it stays, so that a model exported with batch 1
 * takes other batches too. Undefined where more than one length stays open.
 */
export function reshapeForm(
  input: readonly Dim[],
  output: readonly Dim[],
  given?: readonly number[],
): ReshapeForm | undefined {
  if (input.includes(0) || output.includes(0)) return undefined;
  if (isSameReshape(input, output)) return { kind: "same" };
  if (output.length === 2 && input.length > 0 && sameDim(input[0], output[0])) return { kind: "flatten" };
  const target = given ? targetFromGiven(given, input, output) : targetFromShapes(input, output);
  return target.filter((length) => length === -1).length <= 1 ? { kind: "target", target } : undefined;
}

/** The constant target of a Reshape in which 0 means copy and nothing else. */
export function givenTarget(graph: Graph, node: Node): number[] | undefined {
  const target = integerConstantOf(graph, node.inputs[1]);
  return target?.includes(0) && getInt(node, "allowzero") === 1 ? undefined : target;
}

/** Puts the form in the place of `node`, reading `input`. False where the graph already says it so. */
export function putReshape(graph: Graph, node: Node, input: string, form: ReshapeForm): boolean {
  if (form.kind === "same") return bypassNode(graph, node, input);
  const reads = [input];
  if (form.kind === "target") {
    const given = node.opType === "Reshape" ? givenTarget(graph, node) : undefined;
    if (given?.join() === form.target.join() && node.inputs[0] === input) return false;
    reads.push(
      given?.join() === form.target.join()
        ? node.inputs[1]!
        : addInitializer(graph, `${node.outputs[0]}_shape`, int64Tensor(form.target)),
    );
  }
  const opType = form.kind === "flatten" ? "Flatten" : "Reshape";
  replaceNode(graph, node, { ...makeNode(opType, reads, node.outputs), name: node.name });
  return true;
}
