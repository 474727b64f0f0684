// Which nodes run on our kernels and which in inner onnxruntime sessions, cut into the fewest runs in a row.

import type { Graph, Model, Node, ValueInfo } from "../core/ir/model.ts";
import { topologicalOrder, valuesReadBy } from "../core/ir/walk.ts";

export interface Segment {
  readonly engine: "addernet" | "onnxruntime";
  /** A model of its own: the segment's nodes, its initialisers, what it takes and what it gives. */
  readonly model: Model;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/**
 * Depth of a node in alternations of engine: the nodes of one level of one engine form one segment. Two nodes of a level cannot depend on
 * each other through the other engine, since that would raise the level; so segments run one after the other by level.
 */
function levelsOf(nodes: readonly Node[], isOurs: (node: Node) => boolean): Map<Node, number> {
  const producer = new Map<string, Node>();
  const levels = new Map<Node, number>();
  for (const node of topologicalOrder(nodes)) {
    // Ours sit on even levels, so that a source of the other engine can come first at -1.
    let level = isOurs(node) ? 0 : -1;
    for (const name of valuesReadBy(node)) {
      const source = producer.get(name);
      if (source === undefined) continue;
      level = Math.max(level, levels.get(source)! + (isOurs(source) === isOurs(node) ? 0 : 1));
    }
    levels.set(node, level);
    for (const output of node.outputs) if (output !== "") producer.set(output, node);
  }
  return levels;
}

function segmentModel(
  model: Model,
  nodes: Node[],
  inputs: readonly ValueInfo[],
  outputs: readonly string[],
): Model {
  const read = new Set(nodes.flatMap((node) => [...valuesReadBy(node)]));
  const { graph } = model;
  const initializers = new Map([...graph.initializers].filter(([name]) => read.has(name)));
  const part: Graph = {
    name: graph.name,
    inputs: [...inputs],
    outputs: outputs.map((name) => ({ name })),
    nodes,
    initializers,
    overridable: [],
    valueInfo: new Map(),
  };
  return { ...model, graph: part, metadata: new Map() };
}

/**
 * Cuts `model` into segments in the order in which they can run. `isOurs` says which nodes our kernels take.
 * Types of segment inputs that are made by another segment are left open: only running its maker tells them.
 */
export function partition(model: Model, isOurs: (node: Node) => boolean): Segment[] {
  const { graph } = model;
  const levels = levelsOf(graph.nodes, isOurs);
  const declared = new Map([...graph.inputs, ...graph.overridable].map((info) => [info.name, info]));
  const finalOutputs = new Set(graph.outputs.map(({ name }) => name));
  return [...new Set(levels.values())]
    .sort((a, b) => a - b)
    .map((level) => {
      const nodes = graph.nodes.filter((node) => levels.get(node) === level);
      const made = new Set(nodes.flatMap((node) => node.outputs).filter((name) => name !== ""));
      const readElsewhere = new Set(
        graph.nodes.filter((node) => levels.get(node) !== level).flatMap((node) => [...valuesReadBy(node)]),
      );
      const read = new Set(nodes.flatMap((node) => [...valuesReadBy(node)]));
      const inputs = [...read].filter((name) => !made.has(name) && !graph.initializers.has(name));
      const outputs = [...made].filter((name) => finalOutputs.has(name) || readElsewhere.has(name));
      const infos = inputs.map((name): ValueInfo => declared.get(name) ?? { name });
      const ours = nodes.some(isOurs);
      return {
        engine: ours ? "addernet" : "onnxruntime",
        model: segmentModel(model, nodes, infos, outputs),
        inputs,
        outputs,
      } as const;
    });
}
