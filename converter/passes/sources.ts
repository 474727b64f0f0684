// Who feeds a node, and whether anybody else would notice if the two became one.

import type { Node } from "../../src/core/ir/model.ts";
import type { Site } from "./pass.ts";

/**
 * The node that makes input `index` of `reader`, when `reader` reads it once, nothing else reads it and it is no
 * output of the graph.
 */
export function soleSource(site: Site, reader: Node, index: number): Node | undefined {
  const name = reader.inputs[index];
  if (name === undefined || name === "") return undefined;
  const { producer, consumers, outputs } = site.index();
  if (outputs.has(name) || consumers.get(name)?.length !== 1) return undefined;
  return reader.inputs.filter((other) => other === name).length === 1 ? producer.get(name) : undefined;
}

/** The node that makes a value, if it is a standard one of the given type. */
export function makerOf(site: Site, name: string | undefined, opType: string): Node | undefined {
  const node = site.index().producer.get(name ?? "");
  return node?.domain === "" && node.opType === opType ? node : undefined;
}

export const isAdder2d = (node: Node | undefined): node is Node & { domain: "addernet" } =>
  node?.domain === "addernet" && node.opType === "Adder2d";

/** Whether anybody reads an output of the node beyond the first. */
export function hasMoreOutputs(site: Site, node: Node): boolean {
  const { consumers, outputs } = site.index();
  return node.outputs.slice(1).some((name) => name !== "" && (consumers.has(name) || outputs.has(name)));
}
