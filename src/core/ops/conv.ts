// Conv and ConvTranspose in one to any number of spatial dimensions.

import { AdderNetError } from "../errors.ts";
import { getInt } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { elementCount, type Tensor } from "../tensor.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import {
  computedFloats,
  numbersOf,
  requireDim,
  requireFloatType,
  requireSameType,
  requireTensor,
  shapeOfRank,
  tensorFrom,
} from "./operands.ts";
import {
  autoPadOf,
  bindWindow,
  checkKernelShape,
  intsOfLength,
  outputLengths,
  readWindow,
  splitPadding,
  windowStretches,
} from "./spatial-window.ts";

/** The attribute `group`, 1 unless given. Below 1 it is ADN_ATTRIBUTE. */
export function groupOf(node: Node, where: string): number {
  const group = getInt(node, "group") ?? 1;
  if (group >= 1) return group;
  throw new AdderNetError("ADN_ATTRIBUTE", "attribute group is out of range", {
    where,
    expected: ">= 1",
    found: `${group}`,
  });
}

/** Throws ADN_SHAPE when filters do not divide into groups or X (N,C,…) does not fit W (M,C/group,…). */
export function checkChannels(x: readonly Dim[], w: readonly Dim[], group: number, where: string): void {
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

/** Shapes of X and W, checked against each other; unknown lengths are null. Undefined when neither rank is known. */
function operandShapes(
  inputs: readonly (ValueFact | undefined)[],
  where: string,
): { x: readonly Dim[]; w: readonly Dim[] } | undefined {
  const [x, w, b] = inputs;
  requireSameType(["X", x], ["W", w], where);
  requireSameType(["X", x], ["B", b], where);
  const known = shapeOfRank(x, "X", 3, Number.POSITIVE_INFINITY, where) ?? w?.shape;
  if (known === undefined) return undefined;
  const unknown = known.map(() => null);
  return {
    x: x?.shape ?? unknown,
    w: shapeOfRank(w, "W", known.length, known.length, where) ?? unknown,
  };
}

function inferConv(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const [x, w, b] = inputs;
  if (x === undefined) return [undefined];
  requireFloatType(x.elemType, "X", where);
  const shapes = operandShapes(inputs, where);
  if (shapes === undefined) return [{ elemType: x.elemType }];
  checkChannels(shapes.x, shapes.w, groupOf(node, where), where);
  requireDim(shapeOfRank(b, "B", 1, 1, where)?.[0], shapes.w[0], "B", where);
  const [size, kernel] = [shapes.x.slice(2), shapes.w.slice(2)];
  if (w?.shape !== undefined) checkKernelShape(node, kernel, where);
  const given = intsOfLength(node, "kernel_shape", kernel.length, 1, where);
  const taps = kernel.map((length, axis) => length ?? given?.[axis] ?? null);
  const lengths = outputLengths(readWindow(node, size, taps, where), size, where);
  return [{ elemType: x.elemType, shape: [shapes.x[0] ?? null, shapes.w[0] ?? null, ...lengths] }];
}

/** sums[o] += w·x over every stretch of a window: one input channel and one filter slice. */
function addProducts(
  sums: Float64Array,
  x: ArrayLike<number>,
  xStart: number,
  w: ArrayLike<number>,
  wStart: number,
  stretches: Int32Array,
  step: number,
): void {
  for (let index = 0; index < stretches.length; index += 4) {
    const weight = w[wStart + stretches[index]!]!;
    let read = xStart + stretches[index + 1]!;
    const first = stretches[index + 2]!;
    const end = first + stretches[index + 3]!;
    for (let o = first; o < end; o++, read += step) sums[o]! += weight * x[read]!;
  }
}

function convOperands(inputs: Inputs, where: string) {
  const tensors = ["X", "W", "B"].map((name, index) =>
    index < 2 ? requireTensor(inputs, index, name, where) : inputs[index],
  );
  const numbers = tensors.map(
    (tensor, index) => tensor && numbersOf(tensor, ["X", "W", "B"][index]!, computedFloats, where),
  );
  const facts = tensors.map((tensor) => tensor && { elemType: tensor.type, shape: tensor.dims });
  return { tensors, numbers, facts };
}

function referenceConv(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { tensors, numbers, facts } = convOperands(inputs, context.where);
  const dims = inferConv(node, facts, context)[0]!.shape as number[];
  const [xDims, wDims] = [tensors[0]!.dims, tensors[1]!.dims];
  const size = xDims.slice(2);
  const window = bindWindow(readWindow(node, size, wDims.slice(2), context.where), size, context.where);
  const stretches = windowStretches(window);
  const [plane, taps, area] = [elementCount(size), elementCount(window.kernel), elementCount(window.output)];
  const [channels, filters, perGroup] = [xDims[1]!, wDims[0]!, wDims[1]!];
  const filtersPerGroup = filters / groupOf(node, context.where);
  const step = window.strides.at(-1)!;
  const y = new Float64Array(elementCount(dims));
  for (let n = 0; n < dims[0]!; n++) {
    for (let m = 0; m < filters; m++) {
      const sums = y.subarray((n * filters + m) * area, (n * filters + m + 1) * area);
      if (numbers[2] !== undefined) sums.fill(numbers[2][m]!);
      const firstChannel = Math.floor(m / filtersPerGroup) * perGroup;
      for (let c = 0; c < perGroup; c++) {
        const xStart = (n * channels + firstChannel + c) * plane;
        addProducts(sums, numbers[0]!, xStart, numbers[1]!, (m * perGroup + c) * taps, stretches, step);
      }
    }
  }
  return [tensorFrom(tensors[0]!.type, y, dims)];
}

/**
 * Convolution: Y[n,m,o] = Σ_{c,k} X[n,c,o·stride + k·dilation - pad]·W[m,c,k] + B[m], o and k over all spatial axes.
 * X (N,C,D1,…), W (M,C/group,K1,…), B (M)? -> Y (N,M,O1,…). The reference takes float32 and float64.
 */
const Conv: OpDefinition = {
  domain: "",
  opType: "Conv",
  first: 1,
  infer: inferConv,
  reference: referenceConv,
};

/** Padding and lengths of a transposed convolution: (size - 1)·stride + output_padding + reach - begin - end along each axis. */
function transposedWindow(node: Node, size: readonly Dim[], kernel: readonly Dim[], where: string) {
  const rank = kernel.length;
  const mode = autoPadOf(node, where);
  const { strides, dilations, pads } = readWindow(node, size, kernel, where);
  const extra = intsOfLength(node, "output_padding", rank, 0, where) ?? new Array<number>(rank).fill(0);
  const wanted = intsOfLength(node, "output_shape", rank, 1, where);
  const lengths: Dim[] = [];
  const begins: (number | null)[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const [length, taps, stride] = [size[axis], kernel[axis], strides[axis]!];
    const isKnown = typeof length === "number" && typeof taps === "number";
    const full = isKnown
      ? (length - 1) * stride + extra[axis]! + (taps - 1) * dilations[axis]! + 1
      : undefined;
    if (wanted === undefined && !mode.startsWith("SAME")) {
      lengths.push(full === undefined ? null : full - pads[axis]! - pads[axis + rank]!);
      begins.push(pads[axis]!);
      continue;
    }
    const target = wanted?.[axis] ?? (typeof length === "number" ? length * stride : null);
    lengths.push(target);
    const total = full === undefined || target === null ? undefined : Math.max(0, full - target);
    begins.push(
      total === undefined ? null : splitPadding(total, mode === "SAME_UPPER" ? mode : "SAME_LOWER")[0],
    );
  }
  return { strides, dilations, lengths, begins };
}

function inferConvTranspose(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const [x, , b] = inputs;
  if (x === undefined) return [undefined];
  requireFloatType(x.elemType, "X", where);
  const shapes = operandShapes(inputs, where);
  if (shapes === undefined) return [{ elemType: x.elemType }];
  requireDim(shapes.w[0], shapes.x[1], "W (input channels)", where);
  const group = groupOf(node, where);
  if (typeof shapes.w[0] === "number" && shapes.w[0] % group !== 0) {
    throw new AdderNetError("ADN_SHAPE", `${shapes.w[0]} channels do not divide into ${group} groups`, {
      where,
    });
  }
  const [size, kernel] = [shapes.x.slice(2), shapes.w.slice(2)];
  checkKernelShape(node, kernel, where);
  const filters = typeof shapes.w[1] === "number" ? shapes.w[1] * group : null;
  requireDim(shapeOfRank(b, "B", 1, 1, where)?.[0], filters, "B", where);
  const { lengths } = transposedWindow(node, size, kernel, where);
  const short = lengths.find((length) => typeof length === "number" && length < 1);
  if (short !== undefined) {
    throw new AdderNetError("ADN_SHAPE", "padding leaves no output", { where, found: `length ${short}` });
  }
  return [{ elemType: x.elemType, shape: [shapes.x[0] ?? null, filters, ...lengths] }];
}

/** Scatter of one input channel through one filter slice: y[i·stride + k·dilation - pad] += w[k]·x[i]. */
function scatterProducts(
  y: Float64Array,
  x: ArrayLike<number>,
  xStart: number,
  w: ArrayLike<number>,
  wStart: number,
  stretches: Int32Array,
  step: number,
): void {
  for (let index = 0; index < stretches.length; index += 4) {
    const weight = w[wStart + stretches[index]!]!;
    let write = stretches[index + 1]!;
    const first = xStart + stretches[index + 2]!;
    const end = first + stretches[index + 3]!;
    for (let i = first; i < end; i++, write += step) y[write]! += weight * x[i]!;
  }
}

function referenceConvTranspose(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { tensors, numbers, facts } = convOperands(inputs, context.where);
  const dims = inferConvTranspose(node, facts, context)[0]!.shape as number[];
  const [xDims, wDims] = [tensors[0]!.dims, tensors[1]!.dims];
  const [size, kernel] = [xDims.slice(2), wDims.slice(2)];
  const { strides, dilations, begins } = transposedWindow(node, size, kernel, context.where);
  // The gather that a convolution does from Y to X, read backwards.
  const stretches = windowStretches({
    input: dims.slice(2),
    output: size,
    kernel,
    strides,
    dilations,
    pads: begins as number[],
  });
  const [plane, taps, area] = [elementCount(size), elementCount(kernel), elementCount(dims.slice(2))];
  const [channels, filters, perGroup] = [xDims[1]!, dims[1]!, wDims[1]!];
  const channelsPerGroup = channels / groupOf(node, context.where);
  const y = new Float64Array(elementCount(dims));
  for (let n = 0; n < dims[0]!; n++) {
    for (let m = 0; m < filters; m++) {
      const sums = y.subarray((n * filters + m) * area, (n * filters + m + 1) * area);
      if (numbers[2] !== undefined) sums.fill(numbers[2][m]!);
      const firstChannel = Math.floor(m / perGroup) * channelsPerGroup;
      for (let c = firstChannel; c < firstChannel + channelsPerGroup; c++) {
        const wStart = (c * perGroup + (m % perGroup)) * taps;
        const xStart = (n * channels + c) * plane;
        scatterProducts(sums, numbers[0]!, xStart, numbers[1]!, wStart, stretches, strides.at(-1)!);
      }
    }
  }
  return [tensorFrom(tensors[0]!.type, y, dims)];
}

/**
 * Transposed convolution: Y[n,m,i·stride + k·dilation - pad] += X[n,c,i]·W[c,m,k], plus B[m].
 * X (N,C,D1,…), W (C,M/group,K1,…), B (M)? -> Y (N,M,O1,…).
 */
const ConvTranspose: OpDefinition = {
  domain: "",
  opType: "ConvTranspose",
  first: 1,
  infer: inferConvTranspose,
  reference: referenceConvTranspose,
};

export const convOps: readonly OpDefinition[] = [Conv, ConvTranspose];
