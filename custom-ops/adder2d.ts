// The adder convolution of AdderNet (arXiv 1912.13200): its meaning, shapes and reference.

import { AdderNetError } from "../src/core/errors.ts";
import { getFloat, getInt, getInts, getString } from "../src/core/ir/attributes.ts";
import type { Dim, Node } from "../src/core/ir/model.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "../src/core/ops/define-op.ts";
import { allocate, broadcastDims, elementCount, stridesOf, type Tensor } from "../src/core/tensor.ts";

export interface Adder2dAttributes {
  readonly strides: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly group: number;
  readonly activationMin: number;
  readonly activationMax: number;
}

const autoPads = ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"];

function intsOfLength(
  node: Node,
  name: string,
  length: number,
  least: number,
  where: string,
): number[] | undefined {
  const values = getInts(node, name);
  if (values === undefined) return undefined;
  if (values.length !== length || values.some((value) => value < least)) {
    throw new AdderNetError("ADN_ATTRIBUTE", `attribute ${name} is out of range`, {
      where,
      expected: `${length} integers >= ${least}`,
      found: `[${values.join(", ")}]`,
    });
  }
  return values;
}

function samePads(
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
  mode: string,
): [number, number] {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size);
  const small = Math.floor(total / 2);
  return mode === "SAME_UPPER" ? [small, total - small] : [total - small, small];
}

function resolvePads(
  node: Node,
  size: readonly Dim[],
  kernel: readonly Dim[],
  strides: readonly number[],
  dilations: readonly number[],
  where: string,
): number[] {
  const mode = getString(node, "auto_pad") ?? "NOTSET";
  if (!autoPads.includes(mode)) {
    throw new AdderNetError("ADN_ATTRIBUTE", "attribute auto_pad is out of range", {
      where,
      expected: autoPads.join(", "),
      found: mode,
    });
  }
  if (mode === "VALID") return [0, 0, 0, 0];
  if (mode === "NOTSET") return intsOfLength(node, "pads", 4, 0, where) ?? [0, 0, 0, 0];
  const pairs = [0, 1].map((axis) => {
    const [length, taps] = [size[axis], kernel[axis]];
    if (typeof length !== "number" || typeof taps !== "number") {
      throw new AdderNetError("ADN_SHAPE", `auto_pad ${mode} needs a known height and width`, {
        where,
        fix: "give the input shape, for example --input-shape x:1,3,32,32",
      });
    }
    return samePads(length, taps, strides[axis]!, dilations[axis]!, mode);
  });
  return [pairs[0]![0], pairs[1]![0], pairs[0]![1], pairs[1]![1]];
}

/** Attributes with their defaults, `auto_pad` resolved for an input of height and width `size` and a kernel `kernel`. */
export function adder2dAttributes(
  node: Node,
  size: readonly Dim[],
  kernel: readonly Dim[],
  where: string,
): Adder2dAttributes {
  const strides = intsOfLength(node, "strides", 2, 1, where) ?? [1, 1];
  const dilations = intsOfLength(node, "dilations", 2, 1, where) ?? [1, 1];
  const pads = resolvePads(node, size, kernel, strides, dilations, where);
  const kernelShape = intsOfLength(node, "kernel_shape", 2, 1, where);
  if (kernelShape?.some((length, axis) => typeof kernel[axis] === "number" && kernel[axis] !== length)) {
    throw new AdderNetError("ADN_ATTRIBUTE", "kernel_shape differs from the shape of W", {
      where,
      expected: kernel.join("x"),
      found: kernelShape.join("x"),
    });
  }
  const group = getInt(node, "group") ?? 1;
  if (group < 1) {
    throw new AdderNetError("ADN_ATTRIBUTE", "attribute group is out of range", {
      where,
      expected: ">= 1",
      found: `${group}`,
    });
  }
  return {
    strides: [strides[0]!, strides[1]!],
    dilations: [dilations[0]!, dilations[1]!],
    pads: [pads[0]!, pads[1]!, pads[2]!, pads[3]!],
    group,
    activationMin: getFloat(node, "activation_min") ?? Number.NEGATIVE_INFINITY,
    activationMax: getFloat(node, "activation_max") ?? Number.POSITIVE_INFINITY,
  };
}

function requireRank4(fact: ValueFact, name: string, where: string): readonly Dim[] {
  const shape = fact.shape ?? [null, null, null, null];
  if (shape.length !== 4) {
    throw new AdderNetError("ADN_SHAPE", `${name} has the wrong rank`, {
      where,
      expected: "4",
      found: `${shape.length}`,
    });
  }
  return shape;
}

function outputLength(
  size: Dim | undefined,
  taps: Dim | undefined,
  begin: number,
  end: number,
  stride: number,
  dilation: number,
  where: string,
): Dim {
  if (typeof size !== "number" || typeof taps !== "number") return null;
  const length = Math.floor((size + begin + end - dilation * (taps - 1) - 1) / stride) + 1;
  if (length < 1) {
    throw new AdderNetError("ADN_SHAPE", "the kernel does not fit the padded input", {
      where,
      expected: `at least ${dilation * (taps - 1) + 1}`,
      found: `${size + begin + end}`,
    });
  }
  return length;
}

function checkChannels(x: readonly Dim[], w: readonly Dim[], group: number, where: string): void {
  const [channels, perGroup, filters] = [x[1], w[1], w[0]];
  if (typeof filters === "number" && filters % group !== 0) {
    throw new AdderNetError("ADN_SHAPE", `${filters} filters do not divide into ${group} groups`, { where });
  }
  if (typeof channels !== "number" || typeof perGroup !== "number" || channels === perGroup * group) return;
  throw new AdderNetError("ADN_SHAPE", "channels of X and W do not match", {
    where,
    expected: `X with ${perGroup * group} channels`,
    found: `${channels}`,
  });
}

function infer(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const [x, w] = inputs;
  if (x === undefined || w === undefined) return [undefined];
  const [xShape, wShape] = [requireRank4(x, "X", where), requireRank4(w, "W", where)];
  if (x.elemType !== w.elemType) {
    throw new AdderNetError("ADN_TYPE", "X and W differ in type", {
      where,
      expected: x.elemType,
      found: w.elemType,
    });
  }
  const { strides, pads, dilations, group } = adder2dAttributes(
    node,
    xShape.slice(2),
    wShape.slice(2),
    where,
  );
  checkChannels(xShape, wShape, group, where);
  const lengths = [0, 1].map((axis) =>
    outputLength(
      xShape[axis + 2],
      wShape[axis + 2],
      pads[axis]!,
      pads[axis + 2]!,
      strides[axis]!,
      dilations[axis]!,
      where,
    ),
  );
  return [{ elemType: x.elemType, shape: [xShape[0] ?? null, wShape[0] ?? null, ...lengths] }];
}

/** -Σ|X - W| at one output position. Padding is zero padding of X, so a padded tap adds -|W|. */
function negatedL1(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  xDims: readonly number[],
  wDims: readonly number[],
  attributes: Adder2dAttributes,
  at: { n: number; m: number; oy: number; ox: number },
): number {
  const [, channels, height, width] = xDims as [number, number, number, number];
  const [filters, perGroup, kernelHeight, kernelWidth] = wDims as [number, number, number, number];
  const { strides, pads, dilations, group } = attributes;
  const firstChannel = Math.floor(at.m / (filters / group)) * perGroup;
  let sum = 0;
  for (let c = 0; c < perGroup; c++) {
    for (let i = 0; i < kernelHeight; i++) {
      const y = at.oy * strides[0] - pads[0] + i * dilations[0];
      for (let j = 0; j < kernelWidth; j++) {
        const column = at.ox * strides[1] - pads[1] + j * dilations[1];
        const inside = y >= 0 && y < height && column >= 0 && column < width;
        const value = inside ? x[((at.n * channels + firstChannel + c) * height + y) * width + column]! : 0;
        sum += Math.abs(value - w[((at.m * perGroup + c) * kernelHeight + i) * kernelWidth + j]!);
      }
    }
  }
  return -sum;
}

function floatInput(inputs: Inputs, index: number, name: string, where: string): Tensor | undefined {
  const tensor = inputs[index];
  if (tensor !== undefined && tensor.type !== "float32" && tensor.type !== "float64") {
    throw new AdderNetError("ADN_TYPE", `${name} has an unsupported type`, {
      where,
      expected: "float32 or float64",
      found: tensor.type,
    });
  }
  return tensor;
}

/** Element of a tensor broadcast to rank 4. */
function broadcastReader(
  tensor: Tensor | undefined,
  dims: readonly number[],
  where: string,
): (n: number, m: number, y: number, x: number) => number {
  if (tensor === undefined) return () => 0;
  if (broadcastDims(tensor.dims, dims)?.join() !== dims.join()) {
    throw new AdderNetError("ADN_SHAPE", "Z does not broadcast to Y", {
      where,
      expected: dims.join("x"),
      found: tensor.dims.join("x"),
    });
  }
  const padded = [...new Array<number>(4 - tensor.dims.length).fill(1), ...tensor.dims];
  const strides = stridesOf(padded).map((stride, axis) => (padded[axis] === 1 ? 0 : stride));
  const data = tensor.data as ArrayLike<number>;
  return (n, m, y, x) => data[n * strides[0]! + m * strides[1]! + y * strides[2]! + x * strides[3]!]!;
}

function reference(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const [x, w, b, scale, z] = ["X", "W", "B", "scale", "Z"].map((name, index) =>
    floatInput(inputs, index, name, context.where),
  );
  if (x === undefined || w === undefined) {
    throw new AdderNetError("ADN_ONNX_MODEL", "X or W is missing", { where: context.where });
  }
  const facts = [x, w].map((tensor) => ({ elemType: tensor.type, shape: tensor.dims }));
  const dims = infer(node, facts, context)[0]!.shape as [number, number, number, number];
  const attributes = adder2dAttributes(node, x.dims.slice(2), w.dims.slice(2), context.where);
  const [xData, wData] = [x.data as ArrayLike<number>, w.data as ArrayLike<number>];
  const residual = broadcastReader(z, dims, context.where);
  const y = allocate(x.type, elementCount(dims)) as Float32Array;
  let index = 0;
  for (let n = 0; n < dims[0]; n++) {
    for (let m = 0; m < dims[1]; m++) {
      const factor = scale === undefined ? 1 : (scale.data as Float32Array)[m]!;
      const shift = b === undefined ? 0 : (b.data as Float32Array)[m]!;
      for (let oy = 0; oy < dims[2]; oy++) {
        for (let ox = 0; ox < dims[3]; ox++) {
          const sum = factor * negatedL1(xData, wData, x.dims, w.dims, attributes, { n, m, oy, ox });
          const value = sum + shift + residual(n, m, oy, ox);
          y[index++] = Math.min(Math.max(value, attributes.activationMin), attributes.activationMax);
        }
      }
    }
  }
  return [{ type: x.type, data: y, dims }];
}

/** Taps (one |x - w| each) per image of an adder layer: M·OH·OW·(C/group)·KH·KW. */
export function adder2dTaps(output: readonly number[], weights: readonly number[]): number {
  return output[1]! * output[2]! * output[3]! * weights[1]! * weights[2]! * weights[3]!;
}

/**
 * Adder convolution: Y[n,m,y,x] = clip(scale[m]·(-Σ_{c,i,j} |X[n,c,y·s+i·d-p,x·s+j·d-p] - W[m,c,i,j]|) + B[m] + Z[n,m,y,x]).
 * X (N,C,H,W), W (M,C/group,KH,KW), B (M)?, scale (M)?, Z broadcastable to Y? -> Y (N,M,OH,OW). Attributes are those of ONNX Conv, and
 * `activation_min`, `activation_max` (no clip when absent). Padding pads X with 0, and |0 - W| counts. Source: arXiv 1912.13200.
 */
export const Adder2d: OpDefinition = { domain: "addernet", opType: "Adder2d", first: 1, infer, reference };
