// The CNN that a network with adder layers stands against: the same topology, a product in the place of every distance.

import { AdderNetError } from "../src/core/errors.ts";
import { getFloat } from "../src/core/ir/attributes.ts";
import { cloneModel } from "../src/core/ir/clone.ts";
import { freshName, makeNode, namesIn } from "../src/core/ir/edit.ts";
import type { Attribute, Graph, Model, Node } from "../src/core/ir/model.ts";
import { seededNormal, seededUniform } from "../src/core/sample-feeds.ts";
import { elementCount, float32Tensor, type Tensor } from "../src/core/tensor.ts";

interface Draft {
  readonly graph: Graph;
  readonly normal: () => number;
  readonly constant: (wanted: string, tensor: Tensor) => string;
  readonly value: (wanted: string) => string;
}

const convAttributes = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];

const windowOf = ({ attributes }: Node): (readonly [string, Attribute])[] =>
  [...attributes].filter(([name]) => convAttributes.includes(name));

function weightDims({ graph }: Draft, node: Node, input: number): readonly number[] {
  const weights = graph.initializers.get(node.inputs[input]!);
  if (weights !== undefined && weights.dims.length === 4) return weights.dims;
  throw new AdderNetError("ADN_OP_UNSUPPORTED", "the weights of an adder layer are computed by the graph", {
    where: node.name,
    fix: "give the CNN to compare with as a file: --compare cnn.onnx",
  });
}

/** Normal with He's deviation, so that values keep their size from layer to layer. */
function floatWeights(draft: Draft, dims: readonly number[]): Tensor {
  const gain = Math.sqrt(2 / elementCount(dims.slice(1)));
  return float32Tensor(
    Float32Array.from({ length: elementCount(dims) }, () => gain * draft.normal()),
    dims,
  );
}

/** What limits a value, and undefined where nothing does. */
function boundOf(node: Node, name: string): number | undefined {
  const bound = getFloat(node, name);
  return bound === undefined || Math.abs(bound) > 3.4e38 ? undefined : bound;
}

function clipNode(draft: Draft, node: Node, input: string): Node | undefined {
  const [low, high] = [boundOf(node, "activation_min"), boundOf(node, "activation_max")];
  if (low === undefined && high === undefined) return undefined;
  const output = node.outputs[0]!;
  if (low === 0 && high === undefined) return makeNode("Relu", [input], [output]);
  const constant = (name: string, value: number | undefined) =>
    value === undefined ? "" : draft.constant(`${output}.${name}`, float32Tensor([value], []));
  return makeNode("Clip", [input, constant("low", low), constant("high", high)], [output]);
}

/** A residual that does something: our own writer puts zeros where there is none. */
function residualOf({ graph }: Draft, name: string | undefined): string | undefined {
  if (!name) return undefined;
  const constant = graph.initializers.get(name)?.data as ArrayLike<number> | undefined;
  return constant !== undefined && Array.from(constant).every((value) => value === 0) ? undefined : name;
}

/** Conv with a bias, then what the adder layer had inside: the residual add and the clip. */
function floatLayer(draft: Draft, node: Node): Node[] {
  const x = node.inputs[0]!;
  const z = residualOf(draft, node.inputs[4]);
  const output = node.outputs[0]!;
  const dims = weightDims(draft, node, 1);
  const weights = draft.constant(`${output}.products`, floatWeights(draft, dims));
  const biases = Float32Array.from({ length: dims[0]! }, () => 0.1 * draft.normal());
  const bias = draft.constant(`${output}.biases`, float32Tensor(biases));
  const before = draft.value(`${output}.sum`);
  const clip = clipNode(draft, node, before);
  const afterAdd = clip ? before : output;
  const afterConv = z ? draft.value(`${output}.conv`) : afterAdd;
  const conv = makeNode("Conv", [x, weights, bias], [afterConv], windowOf(node), { name: node.name });
  const add = z && makeNode("Add", [afterConv, z], [afterAdd]);
  return [conv, ...(add ? [add] : []), ...(clip ? [clip] : [])];
}

const codes = (type: "uint8" | "int8", values: ArrayLike<number>, dims: readonly number[]): Tensor => ({
  type,
  data: (type === "int8" ? Int8Array : Uint8Array).from(values),
  dims,
});

/** Standard deviations of codes as made up here. */
const deviation = { x: 60, w: 40 } as const;

/** QLinearConv with int8 weights, then QLinearAdd for a residual: onnxruntime's own int8 form. */
function codeLayer(draft: Draft, node: Node): Node[] {
  const [x, xZero, , , , yZero, , zScale, zZero] = node.inputs;
  const z = residualOf(draft, node.inputs[6]);
  const output = node.outputs[0]!;
  const dims = weightDims(draft, node, 2);
  const filters = dims[0]!;
  const spread = deviation.x * deviation.w * Math.sqrt(elementCount(dims.slice(1)));
  const values = Array.from({ length: elementCount(dims) }, () =>
    Math.max(-127, Math.min(127, Math.round(deviation.w * draft.normal()))),
  );
  const one = draft.constant(`${output}.one`, float32Tensor([1], []));
  const scale = draft.constant(`${output}.scale`, float32Tensor([spread / deviation.x], []));
  const weights = [
    draft.constant(`${output}.products`, codes("int8", values, dims)),
    draft.constant(`${output}.products.scale`, float32Tensor(new Float32Array(filters).fill(1))),
    draft.constant(`${output}.products.zero`, codes("int8", new Int8Array(filters), [filters])),
  ];
  const made = z ? draft.value(`${output}.conv`) : output;
  const madeZero = z ? draft.constant(`${output}.conv.zero`, codes("uint8", [128], [])) : yZero!;
  const convInputs = [x!, one, xZero!, ...weights, scale, madeZero];
  const conv = makeNode("QLinearConv", convInputs, [made], windowOf(node), { name: node.name });
  if (!z) return [conv];
  const addInputs = [made, one, madeZero, z, zScale!, zZero!, one, yZero!];
  return [conv, makeNode("QLinearAdd", addInputs, [output], [], { domain: "com.microsoft" })];
}

/** ConvInteger on the same codes. */
function sumLayer(draft: Draft, node: Node): Node[] {
  const [x, , xZero] = node.inputs;
  const dims = weightDims(draft, node, 1);
  const values = Array.from({ length: elementCount(dims) }, () => Math.round(20 * draft.normal()));
  const weights = draft.constant(`${node.outputs[0]}.products`, codes("int8", values, dims));
  const inputs = [x!, weights, ...(xZero ? [xZero] : [])];
  return [makeNode("ConvInteger", inputs, node.outputs, windowOf(node), { name: node.name })];
}

const layers: Readonly<Record<string, (draft: Draft, node: Node) => Node[]>> = {
  Adder2d: floatLayer,
  QLinearAdder2d: codeLayer,
  AdderInteger2d: sumLayer,
};

/**
 * A CNN of the model's topology: every adder layer as a convolution with made-up weights and a bias, batch normalisation folded as
 * an engine would, residual adds and activations as they are; codes stay codes. Time does not depend on what it has learnt. Throws
 * ADN_OP_UNSUPPORTED for layers whose weights are no constants.
 */
export function cnnTwin(model: Model): Model {
  const twin = cloneModel(model);
  const { graph, opsetImports } = twin;
  const taken = namesIn(graph);
  const draft: Draft = {
    graph,
    normal: seededNormal(seededUniform(20)),
    constant: (wanted, tensor) => {
      const name = freshName(taken, wanted);
      graph.initializers.set(name, tensor);
      return name;
    },
    value: (wanted) => freshName(taken, wanted),
  };
  graph.nodes = graph.nodes.flatMap((node) => {
    const isOurs = node.domain === "addernet" && Object.hasOwn(layers, node.opType);
    return isOurs ? layers[node.opType]!(draft, node) : [node];
  });
  const used = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  for (const name of [...graph.initializers.keys()]) if (!used.has(name)) graph.initializers.delete(name);
  graph.valueInfo.clear();
  opsetImports.delete("addernet");
  if (graph.nodes.some(({ domain }) => domain === "com.microsoft")) opsetImports.set("com.microsoft", 1);
  return { ...twin, functions: twin.functions.filter(({ domain }) => domain !== "addernet") };
}
