// What a summing node does to its sums by itself, and the numbers its kernel needs for it.

import { getFloat } from "../src/core/ir/attributes.ts";
import type { BoundNode, BoundValue, Epilogue } from "./bind.ts";
import type { Argument, PlanBuilder } from "./builder.ts";

/** Inputs of a summing node that scale and shift its sums, one number per output channel. */
export interface OwnAffine {
  readonly scale?: BoundValue;
  readonly bias?: BoundValue;
}

export function ownAffine({ node, inputs }: BoundNode): OwnAffine {
  if (node.opType === "AdderInteger2d") return {};
  const [bias, scale] = [inputs[2], node.opType === "Adder2d" ? inputs[3] : undefined];
  return { ...(bias && { bias }), ...(scale && { scale }) };
}

/** Whether adding a value changes nothing: models carry such constants where a function needs all of its inputs. */
function isNothing({ constant }: BoundValue): boolean {
  return constant !== undefined && (constant.data as Float32Array).every((element) => element === 0);
}

/** The epilogue that a node asks for by its own inputs and attributes. */
export function ownEpilogue({ node, inputs }: BoundNode): Epilogue {
  if (node.opType !== "Adder2d") return { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  return {
    ...(inputs[4] && !isNothing(inputs[4]) && { residual: inputs[4] }),
    low: getFloat(node, "activation_min") ?? Number.NEGATIVE_INFINITY,
    high: getFloat(node, "activation_max") ?? Number.POSITIVE_INFINITY,
  };
}

export function epilogueOf(bound: BoundNode): Epilogue {
  return bound.epilogue ?? ownEpilogue(bound);
}

/** y = scale[m]·S + bias[m], in float64; undefined where one of them is computed at run time. */
export function constantAffine(
  bound: BoundNode,
  channels: number,
): { readonly scale: Float64Array; readonly bias: Float64Array } | undefined {
  const own = ownAffine(bound);
  if ((own.scale && !own.scale.constant) || (own.bias && !own.bias.constant)) return undefined;
  const [ownScale, ownBias] = [own.scale, own.bias].map(
    (value) => value?.constant?.data as Float32Array | undefined,
  );
  const { scale: after, bias: shift } = epilogueOf(bound);
  const scale = new Float64Array(channels);
  const bias = new Float64Array(channels);
  for (let m = 0; m < channels; m++) {
    const factor = after?.[m] ?? 1;
    scale[m] = (ownScale?.[m] ?? 1) * factor;
    bias[m] = (ownBias?.[m] ?? 0) * factor + (shift?.[m] ?? 0);
  }
  return { scale, bias };
}

/** What a kernel's sums are, seen from the sums it should make. */
export interface SumForm {
  /** What a channel's sum lacks; it goes into the bias. */
  readonly missing?: (channel: number) => number;
  /** The sum is that much smaller. */
  readonly factor?: number;
}

/**
 * Addresses of scale and bias for a kernel whose sums have a form of their own. With scale or bias computed at run time they must be
 * the sums themselves.
 */
export function affineArguments(
  bound: BoundNode,
  build: PlanBuilder,
  channels: number,
  kind: string,
  { missing, factor = 1 }: SumForm = {},
): { scale: Argument; bias: Argument } {
  const constant = constantAffine(bound, channels);
  const own = ownAffine(bound);
  const from = [bound.inputs[1], own.scale, own.bias].filter(
    (value) => value?.constant !== undefined,
  ) as BoundValue[];
  const key = `${bound.outputs[0]!.name} ${(bound.fused ?? []).join(" ")} ${kind}`;
  if (constant === undefined) {
    const fill = (name: string, value: number) =>
      build.table(`${name} ${channels}`, () => new Float32Array(channels).fill(value));
    return {
      scale: own.scale ? build.read(own.scale) : fill("ones", 1),
      bias: own.bias ? build.read(own.bias) : fill("zeros", 0),
    };
  }
  const { scale, bias } = constant;
  return {
    scale: build.packed(from, `scale of ${key}`, () => Float32Array.from(scale, (value) => value * factor)),
    bias: build.packed(from, `bias of ${key}`, () =>
      Float32Array.from(bias, (value, m) => value + scale[m]! * (missing?.(m) ?? 0)),
    ),
  };
}
