// Typed access to attributes: the wrong type or a missing value is reported once, here.

import { AdderNetError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import type { Attribute, Graph, Node } from "./model.ts";

export const floatAttribute = (value: number): Attribute => ({ type: "FLOAT", value });
export const intAttribute = (value: number): Attribute => ({ type: "INT", value: BigInt(value) });
export const intsAttribute = (values: readonly number[]): Attribute => ({
  type: "INTS",
  value: values.map((value) => BigInt(value)),
});
export const stringAttribute = (value: string): Attribute => ({
  type: "STRING",
  value: new TextEncoder().encode(value),
});
export const tensorAttribute = (value: Tensor): Attribute => ({ type: "TENSOR", value });

/** How messages name a node: its name, else its first output. */
export function nodeLabel(node: Pick<Node, "opType" | "domain" | "name" | "outputs">): string {
  const op = node.domain === "" ? node.opType : `${node.domain}::${node.opType}`;
  return `${op} "${node.name || node.outputs.find((name) => name !== "") || "?"}"`;
}

function read<T extends Attribute["type"]>(node: Node, name: string, type: T) {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return undefined;
  if (attribute.type !== type) {
    throw new AdderNetError("ADN_ATTRIBUTE", `attribute ${name} has the wrong type`, {
      where: nodeLabel(node),
      expected: type,
      found: attribute.type,
    });
  }
  return attribute as Extract<Attribute, { type: T }>;
}

/** An int64 as a number; values beyond ±(2^53 - 1), as INT64_MAX for "to the end", saturate there. */
export function toSafeNumber(value: bigint): number {
  const number = Number(value);
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, number));
}

export function getInt(node: Node, name: string): number | undefined {
  const attribute = read(node, name, "INT");
  return attribute && toSafeNumber(attribute.value);
}
export function getFloat(node: Node, name: string): number | undefined {
  return read(node, name, "FLOAT")?.value;
}
export function getString(node: Node, name: string): string | undefined {
  const attribute = read(node, name, "STRING");
  return attribute && new TextDecoder().decode(attribute.value);
}
export function getInts(node: Node, name: string): number[] | undefined {
  return read(node, name, "INTS")?.value.map(toSafeNumber);
}
export function getFloats(node: Node, name: string): readonly number[] | undefined {
  return read(node, name, "FLOATS")?.value;
}
export function getTensor(node: Node, name: string): Tensor | undefined {
  return read(node, name, "TENSOR")?.value;
}
export function getGraph(node: Node, name: string): Graph | undefined {
  return read(node, name, "GRAPH")?.value;
}
