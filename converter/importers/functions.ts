// Model-local functions (modules exported as functions, torch_lib): calls are replaced by what they stand for.

import { AdderNetError } from "../../src/core/errors.ts";
import { bindCall, calledFunction } from "../../src/core/functions.ts";
import { nodeLabel } from "../../src/core/ir/attributes.ts";
import { freshName, namesIn } from "../../src/core/ir/edit.ts";
import type { Attribute, FunctionBody, Graph, Model, Node } from "../../src/core/ir/model.ts";
import type { OpTable } from "../../src/core/ops/define-op.ts";

/** Functions may call functions; deeper than this they call themselves. */
const deepestCall = 64;

/** A subgraph with the names it captures from outside renamed; its own stay. */
function renameCaptured(graph: Graph, rename: (name: string) => string): Graph {
  const own = new Set([...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()]);
  for (const node of graph.nodes) for (const output of node.outputs) own.add(output);
  const outer = (name: string): string => (own.has(name) ? name : rename(name));
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameNode(node, outer, (name) => name)),
    outputs: graph.outputs.map((info) => ({ ...info, name: outer(info.name) })),
  };
}

function renameNode(node: Node, read: (name: string) => string, made: (name: string) => string): Node {
  const attributes = [...node.attributes].map(([name, attribute]): [string, Attribute] => {
    if (attribute.type !== "GRAPH") return [name, attribute];
    return [name, { ...attribute, value: renameCaptured(attribute.value, read) }];
  });
  return {
    ...node,
    inputs: node.inputs.map(read),
    outputs: node.outputs.map(made),
    attributes: new Map(attributes),
  };
}

function renamed(call: Node, body: FunctionBody, taken: Set<string>): Node[] {
  const names = new Map<string, string>();
  for (const [at, name] of body.inputs.entries()) names.set(name, call.inputs[at] ?? "");
  body.outputs.forEach((name, at) => {
    if (call.outputs[at]) names.set(name, call.outputs[at]);
  });
  const rename = (name: string): string => {
    if (name === "") return "";
    if (!names.has(name)) names.set(name, freshName(taken, `${call.name || call.opType}/${name}`));
    return names.get(name)!;
  };
  return bindCall(call, body).map((node) => ({
    ...renameNode(node, rename, rename),
    ...(node.metadata
      ? { metadata: new Map(node.metadata) }
      : call.metadata && { metadata: new Map(call.metadata) }),
  }));
}

/** A function may hand an input straight on, or answer one value twice: then its output is a copy. */
function copies(call: Node, body: FunctionBody): Node[] {
  return body.outputs.flatMap((name, at) => {
    const output = call.outputs[at];
    const input = body.inputs.indexOf(name);
    if (!output || input < 0) return [];
    return [
      {
        opType: "Identity",
        domain: "",
        name: "",
        inputs: [call.inputs[input]!],
        outputs: [output],
        attributes: new Map(),
      },
    ];
  });
}

/**
 * Writes out every function call whose meaning is not in `ops`, and drops the functions. Answers the nodes that came from functions.
 */
export function inlineForeignFunctions(model: Model, ops: OpTable): Node[] {
  const foreign = model.functions.filter(({ domain, name }) => ops.get(domain, name) === undefined);
  const taken = namesIn(model.graph);
  const inlined: Node[] = [];
  const expand = (node: Node, depth: number): Node[] => {
    const body = calledFunction(node, foreign);
    if (body === undefined) {
      if (depth > 0) inlined.push(node);
      return [node];
    }
    if (depth === deepestCall) {
      throw new AdderNetError("ADN_ONNX_MODEL", "a function calls itself", { where: nodeLabel(node) });
    }
    for (const [domain, version] of body.opsetImports) {
      if (!model.opsetImports.has(domain)) model.opsetImports.set(domain, version);
    }
    return [
      ...copies(node, body),
      ...renamed(node, body, taken).flatMap((inner) => expand(inner, depth + 1)),
    ];
  };
  model.graph.nodes = model.graph.nodes.flatMap((node) => expand(node, 0));
  model.functions = [];
  return inlined;
}
