// A model with every shape fixed: nodes that remain to be run, values with type and dims, constants folded.

import { ops } from "../custom-ops/index.ts";
import type { DataType } from "../src/core/dtype.ts";
import { AdderNetError } from "../src/core/errors.ts";
import { definitionOf, inferShapes } from "../src/core/infer-shapes.ts";
import { nodeLabel } from "../src/core/ir/attributes.ts";
import type { Model, Node } from "../src/core/ir/model.ts";
import { topologicalOrder } from "../src/core/ir/walk.ts";
import type { OpDefinition, ValueFact } from "../src/core/ops/define-op.ts";
import type { Tensor } from "../src/core/tensor.ts";

export interface BoundValue {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly constant?: Tensor;
  /** A constant that is the same for every input shape. */
  readonly isFixed?: boolean;
}

/** What a kernel does to its sums on the way out: y = clip(scale[m]·(node's result) + bias[m] + residual, low, high). */
export interface Epilogue {
  readonly scale?: Float64Array;
  readonly bias?: Float64Array;
  readonly residual?: BoundValue;
  readonly low: number;
  readonly high: number;
}

export interface BoundNode {
  readonly node: Node;
  readonly opset: number;
  /** How messages name the node. */
  readonly where: string;
  readonly inputs: readonly (BoundValue | undefined)[];
  readonly outputs: readonly (BoundValue | undefined)[];
  readonly epilogue?: Epilogue;
  /** Nodes that were taken into the epilogue. */
  readonly fused?: readonly string[];
}

export interface BoundGraph {
  readonly inputs: readonly BoundValue[];
  readonly outputs: readonly BoundValue[];
  readonly nodes: readonly BoundNode[];
}

/** Constants computed while binding, by value name; kept from one input shape to the next where they cannot change. */
export type ConstantCache = Map<string, Tensor>;

type Facts = ReadonlyMap<string, ValueFact>;

/** Ops whose result follows from shapes alone, whatever data they are given. */
export function readsShapeOnly({ domain, opType }: Node): boolean {
  return domain === "" && (opType === "Shape" || opType === "Size");
}

function boundValue(name: string, facts: Facts, { known, isFixed }: Folder): BoundValue {
  const fact = facts.get(name);
  const constant = known.get(name);
  if (constant !== undefined) {
    return { name, type: constant.type, dims: constant.dims, constant, isFixed: isFixed.has(name) };
  }
  if (fact?.shape?.every((dim) => typeof dim === "number")) {
    return { name, type: fact.elemType, dims: fact.shape as readonly number[] };
  }
  throw new AdderNetError("ADN_SHAPE", `the shape of "${name}" does not follow from the inputs`, {
    found: fact?.shape === undefined ? "unknown" : `[${fact.shape.map((dim) => dim ?? "?").join(", ")}]`,
    fix: "use addernet/ort, or export the model with fixed shapes",
  });
}

/** Most elements of a constant that is computed. */
const largestConstant = 2 ** 28;

function requireHoldable(name: string, facts: Facts): void {
  const shape = facts.get(name)?.shape;
  const count =
    shape?.reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : 1), 1) ?? 0;
  if (count <= largestConstant) return;
  throw new AdderNetError("ADN_LIMIT", `"${name}" would have ${count} elements`, {
    expected: `at most ${largestConstant}`,
    fix: "use a smaller batch or input",
  });
}

interface Folder {
  readonly known: ReadonlyMap<string, Tensor>;
  /** Names of constants that no input shape can change. */
  readonly isFixed: ReadonlySet<string>;
  /** Evaluates a node whose inputs are all known. Answers whether it could. */
  readonly fold: (node: Node, definition: OpDefinition, opset: number) => boolean;
}

function makeFolder(facts: Facts, initializers: ReadonlyMap<string, Tensor>, cache: ConstantCache): Folder {
  const known = new Map<string, Tensor>(initializers);
  const isFixed = new Set(initializers.keys());

  function keep(name: string, tensor: Tensor, isForever: boolean): void {
    known.set(name, tensor);
    if (!isForever) return;
    isFixed.add(name);
    cache.set(name, tensor);
  }
  /** A tensor without data in the shape of a value. */
  function shapedLike(name: string): Tensor | undefined {
    const { elemType, shape } = facts.get(name) ?? {};
    if (elemType === undefined || !shape?.every((dim) => typeof dim === "number")) return undefined;
    return { type: elemType, data: [], dims: shape as readonly number[] };
  }
  function fold(node: Node, definition: OpDefinition, opset: number): boolean {
    const outputs = node.outputs.filter((name) => name !== "");
    const given = node.inputs.filter((name) => name !== "");
    const isForever = given.every((name) => isFixed.has(name));
    const ready = outputs.map(
      (name) => facts.get(name)?.constant ?? (isForever ? cache.get(name) : undefined),
    );
    if (ready.every((tensor) => tensor !== undefined)) {
      for (const [index, name] of outputs.entries()) keep(name, ready[index]!, isForever);
      return true;
    }
    const inputs = node.inputs.map(
      (name) => known.get(name) ?? (readsShapeOnly(node) ? shapedLike(name) : undefined),
    );
    const isReady = node.inputs.every((name, index) => name === "" || inputs[index] !== undefined);
    if (definition.reference === undefined || !isReady) return false;
    for (const name of outputs) requireHoldable(name, facts);
    const results = definition.reference(node, inputs, { opset, where: nodeLabel(node) });
    for (const [index, name] of node.outputs.entries()) {
      if (name !== "" && results[index] !== undefined) keep(name, results[index], isForever);
    }
    return true;
  }
  return { known, isFixed, fold };
}

/** Nodes on which an output depends, through values that are not constants. */
function neededNodes(nodes: readonly BoundNode[], outputs: readonly BoundValue[]): BoundNode[] {
  const needed = new Set(outputs.map(({ name }) => name));
  const kept: BoundNode[] = [];
  for (const bound of [...nodes].reverse()) {
    if (!bound.outputs.some((value) => value !== undefined && needed.has(value.name))) continue;
    kept.push(bound);
    for (const value of bound.inputs) if (value && !value.constant) needed.add(value.name);
  }
  return kept.reverse();
}

/**
 * Fixes every shape for the given input shapes, folds what is constant then, and drops what nothing depends on. The graph's
 * nodes must all be known to the op table (see `unsupportedNodes`). Throws ADN_SHAPE where shapes do not fit or follow.
 */
export function bind(
  { graph, opsetImports, functions }: Model,
  shapes: ReadonlyMap<string, readonly number[]>,
  cache: ConstantCache = new Map(),
): BoundGraph {
  const facts = inferShapes(graph, opsetImports, ops, { inputs: shapes, functions });
  const folder = makeFolder(facts, graph.initializers, cache);
  const boundOf = (name: string) => (name === "" ? undefined : boundValue(name, facts, folder));
  const pending: { node: Node; opset: number }[] = [];
  for (const node of topologicalOrder(graph.nodes)) {
    const meaning = definitionOf(node, ops, opsetImports);
    if (meaning !== undefined && folder.fold(node, meaning.definition, meaning.opset)) continue;
    pending.push({ node, opset: meaning?.opset ?? 0 });
  }
  const isRead = new Set(pending.flatMap(({ node }) => node.inputs));
  for (const { name } of graph.outputs) isRead.add(name);
  const nodes = pending.map(({ node, opset }) => ({
    node,
    opset,
    where: nodeLabel(node),
    inputs: node.inputs.map(boundOf),
    outputs: node.outputs.map((name) => (isRead.has(name) ? boundOf(name) : undefined)),
  }));
  const outputs = graph.outputs.map(({ name }) => boundOf(name)!);
  return {
    inputs: graph.inputs.map(({ name }) => boundOf(name)!),
    outputs,
    nodes: neededNodes(nodes, outputs),
  };
}
