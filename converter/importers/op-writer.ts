// Writes standard ops in the version a model imports: what importers translate foreign nodes into.

import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { freshName, makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Graph, Node } from "../../src/core/ir/model.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../src/core/tensor.ts";

type Attributes = Iterable<readonly [string, Attribute]>;

/** Collects nodes; every method answers the name of the value it makes. */
export interface OpWriter {
  readonly nodes: readonly Node[];
  /** `output` is a fresh name unless it is given. */
  op(opType: string, inputs: readonly string[], attributes?: Attributes, output?: string): string;
  constant(tensor: Tensor): string;
  ints(values: readonly number[]): string;
  int(value: number): string;
  float(value: number): string;
  unsqueeze(value: string, axes: readonly number[], output?: string): string;
  squeeze(value: string, axes: readonly number[], output?: string): string;
  reduceSum(value: string, axes: readonly number[], keepdims: boolean, output?: string): string;
}

/** "/conv1" of a node "/conv1/PythonOp": what is written in its place stays in its module; else the node's own name. */
function placeOf(origin: Node): string {
  const name = origin.name || origin.outputs[0] || origin.opType;
  return name.startsWith("/") ? name.slice(0, name.lastIndexOf("/")) : name;
}

/** A writer for the nodes that take the place of `origin`: they are named after its module and carry its metadata. */
export function opWriter(graph: Graph, opset: number, taken: Set<string>, origin: Node): OpWriter {
  const nodes: Node[] = [];
  const prefix = placeOf(origin);
  const op = (
    opType: string,
    inputs: readonly string[],
    attributes: Attributes = [],
    output?: string,
  ): string => {
    const name = freshName(taken, `${prefix}/${opType}`);
    const node = makeNode(opType, inputs, [output ?? `${name}_output`], attributes, { name });
    if (origin.metadata) node.metadata = new Map(origin.metadata);
    taken.add(node.outputs[0]!);
    nodes.push(node);
    return node.outputs[0]!;
  };
  const constant = (tensor: Tensor): string => {
    const name = freshName(taken, `${prefix}/constant`);
    graph.initializers.set(name, tensor);
    return name;
  };
  const ints = (values: readonly number[]): string => constant(int64Tensor(values));
  /** Axes are an attribute up to opset 12 and an input from 13 on. */
  const withAxes = (
    opType: string,
    value: string,
    axes: readonly number[],
    rest: Attributes,
    output?: string,
  ) =>
    opset < 13
      ? op(opType, [value], [["axes", intsAttribute(axes)], ...rest], output)
      : op(opType, [value, ints(axes)], rest, output);
  return {
    nodes,
    op,
    constant,
    ints,
    int: (value) => constant(int64Tensor([value], [])),
    float: (value) => constant(float32Tensor([value], [])),
    unsqueeze: (value, axes, output) => withAxes("Unsqueeze", value, axes, [], output),
    squeeze: (value, axes, output) => withAxes("Squeeze", value, axes, [], output),
    reduceSum: (value, axes, keepdims, output) =>
      withAxes("ReduceSum", value, axes, [["keepdims", intAttribute(keepdims ? 1 : 0)]], output),
  };
}
