// The adder convolution of AdderNet (arXiv 1912.13200): its meaning, shapes and reference.

import { AdderNetError } from "../src/core/errors.ts";
import { getFloat } from "../src/core/ir/attributes.ts";
import type { Dim, Node } from "../src/core/ir/model.ts";
import { checkChannels, groupOf } from "../src/core/ops/conv.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "../src/core/ops/define-op.ts";
import {
  computedFloats,
  numbersOf,
  requireDim,
  requireSameType,
  requireTensor,
  shapeOfRank,
  tensorFrom,
} from "../src/core/ops/operands.ts";
import {
  checkKernelShape,
  outputLengths,
  readWindow,
  windowStretches,
} from "../src/core/ops/spatial-window.ts";
import { broadcastDims, elementCount, stridesOf, type Tensor } from "../src/core/tensor.ts";

export interface Adder2dAttributes {
  readonly strides: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly group: number;
  readonly activationMin: number;
  readonly activationMax: number;
}

function requireKnownPads(pads: readonly (number | null)[], where: string): readonly number[] {
  if (!pads.includes(null)) return pads as readonly number[];
  throw new AdderNetError("ADN_SHAPE", "auto_pad needs a known height and width", {
    where,
    fix: "give the input shape, for example --input-shape x:1,3,32,32",
  });
}

/** Attributes with their defaults, `auto_pad` resolved for an input of height and width `size` and a kernel `kernel`. */
export function adder2dAttributes(
  node: Node,
  size: readonly Dim[],
  kernel: readonly Dim[],
  where: string,
): Adder2dAttributes {
  checkKernelShape(node, kernel, where);
  const window = readWindow(node, size, kernel, where);
  const pads = requireKnownPads(window.pads, where);
  return {
    strides: [window.strides[0]!, window.strides[1]!],
    dilations: [window.dilations[0]!, window.dilations[1]!],
    pads: [pads[0]!, pads[1]!, pads[2]!, pads[3]!],
    group: groupOf(node, where),
    activationMin: getFloat(node, "activation_min") ?? Number.NEGATIVE_INFINITY,
    activationMax: getFloat(node, "activation_max") ?? Number.POSITIVE_INFINITY,
  };
}

function infer(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const [x, w] = inputs;
  if (x === undefined || w === undefined) return [undefined];
  requireSameType(["X", x], ["W", w], where);
  const unknown = [null, null, null, null];
  const xShape = shapeOfRank(x, "X", 4, 4, where) ?? unknown;
  const wShape = shapeOfRank(w, "W", 4, 4, where) ?? unknown;
  checkChannels(xShape, wShape, groupOf(node, where), where);
  requireDim(shapeOfRank(inputs[2], "B", 1, 1, where)?.[0], wShape[0], "B", where);
  requireDim(shapeOfRank(inputs[3], "scale", 1, 1, where)?.[0], wShape[0], "scale", where);
  checkKernelShape(node, wShape.slice(2), where);
  const window = readWindow(node, xShape.slice(2), wShape.slice(2), where);
  const lengths = outputLengths(window, xShape.slice(2), where);
  return [{ elemType: x.elemType, shape: [xShape[0]!, wShape[0]!, ...lengths] }];
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
  const data = numbersOf(tensor, "Z", computedFloats, where);
  return (n, m, y, x) => data[n * strides[0]! + m * strides[1]! + y * strides[2]! + x * strides[3]!]!;
}

/** X with its zero padding written out: (N,C,H,W) -> (N,C,H + top + bottom, W + left + right). */
function zeroPadded(x: ArrayLike<number>, dims: readonly number[], pads: readonly number[]) {
  const [batch, channels, height, width] = dims as [number, number, number, number];
  const [top, left, bottom, right] = pads as [number, number, number, number];
  const padded = [batch, channels, height + top + bottom, width + left + right] as const;
  const data = new Float64Array(elementCount(padded));
  for (let row = 0; row < batch * channels * height; row++) {
    const start = (Math.floor(row / height) * padded[2] + top + (row % height)) * padded[3] + left;
    for (let column = 0; column < width; column++) data[start + column] = x[row * width + column]!;
  }
  return { data, size: padded.slice(2) };
}

/** sums[o] -= |x - w| over every stretch of a window: one input channel and one filter slice. */
function subtractDistances(
  sums: Float64Array,
  x: Float64Array,
  w: ArrayLike<number>,
  wStart: number,
  stretches: Int32Array,
  step: number,
): void {
  for (let index = 0; index < stretches.length; index += 4) {
    const weight = w[wStart + stretches[index]!]!;
    let read = stretches[index + 1]!;
    const first = stretches[index + 2]!;
    const end = first + stretches[index + 3]!;
    for (let o = first; o < end; o++, read += step) sums[o]! -= Math.abs(x[read]! - weight);
  }
}

/** -Σ|X - W| for every output element. */
function negatedDistances(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  xDims: readonly number[],
  wDims: readonly number[],
  dims: readonly number[],
  { strides, dilations, pads, group }: Adder2dAttributes,
): Float64Array {
  const { data, size } = zeroPadded(x, xDims, pads);
  const [filters, perGroup] = [wDims[0]!, wDims[1]!];
  const [plane, area, taps] = [elementCount(size), dims[2]! * dims[3]!, wDims[2]! * wDims[3]!];
  const window = { input: size, output: dims.slice(2), kernel: wDims.slice(2), strides, dilations };
  const stretches = windowStretches({ ...window, pads: [0, 0, 0, 0] });
  const sums = new Float64Array(elementCount(dims));
  for (let row = 0; row < dims[0]! * filters; row++) {
    const [n, m] = [Math.floor(row / filters), row % filters];
    const rowSums = sums.subarray(row * area, (row + 1) * area);
    const firstPlane = n * xDims[1]! + Math.floor(m / (filters / group)) * perGroup;
    for (let c = 0; c < perGroup; c++) {
      const channel = data.subarray((firstPlane + c) * plane, (firstPlane + c + 1) * plane);
      subtractDistances(rowSums, channel, w, (m * perGroup + c) * taps, stretches, strides[1]);
    }
  }
  return sums;
}

function reference(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const [x, w] = [requireTensor(inputs, 0, "X", where), requireTensor(inputs, 1, "W", where)];
  const facts = inputs.map((tensor) => tensor && { elemType: tensor.type, shape: tensor.dims });
  const dims = infer(node, facts, context)[0]!.shape as [number, number, number, number];
  const attributes = adder2dAttributes(node, x.dims.slice(2), w.dims.slice(2), where);
  const [xData, wData, b, scale] = ["X", "W", "B", "scale"].map(
    (name, index) => inputs[index] && numbersOf(inputs[index], name, computedFloats, where),
  );
  const residual = broadcastReader(inputs[4], dims, where);
  const y = negatedDistances(xData!, wData!, x.dims, w.dims, dims, attributes);
  let index = 0;
  for (let n = 0; n < dims[0]; n++) {
    for (let m = 0; m < dims[1]; m++) {
      const [factor, shift] = [scale?.[m] ?? 1, b?.[m] ?? 0];
      for (let oy = 0; oy < dims[2]; oy++) {
        for (let ox = 0; ox < dims[3]; ox++) {
          const value = factor * y[index]! + shift + residual(n, m, oy, ox);
          y[index++] = Math.min(Math.max(value, attributes.activationMin), attributes.activationMax);
        }
      }
    }
  }
  return [tensorFrom(x.type, y, dims)];
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
