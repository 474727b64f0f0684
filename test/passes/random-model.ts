// Random networks as adder nets are built: layers, norms, activations, residuals, pools, shape chains.

import { floatAttribute, intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Dim, Model } from "../../src/core/ir/model.ts";
import { int64Tensor, type Tensor } from "../../src/core/tensor.ts";
import { parseModel, randomTensor } from "./parse-model.ts";

/** One step of a recipe: what to add, and four numbers that choose among what there is. */
export interface Step {
  readonly kind: StepKind;
  readonly picks: readonly [number, number, number, number];
}

interface Value {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

class Builder {
  readonly model: Model;
  readonly values: Value[];
  #count = 0;

  constructor(batch: Dim) {
    this.model = parseModel(`input %x: float64[${batch},4,6,5]`);
    this.model.opsetImports.set("addernet", 1);
    this.values = [{ name: "x", channels: 4, height: 6, width: 5 }];
  }

  name(prefix: string): string {
    return `${prefix}${this.#count++}`;
  }

  constant(prefix: string, dims: readonly number[]): string {
    const name = this.name(prefix);
    return this.tensor(name, randomTensor(name, "float64", dims));
  }

  tensor(name: string, tensor: Tensor): string {
    this.model.graph.initializers.set(name, tensor);
    return name;
  }

  node(opType: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    const output = this.name(opType.toLowerCase());
    const domain = opType === "Adder2d" ? "addernet" : "";
    this.model.graph.nodes.push(makeNode(opType, inputs, [output], Object.entries(attributes), { domain }));
    return output;
  }
}

type Picks = Step["picks"];
/** Adds nodes that read `from`; answers the value made, or undefined where the step does not fit. */
type Grow = (builder: Builder, from: Value, picks: Picks) => Value | undefined;

/** Mostly the newest value, so that chains form; now and then an older one, so that values are shared. */
function pick(values: readonly Value[], number: number): Value {
  return values[number % 6 === 0 ? number % values.length : values.length - 1]!;
}

function convolve(opType: "Conv" | "Adder2d"): Grow {
  return (builder, from, [a, b, c, d]) => {
    const [kernel, channels, stride] = [
      [1, 3][a % 2]!,
      [4, 2][b % 5 === 0 ? 1 : 0]!,
      1 + (c % 4 === 0 ? 1 : 0),
    ];
    const pad = kernel === 3 && d % 6 !== 0 ? 1 : 0;
    const length = (size: number): number => Math.floor((size + 2 * pad - kernel) / stride) + 1;
    const [height, width] = [length(from.height), length(from.width)];
    if (height < 1 || width < 1) return undefined;
    const weights = builder.constant("weight", [channels, from.channels, kernel, kernel]);
    const inputs = [from.name, weights, ...(d % 3 === 0 ? [builder.constant("bias", [channels])] : [])];
    const name = builder.node(opType, inputs, {
      pads: intsAttribute([pad, pad, pad, pad]),
      strides: intsAttribute([stride, stride]),
    });
    return { name, channels, height, width };
  };
}

const batchNorm: Grow = (builder, from, [a]) => {
  const parameters = ["gamma", "beta", "mean", "var"].map((name) => builder.constant(name, [from.channels]));
  const attributes: Record<string, Attribute> = a % 2 === 0 ? { epsilon: floatAttribute(0.001953125) } : {};
  return { ...from, name: builder.node("BatchNormalization", [from.name, ...parameters], attributes) };
};

const unary =
  (opType: string): Grow =>
  (builder, from) => ({ ...from, name: builder.node(opType, [from.name]) });

const clip: Grow = (builder, from, [a]) => {
  const bound = (value: number): string =>
    builder.tensor(builder.name("bound"), { type: "float64", data: Float64Array.of(value), dims: [] });
  return { ...from, name: builder.node("Clip", [from.name, bound(a % 2 === 0 ? 0 : -1), bound(6)]) };
};

const addValue: Grow = (builder, from, [, b]) => {
  const fits = builder.values.filter(
    ({ channels, height, width }) =>
      channels === from.channels && [1, from.height].includes(height) && [1, from.width].includes(width),
  );
  return { ...from, name: builder.node("Add", [from.name, fits[b % fits.length]!.name]) };
};

/** A constant per channel, a scalar, or one for the whole map, on either side. */
const withConstant: Grow = (builder, from, [a, b, c]) => {
  const shapes = [
    [1, from.channels, 1, 1],
    [from.channels, 1, 1],
    [],
    [from.channels, from.height, from.width],
  ];
  const operands = [from.name, builder.constant("operand", shapes[a % shapes.length]!)];
  const name = builder.node(["Add", "Mul", "Sub"][b % 3]!, c % 2 === 0 ? operands : operands.reverse());
  return { ...from, name };
};

const pool: Grow = (builder, from, [a, b]) => {
  if (from.height < 2 || from.width < 2) return undefined;
  const name = builder.node(a % 2 === 0 ? "MaxPool" : "AveragePool", [from.name], {
    kernel_shape: intsAttribute([2, 2]),
    strides: intsAttribute(b % 2 === 0 ? [2, 2] : [1, 1]),
  });
  const length = (size: number): number => (b % 2 === 0 ? Math.floor(size / 2) : size - 1);
  return { ...from, name, height: length(from.height), width: length(from.width) };
};

const wholePool: Grow = (builder, from, [a]) => {
  const kernel = intsAttribute([from.height, from.width]);
  const name =
    a % 3 === 0
      ? builder.node("GlobalAveragePool", [from.name])
      : a % 3 === 1
        ? builder.node("AveragePool", [from.name], { kernel_shape: kernel })
        : builder.node("ReduceMean", [from.name], { axes: intsAttribute([2, 3]) });
  return { ...from, name, height: 1, width: 1 };
};

const pad: Grow = (builder, from, [a]) => {
  const by = a % 2;
  const pads = builder.tensor(builder.name("pads"), int64Tensor([0, 0, by, by, 0, 0, by, by]));
  const name = builder.node("Pad", [from.name, pads]);
  return { ...from, name, height: from.height + 2 * by, width: from.width + 2 * by };
};

const transposeTwice: Grow = (builder, from, [a]) => {
  const there = builder.node("Transpose", [from.name], { perm: intsAttribute([0, 2, 3, 1]) });
  const name = builder.node("Transpose", [there], {
    perm: intsAttribute(a % 2 === 0 ? [0, 3, 1, 2] : [0, 3, 2, 1]),
  });
  return a % 2 === 0 ? { ...from, name } : { ...from, name, height: from.width, width: from.height };
};

/** view(size(0), C, H, W) with the batch read off the shape. */
const viewSame: Grow = (builder, from) => {
  const zero = builder.tensor(builder.name("zero"), int64Tensor([0]));
  const rest = builder.tensor(builder.name("rest"), int64Tensor([from.channels, -1, from.width]));
  const shape = builder.node("Shape", [from.name]);
  const batch = builder.node("Gather", [shape, zero], { axis: intAttribute(0) });
  const target = builder.node("Concat", [batch, rest], { axis: intAttribute(0) });
  return { ...from, name: builder.node("Reshape", [from.name, target]) };
};

const grows = {
  conv: convolve("Conv"),
  adder: convolve("Adder2d"),
  batchNorm,
  relu: unary("Relu"),
  neg: unary("Neg"),
  identity: unary("Identity"),
  clip,
  addValue,
  withConstant,
  pool,
  wholePool,
  pad,
  transposeTwice,
  viewSame,
} satisfies Record<string, Grow>;

export type StepKind = keyof typeof grows;
/** Every kind of step, those that make up residual adder blocks more often. */
export const stepKinds: readonly StepKind[] = [
  ...(Object.keys(grows) as StepKind[]),
  ...(["adder", "adder", "adder", "batchNorm", "batchNorm", "addValue", "addValue", "relu"] as const),
];

/** A fully connected layer: adder on one point then Flatten, or Flatten then Gemm or MatMul. */
function fullyConnected(builder: Builder, from: Value, [a, b]: Picks): string {
  if (b % 3 === 0) {
    const pooled = builder.node("GlobalAveragePool", [from.name]);
    const weights = builder.constant("fc", [3, from.channels, 1, 1]);
    return builder.node("Flatten", [builder.node("Adder2d", [pooled, weights])]);
  }
  const features = from.channels * from.height * from.width;
  const shape = int64Tensor(a % 2 === 0 ? [0, -1] : [-1, features]);
  const flat =
    a % 3 === 0
      ? builder.node("Flatten", [from.name])
      : builder.node("Reshape", [from.name, builder.tensor(builder.name("shape"), shape)]);
  return b % 3 === 1
    ? builder.node("Gemm", [flat, builder.constant("fc", [3, features])], { transB: intAttribute(1) })
    : builder.node("MatMul", [flat, builder.constant("fc", [features, 3])]);
}

/** A fully connected layer with a bias row, a batch norm and a Relu. */
function addHead(builder: Builder, from: Value, picks: Picks): string {
  const full = fullyConnected(builder, from, picks);
  const biased = builder.node("Add", [full, builder.constant("row", [3])]);
  const parameters = ["gamma", "beta", "mean", "var"].map((name) => builder.constant(name, [3]));
  return builder.node("Relu", [builder.node("BatchNormalization", [biased, ...parameters])]);
}

/** A model of float64 constants that follows the recipe; with `head` it ends in a fully connected layer. */
export function randomModel(
  steps: readonly Step[],
  options: { batch: Dim; head: Picks | undefined; alsoOutput: readonly number[] },
): Model {
  const builder = new Builder(options.batch);
  for (const { kind, picks } of steps) {
    const value = grows[kind](builder, pick(builder.values, picks[3]), picks);
    if (value !== undefined) builder.values.push(value);
  }
  const last = builder.values.at(-1)!;
  const name = options.head ? addHead(builder, last, options.head) : last.name;
  const outputs = new Set([
    name,
    ...options.alsoOutput.map((at) => builder.values[at % builder.values.length]!.name),
  ]);
  for (const output of outputs) {
    // An input of the graph is made an output by an Identity, as ONNX wants it.
    const made = output === "x" ? builder.node("Identity", ["x"]) : output;
    builder.model.graph.outputs.push({ name: made });
  }
  return builder.model;
}
