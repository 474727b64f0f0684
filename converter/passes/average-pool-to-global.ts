// An average over the whole map is a GlobalAveragePool, which works for every size of map.

import { getInt, getInts, getString } from "../../src/core/ir/attributes.ts";
import { freshName, makeNode, namesIn, replaceNode } from "../../src/core/ir/edit.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { integerConstantOf } from "./constants.ts";
import { type Facts, factsOf } from "./facts.ts";
import { type Pass, rewriteEach } from "./pass.ts";

const isAll = (values: readonly number[] | undefined, number: number): boolean =>
  values?.every((value) => value === number) ?? true;

function coversMap(node: Node, facts: Facts): boolean {
  const size = facts.get(node.inputs[0]!)?.shape?.slice(2);
  const mode = getString(node, "auto_pad") ?? "NOTSET";
  if (size === undefined || getInts(node, "kernel_shape")?.join() !== size.join()) return false;
  return (
    mode === "VALID" ||
    (mode === "NOTSET" && isAll(getInts(node, "pads"), 0) && isAll(getInts(node, "dilations"), 1))
  );
}

/** Axes a ReduceMean names; undefined when it names none or computes them. */
function reducedAxes(graph: Graph, node: Node, rank: number): number[] | undefined {
  const axes = getInts(node, "axes") ?? integerConstantOf(graph, node.inputs[1]);
  return axes?.map((axis) => (axis < 0 ? axis + rank : axis)).sort((left, right) => left - right);
}

/** The mean over every spatial axis of N x C x H x W. */
function isSpatialMean(graph: Graph, node: Node, facts: Facts): boolean {
  const rank = facts.get(node.inputs[0]!)?.shape?.length;
  return rank === 4 && reducedAxes(graph, node, rank)?.join() === "2,3";
}

function replaceMean(graph: Graph, node: Node): void {
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  if ((getInt(node, "keepdims") ?? 1) === 1) {
    replaceNode(graph, node, { ...makeNode("GlobalAveragePool", [input], [output]), name: node.name });
    return;
  }
  const pooled = freshName(namesIn(graph), `${output}_pooled`);
  replaceNode(
    graph,
    node,
    { ...makeNode("GlobalAveragePool", [input], [pooled]), name: node.name },
    makeNode("Flatten", [pooled], [output]),
  );
}

/** AveragePool whose window is the whole unpadded map, and ReduceMean over height and width. */
export const averagePoolToGlobal: Pass = {
  name: "average-pool-to-global",
  description: "AveragePool over the whole map and ReduceMean over height and width become GlobalAveragePool",
  run: (model, context) => {
    const { graph } = model;
    const facts = factsOf(model, context);
    return rewriteEach(graph, ["AveragePool", "ReduceMean"], (node) => {
      const isPool = node.opType === "AveragePool";
      if (!(isPool ? coversMap(node, facts) : isSpatialMean(graph, node, facts))) return false;
      if (isPool) {
        const pool = makeNode("GlobalAveragePool", node.inputs, node.outputs);
        replaceNode(graph, node, { ...pool, name: node.name });
      } else {
        replaceMean(graph, node);
      }
      return true;
    });
  },
};
