// What this runtime can run, decided before anything runs and told all at once.

import { ops } from "../custom-ops/index.ts";
import { type DataType, dataTypes, isFloat } from "../src/core/dtype.ts";
import { AdderNetError } from "../src/core/errors.ts";
import { definitionOf, inferShapes } from "../src/core/infer-shapes.ts";
import type { Model, Node } from "../src/core/ir/model.ts";
import { topologicalOrder } from "../src/core/ir/walk.ts";
import type { ValueFact } from "../src/core/ops/define-op.ts";
import { readsShapeOnly } from "./bind.ts";
import { loweringOf, refusalOf } from "./lowerings.ts";

/**
 * Whether this runtime runs a node: true, or the reason why not. `inputs` is what is known of its inputs; what is not known
 * counts in favour. A node that only computes shapes (integers from Shape or constants) runs when the plan is made.
 */
export function supportsNode(
  node: Node,
  opsets: ReadonlyMap<string, number>,
  inputs: readonly (ValueFact | undefined)[] = [],
): true | string {
  const reference = definitionOf(node, ops, opsets)?.definition.reference;
  const given = inputs.filter((_, index) => (node.inputs[index] ?? "") !== "");
  const isShapeWork =
    readsShapeOnly(node) ||
    node.inputs.every((name) => name === "") ||
    (given.length > 0 &&
      given.every(
        (fact) =>
          fact !== undefined && (fact.constant ? isComputed(fact.elemType) : isShapeType(fact.elemType)),
      ));
  if (reference !== undefined && isShapeWork && node.domain === "") return true;
  return refusalOf(node, opsets, inputs) ?? true;
}

/** Types of shapes and what is computed from them; floats and codes are data. */
function isShapeType(type: DataType): boolean {
  return !isFloat(type) && type !== "uint8" && isComputed(type);
}

/** Types that references compute with. */
function isComputed(type: DataType): boolean {
  return dataTypes[type].array !== "raw" && type !== "float16" && type !== "bfloat16";
}

export interface UnsupportedNode {
  readonly node: Node;
  readonly reason: string;
}

/** Values known when a plan is made: constants, shapes, and what is computed from them. */
function plannedValues(nodes: readonly Node[], { graph, opsetImports }: Model): Set<string> {
  const planned = new Set(graph.initializers.keys());
  for (const node of nodes) {
    const reference = definitionOf(node, ops, opsetImports)?.definition.reference;
    if (reference === undefined) continue;
    const isPlanned = node.inputs.every((name) => name === "" || planned.has(name));
    if (!isPlanned && !readsShapeOnly(node)) continue;
    for (const name of node.outputs) planned.add(name);
  }
  return planned;
}

/**
 * Nodes that something other than a planned value needs, each with itself less the outputs that nothing reads: a mask that Dropout
 * only names is no reason to refuse it.
 */
function runNodes(
  nodes: readonly Node[],
  outputs: readonly string[],
  planned: ReadonlySet<string>,
): (readonly [Node, Node])[] {
  const needed = new Set(outputs);
  const kept: (readonly [Node, Node])[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name) && !planned.has(name))) continue;
    kept.push([node, { ...node, outputs: node.outputs.map((name) => (needed.has(name) ? name : "")) }]);
    for (const name of node.inputs) needed.add(name);
  }
  return kept.reverse();
}

/** What is known of a model's values before its inputs are. Throws what shape inference throws. */
export function factsOf({ graph, opsetImports, functions }: Model): ReadonlyMap<string, ValueFact> {
  return inferShapes(graph, opsetImports, ops, { functions });
}

/** Every node of a model that keeps this runtime from running it, with the reason. Throws what shape inference throws. */
export function unsupportedNodes(model: Model, facts = factsOf(model)): UnsupportedNode[] {
  const { graph, opsetImports } = model;
  const nodes = topologicalOrder(graph.nodes);
  const planned = plannedValues(nodes, model);
  const outputs = graph.outputs.map(({ name }) => name);
  return runNodes(nodes, outputs, planned).flatMap(([node, read]) => {
    const inputs = node.inputs.map((name) => facts.get(name));
    const late = loweringOf(node)?.parameters?.find((index) => {
      const name = node.inputs[index] ?? "";
      return name !== "" && !planned.has(name);
    });
    const reason =
      refusalOf(read, opsetImports, inputs) ??
      (late === undefined ? undefined : `input ${late} is computed from data`);
    return reason === undefined ? [] : [{ node, reason }];
  });
}

/** Throws one ADN_OP_UNSUPPORTED that names every op this runtime lacks, with how many nodes and why. */
export function requireSupported(model: Model, facts: ReadonlyMap<string, ValueFact>): void {
  const missing = unsupportedNodes(model, facts);
  if (missing.length === 0) return;
  const counts = new Map<string, number>();
  for (const { node, reason } of missing) {
    const op = node.domain === "" ? node.opType : `${node.domain}::${node.opType}`;
    const label = reason === "no kernel" ? op : `${op} with ${reason}`;
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const list = [...counts].map(([label, count]) => `${label} (${count})`).join(", ");
  throw new AdderNetError("ADN_OP_UNSUPPORTED", `the model needs what this runtime lacks: ${list}`, {
    fix: "run it through addernet/ort, which leaves these nodes to onnxruntime",
  });
}
