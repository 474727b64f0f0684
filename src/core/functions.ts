// Model-local functions: the nodes that a call of one stands for.

import { AdderNetError } from "./errors.ts";
import { nodeLabel } from "./ir/attributes.ts";
import type { Attribute, FunctionBody, Node } from "./ir/model.ts";

/** The function that a node calls, if it is one of `functions`. */
export function calledFunction(node: Node, functions: readonly FunctionBody[]): FunctionBody | undefined {
  return functions.find(
    ({ domain, name, overload }) =>
      domain === node.domain && name === node.opType && (overload ?? "") === (node.overload ?? ""),
  );
}

function boundAttributes(node: Node, given: ReadonlyMap<string, Attribute>): Map<string, Attribute> {
  const bound = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    // A reference to an attribute that the call leaves out is as if it were not written.
    const value = attribute.type === "REF" ? given.get(attribute.name) : attribute;
    if (value?.type === "GRAPH") bound.set(name, { ...value, value: boundGraph(value.value, given) });
    else if (value !== undefined) bound.set(name, value);
  }
  return bound;
}

function boundGraph<T extends { nodes: Node[] }>(graph: T, given: ReadonlyMap<string, Attribute>): T {
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({ ...node, attributes: boundAttributes(node, given) })),
  };
}

/**
 * The nodes of `body` as `call` means them: attribute references resolved, inputs that the call leaves out read as absent.
 * Values keep the names they have in the body. A call with too many inputs or outputs is ADN_ONNX_MODEL.
 */
export function bindCall(call: Node, body: FunctionBody): Node[] {
  if (call.inputs.length > body.inputs.length || call.outputs.length > body.outputs.length) {
    throw new AdderNetError("ADN_ONNX_MODEL", "the call does not fit its function", {
      where: nodeLabel(call),
      expected: `${body.inputs.length} inputs, ${body.outputs.length} outputs`,
      found: `${call.inputs.length} inputs, ${call.outputs.length} outputs`,
    });
  }
  const given = new Map([...body.attributeDefaults, ...call.attributes]);
  const absent = new Set(body.inputs.filter((_, index) => (call.inputs[index] ?? "") === ""));
  return body.nodes.map((node) => ({
    ...node,
    name: `${call.name || call.opType}/${node.name || node.opType}`,
    inputs: node.inputs.map((name) => (absent.has(name) ? "" : name)),
    attributes: boundAttributes(node, given),
  }));
}
