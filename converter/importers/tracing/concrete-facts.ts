// What every value of a graph is once the free lengths are bound: its dims, and the value itself where it is constant.

import type { DataType } from "../../../src/core/dtype.ts";
import { AdderNetError } from "../../../src/core/errors.ts";
import { definitionOf } from "../../../src/core/infer-shapes.ts";
import { nodeLabel } from "../../../src/core/ir/attributes.ts";
import type { Dim, Graph, Model, Node, ValueInfo } from "../../../src/core/ir/model.ts";
import type { OpContext, OpDefinition, OpTable, ValueFact } from "../../../src/core/ops/define-op.ts";
import { factOf } from "../../../src/core/ops/facts.ts";
import { elementCount, type Tensor } from "../../../src/core/tensor.ts";

/** A length for every symbol; unnamed lengths of inputs are found under `inputName[axis]`. */
export type Binding = ReadonlyMap<string, number>;

export interface ConcreteFacts {
  dims(name: string): readonly number[] | undefined;
  type(name: string): DataType | undefined;
  constant(name: string): Tensor | undefined;
  /** The initialiser a constant was computed from: the one with most elements. */
  origin(name: string): string | undefined;
}

/** Constants of more elements are not computed. */
const largestConstant = 1 << 27;

/** The name under which the length of an axis of a graph input is bound, or undefined when the file gives the length. */
export function symbolOf({ name, type }: ValueInfo, axis: number): string | undefined {
  const dim = type?.kind === "tensor" ? type.shape?.[axis] : undefined;
  if (typeof dim === "number") return undefined;
  return typeof dim === "string" ? dim : `${name}[${axis}]`;
}

function boundInput(info: ValueInfo, binding: Binding): ValueFact | undefined {
  if (info.type?.kind !== "tensor") return undefined;
  const shape = info.type.shape?.map((dim, axis) => {
    const symbol = symbolOf(info, axis);
    return symbol === undefined ? dim : (binding.get(symbol) ?? null);
  });
  return { elemType: info.type.elemType, ...(shape && { shape }) };
}

/** What the file itself says of a value, as far as the binding makes it concrete. */
function declared(graph: Graph, name: string, binding: Binding): ValueFact | undefined {
  const type = graph.valueInfo.get(name)?.type ?? graph.outputs.find((output) => output.name === name)?.type;
  if (type?.kind !== "tensor" || type.shape === undefined) return undefined;
  const shape = type.shape.map((dim) => (typeof dim === "string" ? (binding.get(dim) ?? null) : dim));
  return shape.every((dim) => typeof dim === "number") ? { elemType: type.elemType, shape } : undefined;
}

const isConcrete = (shape: readonly Dim[] | undefined): shape is readonly number[] =>
  shape?.every((dim) => typeof dim === "number") ?? false;

/** Ops that no constant of interest comes from, and that take long on large ones. */
const costly = new Set("Conv ConvTranspose MatMul Gemm Einsum MaxPool AveragePool Adder2d".split(" "));

/** Ops whose answer follows from the shape of their input alone. */
const shapeReaders = new Set(["Shape", "Size"]);

function foldable(
  node: Node,
  facts: readonly (ValueFact | undefined)[],
  inferred: readonly (ValueFact | undefined)[],
) {
  if (inferred.some((fact) => isConcrete(fact?.shape) && elementCount(fact.shape) > largestConstant))
    return false;
  if (costly.has(node.opType)) return false;
  const given = node.inputs.map((name, at) => (name === "" ? "absent" : facts[at]));
  if (shapeReaders.has(node.opType)) return isConcrete(facts[0]?.shape);
  return node.inputs.length > 0 && given.every((fact) => fact === "absent" || fact?.constant !== undefined);
}

/** A tensor of the given dims whose elements nobody reads. */
function placeholder(fact: ValueFact): Tensor {
  return { type: fact.elemType, dims: fact.shape as readonly number[], data: new Float32Array(0) };
}

function evaluate(
  node: Node,
  op: OpDefinition,
  facts: readonly (ValueFact | undefined)[],
  context: OpContext,
): readonly (ValueFact | undefined)[] {
  const inferred = op.infer(node, facts, context);
  if (op.reference === undefined || !foldable(node, facts, inferred)) return inferred;
  const inputs = facts.map((fact) => fact && (fact.constant ?? placeholder(fact)));
  return op.reference(node, inputs, context).map(factOf);
}

/** Nodes the op table does not know, or that do not fit their inputs, leave their outputs unknown. */
function evaluateOrGiveUp(
  node: Node,
  meaning: ReturnType<typeof definitionOf>,
  facts: readonly (ValueFact | undefined)[],
): readonly (ValueFact | undefined)[] {
  if (meaning === undefined) return [];
  try {
    return evaluate(node, meaning.definition, facts, { opset: meaning.opset, where: nodeLabel(node) });
  } catch (error) {
    if (error instanceof AdderNetError) return [];
    throw error;
  }
}

/** Facts that grow node by node. */
export interface GrowingFacts extends ConcreteFacts {
  /** Learns what a node makes; nodes come in the order in which they could run. */
  add(node: Node): void;
  /** What is known of a shape, where not all of it is. */
  shape(name: string): readonly Dim[] | undefined;
}

/** Facts about the inputs and initialisers of the model's graph under a binding. */
export function growFacts(model: Model, ops: OpTable, binding: Binding): GrowingFacts {
  const { graph, opsetImports } = model;
  const facts = new Map<string, ValueFact>();
  const origins = new Map<string, string>();
  for (const info of graph.inputs) {
    const fact = boundInput(info, binding);
    if (fact !== undefined) facts.set(info.name, fact);
  }
  const factFor = (name: string): ValueFact | undefined => {
    const constant = facts.has(name) ? undefined : graph.initializers.get(name);
    if (constant !== undefined) {
      facts.set(name, factOf(constant));
      origins.set(name, name);
    }
    return facts.get(name);
  };
  const dims = (name: string): readonly number[] | undefined => {
    const shape = factFor(name)?.shape;
    return isConcrete(shape) ? shape : undefined;
  };
  const largestOrigin = (node: Node): string | undefined => {
    const sizes = node.inputs.map((name) => (origins.has(name) ? elementCount(dims(name) ?? [0]) : 0));
    const most = sizes.reduce((largest, size) => Math.max(largest, size), 0);
    return most > 0 ? origins.get(node.inputs[sizes.indexOf(most)]!) : undefined;
  };
  const add = (node: Node): void => {
    const inputs = node.inputs.map((name) => (name === "" ? undefined : factFor(name)));
    const results = evaluateOrGiveUp(node, definitionOf(node, ops, opsetImports), inputs);
    const origin = largestOrigin(node);
    node.outputs.forEach((name, at) => {
      const result = results[at];
      const fact = isConcrete(result?.shape) ? result : (declared(graph, name, binding) ?? result);
      if (name === "" || fact === undefined) return;
      facts.set(name, fact);
      if (fact.constant !== undefined && origin !== undefined) origins.set(name, origin);
    });
  };
  return {
    add,
    dims,
    shape: (name) => factFor(name)?.shape,
    type: (name) => factFor(name)?.elemType,
    constant: (name) => factFor(name)?.constant,
    origin: (name) => (factFor(name) === undefined ? undefined : origins.get(name)),
  };
}

/** Dims and constants of all values of the model's graph under a binding, by the ops' own shape rules and references. */
export function concreteFacts(model: Model, ops: OpTable, binding: Binding): ConcreteFacts {
  const facts = growFacts(model, ops, binding);
  model.graph.nodes.forEach(facts.add);
  return facts;
}
