// A copy of a model that edits cannot reach the original through. Tensors are shared: they are never changed in place.

import type { Attribute, Graph, Model, Node } from "./model.ts";

function cloneAttribute(attribute: Attribute): Attribute {
  if (attribute.type === "GRAPH") return { ...attribute, value: cloneGraph(attribute.value) };
  if (attribute.type === "GRAPHS") return { ...attribute, value: attribute.value.map(cloneGraph) };
  return attribute;
}

export function cloneNode(node: Node): Node {
  return {
    ...node,
    inputs: [...node.inputs],
    outputs: [...node.outputs],
    attributes: new Map([...node.attributes].map(([name, value]) => [name, cloneAttribute(value)])),
    ...(node.metadata && { metadata: new Map(node.metadata) }),
  };
}

export function cloneGraph(graph: Graph): Graph {
  return {
    ...graph,
    inputs: [...graph.inputs],
    outputs: [...graph.outputs],
    overridable: [...graph.overridable],
    nodes: graph.nodes.map(cloneNode),
    initializers: new Map(graph.initializers),
    valueInfo: new Map(graph.valueInfo),
    ...(graph.metadata && { metadata: new Map(graph.metadata) }),
  };
}

export function cloneModel(model: Model): Model {
  return {
    ...model,
    opsetImports: new Map(model.opsetImports),
    metadata: new Map(model.metadata),
    graph: cloneGraph(model.graph),
    functions: model.functions.map((body) => ({ ...body, nodes: body.nodes.map(cloneNode) })),
  };
}
