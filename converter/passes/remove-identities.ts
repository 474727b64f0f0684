// Nodes whose output is their input go.

import { dataTypeOfOnnx } from "../../src/core/dtype.ts";
import { getInt, getInts } from "../../src/core/ir/attributes.ts";
import { bypassNode } from "../../src/core/ir/edit.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { constantOf, integerConstantOf, uniformValue } from "./constants.ts";
import { type Facts, factsOf, sameShape } from "./facts.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { isSameReshape } from "./reshape-target.ts";
import { hasMoreOutputs, makerOf } from "./sources.ts";

interface KnownSite extends Site {
  readonly facts: Facts;
}

/** The input that the first output equals, or undefined. */
type SameInput = (node: Node, site: KnownSite) => string | undefined;

const isPresent = (name: string | undefined): boolean => name !== undefined && name !== "";
const first = (node: Node, isSame: boolean): string | undefined => (isSame ? node.inputs[0] : undefined);
const isAll = (values: readonly number[] | undefined, number: number): boolean =>
  values?.every((value) => value === number) ?? true;

function keepsShape(node: Node, { facts }: KnownSite): boolean {
  return sameShape(facts.get(node.inputs[0]!)?.shape, facts.get(node.outputs[0]!)?.shape);
}

const reshape: SameInput = (node, { facts }) => {
  const [input, output] = [facts.get(node.inputs[0]!)?.shape, facts.get(node.outputs[0]!)?.shape];
  return first(node, input !== undefined && output !== undefined && isSameReshape(input, output));
};

const dropout: SameInput = (node, site) => {
  const trains = isPresent(node.inputs[2]) && constantOf(site.graph, node.inputs[2])?.data[0] !== 0;
  return first(node, !trains && !hasMoreOutputs(site, node));
};

const transpose: SameInput = (node) =>
  first(node, getInts(node, "perm")?.every((from, to) => from === to) ?? false);

const cast: SameInput = (node, { facts }) => {
  const type = facts.get(node.inputs[0]!)?.elemType;
  return first(node, type !== undefined && type === dataTypeOfOnnx(getInt(node, "to") ?? 0));
};

/**
 * A constant input whose elements are all `number`; without it the shape does not follow, so its absence is no match.
 */
function isConstantOf(node: Node, index: number, { graph }: Site, number: number): boolean {
  const values = integerConstantOf(graph, node.inputs[index]);
  return values !== undefined && isAll(values, number);
}

const pad: SameInput = (node, site) => first(node, isConstantOf(node, 1, site, 0));
const tile: SameInput = (node, site) => first(node, isConstantOf(node, 1, site, 1));
const expand: SameInput = (node, site) => first(node, keepsShape(node, site));

/** With steps of 1, a slice as long as its input is all of it. */
const slice: SameInput = (node, site) => {
  const hasSteps = isPresent(node.inputs[4]);
  return first(node, (!hasSteps || isConstantOf(node, 4, site, 1)) && keepsShape(node, site));
};

const single: SameInput = (node) => first(node, node.inputs.length === 1);

/**
 * x op neutral, or neutral op x where the op commutes. A scalar cannot change the shape; other constants must be seen
 * not to.
 */
function neutral(number: number, sides: readonly number[]): SameInput {
  return (node, { graph, facts }) => {
    const side = sides.find((at) => {
      const other = node.inputs[1 - at];
      if (uniformValue(graph, other) !== number) return false;
      const isScalar = constantOf(graph, other)!.dims.length === 0;
      return isScalar || sameShape(facts.get(node.inputs[at]!)?.shape, facts.get(node.outputs[0]!)?.shape);
    });
    return side === undefined ? undefined : node.inputs[side];
  };
}

const doubleNegation: SameInput = (node, site) => makerOf(site, node.inputs[0], "Neg")?.inputs[0];

const pointPool: SameInput = (node, site) => {
  const isPoint = getInts(node, "kernel_shape")?.every((length) => length === 1) ?? false;
  const stays = isAll(getInts(node, "strides"), 1) && isAll(getInts(node, "pads"), 0);
  return first(node, isPoint && stays && !hasMoreOutputs(site, node));
};

const sameInputs: Record<string, SameInput> = {
  Identity: single,
  Dropout: dropout,
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Cast: cast,
  Pad: pad,
  Tile: tile,
  Expand: expand,
  Slice: slice,
  Concat: single,
  Sum: single,
  Mean: single,
  Max: single,
  Min: single,
  Mul: neutral(1, [0, 1]),
  Div: neutral(1, [0]),
  Add: neutral(0, [0, 1]),
  Sub: neutral(0, [0]),
  Pow: neutral(1, [0]),
  Neg: doubleNegation,
  MaxPool: pointPool,
  AveragePool: pointPool,
};

/** An Identity stays only where an output of the graph is an input, a constant or another output. */
export const removeIdentities: Pass = {
  name: "remove-identities",
  description:
    "nodes whose output equals an input: Identity, Dropout, no-op Reshape, Transpose, Cast, Pad, Slice, ·1, +0 …",
  run: (model, context) => {
    const { graph } = model;
    const facts = factsOf(model, context);
    return rewriteEach(graph, Object.keys(sameInputs), (node, site) => {
      const same = sameInputs[node.opType]!(node, { ...site, facts });
      return same !== undefined && same !== "" && bypassNode(graph, node, same);
    });
  },
};
