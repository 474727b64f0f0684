// The edits passes make. Everything else treats a graph as read-only.

import type { Tensor } from "../tensor.ts";
import type { Attribute, Graph, Node } from "./model.ts";
import { indexGraph, topologicalOrder, valuesReadBy } from "./walk.ts";

export function makeNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Iterable<readonly [string, Attribute]> = [],
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

/** The graphs a node carries: branches and loop bodies. */
export function subgraphsOf(node: Node): readonly Graph[] {
  return [...node.attributes.values()].flatMap((attribute) => {
    if (attribute.type === "GRAPH") return [attribute.value];
    return attribute.type === "GRAPHS" ? attribute.value : [];
  });
}

/** Every name in use in the graph, those of subgraphs included. */
export function namesIn(graph: Graph): Set<string> {
  const names = new Set<string>();
  const visit = (part: Graph): void => {
    for (const { name } of [...part.inputs, ...part.outputs, ...part.overridable]) names.add(name);
    for (const name of part.initializers.keys()) names.add(name);
    for (const node of part.nodes) {
      for (const name of [...node.inputs, ...node.outputs]) names.add(name);
      subgraphsOf(node).forEach(visit);
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

/**
 * Makes every reader of a key of `names` (nodes, their subgraphs) read its value instead. Outputs of the graph itself
 * keep their names: see `bypassNode`.
 */
export function renameUses(graph: Graph, names: ReadonlyMap<string, string>): void {
  for (const node of graph.nodes) {
    if (node.inputs.some((name) => names.has(name))) {
      node.inputs = node.inputs.map((name) => names.get(name) ?? name);
    }
    for (const part of subgraphsOf(node)) {
      part.outputs = part.outputs.map((info) => ({ ...info, name: names.get(info.name) ?? info.name }));
      renameUses(part, names);
    }
  }
}

/** Makes every reader of `from` read `to`. */
export function replaceUses(graph: Graph, from: string, to: string): void {
  renameUses(graph, new Map([[from, to]]));
}

/** Adds a constant under `wanted` or, when that is taken, a name close to it; answers the name. */
export function addInitializer(graph: Graph, wanted: string, tensor: Tensor): string {
  const name = freshName(namesIn(graph), wanted);
  graph.initializers.set(name, tensor);
  return name;
}

function reads(node: Node, name: string): boolean {
  return node.inputs.includes(name) || (subgraphsOf(node).length > 0 && valuesReadBy(node).has(name));
}

/**
 * Gives `reader` the constant `tensor` in place of its input `old`: under the old name when nothing else reads that,
 * else under a free name close to it. Answers the name; the caller puts it among the inputs.
 */
export function replaceInitializer(graph: Graph, reader: Node, old: string, tensor: Tensor): string {
  const isOwn =
    reader.inputs.filter((name) => name === old).length === 1 &&
    graph.nodes.every((node) => node === reader || !reads(node, old)) &&
    ![...graph.outputs, ...graph.overridable].some(({ name }) => name === old);
  if (!isOwn) return addInitializer(graph, old, tensor);
  graph.initializers.set(old, tensor);
  return old;
}

export function removeNode(graph: Graph, node: Node): void {
  graph.nodes = graph.nodes.filter((other) => other !== node);
}

/**
 * One walk over all nodes: where `replacementsOf` answers a list, that stands in the node's place. Answers how often
 * it did.
 */
export function replaceNodes(graph: Graph, replacementsOf: (node: Node) => Node[] | undefined): number {
  let count = 0;
  graph.nodes = graph.nodes.flatMap((node) => {
    const replacements = replacementsOf(node);
    if (replacements !== undefined) count++;
    return replacements ?? [node];
  });
  return count;
}

/** Puts `replacements` where `node` was. */
export function replaceNode(graph: Graph, node: Node, ...replacements: Node[]): void {
  graph.nodes = graph.nodes.flatMap((other) => (other === node ? replacements : [other]));
}

/**
 * Lets `node` do the work of `reader`, the only reader of its output: the changed node stands in the reader's place,
 * where all inputs of both exist, and makes the reader's output.
 */
export function absorbReader(graph: Graph, node: Node, reader: Node, changes: Partial<Node> = {}): Node {
  const merged: Node = { ...node, ...changes, outputs: [...reader.outputs] };
  for (const name of node.outputs) graph.valueInfo.delete(name);
  removeNode(graph, node);
  replaceNode(graph, reader, merged);
  return merged;
}

/**
 * Takes out `node`, whose first output equals the value `same`: readers of the output read `same`. An output of the
 * graph keeps its name, so there the maker of `same` makes it instead. Answers false, and changes nothing, where that
 * cannot be: `same` is an input, a constant or itself an output.
 */
export function bypassNode(graph: Graph, node: Node, same: string): boolean {
  const output = node.outputs[0]!;
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  if (!outputs.has(output)) {
    removeNode(graph, node);
    replaceUses(graph, output, same);
    graph.valueInfo.delete(output);
    return true;
  }
  const maker = graph.nodes.find(({ outputs: made }) => made.includes(same));
  if (maker === undefined || outputs.has(same)) return false;
  removeNode(graph, node);
  maker.outputs = maker.outputs.map((name) => (name === same ? output : name));
  replaceUses(graph, same, output);
  graph.valueInfo.delete(same);
  return true;
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
