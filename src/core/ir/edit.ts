// The edits passes make. Everything else treats a graph as read-only.

import type { Graph, Node } from "./model.ts";
import { indexGraph, topologicalOrder, valuesReadBy } from "./walk.ts";

export function makeNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Iterable<readonly [string, import("./model.ts").Attribute]> = [],
  options: { domain?: string; name?: string } = {},
): Node {
  return {
    opType,
    domain: options.domain ?? "",
    name: options.name ?? outputs[0] ?? "",
    inputs: [...inputs],
    outputs: [...outputs],
    attributes: new Map(attributes),
  };
}

/** Every name in use in the graph, those of subgraphs included. */
export function namesIn(graph: Graph): Set<string> {
  const names = new Set<string>();
  const visit = (part: Graph): void => {
    for (const { name } of [...part.inputs, ...part.outputs, ...part.overridable]) names.add(name);
    for (const name of part.initializers.keys()) names.add(name);
    for (const node of part.nodes) {
      for (const name of [...node.inputs, ...node.outputs]) names.add(name);
      for (const attribute of node.attributes.values()) {
        if (attribute.type === "GRAPH") visit(attribute.value);
        if (attribute.type === "GRAPHS") attribute.value.forEach(visit);
      }
    }
  };
  visit(graph);
  return names;
}

/** `wanted`, or `wanted_1`, `wanted_2` … when taken; the answer is added to `taken`. */
export function freshName(taken: Set<string>, wanted: string): string {
  let name = wanted;
  for (let suffix = 1; taken.has(name); suffix++) name = `${wanted}_${suffix}`;
  taken.add(name);
  return name;
}

/** Makes every reader of `from` (nodes, their subgraphs) read `to`. Graph outputs keep their names: see `renameOutput`. */
export function replaceUses(graph: Graph, from: string, to: string): void {
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map((name) => (name === from ? to : name));
    for (const attribute of node.attributes.values()) {
      if (attribute.type === "GRAPH") replaceUses(attribute.value, from, to);
      if (attribute.type === "GRAPHS") for (const part of attribute.value) replaceUses(part, from, to);
    }
  }
}

/** Drops nodes and initialisers that no graph output depends on. Answers how many nodes went. */
export function removeDead(graph: Graph): number {
  const { producer } = indexGraph(graph);
  const alive = new Set<Node>();
  const needed = new Set(graph.outputs.map(({ name }) => name));
  for (const name of needed) {
    const node = producer.get(name);
    if (node === undefined || alive.has(node)) continue;
    alive.add(node);
    for (const read of valuesReadBy(node)) needed.add(read);
  }
  const before = graph.nodes.length;
  graph.nodes = graph.nodes.filter((node) => alive.has(node));
  for (const name of graph.initializers.keys()) if (!needed.has(name)) graph.initializers.delete(name);
  const made = new Set(graph.nodes.flatMap((node) => node.outputs));
  for (const name of graph.valueInfo.keys()) if (!made.has(name)) graph.valueInfo.delete(name);
  return before - graph.nodes.length;
}

export function sortNodes(graph: Graph): void {
  graph.nodes = topologicalOrder(graph.nodes);
}
