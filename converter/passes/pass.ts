// What a pass is, and how a list of them runs until nothing changes. The list itself is in index.ts.

import type { Graph, Model, Node } from "../../src/core/ir/model.ts";
import { type GraphIndex, indexGraph } from "../../src/core/ir/walk.ts";
import type { OpTable } from "../../src/core/ops/define-op.ts";

export interface PassContext {
  readonly ops: OpTable;
}

/** A rewrite of a model that keeps what it computes. Where it does not apply it changes nothing and answers 0. */
export interface Pass {
  readonly name: string;
  readonly description: string;
  /** Edits the model in place and answers the number of rewrites. */
  readonly run: (model: Model, context: PassContext) => number;
}

/** One run of one pass. */
export interface PassReport {
  readonly pass: string;
  /** Counted from 1: how often the whole list has been started. */
  readonly round: number;
  readonly rewrites: number;
  readonly nodesBefore: number;
  readonly nodesAfter: number;
}

/**
 * Bound on rounds. Every rewrite removes a node or brings one to its final form, so real models need three or four.
 */
const mostRounds = 32;

/** Runs the passes in order, again and again until a whole round rewrites nothing. */
export function runPasses(model: Model, passes: readonly Pass[], context: PassContext): PassReport[] {
  const reports: PassReport[] = [];
  for (let round = 1; round <= mostRounds; round++) {
    let rewrites = 0;
    for (const pass of passes) {
      const nodesBefore = model.graph.nodes.length;
      const count = pass.run(model, context);
      reports.push({
        pass: pass.name,
        round,
        rewrites: count,
        nodesBefore,
        nodesAfter: model.graph.nodes.length,
      });
      rewrites += count;
    }
    if (rewrites === 0) break;
  }
  return reports;
}

/** A graph and its index as it is at the moment of the call. */
export interface Site {
  readonly graph: Graph;
  readonly index: () => GraphIndex;
}

export type Rewrite = (node: Node, site: Site) => boolean;

/**
 * Calls `rewrite` for every node of one of the types ("Add", "addernet::Adder2d") that is still in the graph, in
 * order; answers how often it said that it changed something. The index is made again only after a change.
 */
export function rewriteEach(graph: Graph, opTypes: readonly string[], rewrite: Rewrite): number {
  let index: GraphIndex | undefined;
  let present = new Set(graph.nodes);
  const site: Site = { graph, index: () => (index ??= indexGraph(graph)) };
  let rewrites = 0;
  for (const node of present) {
    if (!opTypes.includes(node.domain === "" ? node.opType : `${node.domain}::${node.opType}`)) continue;
    if (!present.has(node) || !rewrite(node, site)) continue;
    rewrites++;
    index = undefined;
    present = new Set(graph.nodes);
  }
  return rewrites;
}
