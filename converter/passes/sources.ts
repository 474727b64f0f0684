// Who feeds a node, and whether anybody else would notice if the two became one.

import type { Graph, Node } from "../../src/core/ir/model.ts";
import { indexGraph } from "../../src/core/ir/walk.ts";

/** The node that makes input `index` of `reader`, when `reader` reads it once, nothing else reads it and it is no output of the graph. */
export function soleSource(graph: Graph, reader: Node, index: number): Node | undefined {
  const name = reader.inputs[index];
  if (name === undefined || name === "") return undefined;
  const { producer, consumers, outputs } = indexGraph(graph);
  if (outputs.has(name) || consumers.get(name)?.length !== 1) return undefined;
  return reader.inputs.filter((other) => other === name).length === 1 ? producer.get(name) : undefined;
}

/** The node that makes a value, if it is a standard one of the given type. */
export function makerOf(graph: Graph, name: string | undefined, opType: string): Node | undefined {
  const node = graph.nodes.find((other) => name !== undefined && other.outputs.includes(name));
  return node?.domain === "" && node.opType === opType ? node : undefined;
}

export const isAdder2d = (node: Node | undefined): node is Node & { domain: "addernet" } =>
  node?.domain === "addernet" && node.opType === "Adder2d";

/** Whether anybody reads an output of the node beyond the first. */
export function hasMoreOutputs(graph: Graph, node: Node): boolean {
  const { consumers, outputs } = indexGraph(graph);
  return node.outputs.slice(1).some((name) => name !== "" && (consumers.has(name) || outputs.has(name)));
}
