// One walk over the graph in which every foreign node is offered to the families that may know it.

import type { Node } from "../../src/core/ir/model.ts";
import type { ImportContext } from "./importer.ts";
import { type OpWriter, opWriter } from "./op-writer.ts";
import { bindingPairs, hasFreeSpatial } from "./tracing/bindings.ts";
import { type GrowingFacts, growFacts } from "./tracing/concrete-facts.ts";

/** What a translator sees of the graph: everything before the node, already translated. */
export interface Scope {
  readonly context: ImportContext;
  readonly facts: GrowingFacts;
  readonly producer: ReadonlyMap<string, Node>;
  /** Nodes of the graph that read a value. */
  readonly readers: ReadonlyMap<string, readonly Node[]>;
  /** Whether the height or width of some input is not fixed. */
  readonly hasFreeSpatial: boolean;
  /** A writer for what takes the place of a node. */
  writer(origin: Node): OpWriter;
}

/** One family: the nodes that a foreign node stands for, or undefined when it is none of the family's. */
export interface Translator {
  readonly family: string;
  readonly translate: (node: Node, scope: Scope) => readonly Node[] | undefined;
}

function readersOf(nodes: readonly Node[]): Map<string, Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const name of new Set(node.inputs)) {
      const known = readers.get(name);
      if (known === undefined) readers.set(name, [node]);
      else known.push(node);
    }
  }
  return readers;
}

/** Translates the graph in place; the first family that knows a node has it. */
export function translateNodes(context: ImportContext, translators: readonly Translator[]): void {
  const { model, options } = context;
  const { graph } = model;
  const facts = growFacts(model, options.ops, bindingPairs(graph)[0]!.first);
  const producer = new Map<string, Node>();
  const opset = model.opsetImports.get("") ?? 1;
  const writer = (origin: Node) => opWriter(graph, opset, context.names.values, origin);
  const readers = readersOf(graph.nodes);
  const scope: Scope = { context, facts, producer, readers, hasFreeSpatial: hasFreeSpatial(graph), writer };
  graph.nodes = graph.nodes.flatMap((node) => {
    let result: readonly Node[] | undefined;
    for (const { translate } of translators) result ??= translate(node, scope);
    result ??= [node];
    for (const made of result) {
      facts.add(made);
      for (const output of made.outputs) producer.set(output, made);
    }
    return result;
  });
}
