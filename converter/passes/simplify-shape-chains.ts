// Shapes computed from shapes become constants: Shape → Gather → Unsqueeze → Concat → Reshape is a Flatten or a
// Reshape to [0, -1].

import { replaceNodes } from "../../src/core/ir/edit.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { type Facts, factsOf } from "./facts.ts";
import { type Pass, rewriteEach } from "./pass.ts";
import { givenTarget, putReshape, reshapeForm } from "./reshape-target.ts";

function simplifyReshape(graph: Graph, facts: Facts, node: Node): boolean {
  const [input, output] = [facts.get(node.inputs[0]!)?.shape, facts.get(node.outputs[0]!)?.shape];
  if (input === undefined || output === undefined) return false;
  const form = reshapeForm(input, output, givenTarget(graph, node));
  return form !== undefined && putReshape(graph, node, node.inputs[0]!, form);
}

/** Replaces a node by its only output's value, where shape inference knows that value. */
function putConstant(graph: Graph, facts: Facts, node: Node): boolean {
  const [name] = node.outputs;
  if (node.outputs.length !== 1 || graph.outputs.some((info) => info.name === name)) return false;
  const tensor = facts.get(name!)?.constant;
  if (tensor === undefined) return false;
  graph.valueInfo.delete(name!);
  graph.initializers.set(name!, tensor);
  return true;
}

/**
 * Reshapes first: they leave the batch open, where the constants that come after would write the batch that was
 * exported.
 */
export const simplifyShapeChains: Pass = {
  name: "simplify-shape-chains",
  description:
    "Reshape targets known up to one symbol become constant or Flatten; other known shapes become constants",
  run: (model, context) => {
    const { graph } = model;
    const facts = factsOf(model, context);
    const reshapes = rewriteEach(graph, ["Reshape"], (node) => simplifyReshape(graph, facts, node));
    const constants = replaceNodes(graph, (node) => (putConstant(graph, facts, node) ? [] : undefined));
    return reshapes + constants;
  },
};
