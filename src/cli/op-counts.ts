// How often each op stands in a graph, those inside its subgraphs included.

import type { Graph } from "../core/ir/model.ts";

export function countOps(graph: Graph, counts = new Map<string, number>()): Map<string, number> {
  for (const node of graph.nodes) {
    const name = node.domain === "" ? node.opType : `${node.domain}::${node.opType}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const attribute of node.attributes.values()) {
      if (attribute.type === "GRAPH") countOps(attribute.value, counts);
      if (attribute.type === "GRAPHS") for (const part of attribute.value) countOps(part, counts);
    }
  }
  return counts;
}
