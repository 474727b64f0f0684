// What is proven of values: which are >= 0 everywhere (after ReLU the adder kernels may work on the bits of the floats), and how
// large codes can be.

import type { BoundGraph, BoundNode, BoundValue } from "./bind.ts";
import type { ValueRanges } from "./builder.ts";
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
function notNegativeValues(graph: BoundGraph): Set<string> {
  const known = new Set<string>();
  for (const bound of graph.nodes) {
    if (!keepsNotNegative(bound, known)) continue;
    for (const output of bound.outputs) if (output !== undefined) known.add(output.name);
  }
  return known;
}

function mostCodes(graph: BoundGraph): Map<string, number> {
  const known = new Map<string, number>();
  for (const bound of graph.nodes) {
    const of = (input: number): number => known.get(bound.inputs[input]?.name ?? "") ?? 255;
    const most = loweringOf(bound.node)?.mostCode?.(bound, of) ?? 255;
    for (const output of bound.outputs) if (output?.type === "uint8") known.set(output.name, most);
  }
  return known;
}

export function rangesOf(graph: BoundGraph): ValueRanges {
  const [notNegative, codes] = [notNegativeValues(graph), mostCodes(graph)];
  return {
    isNotNegative: ({ name }) => notNegative.has(name),
    mostCode: ({ name }) => codes.get(name) ?? 255,
  };
}
