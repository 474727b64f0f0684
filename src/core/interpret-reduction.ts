// Chains such as Sub -> Abs -> ReduceSum evaluated in one walk, so that the broadcast difference is never held.

import { nodeLabel } from "./ir/attributes.ts";
import type { Graph, Node } from "./ir/model.ts";
import { indexGraph } from "./ir/walk.ts";
import type { OpContext, OpDefinition, ValueFact } from "./ops/define-op.ts";
import { factOf } from "./ops/facts.ts";
import { broadcastSteps, forEachRow, makeWalk } from "./ops/strided.ts";
import { scalarFunction } from "./ops/unary.ts";
import { allocate, elementCount, type NumberArray, type Tensor } from "./tensor.ts";

type Scalar = (x: number) => number;

/** a ± b with functions still to be applied, in order. Stands for a tensor of shape `dims` that is not held. */
export interface DeferredTensor {
  readonly left: Tensor;
  readonly right: Tensor;
  readonly sign: 1 | -1;
  readonly dims: readonly number[];
  readonly functions: readonly Scalar[];
}

/** What becomes of a sum over `count` elements of f(x). */
const sums: Record<string, { readonly scalar?: Scalar; readonly divides?: true }> = {
  ReduceSum: {},
  ReduceL1: { scalar: Math.abs },
  ReduceMean: { divides: true },
};

const standard = (node: Node, opTypes: readonly string[]): boolean =>
  node.domain === "" && opTypes.includes(node.opType);

/** The one number that a value holds from the start, by initialiser or Constant node. */
export function constantNumbers(
  graph: Pick<Graph, "nodes" | "initializers">,
): (name: string) => number | undefined {
  const producer = new Map(graph.nodes.map((node) => [node.outputs[0], node]));
  return (name) => {
    const constant = producer.get(name);
    const attribute =
      constant && standard(constant, ["Constant"]) ? [...constant.attributes.values()][0] : undefined;
    if (attribute?.type === "FLOAT") return attribute.value;
    const tensor = attribute?.type === "TENSOR" ? attribute.value : graph.initializers.get(name);
    const isNumber = tensor?.type === "float32" || tensor?.type === "float64";
    return isNumber && tensor.data.length === 1 && tensor.dims.length <= 1
      ? Number(tensor.data[0])
      : undefined;
  };
}

/** f of a node that may stand between the difference and the sum: an elementwise op, or Pow by a constant. */
export function chainFunction(
  node: Node,
  numberOf: (name: string) => number | undefined,
): Scalar | undefined {
  if (!standard(node, ["Pow"])) return scalarFunction(node);
  const exponent = numberOf(node.inputs[1] ?? "");
  return exponent === undefined ? undefined : (x) => x ** exponent;
}

/**
 * Nodes that begin a chain: Sub or Add, then elementwise nodes, then ReduceSum, ReduceL1 or ReduceMean, where each value
 * is read once and `isNeeded` names no value in between.
 */
export function reductionChains(graph: Graph, isNeeded: (name: string) => boolean): Set<Node> {
  const { consumers, outputs } = indexGraph(graph);
  const numberOf = constantNumbers(graph);
  const onlyReader = (node: Node): Node | undefined => {
    const [name] = node.outputs;
    if (name === undefined || outputs.has(name) || isNeeded(name)) return undefined;
    const readers = consumers.get(name);
    const reader = readers?.length === 1 ? readers[0]! : undefined;
    return reader?.inputs[0] === name && reader.inputs.lastIndexOf(name) === 0 ? reader : undefined;
  };
  const endsInSum = (node: Node): boolean => {
    for (let next = onlyReader(node); next !== undefined; next = onlyReader(next)) {
      if (standard(next, Object.keys(sums))) return true;
      if (chainFunction(next, numberOf) === undefined) return false;
    }
    return false;
  };
  return new Set(graph.nodes.filter((node) => standard(node, ["Sub", "Add"]) && endsInSum(node)));
}

/** The deferred result of a Sub or Add. */
export function defer(node: Node, left: Tensor, right: Tensor, dims: readonly number[]): DeferredTensor {
  return { left, right, sign: node.opType === "Sub" ? -1 : 1, dims, functions: [] };
}

export function deferFurther(deferred: DeferredTensor, scalar: Scalar): DeferredTensor {
  return { ...deferred, functions: [...deferred.functions, scalar] };
}

/** A row of the sum: reads left and right from i and j, adds into `totals` from `at`. */
type Row = (totals: Float64Array, at: number, i: number, j: number) => void;

interface Steps {
  readonly length: number;
  readonly into: number;
  readonly left: number;
  readonly right: number;
}

/** Σ|a - b|, the sum that adder layers are made of, without a call per element. */
function absoluteRow(a: NumberArray, b: NumberArray, steps: Steps, isSingle: boolean): Row {
  const { length, into, left, right } = steps;
  return (totals, at, i, j) => {
    for (let index = 0; index < length; index++, at += into, i += left, j += right) {
      const difference = Math.abs(a[i]! - b[j]!);
      totals[at]! += isSingle ? Math.fround(difference) : difference;
    }
  };
}

function anyRow(
  a: NumberArray,
  b: NumberArray,
  steps: Steps,
  isSingle: boolean,
  sign: number,
  f: Scalar[],
): Row {
  const { length, into, left, right } = steps;
  return (totals, at, i, j) => {
    for (let index = 0; index < length; index++, at += into, i += left, j += right) {
      let value = a[i]! + sign * b[j]!;
      if (isSingle) value = Math.fround(value);
      for (const scalar of f) value = isSingle ? Math.fround(scalar(value)) : scalar(value);
      totals[at]! += value;
    }
  };
}

function totalsOf(deferred: DeferredTensor, kept: readonly number[], functions: Scalar[]): Float64Array {
  const { left, right, dims, sign } = deferred;
  const totals = new Float64Array(elementCount(kept));
  const operands = [kept, left.dims, right.dims].map((from) => broadcastSteps(from, dims));
  const walk = makeWalk(dims, operands);
  const [into, i, j] = walk.steps.map((step) => step.at(-1)!) as [number, number, number];
  const steps: Steps = { length: walk.dims.at(-1)!, into, left: i, right: j };
  const [a, b] = [left.data as NumberArray, right.data as NumberArray];
  const isSingle = left.type === "float32";
  const isAbsolute = sign === -1 && functions.length > 0 && functions.every((scalar) => scalar === Math.abs);
  const row = isAbsolute
    ? absoluteRow(a, b, steps, isSingle)
    : anyRow(a, b, steps, isSingle, sign, functions);
  forEachRow(walk, (offsets) => row(totals, offsets[0]!, offsets[1]!, offsets[2]!));
  return totals;
}

/** The result of the ReduceSum, ReduceL1 or ReduceMean that ends a chain. */
export function sumDeferred(
  node: Node,
  deferred: DeferredTensor,
  axes: Tensor | undefined,
  reduction: OpDefinition,
  opset: number,
): Tensor {
  const context: OpContext = { opset, where: nodeLabel(node) };
  const { type } = deferred.left;
  const facts: (ValueFact | undefined)[] = [{ elemType: type, shape: deferred.dims }, axes && factOf(axes)];
  const shapeOf = (part: Node) => reduction.infer(part, facts, context)[0]!.shape as readonly number[];
  const keeping = new Map(node.attributes).set("keepdims", { type: "INT", value: 1n });
  const kept = shapeOf({ ...node, attributes: keeping });
  const { scalar, divides } = sums[node.opType]!;
  const totals = totalsOf(deferred, kept, [...deferred.functions, ...(scalar ? [scalar] : [])]);
  const count = divides ? elementCount(deferred.dims) / totals.length : 1;
  const data = allocate(type, totals.length) as NumberArray;
  for (let index = 0; index < data.length; index++) data[index] = totals[index]! / count;
  return { type, data, dims: shapeOf(node) };
}
