// Networks written op by op, as exporters would: every call adds a node and answers the name of its value.

import { type ImportOptions, type ImportReport, importAdders } from "../../converter/importers/index.ts";
import { ops } from "../../custom-ops/index.ts";
import { interpret } from "../../src/core/interpret.ts";
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
} from "../../src/core/ir/attributes.ts";
import type { Attribute, Dim, Model, Node } from "../../src/core/ir/model.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { value } from "../core/small-graph.ts";

type Plain = number | readonly number[] | string | Attribute;

/** Numbers become INT or INTS, text STRING; anything else is given as an attribute. */
function attribute(plain: Plain): Attribute {
  if (typeof plain === "number") return intAttribute(plain);
  if (typeof plain === "string") return stringAttribute(plain);
  return "type" in plain ? plain : intsAttribute(plain);
}

export const float = floatAttribute;

export interface NetWriter {
  readonly model: Model;
  readonly opset: number;
  /** "domain::Op" or "Op". Node names are `scope/Op_1` when a scope is set. */
  op(name: string, inputs: readonly string[], attributes?: Readonly<Record<string, Plain>>): string;
  node(): Node;
  scope(path: string): void;
  constant(tensor: Tensor, name?: string): string;
  ints(values: readonly number[], dims?: readonly number[]): string;
  floats(values: readonly number[], dims?: readonly number[]): string;
  unsqueeze(x: string, axis: number): string;
  sum(x: string, axes: readonly number[], keepdims?: number): string;
  input(name: string, shape: readonly Dim[]): string;
  output(name: string): void;
}

export function netWriter(opset = 17): NetWriter {
  const model = emptyModel(emptyGraph([], [], []), opset);
  const { graph } = model;
  let path = "";
  const op: NetWriter["op"] = (name, inputs, attributes = {}) => {
    const [opType, domain = ""] = name.split("::").reverse() as [string, string?];
    const output = `v${graph.nodes.length}`;
    const nodeName = path === "" ? "" : `${path}/${opType}_${graph.nodes.length}`;
    const entries = Object.entries(attributes).map(([key, plain]) => [key, attribute(plain)] as const);
    graph.nodes.push({
      opType,
      domain,
      name: nodeName,
      inputs: [...inputs],
      outputs: [output],
      attributes: new Map(entries),
    });
    if (domain !== "") model.opsetImports.set(domain, 1);
    return output;
  };
  const constant = (tensor: Tensor, name = `k${graph.initializers.size}`): string => {
    graph.initializers.set(name, tensor);
    return name;
  };
  const ints = (values: readonly number[], dims?: readonly number[]) => constant(int64Tensor(values, dims));
  const withAxes = (name: string, x: string, axes: readonly number[], rest = {}) =>
    opset < 13 ? op(name, [x], { axes, ...rest }) : op(name, [x, ints(axes)], rest);
  return {
    model,
    opset,
    op,
    node: () => graph.nodes.at(-1)!,
    scope: (to) => {
      path = to;
    },
    constant,
    ints,
    floats: (values, dims) => constant(float32Tensor(values, dims)),
    unsqueeze: (x, axis) => withAxes("Unsqueeze", x, [axis]),
    sum: (x, axes, keepdims = 0) => withAxes("ReduceSum", x, axes, { keepdims }),
    input: (name, shape) => {
      graph.inputs.push(value(name, shape));
      return name;
    },
    output: (name) => {
      graph.outputs.push({ name });
    },
  };
}

export function importNet(net: NetWriter, options: Partial<ImportOptions> = {}): ImportReport {
  return importAdders(net.model, { ops, ...options });
}

/** The first output of the model as it stands, in float64. */
export function runNet(
  { model }: Pick<NetWriter, "model">,
  feeds: Readonly<Record<string, Tensor>>,
): number[] {
  const results = interpret(model.graph, model.opsetImports, ops, new Map(Object.entries(feeds)), {
    float64: true,
    functions: model.functions,
  });
  return Array.from([...results.values()][0]!.data as Float64Array);
}

export const adderNodes = ({ model }: Pick<NetWriter, "model">): Node[] =>
  model.graph.nodes.filter(({ opType, domain }) => opType === "Adder2d" && domain === "addernet");
