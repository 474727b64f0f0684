// Conv and Adder2d: which kernel, which packing, what goes into the store.

import { imageScratchBytes, linearScratchBytes, type ParamOf } from "../../custom-ops/kernels/table.ts";
import { getFloat } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { groupOf } from "../../src/core/ops/conv.ts";
import { type BoundWindow, bindWindow, readWindow } from "../../src/core/ops/spatial-window.ts";
import { elementCount } from "../../src/core/tensor.ts";
import type { BoundNode, BoundValue } from "../bind.ts";
import { type Argument, type PlanBuilder, shifted } from "../builder.ts";
import { affineArguments, constantAffine, epilogueOf } from "../epilogue.ts";
import { isPadded, type Plane, pixelOffsets, planeKey, planeOf, tapOffsets } from "../geometry.ts";
import { type Facts, floatsOf, type Lowering } from "../lowering.ts";
import { packByEightColumns, packByFourRows } from "../pack.ts";
import { expandTo } from "./elementwise.ts";

/** Kernels of one kind of sum, by form. */
interface Family {
  readonly image: "f32_adder_4x8" | "f32_adder_min_4x8" | "f32_conv_4x8";
  readonly linear: "f32_adder_linear_4x8" | "f32_adder_min_linear_4x8" | "f32_linear_4x8";
  readonly depthwise?: "f32_adder_depthwise_1x4" | "f32_conv_depthwise_1x4";
  /** Weights as the kernel wants them; as they are, unless given. */
  readonly weight?: (w: number) => number;
  /** What the kernel's sum lacks, given the weights of one output channel: a constant per channel. */
  readonly missing?: (w: Float64Array) => number;
  readonly why: string;
}

const products: Family = {
  image: "f32_conv_4x8",
  linear: "f32_linear_4x8",
  depthwise: "f32_conv_depthwise_1x4",
  why: "",
};
const absolutes: Family = {
  image: "f32_adder_4x8",
  linear: "f32_adder_linear_4x8",
  depthwise: "f32_adder_depthwise_1x4",
  why: "|x - w|: the input may be negative",
};
/**
 * For x >= 0: -Σ|x - w| = 2·Σmin(x, w') - Σx - Σ|w| with w' = max(w, 0). A weight below 0 adds -x - |w|, one above gives the
 * identity -|x - w| = 2·min(x, w) - x - w.
 */
const minima: Family = {
  image: "f32_adder_min_4x8",
  linear: "f32_adder_min_linear_4x8",
  weight: (w) => Math.max(w, 0),
  missing: (w) => -w.reduce((sum, weight) => sum + Math.abs(weight), 0),
  why: "min(x, w): the input is never negative",
};

interface Layer {
  readonly bound: BoundNode;
  readonly x: BoundValue;
  readonly w: BoundValue;
  readonly y: BoundValue;
  readonly window: BoundWindow;
  readonly plane: Plane;
  readonly group: number;
  readonly batch: number;
  readonly channels: number;
  readonly filters: number;
  /** Taps of one output element. */
  readonly k: number;
  readonly pixels: number;
}

function layerOf(bound: BoundNode): Layer {
  const [x, w, y] = [bound.inputs[0]!, bound.inputs[1]!, bound.outputs[0]!];
  const size = x.dims.slice(2);
  const window = bindWindow(readWindow(bound.node, size, w.dims.slice(2), bound.where), size, bound.where);
  const plane = planeOf(window);
  return {
    bound,
    x,
    w,
    y,
    window,
    plane,
    group: groupOf(bound.node, bound.where),
    batch: x.dims[0]!,
    channels: x.dims[1]!,
    filters: w.dims[0]!,
    k: elementCount(w.dims.slice(1)),
    pixels: plane.outHeight * plane.outWidth,
  };
}

function chooseFamily({ bound, x, w, filters }: Layer, build: PlanBuilder): Family {
  if (bound.node.opType === "Conv") return products;
  const canShift = constantAffine(bound, filters) !== undefined;
  const hasFiniteWeights = w.constant !== undefined && floatsOf(w.constant).every(Number.isFinite);
  return build.isNotNegative(x) && canShift && hasFiniteWeights ? minima : absolutes;
}

function rowsOf(w: BoundValue, k: number): (channel: number) => Float32Array {
  const data = floatsOf(w.constant!);
  return (channel) => data.subarray(channel * k, (channel + 1) * k);
}

function affine({ bound, w, filters, k }: Layer, family: Family, build: PlanBuilder) {
  const { missing } = family;
  if (missing === undefined) return affineArguments(bound, build, filters, family.image);
  const row = rowsOf(w, k);
  return affineArguments(bound, build, filters, family.image, (channel) =>
    missing(Float64Array.from(row(channel))),
  );
}

/** The residual, in the shape of the output; 0 when there is none. */
function residualArgument({ bound, y }: Layer, build: PlanBuilder): Argument {
  const { residual } = epilogueOf(bound);
  if (residual === undefined) return 0;
  return residual.dims.join() === y.dims.join() ? build.read(residual) : expandTo(residual, y.dims, build);
}

/** The output, written over the residual where that ends here. */
function outputOf({ bound, y }: Layer, build: PlanBuilder) {
  const { residual } = epilogueOf(bound);
  return build.output(y, residual?.dims.join() === y.dims.join() ? residual : undefined);
}

/** Whether one window covers the whole unpadded input: then the layer is fully connected. */
function isFullyConnected({ plane, window, group, pixels }: Layer): boolean {
  const covers = window.kernel.every((taps, axis) => taps === window.input[axis]);
  const isDense = window.kernel.every((taps, axis) => taps === 1 || window.dilations[axis] === 1);
  return group === 1 && pixels === 1 && covers && isDense && !isPadded(plane);
}

function lowerLinear(layer: Layer, family: Family, build: PlanBuilder): void {
  const { bound, x, w, batch, filters, k } = layer;
  const { low, high } = epilogueOf(bound);
  build.call(family.linear, {
    x: build.read(x),
    w: build.packed([w], `8 columns ${family.linear}`, () => {
      const weights = floatsOf(w.constant!);
      return packByEightColumns(family.weight ? weights.map(family.weight) : weights, filters, k);
    }),
    ...affine(layer, family, build),
    z: residualArgument(layer, build),
    y: outputOf(layer, build),
    scratch: build.scratch(linearScratchBytes(k)),
    k,
    m: filters,
    rows: batch,
    xStride: k * 4,
    yStride: filters * 4,
    low,
    high,
  });
}

/**
 * Panels packed before the weights are gone through once: few, so that they stay in the caches beside the weights, and more the
 * more there is to read for every pass over the weights.
 */
function panelsPerBlock(k: number, filters: number, pixels: number): number {
  const bytes = Math.min(2 ** 20, Math.max(2 ** 17, (filters * k) / 2));
  return Math.max(1, Math.min(Math.ceil(pixels / 8), Math.floor(bytes / (32 * k))));
}

/** Calls `emit` for every image with the address of its planes as the kernels see them: padded, when the window asks for it. */
export function forEachImage(
  x: BoundValue,
  plane: Plane,
  value: number,
  build: PlanBuilder,
  emit: (planes: Argument, image: number) => void,
): void {
  const [batch, channels] = [x.dims[0]!, x.dims[1]!];
  const from = build.read(x);
  const imageBytes = channels * plane.height * plane.width * 4;
  if (!isPadded(plane)) {
    for (let image = 0; image < batch; image++) emit(shifted(from, image * imageBytes), image);
    return;
  }
  const { height, width, top, left, paddedHeight, paddedWidth } = plane;
  const padded = build.scratch(channels * paddedHeight * paddedWidth * 4);
  for (let image = 0; image < batch; image++) {
    build.call("f32_pad_planes", {
      x: shifted(from, image * imageBytes),
      y: padded,
      planes: channels,
      height,
      width,
      top,
      left,
      paddedHeight,
      paddedWidth,
      value,
    });
    emit(padded, image);
  }
}

/** Weights of every group in blocks of four rows: packed when the plan is made, or in each run when they are computed. */
function groupWeights(
  { w, filters, group, k }: Layer,
  family: Family,
  build: PlanBuilder,
): (index: number) => Argument {
  const perGroup = filters / group;
  const blockBytes = Math.ceil(perGroup / 4) * 4 * k * 4;
  if (w.constant !== undefined) {
    const address = build.packed([w], `4 rows in ${group} groups ${family.image}`, () => {
      const weights = floatsOf(w.constant!);
      const given = family.weight ? weights.map(family.weight) : weights;
      const packed = new Float32Array((group * blockBytes) / 4);
      for (let index = 0; index < group; index++) {
        packed.set(packByFourRows(given, index * perGroup, perGroup, k), (index * blockBytes) / 4);
      }
      return packed;
    });
    return (index) => address + index * blockBytes;
  }
  const from = build.read(w);
  const packed = build.scratch(group * blockBytes);
  for (let index = 0; index < group; index++) {
    const x = shifted(from, index * perGroup * k * 4);
    build.call("f32_pack_rows", {
      x,
      y: shifted(packed, index * blockBytes),
      count: perGroup,
      k,
      xStride: k * 4,
    });
  }
  return (index) => shifted(packed, index * blockBytes);
}

function lowerImage(layer: Layer, family: Family, build: PlanBuilder): void {
  const { bound, x, plane, group, channels, filters, k, pixels } = layer;
  const { low, high } = epilogueOf(bound);
  const [perGroup, channelsPerGroup] = [filters / group, channels / group];
  const weights = groupWeights(layer, family, build);
  const { scale, bias } = affine(layer, family, build);
  const z = residualArgument(layer, build);
  const y = outputOf(layer, build);
  const panels = panelsPerBlock(k, perGroup, pixels);
  const shared = {
    taps: build.table(`taps ${planeKey(plane)},${channelsPerGroup}`, () =>
      tapOffsets(plane, channelsPerGroup),
    ),
    pixels: build.table(`pixels ${planeKey(plane)}`, () => pixelOffsets(plane)),
    scratch: build.scratch(imageScratchBytes(k, panels)),
    k,
    m: perGroup,
    p: pixels,
    panels,
    yStride: pixels * 4,
    low,
    high,
  };
  const groupBytes = channelsPerGroup * plane.paddedHeight * plane.paddedWidth * 4;
  forEachImage(x, plane, 0, build, (planes, image) => {
    for (let index = 0; index < group; index++) {
      const at = (image * filters + index * perGroup) * pixels * 4;
      const args: Record<ParamOf<"f32_conv_4x8">, Argument> = {
        ...shared,
        x: shifted(planes, index * groupBytes),
        w: weights(index),
        scale: shifted(scale, index * perGroup * 4),
        bias: shifted(bias, index * perGroup * 4),
        z: z === 0 ? 0 : shifted(z, at),
        y: shifted(y, at),
      };
      build.call(family.image, args);
    }
  });
}

function lowerDepthwise(layer: Layer, family: Family, build: PlanBuilder): void {
  const { bound, x, w, plane, channels, filters, k, pixels } = layer;
  const { low, high } = epilogueOf(bound);
  const { scale, bias } = affine(layer, family, build);
  const z = residualArgument(layer, build);
  const y = outputOf(layer, build);
  const weights = build.read(w);
  forEachImage(x, plane, 0, build, (planes, image) => {
    const at = image * filters * pixels * 4;
    build.call(family.depthwise!, {
      x: planes,
      taps: build.table(`taps ${planeKey(plane)},1`, () => tapOffsets(plane, 1)),
      pixels: build.table(`pixels ${planeKey(plane)}`, () => pixelOffsets(plane)),
      w: weights,
      scale,
      bias,
      z: z === 0 ? 0 : shifted(z, at),
      y: shifted(y, at),
      k,
      m: filters,
      p: pixels,
      multiplier: filters / channels,
      xStride: plane.paddedHeight * plane.paddedWidth * 4,
      yStride: pixels * 4,
      low,
      high,
    });
  });
}

function lowerSum(bound: BoundNode, build: PlanBuilder): void {
  const layer = layerOf(bound);
  const { w, group, channels, filters } = layer;
  // With fewer than four filters per group a tile of four rows would mostly multiply zeros.
  if (group > 1 && group === channels && filters / group < 4) {
    const family = bound.node.opType === "Conv" ? products : absolutes;
    build.explain([family.why, "one channel per group"].filter(Boolean).join("; "));
    lowerDepthwise(layer, family, build);
    return;
  }
  const family = chooseFamily(layer, build);
  build.explain(family.why);
  if (w.constant !== undefined && isFullyConnected(layer)) lowerLinear(layer, family, build);
  else lowerImage(layer, family, build);
}

function refuses(_node: Node, [x]: Facts): string | undefined {
  const rank = x?.shape?.length;
  return rank !== undefined && rank > 4 ? `${rank - 2} spatial axes` : undefined;
}

export const sumLowerings = {
  Conv: { refuses, lower: lowerSum, keepsNotNegative: (bound) => epilogueOf(bound).low >= 0 },
  "addernet::Adder2d": {
    refuses,
    lower: lowerSum,
    keepsNotNegative: ({ node }) => (getFloat(node, "activation_min") ?? -1) >= 0,
  },
} satisfies Record<string, Lowering>;
