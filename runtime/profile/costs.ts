// What a model costs per image: taps of its adder layers, multiplications of the others.

import { ops } from "../../custom-ops/index.ts";
import { isFloat } from "../../src/core/dtype.ts";
import { inferShapes } from "../../src/core/infer-shapes.ts";
import { nodeLabel } from "../../src/core/ir/attributes.ts";
import type { Dim, Model, Node } from "../../src/core/ir/model.ts";
import type { ValueFact } from "../../src/core/ops/define-op.ts";

export interface AdderCost {
  /** Name of the node, else of its first output. */
  readonly node: string;
  readonly weight: readonly number[] | null;
  /** Null when a length is not known. */
  readonly taps: number | null;
}

export interface Costs {
  readonly adders: readonly AdderCost[];
  /** Products of convolutions and matrix products. */
  readonly multiplications: number;
  /** Products that scale single values: Mul, BatchNormalization, the scale of a fused adder. */
  readonly scalings: number;
  /** Nodes whose cost is not known because a length is not. */
  readonly unknown: readonly string[];
}

export type Facts = ReadonlyMap<string, ValueFact>;

/** Product of known lengths. */
export function product(dims: readonly Dim[] | undefined): number | undefined {
  if (dims === undefined || dims.some((dim) => typeof dim !== "number")) return undefined;
  return (dims as readonly number[]).reduce((total, dim) => total * dim, 1);
}

function times(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a * b;
}

function shapeOf(facts: Facts, name: string | undefined): readonly Dim[] | undefined {
  return name ? facts.get(name)?.shape : undefined;
}

const outputSize = (node: Node, facts: Facts) => product(shapeOf(facts, node.outputs[0]));

/** Every output is a sum over one filter: C/group x the kernel. */
function filterProducts(node: Node, facts: Facts, weights = 1): number | undefined {
  return times(outputSize(node, facts), product(shapeOf(facts, node.inputs[weights])?.slice(1)));
}

/** Every input meets one filter. */
function transposedProducts(node: Node, facts: Facts): number | undefined {
  return times(product(shapeOf(facts, node.inputs[0])), product(shapeOf(facts, node.inputs[1])?.slice(1)));
}

function matrixProducts(node: Node, facts: Facts): number | undefined {
  return times(outputSize(node, facts), product(shapeOf(facts, node.inputs[0])?.slice(-1)));
}

function gemmProducts(node: Node, facts: Facts): number | undefined {
  const transposed = node.attributes.get("transA");
  const axis = transposed?.type === "INT" && transposed.value === 1n ? 0 : 1;
  return times(outputSize(node, facts), product(shapeOf(facts, node.inputs[0])?.slice(axis, axis + 1)));
}

type Count = (node: Node, facts: Facts) => number | undefined;

const productsOf: Readonly<Record<string, Count>> = {
  Conv: (node, facts) => filterProducts(node, facts),
  ConvTranspose: transposedProducts,
  Gemm: gemmProducts,
  MatMul: matrixProducts,
};

/** Shape arithmetic on integers costs nothing. */
function floatProducts(node: Node, facts: Facts): number | undefined {
  const fact = facts.get(node.outputs[0]!);
  return fact && !isFloat(fact.elemType) ? 0 : outputSize(node, facts);
}

const scalingsOf: Readonly<Record<string, Count>> = {
  Mul: floatProducts,
  BatchNormalization: outputSize,
  "addernet::Adder2d": (node, facts) => (node.inputs[3] ? outputSize(node, facts) : 0),
  "addernet::QLinearAdder2d": outputSize,
};

/** Shapes to count with: a batch without a length is one image. */
function countedShapes(
  model: Model,
  asked: ReadonlyMap<string, readonly Dim[]>,
): Map<string, readonly Dim[]> {
  const shapes = new Map(asked);
  for (const { name, type } of model.graph.inputs) {
    const shape = asked.get(name) ?? (type?.kind === "tensor" ? type.shape : undefined);
    if (shape === undefined || shape.length === 0) continue;
    shapes.set(name, [typeof shape[0] === "number" ? shape[0] : 1, ...shape.slice(1)]);
  }
  return shapes;
}

/** Sums over nodes; what cannot be counted is named. */
function total(
  model: Model,
  facts: Facts,
  table: Readonly<Record<string, Count>>,
  unknown: Set<string>,
): number {
  let sum = 0;
  for (const node of model.graph.nodes) {
    const key = node.domain === "" ? node.opType : `${node.domain}::${node.opType}`;
    if (!Object.hasOwn(table, key)) continue;
    const count = table[key]!(node, facts);
    if (count === undefined) unknown.add(nodeLabel(node));
    else sum += count;
  }
  return sum;
}

/** Which input of an adder layer its weights are. */
const adderWeights: Readonly<Record<string, number>> = { Adder2d: 1, QLinearAdder2d: 2, AdderInteger2d: 1 };

function weightsOf({ domain, opType }: Node): number | undefined {
  return domain === "addernet" && Object.hasOwn(adderWeights, opType) ? adderWeights[opType] : undefined;
}

function adderCosts(node: Node, facts: Facts, images: number): AdderCost[] {
  const index = weightsOf(node);
  if (index === undefined) return [];
  const weight = shapeOf(facts, node.inputs[index]);
  const taps = filterProducts(node, facts, index);
  return [
    {
      node: node.name || node.outputs[0]!,
      weight: product(weight) === undefined ? null : (weight as readonly number[]),
      taps: taps === undefined ? null : taps / images,
    },
  ];
}

export interface NodeCounts {
  readonly adderTaps: number;
  readonly multiplications: number;
  readonly scalings: number;
  /** Which input its weights are. */
  readonly weightInput: number | undefined;
}

/** What one node computes in a run; 0 where a length is not known. */
export function countNode(node: Node, facts: Facts): NodeCounts {
  const key = node.domain === "" ? node.opType : `${node.domain}::${node.opType}`;
  const from = (table: Readonly<Record<string, Count>>) =>
    (Object.hasOwn(table, key) ? table[key]!(node, facts) : undefined) ?? 0;
  const adder = weightsOf(node);
  return {
    adderTaps: (adder === undefined ? undefined : filterProducts(node, facts, adder)) ?? 0,
    multiplications: from(productsOf),
    scalings: from(scalingsOf),
    weightInput: adder ?? (Object.hasOwn(productsOf, key) ? 1 : undefined),
  };
}

/** `inputShapes` fixes lengths that the model leaves open. Errors: those of `inferShapes`. */
export function countCosts(model: Model, inputShapes: ReadonlyMap<string, readonly Dim[]>): Costs {
  const shapes = countedShapes(model, inputShapes);
  const { graph, opsetImports, functions } = model;
  const facts = inferShapes(graph, opsetImports, ops, { inputs: shapes, functions });
  const images = Number([...shapes.values()][0]?.[0] ?? 1);
  const unknown = new Set<string>();
  const multiplications = total(model, facts, productsOf, unknown) / images;
  const scalings = total(model, facts, scalingsOf, unknown) / images;
  const adders = graph.nodes.flatMap((node) => adderCosts(node, facts, images));
  return { adders, multiplications, scalings, unknown: [...unknown] };
}
