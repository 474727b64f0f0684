// Constants as passes read and write them: real numbers in float64, one per channel.

import type { Graph } from "../../src/core/ir/model.ts";
import { elementCount, type Tensor, toNumbers } from "../../src/core/tensor.ts";

/** The value of an initialiser that no caller can override. */
export function constantOf(graph: Graph, name: string | undefined): Tensor | undefined {
  if (name === undefined || graph.overridable.some((info) => info.name === name)) return undefined;
  return graph.initializers.get(name);
}

/** A float32 or float64 constant; other types are not computed with. */
export function realConstantOf(graph: Graph, name: string | undefined): Tensor | undefined {
  const tensor = constantOf(graph, name);
  return tensor?.type === "float32" || tensor?.type === "float64" ? tensor : undefined;
}

/** The integers of a constant scalar or vector. */
export function integerConstantOf(graph: Graph, name: string | undefined): number[] | undefined {
  const tensor = constantOf(graph, name);
  return tensor?.type === "int64" || tensor?.type === "int32" ? toNumbers(tensor) : undefined;
}

/** float32 or float64 elements, rounded from float64 once. */
export function realTensor(type: Tensor["type"], values: Float64Array, dims: readonly number[]): Tensor {
  return { type, data: type === "float64" ? values : Float32Array.from(values), dims };
}

export const realValues = (tensor: Tensor): Float64Array =>
  Float64Array.from(tensor.data as ArrayLike<number>);

/**
 * One number per channel of a constant that broadcasts to a tensor of rank `rank` and varies along `axis` only, where
 * that tensor has `channels` entries. Undefined when the constant varies along another axis or would enlarge the
 * tensor.
 */
export function channelValues(
  tensor: Tensor,
  rank: number,
  axis: number,
  channels: number,
): Float64Array | undefined {
  const offset = rank - tensor.dims.length;
  if (offset < 0) return undefined;
  const alongChannels = axis >= offset ? tensor.dims[axis - offset]! : 1;
  if (alongChannels !== 1 && alongChannels !== channels) return undefined;
  if (elementCount(tensor.dims) !== alongChannels) return undefined;
  const values = realValues(tensor);
  return alongChannels === channels ? values : new Float64Array(channels).fill(values[0]!);
}

/** The one number all elements of a constant equal. */
export function uniformValue(graph: Graph, name: string | undefined): number | undefined {
  const tensor = constantOf(graph, name);
  if (tensor === undefined || tensor.data.length === 0 || typeof tensor.data[0] === "string")
    return undefined;
  if (!["float32", "float64", "int32", "int64"].includes(tensor.type)) return undefined;
  const first = tensor.data[0];
  for (const value of tensor.data as Iterable<unknown>) if (value !== first) return undefined;
  return Number(first);
}

/** What the constants of a layer are named after: the weight's name without its last part. */
export function layerOfWeight(weight: string): string {
  return weight.replace(/[./_](weight|adder)$/i, "");
}
