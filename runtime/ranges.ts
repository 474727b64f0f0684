// Which values are provably >= 0 everywhere: after ReLU the adder kernels may work on the bits of the floats.

import type { BoundGraph, BoundNode, BoundValue } from "./bind.ts";
import { loweringOf } from "./lowerings.ts";

function isConstantNotNegative({ constant }: BoundValue): boolean {
  return constant?.type === "float32" && (constant.data as Float32Array).every((value) => value >= 0);
}

function keepsNotNegative(bound: BoundNode, known: ReadonlySet<string>): boolean {
  const isNotNegative = (input: number): boolean => {
    const value = bound.inputs[input];
    return value !== undefined && (known.has(value.name) || isConstantNotNegative(value));
  };
  if (bound.epilogue !== undefined && bound.epilogue.low > Number.NEGATIVE_INFINITY) {
    return bound.epilogue.low >= 0;
  }
  return loweringOf(bound.node)?.keepsNotNegative?.(bound, isNotNegative) ?? false;
}

/** Names of the values none of whose elements can be below 0; NaN counts as not below. */
export function notNegativeValues(graph: BoundGraph): Set<string> {
  const known = new Set<string>();
  for (const bound of graph.nodes) {
    if (!keepsNotNegative(bound, known)) continue;
    for (const output of bound.outputs) if (output !== undefined) known.add(output.name);
  }
  return known;
}
