// What every importer may rely on: constants are initialisers, floats have 32 bits or more, no private paths in metadata.

import type { DataType } from "../../src/core/dtype.ts";
import { widenFloat16 } from "../../src/core/float16.ts";
import {
  getFloat,
  getFloats,
  getInt,
  getInts,
  getTensor,
  intAttribute,
} from "../../src/core/ir/attributes.ts";
import { freshName, makeNode, namesIn, replaceUses, subgraphsOf } from "../../src/core/ir/edit.ts";
import type { Attribute, Graph, Model, Node, ValueInfo } from "../../src/core/ir/model.ts";
import { float32Tensor, int64Tensor, type Tensor, toNumbers } from "../../src/core/tensor.ts";

const isHalf = (type: DataType): boolean => type === "float16" || type === "bfloat16";

/** Attributes that name an element type; 10 is float16, 16 bfloat16, 1 float32. */
const typeAttributes = ["to", "dtype", "output_dtype", "stash_type"];

function widenInfo(info: ValueInfo): ValueInfo {
  if (info.type?.kind !== "tensor" || !isHalf(info.type.elemType)) return info;
  return { ...info, type: { ...info.type, elemType: "float32" } };
}

function widenAttribute(name: string, attribute: Attribute): Attribute {
  if (attribute.type === "TENSOR" && isHalf(attribute.value.type)) {
    return { ...attribute, value: widenFloat16(attribute.value) };
  }
  const namesHalf = attribute.type === "INT" && (attribute.value === 10n || attribute.value === 16n);
  return namesHalf && typeAttributes.includes(name) ? intAttribute(1) : attribute;
}

function widenNodes(nodes: readonly Node[]): void {
  for (const node of nodes) {
    for (const [name, attribute] of node.attributes)
      node.attributes.set(name, widenAttribute(name, attribute));
    subgraphsOf(node).forEach(widenGraph);
  }
}

function widenGraph(graph: Graph): void {
  graph.inputs = graph.inputs.map(widenInfo);
  graph.outputs = graph.outputs.map(widenInfo);
  graph.overridable = graph.overridable.map(widenInfo);
  for (const [name, info] of graph.valueInfo) graph.valueInfo.set(name, widenInfo(info));
  for (const [name, tensor] of graph.initializers) {
    if (isHalf(tensor.type)) graph.initializers.set(name, widenFloat16(tensor));
  }
  widenNodes(graph.nodes);
}

/** Makes every 16-bit float of the model a float32, values unchanged. Answers the graph inputs that were 16-bit. */
export function widenModel(model: Model): string[] {
  const inputs = model.graph.inputs.filter(({ type }) => type?.kind === "tensor" && isHalf(type.elemType));
  widenGraph(model.graph);
  for (const body of model.functions) widenNodes(body.nodes);
  return inputs.map(({ name }) => name);
}

/** The value of a Constant node; undefined for sparse values and strings. */
function constantValue(node: Node): Tensor | undefined {
  const tensor = getTensor(node, "value");
  if (tensor !== undefined) return tensor;
  const float = getFloat(node, "value_float");
  if (float !== undefined) return float32Tensor([float], []);
  const floats = getFloats(node, "value_floats");
  if (floats !== undefined) return float32Tensor(floats);
  const int = getInt(node, "value_int");
  if (int !== undefined) return int64Tensor([int], []);
  const ints = getInts(node, "value_ints");
  return ints && int64Tensor(ints);
}

function liftConstants(graph: Graph): void {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  graph.nodes = graph.nodes.filter((node) => {
    if (node.opType !== "Constant" || node.domain !== "" || outputs.has(node.outputs[0]!)) return true;
    const value = constantValue(node);
    if (value === undefined) return true;
    graph.initializers.set(node.outputs[0]!, value);
    graph.valueInfo.delete(node.outputs[0]!);
    return false;
  });
}

/** Nodes that answer their first input as it is: Identity, and Dropout outside training. */
function isPassThrough(node: Node, graph: Graph): boolean {
  if (node.domain !== "" || node.opType !== "Dropout")
    return node.domain === "" && node.opType === "Identity";
  const training = node.inputs[2] ? graph.initializers.get(node.inputs[2])?.data[0] : 0;
  return !node.outputs[1] && training !== undefined && Number(training) === 0;
}

/** Readers of a node that changes nothing read its input; what makes a graph output stays. */
function bypassPassThrough(graph: Graph): void {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  graph.nodes = graph.nodes.filter((node) => {
    const [from, to] = [node.inputs[0]!, node.outputs[0]!];
    if (!isPassThrough(node, graph) || outputs.has(to)) return true;
    replaceUses(graph, to, from);
    graph.valueInfo.delete(to);
    return false;
  });
}

/** A sequence made on the spot and joined is a Concat; with new_axis, of unsqueezed parts. */
function joinSequences(graph: Graph, opset: number): void {
  const made = new Map(
    graph.nodes
      .filter(({ opType }) => opType === "SequenceConstruct")
      .map((node) => [node.outputs[0]!, node]),
  );
  const taken = namesIn(graph);
  graph.nodes = graph.nodes.flatMap((node) => {
    const sequence = node.opType === "ConcatFromSequence" ? made.get(node.inputs[0]!) : undefined;
    const axis = getInt(node, "axis");
    if (sequence === undefined || axis === undefined) return [node];
    const concat = makeNode("Concat", sequence.inputs, node.outputs, [["axis", intAttribute(axis)]], {
      name: node.name,
    });
    if (node.metadata) concat.metadata = node.metadata;
    if ((getInt(node, "new_axis") ?? 0) === 0) return [concat];
    const lifted = sequence.inputs.map((input) => unsqueeze(graph, taken, input, axis, opset));
    concat.inputs = lifted.map(({ outputs }) => outputs[0]!);
    return [...lifted, concat];
  });
}

/** Unsqueeze as the opset writes it: axes as attribute up to 12, as input from 13 on. */
function unsqueeze(graph: Graph, taken: Set<string>, input: string, axis: number, opset: number): Node {
  const output = freshName(taken, `${input}_unsqueezed`);
  if (opset < 13) {
    const axes: Attribute = { type: "INTS", value: [BigInt(axis)] };
    return makeNode("Unsqueeze", [input], [output], [["axes", axes]]);
  }
  const axes = freshName(taken, `${output}_axes`);
  graph.initializers.set(axes, int64Tensor([axis]));
  return makeNode("Unsqueeze", [input, axes], [output]);
}

/** Elements of a sequence that Split made are outputs of a Split. */
function splitSequences(graph: Graph): void {
  const split = new Map(
    graph.nodes.filter(({ opType }) => opType === "SplitToSequence").map((node) => [node.outputs[0]!, node]),
  );
  const taken = namesIn(graph);
  graph.nodes = graph.nodes.flatMap((node) => {
    const maker = node.opType === "SequenceAt" ? split.get(node.inputs[0]!) : undefined;
    const position = node.inputs[1] && graph.initializers.get(node.inputs[1]);
    const length = maker?.inputs[1] && graph.initializers.get(maker.inputs[1]);
    if (!maker || !position || !length || (getInt(maker, "keepdims") ?? 1) === 0) return [node];
    const slice = sliceOf(toNumbers(length), length.dims.length === 0, toNumbers(position)[0]!);
    if (slice === undefined) return [node];
    const axis = getInt(maker, "axis") ?? 0;
    const constants = [[slice[0]], [slice[1]], [axis]].map((values, at) => {
      const name = freshName(taken, `${node.outputs[0]}_${["start", "end", "axis"][at]}`);
      graph.initializers.set(name, int64Tensor(values as number[]));
      return name;
    });
    return [makeNode("Slice", [maker.inputs[0]!, ...constants], node.outputs, [], { name: node.name })];
  });
}

/** Start and end of part `position`, for parts of one length or of a list of lengths. */
function sliceOf(
  lengths: readonly number[],
  isUniform: boolean,
  position: number,
): [number, number] | undefined {
  if (position < 0) return undefined;
  if (isUniform) return [position * lengths[0]!, (position + 1) * lengths[0]!];
  const length = lengths[position];
  const start = lengths.slice(0, position).reduce((sum, each) => sum + each, 0);
  return length === undefined ? undefined : [start, start + length];
}

/** Metadata that holds the source paths of the author's machine. */
function dropStackTraces(nodes: readonly Node[]): void {
  for (const node of nodes) {
    for (const key of node.metadata?.keys() ?? [])
      if (key.endsWith("stack_trace")) node.metadata!.delete(key);
    for (const graph of subgraphsOf(node)) dropStackTraces(graph.nodes);
  }
}

/** Constants as initialisers, Identity and Dropout gone, sequences that need not be one undone. Run again after functions were inlined. */
export function normaliseGraph(model: Model): void {
  const { graph } = model;
  liftConstants(graph);
  bypassPassThrough(graph);
  joinSequences(graph, model.opsetImports.get("") ?? 1);
  splitSequences(graph);
  dropStackTraces(graph.nodes);
}
