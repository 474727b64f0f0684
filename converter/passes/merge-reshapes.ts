// Runs of Reshape, Flatten, Squeeze and Unsqueeze become one.

import type { Graph, Node } from "../../src/core/ir/model.ts";
import { type Facts, factsOf } from "./facts.ts";
import { type Pass, rewriteEach, type Site } from "./pass.ts";
import { givenTarget, putReshape, type ReshapeForm, reshapeForm } from "./reshape-target.ts";
import { makerOf } from "./sources.ts";

const reshapeOps = ["Reshape", "Flatten", "Squeeze", "Unsqueeze"];

function reshapeBefore(site: Site, node: Node): Node | undefined {
  for (const opType of reshapeOps) {
    const before = makerOf(site, node.inputs[0], opType);
    if (before !== undefined) return before;
  }
  return undefined;
}

/** A constant target without 0 does not care what it reshapes, so shapes need not be known. */
function mergedForm(graph: Graph, facts: Facts, before: Node, node: Node): ReshapeForm | undefined {
  const given = node.opType === "Reshape" ? givenTarget(graph, node) : undefined;
  const [input, output] = [facts.get(before.inputs[0]!)?.shape, facts.get(node.outputs[0]!)?.shape];
  if (input !== undefined && output !== undefined) {
    const form = reshapeForm(input, output, given);
    if (form !== undefined) return form;
  }
  return given && !given.includes(0) ? { kind: "target", target: given } : undefined;
}

function merge(site: Site, facts: Facts, node: Node): boolean {
  const { graph } = site;
  const before = reshapeBefore(site, node);
  const form = before && mergedForm(graph, facts, before, node);
  return form !== undefined && putReshape(graph, node, before!.inputs[0]!, form);
}

/** The earlier of the two stays while others read it. */
export const mergeReshapes: Pass = {
  name: "merge-reshapes",
  description: "a Reshape, Flatten, Squeeze or Unsqueeze of another becomes one of them, or nothing",
  run: (model, context) => {
    const { graph } = model;
    const facts = factsOf(model, context);
    return rewriteEach(graph, reshapeOps, (node, site) => merge(site, facts, node));
  },
};
