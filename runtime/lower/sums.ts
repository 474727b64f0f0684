// Conv and Adder2d: which kernel, which packing, what goes into the store.

import {
  imageScratchBytes,
  linearScratchBytes,
  type ParamOf,
  sparseScratchBytes,
} from "../../custom-ops/kernels/table.ts";
import { getFloat } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { bandsOf, callWindowSums, tapTable } from "../bands.ts";
import type { BoundNode, BoundValue } from "../bind.ts";
import { type Argument, type PlanBuilder, type Race, shifted } from "../builder.ts";
import { affineArguments, constantAffine, epilogueOf } from "../epilogue.ts";
import { planeKey } from "../geometry.ts";
import { type Facts, floatsOf, type Lowering } from "../lowering.ts";
import { packByEightColumns, packByFourRows } from "../pack.ts";
import {
  explainLive,
  isFullyConnected,
  type Layer,
  layerOf,
  layoutKey,
  outputOf,
  residualArgument,
  tapPlaces,
} from "./layer.ts";

/** Kernels of one kind of sum, by form. */
interface Family {
  readonly image: "f32_adder_4x8" | "f32_adder_min_4x8" | "f32_conv_4x8";
  /** The kernel over live taps alone; it takes scale doubled. */
  readonly sparse?: "f32_adder_sparse_1x28";
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
  sparse: "f32_adder_sparse_1x28",
  linear: "f32_adder_min_linear_4x8",
  weight: (w) => Math.max(w, 0),
  missing: (w) => -w.reduce((sum, weight) => sum + Math.abs(weight), 0),
  why: "min(x, w): the input is never negative",
};

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

function affine(layer: Layer, family: Family, build: PlanBuilder) {
  const { bound, w, filters, k } = layer;
  const { missing, image } = family;
  if (missing === undefined) return affineArguments(bound, build, filters, image);
  const row = rowsOf(w, k);
  return affineArguments(bound, build, filters, image, {
    missing: (channel) => missing(Float64Array.from(row(channel))),
  });
}

function lowerLinear(layer: Layer, family: Family, build: PlanBuilder): void {
  const { bound, x, w, batch, filters, k } = layer;
  const { low, high, residual } = epilogueOf(bound);
  build.call(family.linear, {
    x: build.read(x),
    w: build.packed([w], `8 columns ${family.linear}`, () => {
      const weights = floatsOf(w.constant!);
      return packByEightColumns(family.weight ? weights.map(family.weight) : weights, filters, k);
    }),
    ...affine(layer, family, build),
    z: residualArgument(layer, residual, build),
    y: outputOf(layer, residual, build),
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
  const { low, high, residual } = epilogueOf(bound);
  const [perGroup, channelsPerGroup] = [filters / group, channels / group];
  const weights = groupWeights(layer, family, build);
  const { scale, bias } = affine(layer, family, build);
  const z = residualArgument(layer, residual, build);
  const bands = bandsOf(x, plane, 0, build);
  const y = outputOf(layer, residual, build);
  const panels = panelsPerBlock(k, perGroup, pixels);
  const shared = {
    taps: tapTable(plane, bands.layout, channelsPerGroup, 4, build),
    scratch: build.scratch(imageScratchBytes(k, panels)),
    k,
    m: perGroup,
    step: 4,
    panels,
    yStride: pixels * 4,
    low,
    high,
  };
  bands.forEach(({ planes, image, firstPixel, pixels: p }) => {
    for (let index = 0; index < group; index++) {
      const at = ((image * filters + index * perGroup) * pixels + firstPixel) * 4;
      const args: Record<ParamOf<"f32_conv_4x8">, Argument> = {
        ...shared,
        x: shifted(planes, index * channelsPerGroup * bands.layout.length * 4),
        p,
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

function lowerSparse(layer: Layer, build: PlanBuilder): void {
  const { bound, x, w, plane, group, channels, filters, pixels } = layer;
  const { low, high, residual } = epilogueOf(bound);
  const z = residualArgument(layer, residual, build);
  const bands = bandsOf(x, plane, 0, build);
  const y = outputOf(layer, residual, build);
  const lists = build.lists(w, `floats ${layoutKey(layer, bands.layout)}`, () => ({
    ...tapPlaces(layer, bands.layout),
    weights: floatsOf(w.constant!),
  }));
  const { scale, bias } = affineArguments(bound, build, filters, "sparse", {
    missing: (channel) => -lists.sums[channel]!,
    factor: 2,
  });
  const window = callWindowSums({ plane, group, channels }, bands, "f32_window_sums", build);
  const shared = {
    scratch: build.scratch(sparseScratchBytes(lists.parts[0]!.count)),
    ...{ perGroup: filters / group, sumsStride: window.sumsStride, yStride: pixels * 4, low, high },
  };
  explainLive(lists, layer, build);
  bands.forEach(({ planes, image, firstPixel, pixels: p }) => {
    window.call(planes, p);
    for (const { first, count, address } of lists.parts) {
      const at = ((image * filters + first) * pixels + firstPixel) * 4;
      const args = {
        ...{ ...shared, x: planes, lists: address, m: count, p },
        sums: shifted(window.sums, Math.floor(first / shared.perGroup) * window.sumsStride),
        ...{ z: z === 0 ? 0 : shifted(z, at), y: shifted(y, at) },
        ...{ scale: shifted(scale, first * 4), bias: shifted(bias, first * 4) },
      };
      build.call("f32_adder_sparse_1x28", args, lists.live / filters);
    }
  });
}

function lowerDepthwise(layer: Layer, family: Family, build: PlanBuilder): void {
  const { bound, x, w, plane, channels, filters, k, pixels } = layer;
  const { low, high, residual } = epilogueOf(bound);
  const { scale, bias } = affine(layer, family, build);
  const z = residualArgument(layer, residual, build);
  const weights = build.read(w);
  const bands = bandsOf(x, plane, 0, build);
  const y = outputOf(layer, residual, build);
  bands.forEach(({ planes, image, firstPixel, pixels: p }) => {
    const at = (image * filters * pixels + firstPixel) * 4;
    build.call(family.depthwise!, {
      x: planes,
      taps: tapTable(plane, bands.layout, 1, 4, build),
      w: weights,
      scale,
      bias,
      z: z === 0 ? 0 : shifted(z, at),
      y: shifted(y, at),
      k,
      m: filters,
      p,
      multiplier: filters / channels,
      xStride: bands.layout.length * 4,
      yStride: pixels * 4,
      low,
      high,
    });
  });
}

/**
 * Where most weights are live the tile, which reads every input once for four channels, is faster. The bound is the ratio of what both
 * reach per tap; near to it form and size of the layer decide, and machines differ.
 */
const sparseDensity = 0.75;
const contestedDensities = { least: 0.62, most: 0.97 } as const;

/** Weights looked at to know their kind. */
const samples = 4096;

/** Share of weights above 0. */
function liveShare({ w }: Layer): number {
  const weights = floatsOf(w.constant!);
  const step = Math.max(1, Math.floor(weights.length / samples));
  let [live, seen] = [0, 0];
  for (let i = 0; i < weights.length; i += step, seen++) if (weights[i]! > 0) live++;
  return live / Math.max(1, seen);
}

function lowerSum(bound: BoundNode, build: PlanBuilder): void {
  const layer = layerOf(bound);
  const { w, group, channels, filters } = layer;
  // With fewer than four filters per group a tile of four rows would mostly multiply zeros.
  if (group > 1 && group === channels && filters / group < 4) {
    const family = bound.node.opType === "Conv" ? products : absolutes;
    build.explain(family.why);
    build.explain("one channel per group");
    lowerDepthwise(layer, family, build);
    return;
  }
  const family = chooseFamily(layer, build);
  build.explain(family.why);
  if (w.constant !== undefined && isFullyConnected(layer)) {
    lowerLinear(layer, family, build);
    return;
  }
  if (family.sparse === undefined) {
    lowerImage(layer, family, build);
    return;
  }
  lowerMinima(layer, family, build);
}

/** Over all taps or over live ones: what is faster. */
function lowerMinima(layer: Layer, family: Family, build: PlanBuilder): void {
  const live = liveShare(layer);
  const variants = {
    dense: (to: PlanBuilder) => {
      to.explain("most weights are above 0");
      lowerImage(layer, family, to);
    },
    sparse: (to: PlanBuilder) => lowerSparse(layer, to),
  };
  const isContested = contestedDensities.least <= live && live <= contestedDensities.most;
  const { channels, filters, plane, group } = layer;
  const kind = `minima ${channels} ${filters} ${group} ${planeKey(plane)} ${Math.round(live * 20)}`;
  const race = isContested ? build.race(kind, variants) : undefined;
  const predicted = live > sparseDensity ? "dense" : "sparse";
  variants[(race?.winner ?? predicted) as keyof typeof variants](build);
  if (race) build.explain(raceText(race));
}

function raceText({ milliseconds }: Race): string {
  const times = Object.entries(milliseconds).map(([name, took]) => `${name} ${(1000 * took).toFixed(0)} µs`);
  return `measured: ${times.join(", ")}`;
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
