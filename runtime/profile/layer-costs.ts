// What every node of a model computes and moves per run, by its label.

import { ops } from "../../custom-ops/index.ts";
import { byteLengthOf } from "../../src/core/dtype.ts";
import { inferShapes } from "../../src/core/infer-shapes.ts";
import { nodeLabel } from "../../src/core/ir/attributes.ts";
import type { Dim, Model, Node } from "../../src/core/ir/model.ts";
import { countNode, type Facts, product } from "./costs.ts";

export interface NodeCost {
  readonly opType: string;
  /** Differences of an adder layer, products of any other. */
  readonly taps: number;
  readonly isAdder: boolean;
  /** Two per tap of an adder layer (subtract, accumulate), one per product. */
  readonly additions: number;
  readonly multiplications: number;
  /** Products that scale single values. */
  readonly scalings: number;
  readonly weight: readonly number[] | null;
  readonly output: readonly number[] | null;
  readonly reads: readonly { readonly value: string; readonly bytes: number }[];
  readonly writes: readonly { readonly value: string; readonly bytes: number }[];
}

/** Bytes of a value in memory; 0 where its shape is not known. */
function bytesOf(name: string, facts: Facts): number {
  const fact = facts.get(name);
  const count = product(fact?.shape);
  if (fact === undefined || count === undefined) return 0;
  return byteLengthOf(fact.elemType, count);
}

function moved(names: readonly string[], facts: Facts): NodeCost["reads"] {
  return [...new Set(names)].flatMap((value) =>
    value === "" ? [] : [{ value, bytes: bytesOf(value, facts) }],
  );
}

const knownDims = (dims: readonly Dim[] | undefined): readonly number[] | null =>
  product(dims) === undefined ? null : (dims as readonly number[]);

function costOf(node: Node, facts: Facts): NodeCost {
  const { adderTaps, multiplications, scalings, weightInput } = countNode(node, facts);
  const isAdder = adderTaps > 0;
  return {
    opType: node.domain === "" ? node.opType : `${node.domain}::${node.opType}`,
    taps: isAdder ? adderTaps : multiplications,
    isAdder,
    additions: 2 * adderTaps + multiplications,
    multiplications,
    scalings,
    weight: weightInput === undefined ? null : knownDims(facts.get(node.inputs[weightInput]!)?.shape),
    output: knownDims(facts.get(node.outputs[0]!)?.shape),
    reads: moved(node.inputs, facts),
    writes: moved(node.outputs, facts),
  };
}

/** Costs of one run with inputs of these shapes. Errors: those of `inferShapes`. */
export function nodeCosts(model: Model, inputs: ReadonlyMap<string, readonly Dim[]>): Map<string, NodeCost> {
  const { graph, opsetImports, functions } = model;
  const facts = inferShapes(graph, opsetImports, ops, { inputs, functions });
  return new Map(graph.nodes.map((node) => [nodeLabel(node), costOf(node, facts)]));
}

/** Several nodes that one step computes: what they hand each other is not moved. */
export function joinCosts(costs: readonly NodeCost[]): NodeCost | undefined {
  const [first] = costs;
  if (first === undefined || costs.length === 1) return first;
  const made = new Set(costs.flatMap(({ writes }) => writes.map(({ value }) => value)));
  const used = new Set(costs.flatMap(({ reads }) => reads.map(({ value }) => value)));
  const sum = (key: "taps" | "additions" | "multiplications" | "scalings") =>
    costs.reduce((total, cost) => total + cost[key], 0);
  const last = costs.at(-1)!;
  return {
    ...first,
    taps: sum("taps"),
    additions: sum("additions"),
    multiplications: sum("multiplications"),
    scalings: sum("scalings"),
    output: last.output ?? first.output,
    reads: costs.flatMap(({ reads }) => reads).filter(({ value }) => !made.has(value)),
    writes: costs.flatMap(({ writes }) => writes).filter(({ value }) => !used.has(value)),
  };
}
