// Adder convolutions as data, random ones, and the formula written plainly in float64.

import { floatAttribute, intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import type { Attribute, Model, Node, ValueInfo } from "../../src/core/ir/model.ts";
import { elementCount, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomNumbers, randomTensor } from "../core/suites/op-case.ts";

export interface AdderCase {
  readonly name: string;
  readonly x: readonly [number, number, number, number];
  readonly w: readonly [number, number, number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly group: number;
  readonly bias?: boolean;
  readonly scale?: boolean;
  /** Shape of Z. */
  readonly z?: readonly number[];
  readonly min?: number;
  readonly max?: number;
}

/** A window that moves by one over an input without padding. */
export const plain = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;

export function outputDims({ x, w, strides, pads, dilations }: AdderCase): [number, number, number, number] {
  const length = (axis: 0 | 1) => {
    const reach = dilations[axis] * (w[axis + 2]! - 1) + 1;
    return Math.floor((x[axis + 2]! + pads[axis] + pads[axis + 2]! - reach) / strides[axis]) + 1;
  };
  return [x[0], w[0], length(0), length(1)];
}

/** Cases chosen for what they reach. */
export const chosenCases: readonly AdderCase[] = [
  { name: "3x3", x: [2, 3, 6, 7], w: [4, 3, 3, 3], ...plain },
  {
    name: "uneven pads, strides",
    x: [1, 3, 8, 7],
    w: [5, 3, 3, 3],
    ...plain,
    strides: [2, 3],
    pads: [1, 0, 2, 1],
  },
  { name: "dilations", x: [1, 2, 9, 8], w: [3, 2, 3, 2], ...plain, dilations: [2, 3], pads: [1, 1, 1, 1] },
  { name: "groups", x: [2, 6, 5, 5], w: [4, 3, 3, 3], ...plain, group: 2, pads: [1, 1, 1, 1] },
  { name: "depthwise", x: [1, 4, 6, 6], w: [8, 1, 3, 3], ...plain, group: 4 },
  { name: "1x1", x: [3, 5, 4, 4], w: [6, 5, 1, 1], ...plain },
  { name: "1x1, stride 2", x: [1, 4, 5, 5], w: [3, 4, 1, 1], ...plain, strides: [2, 2] },
  { name: "rectangular", x: [1, 2, 6, 9], w: [3, 2, 1, 5], ...plain, pads: [0, 2, 0, 2] },
  { name: "as large as the input (fully connected)", x: [2, 3, 4, 5], w: [10, 3, 4, 5], ...plain },
  { name: "bias", x: [1, 3, 5, 5], w: [4, 3, 3, 3], ...plain, bias: true },
  { name: "scale", x: [1, 3, 5, 5], w: [4, 3, 3, 3], ...plain, scale: true },
  { name: "residual", x: [2, 3, 5, 5], w: [3, 3, 3, 3], ...plain, pads: [1, 1, 1, 1], z: [2, 3, 5, 5] },
  { name: "residual per channel", x: [2, 3, 5, 5], w: [3, 3, 3, 3], ...plain, z: [3, 1, 1] },
  { name: "clip above 0", x: [1, 3, 5, 5], w: [4, 3, 3, 3], ...plain, bias: true, scale: true, min: 0 },
  {
    name: "clip on both sides, nothing else",
    x: [1, 3, 5, 5],
    w: [4, 3, 3, 3],
    ...plain,
    min: -9,
    max: -7.5,
  },
  {
    name: "everything",
    x: [2, 4, 7, 6],
    w: [6, 2, 3, 2],
    strides: [2, 1],
    pads: [1, 1, 0, 2],
    dilations: [1, 2],
    group: 2,
    bias: true,
    scale: true,
    z: [1, 6, 3, 1],
    min: 0,
    max: 6,
  },
];

/** A case that depends on the seed alone. */
export function randomCase(seed: number): AdderCase {
  const numbers = randomNumbers(32, seed);
  let next = 0;
  const from = (least: number, most: number) =>
    least + Math.floor(((numbers[next++]! + 1) / 2) * (most - least + 1));
  const group = from(1, 3);
  const [perGroup, kernelHeight, kernelWidth] = [from(1, 4), from(1, 4), from(1, 4)];
  const x = [from(1, 3), group * perGroup, from(7, 12), from(7, 12)] as const;
  const w = [group * from(1, 4), perGroup, kernelHeight, kernelWidth] as const;
  const window = {
    strides: [from(1, 3), from(1, 3)] as const,
    pads: [from(0, 2), from(0, 2), from(0, 2), from(0, 2)] as const,
    dilations: [from(1, 2), from(1, 2)] as const,
    group,
  };
  const base: AdderCase = { name: `random ${seed}`, x, w, ...window };
  const [bias, scale, hasZ, hasMin] = [from(0, 1) > 0, from(0, 1) > 0, from(0, 1) > 0, from(0, 1) > 0];
  return { ...base, bias, scale, ...(hasZ ? { z: outputDims(base) } : {}), ...(hasMin ? { min: -5 } : {}) };
}

export interface AdderTensors {
  readonly x: Tensor;
  readonly w: Tensor;
  readonly b?: Tensor;
  readonly scale?: Tensor;
  readonly z?: Tensor;
}

export function tensorsOf(adder: AdderCase): AdderTensors {
  return {
    x: randomTensor(adder.x, 1),
    w: randomTensor(adder.w, 2),
    ...(adder.bias ? { b: randomTensor([adder.w[0]], 3) } : {}),
    ...(adder.scale ? { scale: randomTensor([adder.w[0]], 4) } : {}),
    ...(adder.z ? { z: randomTensor(adder.z, 5) } : {}),
  };
}

function element(tensor: Tensor, dims: readonly number[], at: readonly number[]): number {
  const offset = dims.length - tensor.dims.length;
  const index = tensor.dims.reduce(
    (sum, length, axis) => sum * length + (length === 1 ? 0 : at[axis + offset]!),
    0,
  );
  return (tensor.data as Float32Array)[index]!;
}

/** At every output element [n, m, row, column] the terms of its window, added up; `x` is -1 in the padding. */
export function windowSums(adder: AdderCase, term: (x: number, w: number) => number): Float64Array {
  const dims = outputDims(adder);
  const [, perGroup, kernelHeight, kernelWidth] = adder.w;
  const [, channels, height, width] = adder.x;
  return Float64Array.from({ length: elementCount(dims) }, (_, index) => {
    const [n, m, row, column] = placeOf(index, dims);
    let sum = 0;
    for (let c = 0; c < perGroup; c++) {
      const channel = Math.floor(m / (adder.w[0] / adder.group)) * perGroup + c;
      for (let i = 0; i < kernelHeight; i++) {
        for (let j = 0; j < kernelWidth; j++) {
          const y = row * adder.strides[0] + i * adder.dilations[0] - adder.pads[0];
          const at = column * adder.strides[1] + j * adder.dilations[1] - adder.pads[1];
          const isInside = y >= 0 && y < height && at >= 0 && at < width;
          sum += term(
            isInside ? ((n * channels + channel) * height + y) * width + at : -1,
            ((m * perGroup + c) * kernelHeight + i) * kernelWidth + j,
          );
        }
      }
    }
    return sum;
  });
}

/** [n, m, row, column] of an element. */
function placeOf(index: number, dims: readonly [number, number, number, number]) {
  const column = index % dims[3];
  const row = Math.floor(index / dims[3]) % dims[2];
  const m = Math.floor(index / (dims[3] * dims[2])) % dims[1];
  return [Math.floor(index / (dims[3] * dims[2] * dims[1])), m, row, column] as const;
}

/** The formula of the op, term by term. */
export function plainAdder2d(adder: AdderCase, { x, w, b, scale, z }: AdderTensors): Float64Array {
  const dims = outputDims(adder);
  const [xs, ws] = [x.data as Float32Array, w.data as Float32Array];
  const distances = windowSums(adder, (at, tap) => Math.abs((at < 0 ? 0 : xs[at]!) - ws[tap]!));
  return distances.map((distance, index) => {
    const place = placeOf(index, dims);
    const factor = scale === undefined ? 1 : (scale.data as Float32Array)[place[1]]!;
    const shift = b === undefined ? 0 : (b.data as Float32Array)[place[1]]!;
    const residual = z === undefined ? 0 : element(z, dims, place);
    const total = -distance * factor + shift + residual;
    return Math.min(
      Math.max(total, adder.min ?? Number.NEGATIVE_INFINITY),
      adder.max ?? Number.POSITIVE_INFINITY,
    );
  });
}

/** The Adder2d node of a case; its values carry `suffix`. */
export function adderNode(adder: AdderCase, suffix = ""): Node {
  const attributes = new Map<string, Attribute>([
    ["strides", intsAttribute(adder.strides)],
    ["pads", intsAttribute(adder.pads)],
    ["dilations", intsAttribute(adder.dilations)],
    ["group", intAttribute(adder.group)],
    ["kernel_shape", intsAttribute(adder.w.slice(2))],
  ]);
  if (adder.min !== undefined) attributes.set("activation_min", floatAttribute(adder.min));
  if (adder.max !== undefined) attributes.set("activation_max", floatAttribute(adder.max));
  const given = [true, true, adder.bias, adder.scale, adder.z !== undefined];
  const inputs = ["x", "w", "b", "scale", "z"].map((name, index) => (given[index] ? `${name}${suffix}` : ""));
  while (inputs.at(-1) === "") inputs.pop();
  return {
    opType: "Adder2d",
    domain: "addernet",
    name: `adder${suffix}`,
    inputs,
    outputs: [`y${suffix}`],
    attributes,
  };
}

export interface ModelOptions {
  readonly opset?: number;
  readonly irVersion?: number;
  /** Gives X and Y a symbolic batch, height and width. */
  readonly symbolic?: boolean;
}

/** One model with every case beside the others; X and Z are fed, the rest are initialisers. */
export function adderModel(adders: readonly AdderCase[], options: ModelOptions = {}): Model {
  const { opset = 17, irVersion = 8, symbolic = false } = options;
  const nodes = adders.map((adder, index) => adderNode(adder, `${index}`));
  const info = (name: string, shape: readonly (number | string)[]): ValueInfo => ({
    name,
    type: { kind: "tensor", elemType: "float32", shape },
  });
  const inputs = adders.flatMap(({ x, z }, index) => [
    info(`x${index}`, symbolic ? ["N", x[1], "H", "W"] : x),
    ...(z === undefined ? [] : [info(`z${index}`, symbolic ? z.map((_, axis) => `z${index}_${axis}`) : z)]),
  ]);
  const outputs = adders.map((adder, index) =>
    info(`y${index}`, symbolic ? ["N", adder.w[0], "OH", "OW"] : outputDims(adder)),
  );
  const model = emptyModel(emptyGraph(nodes, inputs, outputs), opset, irVersion);
  model.opsetImports.set("addernet", 1);
  adders.forEach((adder, index) => {
    const { w, b, scale } = tensorsOf(adder);
    model.graph.initializers.set(`w${index}`, w);
    if (b !== undefined) model.graph.initializers.set(`b${index}`, b);
    if (scale !== undefined) model.graph.initializers.set(`scale${index}`, scale);
  });
  return model;
}

/** What to feed to `adderModel`. */
export function adderFeeds(adders: readonly AdderCase[]): Map<string, Tensor> {
  return new Map(
    adders.flatMap((adder, index) => {
      const { x, z } = tensorsOf(adder);
      return [[`x${index}`, x] as const, ...(z === undefined ? [] : [[`z${index}`, z] as const])];
    }),
  );
}
