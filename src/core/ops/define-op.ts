// What an op is: its meaning in one place. The list of ops is elsewhere (index.ts), so that no op knows the others.

import type { DataType } from "../dtype.ts";
import type { Dim, Node } from "../ir/model.ts";
import type { Tensor } from "../tensor.ts";

/** What is known of a value before anything runs. */
export interface ValueFact {
  readonly elemType: DataType;
  /** Absent when the rank is unknown. */
  readonly shape?: readonly Dim[];
  /** The value itself, when it is a constant. */
  readonly constant?: Tensor;
  /** For integer scalars and vectors that carry shapes: each element as far as it is known. */
  readonly elements?: readonly Dim[];
}

export interface OpContext {
  /** Version of the node's domain that the model imports. */
  readonly opset: number;
  /** How messages name the node. */
  readonly where: string;
}

export type Inferred = readonly (ValueFact | undefined)[];
export type Inputs = readonly (Tensor | undefined)[];

export interface OpDefinition {
  readonly domain: string;
  readonly opType: string;
  /** First and last opset (of its domain) whose meaning is implemented; `last` is absent while current. */
  readonly first: number;
  readonly last?: number;
  /** Output types and shapes; symbols pass through; undefined for an output about which nothing can be said. Wrong ranks, types or attributes throw ADN_SHAPE, ADN_TYPE or ADN_ATTRIBUTE. */
  readonly infer: (node: Node, inputs: readonly (ValueFact | undefined)[], context: OpContext) => Inferred;
  /** The op in plain JavaScript numbers, generic in the element type. Absent for ops that only run elsewhere. */
  readonly reference?: (node: Node, inputs: Inputs, context: OpContext) => readonly Tensor[];
}

/** Ops by domain and name. */
export interface OpTable {
  get(domain: string, opType: string): OpDefinition | undefined;
}

export function makeOpTable(ops: readonly OpDefinition[]): OpTable {
  const byKey = new Map(ops.map((op) => [`${op.domain}::${op.opType}`, op]));
  return { get: (domain, opType) => byKey.get(`${domain}::${opType}`) };
}
