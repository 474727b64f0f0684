// Types and shapes of every value of a graph, by the ops' own rules; small constants are folded on the way.

import { AdderNetError } from "./errors.ts";
import { bindCall, calledFunction } from "./functions.ts";
import { nodeLabel } from "./ir/attributes.ts";
import type { Dim, FunctionBody, Graph, Node, ValueInfo } from "./ir/model.ts";
import { topologicalOrder } from "./ir/walk.ts";
import type { OpDefinition, OpTable, ValueFact } from "./ops/define-op.ts";
import { elementsOf, factOf, longestElements } from "./ops/facts.ts";
import { allocate, elementCount, int64Tensor, type NumberArray, type Tensor } from "./tensor.ts";

export interface InferShapesOptions {
  /** Shapes to use for inputs in place of the declared ones. */
  readonly inputs?: ReadonlyMap<string, readonly Dim[]>;
  /** Model-local functions that call nodes may mean. */
  readonly functions?: readonly FunctionBody[];
  /** Called for a node of the graph that an op's rule refuses, which then counts as one of an unknown op. Without it the error is thrown. */
  readonly onRefusal?: (node: Node, error: AdderNetError) => void;
}

interface Scope {
  readonly facts: Map<string, ValueFact>;
  readonly opsets: ReadonlyMap<string, number>;
  readonly ops: OpTable;
  readonly functions: readonly FunctionBody[];
  /** What the file declares about a value. */
  readonly declared: (name: string) => ValueFact | undefined;
  /** Functions being inferred, outermost first. */
  readonly calls: readonly FunctionBody[];
}

/** The op a node means under the imported opsets: undefined for one whose meaning is not implemented. */
export function definitionOf(
  node: Node,
  ops: OpTable,
  opsets: ReadonlyMap<string, number>,
): { definition: OpDefinition; opset: number } | undefined {
  const definition = ops.get(node.domain, node.opType);
  if (definition === undefined) return undefined;
  const opset = opsets.get(node.domain) ?? definition.last ?? definition.first;
  if (opset < definition.first || opset > (definition.last ?? opset)) return undefined;
  return { definition, opset };
}

function declaredFact(info: ValueInfo | undefined): ValueFact | undefined {
  if (info?.type?.kind !== "tensor") return undefined;
  const { elemType, shape } = info.type;
  return shape === undefined ? { elemType } : { elemType, shape };
}

/** Inference first; the file fills in what inference does not know. */
function merged(inferred: ValueFact | undefined, declared: ValueFact | undefined): ValueFact | undefined {
  if (inferred === undefined || declared?.shape === undefined) return inferred ?? declared;
  if (inferred.shape === undefined) return { ...inferred, shape: declared.shape };
  if (inferred.shape.length !== declared.shape.length) return inferred;
  const shape = inferred.shape.map((dim, axis) => dim ?? declared.shape![axis]!);
  return { ...inferred, shape };
}

const isSmall = (shape: readonly Dim[] | undefined): boolean =>
  shape?.every((dim) => typeof dim === "number") === true &&
  elementCount(shape as number[]) <= longestElements;

/** A constant for a fact whose elements are all known. */
function materialised(fact: ValueFact): ValueFact {
  const elements = fact.constant === undefined && isSmall(fact.shape) ? elementsOf(fact) : undefined;
  const dims = fact.shape as readonly number[];
  if (!elements?.every((element) => typeof element === "number")) return fact;
  if (elements.length !== elementCount(dims)) return fact;
  return { ...fact, constant: integerTensor(fact, elements as number[], dims) };
}

function integerTensor({ elemType }: ValueFact, values: number[], dims: readonly number[]): Tensor {
  if (elemType === "int64") return int64Tensor(values, dims);
  const data = allocate(elemType, values.length) as NumberArray;
  data.set(values);
  return { type: elemType, data, dims };
}

/** The outputs of a node as constants, when its inputs are small constants. */
function folded(
  node: Node,
  definition: OpDefinition,
  inputs: readonly (ValueFact | undefined)[],
  outputs: readonly (ValueFact | undefined)[],
  context: { opset: number; where: string },
): readonly Tensor[] | undefined {
  const given = inputs.filter((_, index) => node.inputs[index] !== "");
  const areConstant = given.every((fact) => fact?.constant !== undefined && isSmall(fact.shape));
  if (definition.reference === undefined || !areConstant || !outputs.every((fact) => isSmall(fact?.shape))) {
    return undefined;
  }
  if (outputs.every((fact) => fact!.constant !== undefined)) return undefined;
  const constants = inputs.map((fact) => fact?.constant);
  try {
    return definition.reference(node, constants, context);
  } catch (error) {
    // References do not compute with every type that shapes are inferred for.
    if (error instanceof AdderNetError && error.code === "ADN_TYPE") return undefined;
    throw error;
  }
}

function inferCall(node: Node, body: FunctionBody, scope: Scope): (ValueFact | undefined)[] {
  if (scope.calls.includes(body)) {
    throw new AdderNetError("ADN_ONNX_MODEL", "a function calls itself", { where: nodeLabel(node) });
  }
  const facts = new Map<string, ValueFact>();
  for (const [index, name] of body.inputs.entries()) {
    const fact = scope.facts.get(node.inputs[index] ?? "");
    if (fact !== undefined) facts.set(name, fact);
  }
  const inner: Scope = {
    ...scope,
    facts,
    opsets: body.opsetImports,
    declared: () => undefined,
    calls: [...scope.calls, body],
  };
  for (const part of topologicalOrder(bindCall(node, body))) inferNode(part, inner);
  return body.outputs.map((name) => facts.get(name));
}

function inferOp(node: Node, scope: Scope): (ValueFact | undefined)[] {
  const known = definitionOf(node, scope.ops, scope.opsets);
  if (known === undefined) {
    const body = calledFunction(node, scope.functions);
    return body === undefined ? [] : inferCall(node, body, scope);
  }
  const { definition, opset } = known;
  const context = { opset, where: nodeLabel(node) };
  const inputs = node.inputs.map((name) => (name === "" ? undefined : scope.facts.get(name)));
  const outputs = definition.infer(node, inputs, context).map((fact) => fact && materialised(fact));
  const constants = folded(node, definition, inputs, outputs, context);
  return outputs.map((fact, index) => (constants?.[index] ? factOf(constants[index]) : fact));
}

function inferOrRefuse(
  node: Node,
  scope: Scope,
  onRefusal: InferShapesOptions["onRefusal"],
): (ValueFact | undefined)[] {
  try {
    return inferOp(node, scope);
  } catch (error) {
    if (onRefusal === undefined || !(error instanceof AdderNetError)) throw error;
    onRefusal(node, error);
    return [];
  }
}

function inferNode(node: Node, scope: Scope, onRefusal?: InferShapesOptions["onRefusal"]): void {
  const outputs = inferOrRefuse(node, scope, onRefusal);
  for (const [index, name] of node.outputs.entries()) {
    const fact = name === "" ? undefined : merged(outputs[index], scope.declared(name));
    if (fact !== undefined) scope.facts.set(name, fact);
  }
}

/** Whether shapes asked for differ from those the file was made with, so that its value_info no longer holds. */
function areOverridden(graph: Graph, inputs: ReadonlyMap<string, readonly Dim[]>): boolean {
  return graph.inputs.some((info) => {
    const asked = inputs.get(info.name);
    return asked !== undefined && asked.join() !== declaredFact(info)?.shape?.join();
  });
}

function withoutLengths(fact: ValueFact | undefined): ValueFact | undefined {
  return fact?.shape === undefined ? fact : { ...fact, shape: fact.shape.map(() => null) };
}

/**
 * What is known of every input, initialiser and node output of `graph`. Unknown ops leave what the file declares of their
 * outputs, else nothing. Integer tensors of up to 1024 elements are computed where their inputs are constants.
 * A node that cannot be right throws ADN_SHAPE, ADN_TYPE, ADN_ATTRIBUTE or ADN_ONNX_MODEL, naming it.
 */
export function inferShapes(
  graph: Graph,
  opsets: ReadonlyMap<string, number>,
  ops: OpTable,
  options: InferShapesOptions = {},
): Map<string, ValueFact> {
  const asked = options.inputs ?? new Map<string, readonly Dim[]>();
  const facts = new Map<string, ValueFact>();
  for (const info of graph.inputs) {
    const fact = declaredFact(info);
    const shape = asked.get(info.name);
    if (fact !== undefined) facts.set(info.name, shape === undefined ? fact : { ...fact, shape });
  }
  for (const [name, tensor] of graph.initializers) facts.set(name, factOf(tensor));
  const outputs = new Map(graph.outputs.map((info) => [info.name, info]));
  const isStale = areOverridden(graph, asked);
  const declared = (name: string) => {
    const fact = declaredFact(graph.valueInfo.get(name) ?? outputs.get(name));
    return isStale ? withoutLengths(fact) : fact;
  };
  const scope: Scope = { facts, opsets, ops, functions: options.functions ?? [], declared, calls: [] };
  for (const node of topologicalOrder(graph.nodes)) inferNode(node, scope, options.onRefusal);
  return facts;
}
