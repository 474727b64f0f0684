// Reading a graph: who makes a value, who reads it, in which order nodes can run.

import { AdderNetError } from "../errors.ts";
import { nodeLabel } from "./attributes.ts";
import type { Graph, Node } from "./model.ts";

export interface GraphIndex {
  readonly producer: ReadonlyMap<string, Node>;
  /** Nodes that read a value, each once, those whose subgraphs capture it included. */
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
  readonly outputs: ReadonlySet<string>;
}

/** Values a node reads: its inputs and what its subgraphs capture from outside. */
export function valuesReadBy(node: Node): Set<string> {
  const read = new Set(node.inputs.filter((name) => name !== ""));
  for (const attribute of node.attributes.values()) {
    if (attribute.type === "GRAPH") for (const name of capturedBy(attribute.value)) read.add(name);
    if (attribute.type === "GRAPHS") {
      for (const graph of attribute.value) for (const name of capturedBy(graph)) read.add(name);
    }
  }
  return read;
}

function capturedBy(graph: Graph): Set<string> {
  const own = new Set([...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()]);
  for (const node of graph.nodes) for (const output of node.outputs) own.add(output);
  const captured = new Set<string>();
  for (const node of graph.nodes)
    for (const name of valuesReadBy(node)) if (!own.has(name)) captured.add(name);
  for (const { name } of graph.outputs) if (!own.has(name)) captured.add(name);
  return captured;
}

export function indexGraph(graph: Graph): GraphIndex {
  const producer = new Map<string, Node>();
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) if (output !== "") producer.set(output, node);
    for (const name of valuesReadBy(node)) {
      const readers = consumers.get(name);
      if (readers) readers.push(node);
      else consumers.set(name, [node]);
    }
  }
  return { producer, consumers, outputs: new Set(graph.outputs.map(({ name }) => name)) };
}

/** Nodes ordered so that every value is made before it is read; file order where there is a choice. A cycle is an error. */
export function topologicalOrder(nodes: readonly Node[]): Node[] {
  const producer = new Map<string, Node>();
  for (const node of nodes) for (const output of node.outputs) if (output !== "") producer.set(output, node);
  const waitingFor = new Map<Node, number>();
  const readers = new Map<Node, Node[]>();
  for (const node of nodes) {
    const sources = new Set([...valuesReadBy(node)].flatMap((name) => producer.get(name) ?? []));
    waitingFor.set(node, sources.size);
    for (const source of sources) {
      const list = readers.get(source);
      if (list) list.push(node);
      else readers.set(source, [node]);
    }
  }
  const isInOrder = (() => {
    const seen = new Set<Node>();
    return nodes.every((node) => {
      const ready = [...valuesReadBy(node)].every(
        (name) => !producer.has(name) || seen.has(producer.get(name)!),
      );
      seen.add(node);
      return ready;
    });
  })();
  if (isInOrder) return [...nodes];
  const order: Node[] = [];
  const ready = nodes.filter((node) => waitingFor.get(node) === 0);
  for (let next = 0; next < ready.length; next++) {
    const node = ready[next]!;
    order.push(node);
    for (const reader of readers.get(node) ?? []) {
      const left = waitingFor.get(reader)! - 1;
      waitingFor.set(reader, left);
      if (left === 0) ready.push(reader);
    }
  }
  if (order.length < nodes.length) {
    const done = new Set(order);
    const stuck = nodes.find((node) => !done.has(node))!;
    throw new AdderNetError("ADN_ONNX_MODEL", "the graph has a cycle", {
      where: nodeLabel(stuck),
      fix: "export the model again",
    });
  }
  return order;
}
