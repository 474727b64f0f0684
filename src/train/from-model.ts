// A model as a network to train: each node becomes a layer, each initialiser a parameter of the same name.

import { AdderNetError } from "../core/errors.ts";
import { getFloat, getInt, getInts, getString, nodeLabel } from "../core/ir/attributes.ts";
import { cloneModel } from "../core/ir/clone.ts";
import type { Model, Node } from "../core/ir/model.ts";
import { elementCount, float32Tensor, type Tensor } from "../core/tensor.ts";
import type { Values } from "./initialise.ts";
import { type Layer, makeNetwork, type Network, type Parameter, type Shape, shapesOf } from "./network.ts";
import { unfuse } from "./unfuse.ts";

export interface TrainableModel {
  readonly network: Network;
  readonly values: Map<string, Float32Array>;
  /** Norms whose statistics fusing forgot: `measureNorms` before the first step. */
  readonly unmeasured: readonly string[];
  /** The model unfused, in which `withValues` puts what was learned. */
  readonly model: Model;
}

interface Reading {
  readonly model: Model;
  readonly layers: Layer[];
  /** Values that are others by another name: what Identity, Dropout and flat views make. */
  readonly aliases: Map<string, string>;
  readonly shapes: () => ReadonlyMap<string, Shape>;
  readonly parameters: Map<string, Parameter>;
}

const sourceOf = ({ aliases }: Reading, name: string): string => aliases.get(name) ?? name;

function refuse(node: Node, problem: string, found?: string): never {
  throw new AdderNetError("ADN_OP_UNSUPPORTED", problem, { where: nodeLabel(node), ...(found && { found }) });
}

function constant({ model }: Reading, node: Node, index: number): Tensor {
  const tensor = model.graph.initializers.get(node.inputs[index] ?? "");
  return tensor?.type === "float32" ? tensor : refuse(node, `input ${index} is no constant of float32`);
}

const pairOf = (values: readonly number[] | undefined, fallback: number): [number, number] =>
  values === undefined ? [fallback, fallback] : [values[0]!, values[1]!];

function windowOf(node: Node, kernel: readonly number[]) {
  const autoPad = getString(node, "auto_pad") ?? "NOTSET";
  const pads = getInts(node, "pads") ?? [0, 0, 0, 0];
  if (kernel.length !== 2 || pads.length !== 4) refuse(node, "only windows of two dimensions are trained");
  if (autoPad !== "NOTSET" && autoPad !== "VALID") refuse(node, "auto_pad is not read here", autoPad);
  if (getInt(node, "ceil_mode")) refuse(node, "ceil_mode is not trained");
  return {
    kernel: [kernel[0]!, kernel[1]!] as const,
    strides: pairOf(getInts(node, "strides"), 1),
    dilations: pairOf(getInts(node, "dilations"), 1),
    pads: [pads[0]!, pads[1]!, pads[2]!, pads[3]!] as const,
  };
}

/** The fields that all layers share. */
function base(reading: Reading, node: Node) {
  const output = node.outputs[0]!;
  return { name: node.name || output, input: sourceOf(reading, node.inputs[0]!), output };
}

type Reader = (reading: Reading, node: Node) => void;

const filterReader =
  (kind: "adder" | "conv"): Reader =>
  (reading, node) => {
    const { dims } = constant(reading, node, 1);
    const bias = node.inputs[2];
    if (bias) constant(reading, node, 2);
    reading.layers.push({
      ...{ kind, ...base(reading, node), ...windowOf(node, dims.slice(2)) },
      filters: dims[0]!,
      group: getInt(node, "group") ?? 1,
      weight: node.inputs[1]!,
      ...(bias && { bias }),
    });
  };

/** A product over all that comes in is a convolution with a window as large as the map. */
const gemm: Reader = (reading, node) => {
  const { dims } = constant(reading, node, 1);
  const [alpha, beta] = [getFloat(node, "alpha") ?? 1, getFloat(node, "beta") ?? 1];
  if (getInt(node, "transB") !== 1 || getInt(node, "transA") || alpha !== 1 || beta !== 1) {
    refuse(node, "only products with transposed weights [outputs, inputs] are trained");
  }
  const bias = node.inputs[2];
  if (bias) constant(reading, node, 2);
  reading.layers.push({
    ...{ kind: "conv", ...base(reading, node), filters: dims[0]!, group: 1 },
    ...{ kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
    weight: node.inputs[1]!,
    ...(bias && { bias }),
  });
};

const norm: Reader = (reading, node) => {
  for (const index of [1, 2, 3, 4]) constant(reading, node, index);
  const [, gamma, beta, mean, variance] = node.inputs as [string, string, string, string, string];
  reading.layers.push({
    ...{ kind: "norm", ...base(reading, node), gamma, beta, mean, variance },
    epsilon: getFloat(node, "epsilon") ?? 1e-5,
    momentum: 0.1,
  });
};

const relu: Reader = (reading, node) => {
  reading.layers.push({ kind: "relu", ...base(reading, node) });
};

const prelu: Reader = (reading, node) => {
  const { dims } = constant(reading, node, 1);
  const slope = node.inputs[1]!;
  if (elementCount(dims) !== 1 && elementCount(dims) !== dims[0]) refuse(node, "slopes must be per channel");
  reading.parameters.set(slope, { name: slope, role: "slope", dims: [elementCount(dims)] });
  reading.layers.push({ kind: "prelu", ...base(reading, node), slope });
};

const poolReader =
  (kind: "maxPool" | "averagePool"): Reader =>
  (reading, node) => {
    const kernel = getInts(node, "kernel_shape") ?? refuse(node, "kernel_shape is missing");
    const countsPadding = getInt(node, "count_include_pad") === 1;
    reading.layers.push({ kind, ...base(reading, node), ...windowOf(node, kernel), countsPadding });
  };

const globalAverage: Reader = (reading, node) => {
  const shape = reading.shapes().get(sourceOf(reading, node.inputs[0]!))!;
  reading.layers.push({
    ...{ kind: "averagePool", ...base(reading, node), countsPadding: true },
    ...{ kernel: [shape[1], shape[2]], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
  });
};

const add: Reader = (reading, node) => {
  const [first, other] = node.inputs.map((name) => sourceOf(reading, name));
  const known = reading.shapes();
  if (!known.has(first!) || !known.has(other!)) refuse(node, "only two values of the network are added");
  reading.layers.push({ kind: "add", ...base(reading, node), other: other! });
};

const sameValue: Reader = (reading, node) => {
  reading.aliases.set(node.outputs[0]!, sourceOf(reading, node.inputs[0]!));
};

/** [N,C,H,W] to [N,C·H·W] and between [N,C] and [N,C,1,1]: nothing moves where maps are single positions. */
const reshape: Reader = (reading, node) => {
  const [, height, width] = reading.shapes().get(sourceOf(reading, node.inputs[0]!))!;
  if (height === 1 && width === 1) sameValue(reading, node);
  else if (node.opType === "Flatten" || isFlat(reading, node)) {
    reading.layers.push({ kind: "flatten", ...base(reading, node) });
  } else refuse(node, "only reshapes to [N, C·H·W] are trained");
};

function isFlat({ model }: Reading, node: Node): boolean {
  const target = model.graph.initializers.get(node.inputs[1] ?? "");
  return target?.data.length === 2;
}

const readers: Readonly<Record<string, Reader>> = {
  "addernet::Adder2d": filterReader("adder"),
  Conv: filterReader("conv"),
  Gemm: gemm,
  BatchNormalization: norm,
  Relu: relu,
  PRelu: prelu,
  MaxPool: poolReader("maxPool"),
  AveragePool: poolReader("averagePool"),
  GlobalAveragePool: globalAverage,
  Add: add,
  Identity: sameValue,
  Dropout: sameValue,
  Flatten: reshape,
  Reshape: reshape,
  Squeeze: reshape,
};

const opName = ({ domain, opType }: Node): string => (domain === "" ? opType : `${domain}::${opType}`);

function refuseUnknown(nodes: readonly Node[]): void {
  const unknown = [...new Set(nodes.map(opName).filter((name) => !Object.hasOwn(readers, name)))];
  if (unknown.length === 0) return;
  throw new AdderNetError(
    "ADN_OP_UNSUPPORTED",
    `the model has ops that are not trained: ${unknown.join(", ")}`,
    {
      expected: Object.keys(readers).join(", "),
      fix: unknown.some((name) => /QLinear|Integer/.test(name))
        ? "train the float model, with --bits for low-bit codes"
        : "convert the model first (addernet convert)",
    },
  );
}

function inputOf({ graph }: Model): { readonly name: string; readonly shape: Shape } {
  const [input, ...more] = graph.inputs;
  const dims = input?.type?.kind === "tensor" ? input.type.shape?.slice(1) : undefined;
  if (more.length === 0 && dims?.length === 3 && dims.every((dim) => typeof dim === "number")) {
    return { name: input!.name, shape: dims as unknown as Shape };
  }
  throw new AdderNetError("ADN_SHAPE", "training takes models with one input [N, C, H, W] of known size", {
    found: `${graph.inputs.map(({ name }) => name).join(", ")} [${dims?.join(", ") ?? "?"}]`,
  });
}

/** A converted model, or one with batch norms of its own, as a network. Errors: ADN_OP_UNSUPPORTED, ADN_SHAPE. */
export function fromModel(original: Model): TrainableModel {
  const { model, unmeasured } = unfuse(original);
  const { name, shape } = inputOf(model);
  const layers: Layer[] = [];
  const parameters = new Map<string, Parameter>();
  const shapes = () => shapesOf({ input: name, shape, layers });
  const reading: Reading = { model, layers, aliases: new Map(), shapes, parameters };
  refuseUnknown(model.graph.nodes);
  for (const node of model.graph.nodes) readers[opName(node)]!(reading, node);
  const output = sourceOf(reading, model.graph.outputs[0]!.name);
  const network = makeNetwork({ input: name, shape, layers, output }, parameters);
  const values = new Map(
    [...network.parameters.keys()].map((key) => [
      key,
      (model.graph.initializers.get(key)!.data as Float32Array).slice(),
    ]),
  );
  const norms = layers.flatMap((layer) =>
    layer.kind === "norm" && unmeasured.has(layer.output) ? [layer.name] : [],
  );
  return { network, values, unmeasured: norms, model };
}

/** The model with other values of its parameters; shapes stay as the model has them. */
export function withValues(trainable: Pick<TrainableModel, "model">, values: Values): Model {
  const model = cloneModel(trainable.model);
  for (const [name, value] of values) {
    const { dims } = model.graph.initializers.get(name)!;
    model.graph.initializers.set(name, float32Tensor(Float32Array.from(value), dims));
  }
  return model;
}
