// What edits of a model in memory must keep, beyond the rules of any graph: order, lengths of tensors, types of attributes.

import { dataTypes } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import { elementCount, type Tensor } from "../tensor.ts";
import { nodeLabel } from "./attributes.ts";
import { subgraphsOf } from "./edit.ts";
import type { Attribute, Graph, Model, Node } from "./model.ts";
import { verifyModel } from "./verify.ts";
import { valuesReadBy } from "./walk.ts";

type Report = (problem: string) => void;
type Test = (value: unknown) => boolean;

const isObjectWith =
  (key: string): Test =>
  (value) =>
    typeof value === "object" && value !== null && key in value;
const isNumber: Test = (value) => typeof value === "number";
const isBigInt: Test = (value) => typeof value === "bigint";
const isBytes: Test = (value) => value instanceof Uint8Array;
const isTensor = isObjectWith("dims");
const isGraph = isObjectWith("nodes");
const listOf =
  (test: Test): Test =>
  (value) =>
    Array.isArray(value) && value.every(test);
const anything: Test = () => true;

const valueTests: Record<Attribute["type"], Test> = {
  FLOAT: isNumber,
  INT: isBigInt,
  STRING: isBytes,
  TENSOR: isTensor,
  GRAPH: isGraph,
  FLOATS: listOf(isNumber),
  INTS: listOf(isBigInt),
  STRINGS: listOf(isBytes),
  TENSORS: listOf(isTensor),
  GRAPHS: listOf(isGraph),
  OPAQUE: anything,
  REF: anything,
};

function checkTensor({ type, dims, data }: Tensor, where: string, report: Report): void {
  if (!dims.every((dim) => Number.isInteger(dim) && dim >= 0)) report(`${where} has dims [${dims}]`);
  else if (dataTypes[type].array !== "raw" && data.length !== elementCount(dims)) {
    report(`${where} of dims [${dims}] holds ${data.length} elements`);
  }
}

function checkAttributes(node: Node, report: Report): void {
  for (const [name, attribute] of node.attributes) {
    const where = `attribute ${name} of ${nodeLabel(node)}`;
    const { type } = attribute;
    if (!valueTests[type]((attribute as { value?: unknown }).value)) report(`${where} does not hold ${type}`);
    else if (type === "TENSOR") checkTensor(attribute.value, where, report);
    else if (type === "TENSORS") for (const tensor of attribute.value) checkTensor(tensor, where, report);
  }
}

/** Every value that a node of the list makes is made before it is read. */
function checkOrder(nodes: readonly Node[], report: Report): void {
  const toCome = new Set(nodes.flatMap((node) => node.outputs));
  for (const node of nodes) {
    for (const name of valuesReadBy(node)) {
      if (toCome.has(name)) report(`${nodeLabel(node)} reads "${name}" before it is made`);
    }
    for (const name of node.outputs) toCome.delete(name);
  }
}

function checkNodes(nodes: readonly Node[], report: Report): void {
  checkOrder(nodes, report);
  for (const node of nodes) {
    checkAttributes(node, report);
    for (const part of subgraphsOf(node)) checkParts(part, report);
  }
}

function checkParts(graph: Graph, report: Report): void {
  for (const [name, tensor] of graph.initializers) checkTensor(tensor, `initialiser "${name}"`, report);
  for (const { name } of graph.overridable) {
    if (!graph.initializers.has(name)) report(`overridable input "${name}" has no default`);
  }
  checkNodes(graph.nodes, report);
}

/**
 * `verifyModel`, and: nodes stand in topological order, tensors are as long as their dims say, attributes hold a
 * value of their type. Throws ADN_ONNX_MODEL naming up to five problems. Meant for tests, after every pass.
 */
export function verifyGraph(model: Model): void {
  verifyModel(model);
  const problems: string[] = [];
  const report: Report = (problem) => problems.push(problem);
  checkParts(model.graph, report);
  for (const body of model.functions) checkNodes(body.nodes, report);
  if (problems.length === 0) return;
  const more = problems.length > 5 ? ` and ${problems.length - 5} more` : "";
  throw new AdderNetError("ADN_ONNX_MODEL", `${problems.slice(0, 5).join("; ")}${more}`, {
    where: model.graph.name || "graph",
  });
}
