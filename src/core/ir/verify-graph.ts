// Is a model well formed? One maker per value, everything read is there before it is read, attributes hold what their type says.

import { dataTypes } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import { elementCount, type Tensor } from "../tensor.ts";
import { nodeLabel } from "./attributes.ts";
import { subgraphsOf } from "./edit.ts";
import type { Attribute, FunctionBody, Graph, Model, Node } from "./model.ts";

type Report = (problem: string) => void;

const isBytes = (value: unknown): boolean => value instanceof Uint8Array;
const isNumber = (value: unknown): boolean => typeof value === "number";
const isBigInt = (value: unknown): boolean => typeof value === "bigint";
const isTensor = (value: unknown): boolean => typeof value === "object" && value !== null && "dims" in value;
const isGraph = (value: unknown): boolean => typeof value === "object" && value !== null && "nodes" in value;
const all =
  (test: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every(test);

const valueTests: Record<Attribute["type"], (value: unknown) => boolean> = {
  FLOAT: isNumber,
  INT: isBigInt,
  STRING: isBytes,
  TENSOR: isTensor,
  GRAPH: isGraph,
  FLOATS: all(isNumber),
  INTS: all(isBigInt),
  STRINGS: all(isBytes),
  TENSORS: all(isTensor),
  GRAPHS: all(isGraph),
  OPAQUE: () => true,
  REF: () => true,
};

function checkTensor(tensor: Tensor, where: string, report: Report): void {
  if (!tensor.dims.every((dim) => Number.isInteger(dim) && dim >= 0)) {
    report(`${where} has dims [${tensor.dims.join(", ")}]`);
  } else if (dataTypes[tensor.type].array !== "raw" && tensor.data.length !== elementCount(tensor.dims)) {
    report(`${where} of dims [${tensor.dims.join(", ")}] holds ${tensor.data.length} elements`);
  }
}

function checkAttributes(node: Node, declared: ReadonlySet<string> | undefined, report: Report): void {
  for (const [name, attribute] of node.attributes) {
    const where = `attribute ${name} of ${nodeLabel(node)}`;
    if (!valueTests[attribute.type]((attribute as { value?: unknown }).value)) {
      report(`${where} is not of type ${attribute.type}`);
    }
    if (attribute.type === "TENSOR") checkTensor(attribute.value, where, report);
    if (attribute.type === "TENSORS") {
      for (const tensor of attribute.value) checkTensor(tensor, where, report);
    }
    if (attribute.type === "REF" && !declared?.has(attribute.name)) {
      report(`${where} refers to ${attribute.name}, which no function around it declares`);
    }
  }
}

interface Scope {
  /** Values that exist at this point, those of graphs around included. */
  readonly values: Set<string>;
  readonly opsetImports: ReadonlyMap<string, number>;
  /** Attribute names of the function around, when there is one. */
  readonly declared?: ReadonlySet<string>;
  readonly report: Report;
}

function declare(scope: Scope, name: string, what: string): void {
  if (scope.values.has(name)) scope.report(`${what} makes "${name}", which exists already`);
  scope.values.add(name);
}

function checkNodes(nodes: readonly Node[], scope: Scope): void {
  for (const node of nodes) {
    const label = nodeLabel(node);
    if (!scope.opsetImports.has(node.domain)) {
      scope.report(`${label} is of a domain that the model does not import`);
    }
    for (const name of node.inputs) {
      if (name !== "" && !scope.values.has(name)) scope.report(`${label} reads "${name}" before it is made`);
    }
    checkAttributes(node, scope.declared, scope.report);
    for (const part of subgraphsOf(node)) checkGraph(part, { ...scope, values: new Set(scope.values) });
    for (const name of node.outputs) if (name !== "") declare(scope, name, label);
  }
}

function checkGraph(graph: Graph, scope: Scope): void {
  for (const { name } of graph.inputs) declare(scope, name, "an input");
  for (const [name, tensor] of graph.initializers) {
    declare(scope, name, "an initializer");
    checkTensor(tensor, `initializer "${name}"`, scope.report);
  }
  for (const { name } of graph.overridable) {
    if (!graph.initializers.has(name)) scope.report(`overridable input "${name}" has no default`);
  }
  checkNodes(graph.nodes, scope);
  const outputs = new Set<string>();
  for (const { name } of graph.outputs) {
    if (!scope.values.has(name)) scope.report(`output "${name}" is never made`);
    if (outputs.has(name)) scope.report(`output "${name}" is listed twice`);
    outputs.add(name);
  }
}

function checkFunction(body: FunctionBody, report: Report): void {
  const where = `function ${body.domain}::${body.name}`;
  const scope: Scope = {
    values: new Set(),
    opsetImports: body.opsetImports,
    declared: new Set([...body.attributes, ...body.attributeDefaults.keys()]),
    report: (problem) => report(`${where}: ${problem}`),
  };
  for (const name of body.inputs) declare(scope, name, "an input");
  checkNodes(body.nodes, scope);
  for (const name of body.outputs) {
    if (!scope.values.has(name)) scope.report(`output "${name}" is never made`);
  }
}

/**
 * Checks the structure of a model: every value has one maker, nodes are in topological order, inputs and outputs exist, subgraphs
 * capture only what exists around them, tensors are as long as their dims say, attributes hold their type, domains are imported.
 * Throws ADN_ONNX_MODEL naming the first five problems.
 */
export function verifyGraph(model: Model): void {
  const problems: string[] = [];
  const report: Report = (problem) => problems.push(problem);
  checkGraph(model.graph, { values: new Set(), opsetImports: model.opsetImports, report });
  for (const body of model.functions) checkFunction(body, report);
  if (problems.length === 0) return;
  const more = problems.length > 5 ? ` and ${problems.length - 5} more` : "";
  throw new AdderNetError(
    "ADN_ONNX_MODEL",
    `the graph is not well formed: ${problems.slice(0, 5).join("; ")}${more}`,
    {
      where: model.graph.name || "model",
    },
  );
}
