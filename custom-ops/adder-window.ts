// What the adder convolutions share: window attributes, output shape and the sum of distances.

import { AdderNetError } from "../src/core/errors.ts";
import type { Dim, Node } from "../src/core/ir/model.ts";
import { checkChannels, groupOf } from "../src/core/ops/conv.ts";
import type { ValueFact } from "../src/core/ops/define-op.ts";
import { requireDim, requireSameType, shapeOfRank } from "../src/core/ops/operands.ts";
import {
  checkKernelShape,
  outputLengths,
  readWindow,
  windowStretches,
} from "../src/core/ops/spatial-window.ts";
import { broadcastDims, elementCount, stridesOf } from "../src/core/tensor.ts";

export interface AdderWindow {
  readonly strides: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly group: number;
}

function requireKnownPads(pads: readonly (number | null)[], where: string): readonly number[] {
  if (!pads.includes(null)) return pads as readonly number[];
  throw new AdderNetError("ADN_SHAPE", "auto_pad needs a known height and width", {
    where,
    fix: "give the input shape, for example --input-shape x:1,3,32,32",
  });
}

/** Window attributes with their defaults, `auto_pad` resolved for an input of height and width `size` and a kernel `kernel`. */
export function adderWindow(
  node: Node,
  size: readonly Dim[],
  kernel: readonly Dim[],
  where: string,
): AdderWindow {
  checkKernelShape(node, kernel, where);
  const window = readWindow(node, size, kernel, where);
  const pads = requireKnownPads(window.pads, where);
  return {
    strides: [window.strides[0]!, window.strides[1]!],
    dilations: [window.dilations[0]!, window.dilations[1]!],
    pads: [pads[0]!, pads[1]!, pads[2]!, pads[3]!],
    group: groupOf(node, where),
  };
}

/** (N,M,OH,OW) for X (N,C,H,W), W (M,C/group,KH,KW) and values with one element per filter, which are checked by name. */
export function inferAdderShape(
  node: Node,
  x: ValueFact,
  w: ValueFact,
  perFilter: Readonly<Record<string, ValueFact | undefined>>,
  where: string,
): Dim[] {
  requireSameType(["X", x], ["W", w], where);
  const unknown = [null, null, null, null];
  const xShape = shapeOfRank(x, "X", 4, 4, where) ?? unknown;
  const wShape = shapeOfRank(w, "W", 4, 4, where) ?? unknown;
  checkChannels(xShape, wShape, groupOf(node, where), where);
  for (const [name, fact] of Object.entries(perFilter)) {
    requireDim(shapeOfRank(fact, name, 1, 1, where)?.[0], wShape[0], name, where);
  }
  checkKernelShape(node, wShape.slice(2), where);
  const window = readWindow(node, xShape.slice(2), wShape.slice(2), where);
  return [xShape[0]!, wShape[0]!, ...outputLengths(window, xShape.slice(2), where)];
}

/** Element of Z, numbers of shape `given`, broadcast to the shape `dims` of Y. */
export function residualReader(
  data: ArrayLike<number>,
  given: readonly number[],
  dims: readonly number[],
  where: string,
): (n: number, m: number, y: number, x: number) => number {
  if (broadcastDims(given, dims)?.join() !== dims.join()) {
    throw new AdderNetError("ADN_SHAPE", "Z does not broadcast to Y", {
      where,
      expected: dims.join("x"),
      found: given.join("x"),
    });
  }
  const padded = [...new Array<number>(4 - given.length).fill(1), ...given];
  const strides = stridesOf(padded).map((stride, axis) => (padded[axis] === 1 ? 0 : stride));
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

/** -Σ|X - W| for every output element, X padded with 0. */
export function negatedDistances(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  xDims: readonly number[],
  wDims: readonly number[],
  dims: readonly number[],
  { strides, dilations, pads, group }: AdderWindow,
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
