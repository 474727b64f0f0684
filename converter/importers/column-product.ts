// The inner half of a layer: -Σ|w_col - x_col| between the weight as a matrix and an im2col matrix, as AdderNet's own function has it.

import type { Node } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import type { Operands } from "./layer-operands.ts";
import type { Scope } from "./translate.ts";

interface Arrangement {
  /** Shape of the weight, and the axis of x that is added, so that both broadcast to all pairs. */
  readonly weightDims: readonly number[];
  readonly xAxis: number;
  /** The axis that is summed. */
  readonly sumAxis: number;
}

/** How a weight [M, K] meets x: [K, P] gives [M, P], [N, K, L] gives [N, M, L], [P, K] gives [P, M]. */
function arrangement(
  weight: readonly number[],
  x: readonly (number | string | null)[] | undefined,
): Arrangement | undefined {
  const [filters, taps] = weight as [number, number];
  const rank = x?.length ?? 2;
  const fits = (axis: number) => typeof x?.[axis] !== "number" || x[axis] === taps;
  if (rank === 2 && fits(0)) return { weightDims: [filters, taps, 1], xAxis: 0, sumAxis: 1 };
  if (rank === 2 && fits(1)) return { weightDims: [1, filters, taps], xAxis: 1, sumAxis: 2 };
  if (rank === 3 && fits(1)) return { weightDims: [1, filters, taps, 1], xAxis: 1, sumAxis: 2 };
  return undefined;
}

/**
 * The standard ops of a node with a weight [M, K] and an x of rank 2 or 3; the trace that follows finds the layer around them.
 * Undefined when the operands are those of a whole layer.
 */
export function columnProduct(
  node: Node,
  { x, weight }: Operands,
  output: string,
  form: string,
  scope: Scope,
): readonly Node[] | undefined {
  const { context, facts } = scope;
  const tensor: Tensor | undefined = facts.constant(weight);
  if (tensor?.dims.length !== 2 || facts.shape(x)?.length === 4) return undefined;
  const arranged = arrangement(tensor.dims, facts.shape(x));
  if (arranged === undefined) return undefined;
  const writer = scope.writer(node);
  const w = writer.constant({ ...tensor, dims: arranged.weightDims });
  const difference = writer.op("Sub", [w, writer.unsqueeze(x, [arranged.xAxis])]);
  const sum = writer.reduceSum(writer.op("Abs", [difference]), [arranged.sumAxis], false);
  writer.op("Neg", [sum], [], output);
  for (const made of writer.nodes) context.forms.set(made, form);
  return writer.nodes;
}
