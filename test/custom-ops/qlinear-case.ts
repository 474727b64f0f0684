// Adder convolutions of codes as data, random ones, and the formula written plainly in integers and single float32 steps.

import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import type { Attribute, Model, Node, ValueInfo } from "../../src/core/ir/model.ts";
import { elementCount, float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomNumbers } from "../core/suites/op-case.ts";
import { type AdderCase, chosenCases, outputDims, randomCase, windowSums } from "./adder-case.ts";

/** Windows and shapes of an AdderCase, whose float parts are not used. */
export interface CodeCase {
  readonly adder: AdderCase;
  readonly xZeroPoint: number;
  readonly yZeroPoint: number;
  readonly yMin?: number;
  readonly yMax?: number;
  /** Shape, scale and zero point of Z. */
  readonly z?: { readonly dims: readonly number[]; readonly scale: number; readonly zeroPoint: number };
  /** Largest code of X and W. */
  readonly levels: number;
}

function codes(dims: readonly number[], seed: number, levels: number): Tensor {
  const data = Uint8Array.from(randomNumbers(elementCount(dims), seed), (number) =>
    Math.floor(((number + 1) / 2) * (levels + 1)),
  );
  return { type: "uint8", data, dims };
}

/** A case with the window of `adder` whose epilogue depends on the seed alone. */
export function codeCase(adder: AdderCase, seed: number): CodeCase {
  const [a, b, c, d, e, f] = randomNumbers(6, seed).map((number) => (number + 1) / 2) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const levels = [255, 255, 127, 63, 15, 7][Math.floor(a * 6)]!;
  const yZeroPoint = b < 0.5 ? 0 : Math.floor(b * 200);
  return {
    adder,
    levels,
    xZeroPoint: c < 0.5 ? 0 : Math.floor(c * levels),
    yZeroPoint,
    ...(d < 0.5 ? { yMin: yZeroPoint, yMax: Math.max(yZeroPoint, levels) } : {}),
    ...(e < 0.5
      ? { z: { dims: adder.z ?? outputDims(adder), scale: 0.01 + f, zeroPoint: Math.floor(f * 255) } }
      : {}),
  };
}

export const codeCases: readonly CodeCase[] = [
  ...chosenCases.map((adder, seed) => codeCase(adder, seed)),
  ...Array.from({ length: 60 }, (_, seed) => codeCase(randomCase(seed), seed + 100)),
];

export interface CodeTensors {
  readonly x: Tensor;
  readonly w: Tensor;
  readonly scale: Tensor;
  readonly b: Tensor;
  readonly z?: Tensor;
}

/** Scales and biases that spread the sums over about 256 steps, so that codes of all sizes come out. */
export function tensorsOf({ adder, levels, z }: CodeCase): CodeTensors {
  const [filters, ...rest] = adder.w;
  const taps = elementCount(rest);
  const mean = (taps * levels) / 3;
  const spread = Math.sqrt(taps) * levels * 0.25;
  const scale = Float32Array.from(
    randomNumbers(filters, 3),
    (number) => ((number < 0 ? -1 : 1) * (60 + 60 * number)) / spread,
  );
  const b = Float32Array.from(
    randomNumbers(filters, 4),
    (number, m) => scale[m]! * mean + 128 + 100 * number,
  );
  return {
    x: codes(adder.x, 1, levels),
    w: codes(adder.w, 2, levels),
    scale: float32Tensor(scale),
    b: float32Tensor(b),
    ...(z ? { z: codes(z.dims, 5, 255) } : {}),
  };
}

/** -Σ|X - W| term by term; taps in the padding meet the zero point. */
export function plainCodeSums({ adder, xZeroPoint }: CodeCase, { x, w }: CodeTensors): Int32Array {
  const [xs, ws] = [x.data as Uint8Array, w.data as Uint8Array];
  return Int32Array.from(
    windowSums(adder, (at, tap) => -Math.abs((at < 0 ? xZeroPoint : xs[at]!) - ws[tap]!)),
  );
}

/** Halves to even, by trying both neighbours. */
function nearestInteger(value: number): number {
  const [low, high] = [Math.floor(value), Math.ceil(value)];
  if (value - low !== high - value) return value - low < high - value ? low : high;
  return low % 2 === 0 ? low : high;
}

function broadcastElement(tensor: Tensor, dims: readonly number[], index: number): number {
  let [offset, stride, rest] = [0, 1, index];
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const length = tensor.dims[axis - dims.length + tensor.dims.length] ?? 1;
    if (length > 1) offset += (rest % dims[axis]!) * stride;
    stride *= length;
    rest = Math.floor(rest / dims[axis]!);
  }
  return (tensor.data as Uint8Array)[offset]!;
}

/** The codes of QLinearAdder2d. */
export function plainCodes(given: CodeCase, tensors: CodeTensors): Uint8Array {
  const { adder, yZeroPoint, yMin = 0, yMax = 255, z } = given;
  const dims = outputDims(adder);
  const [scale, b] = [tensors.scale.data as Float32Array, tensors.b.data as Float32Array];
  const step = (value: number) => Math.fround(value);
  return Uint8Array.from(plainCodeSums(given, tensors), (sum, index) => {
    const m = Math.floor(index / (dims[2] * dims[3])) % dims[1];
    let value = step(step(step(sum) * scale[m]!) + b[m]!);
    if (z) {
      const code = broadcastElement(tensors.z!, dims, index) - z.zeroPoint;
      value = step(value + step(code * step(z.scale)));
    }
    return Math.min(Math.max(nearestInteger(value) + yZeroPoint, yMin), yMax);
  });
}

export const code = (value: number): Tensor => ({ type: "uint8", data: Uint8Array.of(value), dims: [] });

function windowAttributes({ strides, pads, dilations, group, w }: AdderCase): [string, Attribute][] {
  return [
    ["strides", intsAttribute(strides)],
    ["pads", intsAttribute(pads)],
    ["dilations", intsAttribute(dilations)],
    ["group", intAttribute(group)],
    ["kernel_shape", intsAttribute(w.slice(2))],
  ];
}

function node(opType: string, inputs: string[], output: string, attributes: [string, Attribute][]): Node {
  const name = `${opType} ${output}`;
  return { opType, domain: "addernet", name, inputs, outputs: [output], attributes: new Map(attributes) };
}

/** The QLinearAdder2d node of a case; its values carry `suffix`. */
export function qlinearNode({ adder, yMin, yMax, z }: CodeCase, suffix = ""): Node {
  const names = ["x", "xz", "w", "scale", "b", "yz", ...(z ? ["z", "zs", "zz"] : [])];
  const attributes = windowAttributes(adder);
  if (yMin !== undefined) attributes.push(["y_min", intAttribute(yMin)]);
  if (yMax !== undefined) attributes.push(["y_max", intAttribute(yMax)]);
  return node(
    "QLinearAdder2d",
    names.map((name) => `${name}${suffix}`),
    `y${suffix}`,
    attributes,
  );
}

/** The AdderInteger2d node of a case. */
export function integerNode({ adder }: CodeCase, suffix = ""): Node {
  const names = ["x", "w", "xz"].map((name) => `${name}${suffix}`);
  return node("AdderInteger2d", names, `sum${suffix}`, windowAttributes(adder));
}

/** Constants of a case by name, without suffix; X and Z are fed. */
export function constantsOf(given: CodeCase): Record<string, Tensor> {
  const { w, scale, b } = tensorsOf(given);
  return {
    w,
    scale,
    b,
    xz: code(given.xZeroPoint),
    yz: code(given.yZeroPoint),
    ...(given.z ? { zs: float32Tensor([given.z.scale], []), zz: code(given.z.zeroPoint) } : {}),
  };
}

/** One model with both ops of every case. */
export function codeModel(cases: readonly CodeCase[], opset = 17, irVersion = 8): Model {
  const nodes = cases.flatMap((given, index) => [
    qlinearNode(given, `${index}`),
    integerNode(given, `${index}`),
  ]);
  const info = (name: string, elemType: "uint8" | "int32", shape: readonly number[]): ValueInfo => ({
    name,
    type: { kind: "tensor", elemType, shape },
  });
  const inputs = cases.flatMap(({ adder, z }, index) => [
    info(`x${index}`, "uint8", adder.x),
    ...(z ? [info(`z${index}`, "uint8", z.dims)] : []),
  ]);
  const outputs = cases.flatMap(({ adder }, index) => [
    info(`y${index}`, "uint8", outputDims(adder)),
    info(`sum${index}`, "int32", outputDims(adder)),
  ]);
  const model = emptyModel(emptyGraph(nodes, inputs, outputs), opset, irVersion);
  model.opsetImports.set("addernet", 1);
  cases.forEach((given, index) => {
    for (const [name, tensor] of Object.entries(constantsOf(given))) {
      model.graph.initializers.set(`${name}${index}`, tensor);
    }
  });
  return model;
}

/** What to feed to `codeModel`. */
export function codeFeeds(cases: readonly CodeCase[]): Map<string, Tensor> {
  return new Map(
    cases.flatMap((given, index) => {
      const { x, z } = tensorsOf(given);
      return [[`x${index}`, x] as const, ...(z ? [[`z${index}`, z] as const] : [])];
    }),
  );
}
