// The rules every graph keeps: each value is defined once and every name that is read exists.

import { AdderNetError, type ErrorDetails } from "../errors.ts";
import { nodeLabel } from "./attributes.ts";
import { makeNode } from "./edit.ts";
import type { FunctionBody, Graph, Model, Node } from "./model.ts";
import { topologicalOrder } from "./walk.ts";

/** Names of the enclosing graphs, seen from a subgraph. */
interface Scope {
  readonly names: Set<string>;
  readonly outer?: Scope;
}

/** What holds for all nodes of a model or of a function. */
interface Setting {
  readonly opsetImports: ReadonlyMap<string, number>;
  /** "graph", or the function. */
  readonly place: string;
  /** Attributes of the function around. */
  readonly declared?: ReadonlySet<string>;
}

function broken(where: string, problem: string, details: ErrorDetails = {}): AdderNetError {
  return new AdderNetError("ADN_ONNX_MODEL", problem, { where, ...details });
}

function isKnown(scope: Scope | undefined, name: string): boolean {
  for (let part = scope; part !== undefined; part = part.outer) if (part.names.has(name)) return true;
  return false;
}

function define(scope: Scope, name: string, where: string): void {
  if (name === "") throw broken(where, "a value has no name");
  if (isKnown(scope, name)) throw broken(where, `the value "${name}" is defined twice`);
  scope.names.add(name);
}

function sparseNames(graph: Graph): string[] {
  const sparse = (graph.sparseInitializers ?? []) as readonly { values?: { name?: string | null } | null }[];
  return sparse.flatMap(({ values }) => values?.name ?? []);
}

function defineInputs(scope: Scope, graph: Graph, place: string): void {
  for (const { name } of graph.inputs) define(scope, name, `input of ${place}`);
  for (const name of [...graph.initializers.keys(), ...sparseNames(graph)]) {
    define(scope, name, `initialiser of ${place}`);
  }
}

function defineOutputs(scope: Scope, nodes: readonly Node[]): void {
  for (const node of nodes) {
    for (const name of node.outputs) if (name !== "") define(scope, name, nodeLabel(node));
  }
}

function checkNode(node: Node, scope: Scope, setting: Setting): void {
  const label = nodeLabel(node);
  if (node.opType === "") throw broken(label, "the node has no op_type");
  if (!setting.opsetImports.has(node.domain)) {
    throw broken(label, `${setting.place} imports no version of the node's domain "${node.domain}"`, {
      fix: "export the model again",
    });
  }
  for (const name of node.inputs) {
    if (name !== "" && !isKnown(scope, name)) {
      throw broken(label, `the input "${name}" is made by no node, initialiser or graph input`);
    }
  }
  for (const [name, attribute] of node.attributes) {
    if (attribute.type === "REF" && !setting.declared?.has(attribute.name)) {
      throw broken(
        label,
        `attribute ${name} refers to "${attribute.name}", which no function around it declares`,
      );
    }
    const graphs = attribute.type === "GRAPH" ? [attribute.value] : [];
    if (attribute.type === "GRAPHS") graphs.push(...attribute.value);
    for (const graph of graphs) checkGraph(graph, scope, { ...setting, place: `${name} of ${label}` });
  }
}

function checkOutputs(names: readonly string[], scope: Scope, place: string): void {
  if (names.length === 0) throw broken(place, "there are no outputs");
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw broken(place, `the output "${name}" is listed twice`);
    if (!isKnown(scope, name)) throw broken(place, `the output "${name}" is made by no node`);
    seen.add(name);
  }
}

function checkGraph(graph: Graph, outer: Scope | undefined, setting: Setting): void {
  const scope: Scope = { names: new Set(), ...(outer && { outer }) };
  defineInputs(scope, graph, setting.place);
  defineOutputs(scope, graph.nodes);
  for (const node of graph.nodes) checkNode(node, scope, setting);
  checkOutputs(
    graph.outputs.map(({ name }) => name),
    scope,
    setting.place,
  );
}

const functionKey = ({ domain, name, overload }: FunctionBody): string =>
  `${domain}::${name}:${overload ?? ""}`;

function checkFunction(body: FunctionBody): void {
  const place = `function ${body.domain}::${body.name}`;
  const scope: Scope = { names: new Set() };
  for (const name of body.inputs) define(scope, name, `input of ${place}`);
  defineOutputs(scope, body.nodes);
  const declared = new Set([...body.attributes, ...body.attributeDefaults.keys()]);
  for (const node of body.nodes) checkNode(node, scope, { opsetImports: body.opsetImports, place, declared });
  checkOutputs(body.outputs, scope, place);
}

function* nodesWithin(nodes: readonly Node[]): Generator<Node> {
  for (const node of nodes) {
    yield node;
    for (const attribute of node.attributes.values()) {
      if (attribute.type === "GRAPH") yield* nodesWithin(attribute.value.nodes);
      if (attribute.type === "GRAPHS") for (const graph of attribute.value) yield* nodesWithin(graph.nodes);
    }
  }
}

/** Calls between functions must be free of cycles, as reads between nodes must. */
function checkCalls(functions: readonly FunctionBody[]): void {
  const keys = new Set(functions.map(functionKey));
  if (keys.size < functions.length) throw broken("functions", "two functions have the same domain and name");
  const calls = functions.map((body) => {
    const called = [...nodesWithin(body.nodes)].map(
      ({ domain, opType, overload }) => `${domain}::${opType}:${overload ?? ""}`,
    );
    const name = `${body.domain}::${body.name}`;
    return makeNode(
      "function",
      [...new Set(called)].filter((key) => keys.has(key)),
      [functionKey(body)],
      [],
      { name },
    );
  });
  topologicalOrder(calls);
}

/**
 * Throws ADN_ONNX_MODEL naming the first node or value that breaks a rule: values defined twice (a subgraph's names
 * included), inputs and outputs that nothing makes, nodes without op_type or of a domain that is not imported,
 * no outputs, functions that call themselves. Cycles and order are `topologicalOrder`'s.
 */
export function verifyModel(model: Model): void {
  if (model.opsetImports.size === 0) throw broken("model", "no opset is imported");
  checkGraph(model.graph, undefined, { opsetImports: model.opsetImports, place: "graph" });
  model.functions.forEach(checkFunction);
  checkCalls(model.functions);
}
