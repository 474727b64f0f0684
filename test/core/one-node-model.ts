// A model of one standard node, whose inputs are all fed.

import type { Graph, Model, Node, ValueInfo } from "../../src/core/ir/model.ts";
import type { OpCase } from "./suites/op-case.ts";

export function nodeOf({ opType, attributes, inputs, outputs = 1 }: OpCase): Node {
  return {
    opType,
    domain: "",
    name: "node",
    inputs: inputs.map((tensor, index) => (tensor === null ? "" : `in${index}`)),
    outputs: Array.from({ length: outputs }, (_, index) => `out${index}`),
    attributes: new Map(Object.entries(attributes)),
  };
}

export function emptyModel(graph: Graph, opset: number, irVersion = 8): Model {
  return {
    irVersion,
    producerName: "addernet test",
    producerVersion: "",
    domain: "",
    modelVersion: 0n,
    docString: "",
    opsetImports: new Map([["", opset]]),
    graph,
    functions: [],
    metadata: new Map(),
  };
}

export function emptyGraph(nodes: Node[], inputs: ValueInfo[], outputs: ValueInfo[]): Graph {
  return {
    name: "graph",
    inputs,
    outputs,
    nodes,
    initializers: new Map(),
    overridable: [],
    valueInfo: new Map(),
  };
}

export function oneNodeModel(testCase: OpCase): Model {
  const node = nodeOf(testCase);
  const inputs = testCase.inputs.flatMap((tensor, index): ValueInfo[] =>
    tensor === null
      ? []
      : [{ name: `in${index}`, type: { kind: "tensor", elemType: tensor.type, shape: tensor.dims } }],
  );
  const outputs = node.outputs.map((name): ValueInfo => ({ name }));
  return emptyModel(emptyGraph([node], inputs, outputs), testCase.opset);
}
