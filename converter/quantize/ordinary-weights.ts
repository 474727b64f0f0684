// Weights of ordinary convolutions and matrix products on int8 codes with a scale per filter.

import { freshName, namesIn } from "../../src/core/ir/edit.ts";
import type { Graph, Model, Node } from "../../src/core/ir/model.ts";
import { float32Tensor, type Tensor } from "../../src/core/tensor.ts";

/** Axis of the filters in the weights of ordinary layers. */
const filterAxes: Readonly<Record<string, (node: Node) => number>> = {
  Conv: () => 0,
  Gemm: ({ attributes }) => {
    const transposed = attributes.get("transB");
    return transposed?.type === "INT" && transposed.value === 1n ? 0 : 1;
  },
  MatMul: () => 1,
};

/** Per-axis DequantizeLinear is as old as this. */
const firstPerAxis = 13;

/** Whether the opset of a model can say codes with a scale per filter. */
export const hasOrdinaryCodes = ({ opsetImports }: Pick<Model, "opsetImports">): boolean =>
  (opsetImports.get("") ?? 0) >= firstPerAxis;

export interface OrdinaryWeight {
  readonly tensor: Tensor & { readonly data: Float32Array };
  /** Of the filters. */
  readonly axis: number;
}

/** The constant weights of an ordinary layer; undefined for every other node. */
export function ordinaryWeight(node: Node, { initializers }: Graph): OrdinaryWeight | undefined {
  const axisOf = node.domain === "" ? filterAxes[node.opType] : undefined;
  const tensor = initializers.get(node.inputs[1] ?? "");
  if (axisOf === undefined || tensor?.type !== "float32" || tensor.dims.length < 2) return undefined;
  if (node.opType === "MatMul" && tensor.dims.length !== 2) return undefined;
  return { tensor: tensor as OrdinaryWeight["tensor"], axis: axisOf(node) };
}

function filterOf({ tensor, axis }: OrdinaryWeight): (index: number) => number {
  const inner = tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const filters = tensor.dims[axis]!;
  return (index) => Math.floor(index / inner) % filters;
}

/** Codes run from weights of |w| <= max|w| of their filter to -127..127. */
export function encodeOrdinaryWeight(weight: OrdinaryWeight) {
  const { data, dims } = weight.tensor;
  const filter = filterOf(weight);
  const scales = new Float32Array(dims[weight.axis]!);
  for (let index = 0; index < data.length; index++) {
    const at = filter(index);
    scales[at] = Math.max(scales[at]!, Math.abs(data[index]!) / 127);
  }
  const divisors = scales.map((scale) => scale || 1);
  const codes = Int8Array.from(data, (value, index) =>
    Math.max(-127, Math.min(127, Math.round(value / divisors[filter(index)]!))),
  );
  return { axis: weight.axis, scales: divisors, codes };
}

/** The weights as their codes say them. */
function roundedWeight(weight: OrdinaryWeight): Tensor {
  const { scales, codes } = encodeOrdinaryWeight(weight);
  const filter = filterOf(weight);
  return float32Tensor(
    Float32Array.from(codes, (code, index) => code * scales[filter(index)]!),
    weight.tensor.dims,
  );
}

/** `model` with the weights of its ordinary layers as codes say them; undefined where it has no such layer. */
export function withRoundedWeights(model: Model): Model | undefined {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  const taken = namesIn(graph);
  const nodes = graph.nodes.map((node) => {
    const weight = ordinaryWeight(node, graph);
    if (weight === undefined) return node;
    const name = freshName(taken, `${node.inputs[1]}.rounded`);
    initializers.set(name, roundedWeight(weight));
    return { ...node, inputs: node.inputs.map((input, index) => (index === 1 ? name : input)) };
  });
  const isRounded = initializers.size > graph.initializers.size;
  return isRounded ? { ...model, graph: { ...graph, nodes, initializers } } : undefined;
}
