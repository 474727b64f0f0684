// A model from a graph's parts.

import type { Graph, Model } from "./model.ts";

/** What a graph cannot do without. */
export type GraphParts = Pick<Graph, "name" | "inputs" | "outputs" | "nodes" | "initializers">;

/** A model of IR 8, the first with functions, whose graph has these parts and nothing else. `opsets` are versions by domain. */
export function newModel(graph: GraphParts, opsets: Readonly<Record<string, number>>): Model {
  return {
    irVersion: 8,
    producerName: "addernet",
    producerVersion: "",
    domain: "",
    modelVersion: 0n,
    docString: "",
    opsetImports: new Map(Object.entries(opsets)),
    graph: { ...graph, overridable: [], valueInfo: new Map() },
    functions: [],
    metadata: new Map(),
  };
}
