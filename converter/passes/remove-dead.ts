// What no output depends on goes: nodes, constants, functions nobody calls, domains nobody uses.

import { removeDead as removeDeadNodes, subgraphsOf } from "../../src/core/ir/edit.ts";
import type { FunctionBody, Model, Node } from "../../src/core/ir/model.ts";
import type { Pass } from "./pass.ts";

function withSubgraphs(nodes: readonly Node[]): Node[] {
  return nodes.flatMap((node) => [node, ...subgraphsOf(node).flatMap((part) => withSubgraphs(part.nodes))]);
}

/** Functions that the nodes call, and those that they call in turn. */
function calledFunctions(model: Model): Set<FunctionBody> {
  const called = new Set<FunctionBody>();
  const visit = (nodes: readonly Node[]): void => {
    for (const node of withSubgraphs(nodes)) {
      for (const body of model.functions) {
        const isCall =
          body.domain === node.domain &&
          body.name === node.opType &&
          (body.overload ?? "") === (node.overload ?? "");
        if (!isCall || called.has(body)) continue;
        called.add(body);
        visit(body.nodes);
      }
    }
  };
  visit(model.graph.nodes);
  return called;
}

function removeUnusedFunctions(model: Model): number {
  const called = calledFunctions(model);
  const before = model.functions.length;
  model.functions = model.functions.filter((body) => called.has(body));
  return before - model.functions.length;
}

/** The standard domain stays, so that a model without nodes still says its opset. */
function removeUnusedDomains(model: Model): number {
  const nodes = [...model.graph.nodes, ...model.functions.flatMap((body) => body.nodes)];
  const used = new Set(["", ...withSubgraphs(nodes).map(({ domain }) => domain)]);
  const unused = [...model.opsetImports.keys()].filter((domain) => !used.has(domain));
  for (const domain of unused) model.opsetImports.delete(domain);
  return unused.length;
}

export const removeDead: Pass = {
  name: "remove-dead",
  description: "nodes, constants, functions and opset imports that no output needs",
  run: (model) => {
    const constants = model.graph.initializers.size;
    const nodes = removeDeadNodes(model.graph);
    const dropped = constants - model.graph.initializers.size;
    return nodes + dropped + removeUnusedFunctions(model) + removeUnusedDomains(model);
  },
};
