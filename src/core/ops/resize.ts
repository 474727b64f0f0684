// Shapes of Resize and Upsample; other engines run them.

import { AdderNetError } from "../errors.ts";
import { getFloats, getInts, getString } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import type { Inferred, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { axesFromFront, elementsOf, hasInput, standardOp } from "./facts.ts";

type Facts = readonly (ValueFact | undefined)[];

/** What the resized axes become: lengths, or factors of the lengths before; undefined when unknown. */
interface Target {
  readonly sizes?: readonly Dim[] | undefined;
  readonly scales?: readonly number[] | undefined;
}

function floatsOf(fact: ValueFact | undefined): number[] | undefined {
  return fact?.constant && Array.from(fact.constant.data as Float32Array, Number);
}

/** Resize since opset 11 has the inputs X, roi, scales, sizes, of which one of the last two counts. */
function resizeTarget(node: Node, facts: Facts, opset: number): Target {
  if (opset < 11) return { scales: floatsOf(facts[1]) };
  const isSized = hasInput(node, 3);
  const isKeeping = (getString(node, "keep_aspect_ratio_policy") ?? "stretch") !== "stretch";
  if (isSized) return { sizes: isKeeping ? undefined : elementsOf(facts[3]) };
  return { scales: floatsOf(facts[2]) };
}

function upsampleTarget(node: Node, facts: Facts, opset: number): Target {
  const attribute = getFloats(node, "scales");
  return { scales: opset < 9 ? attribute && [...attribute] : floatsOf(facts[1]) };
}

function resizedDim(dim: Dim, index: number, { sizes, scales }: Target): Dim {
  if (sizes !== undefined) return sizes[index]!;
  const scale = scales?.[index];
  if (scale === 1) return dim;
  return scale === undefined || typeof dim !== "number" ? null : Math.floor(dim * scale);
}

function inferBy(targetOf: typeof resizeTarget): OpDefinition["infer"] {
  return (node: Node, facts: Facts, { opset, where }: OpContext): Inferred => {
    const [data] = facts;
    if (data?.shape === undefined) return [data && { elemType: data.elemType }];
    const { elemType, shape } = data;
    const axes = axesFromFront(getInts(node, "axes") ?? [...shape.keys()], shape.length, where);
    const target = targetOf(node, facts, opset);
    const given = (target.sizes ?? target.scales)?.length ?? axes.length;
    if (given !== axes.length) {
      throw new AdderNetError("ADN_SHAPE", "scales or sizes have the wrong length", {
        where,
        expected: `${axes.length}`,
        found: `${given}`,
      });
    }
    const resized = [...shape];
    for (const [index, axis] of axes.entries()) resized[axis] = resizedDim(shape[axis]!, index, target);
    return [{ elemType, shape: resized }];
  };
}

export const resizeOps: readonly OpDefinition[] = [
  /** X sampled at another size: floor(length · scale), or the given sizes. */
  standardOp("Resize", 10, [1, 4], inferBy(resizeTarget)),
  /** X sampled at floor(length · scale). Opset 10 has Resize in its place. */
  { ...standardOp("Upsample", 7, [1, 2], inferBy(upsampleTarget)), last: 9 },
];
