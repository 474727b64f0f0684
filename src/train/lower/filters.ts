// Adder layers and convolutions: blocks of images as columns, then products or distances with the weights. Columns are made again in the
// backward program; keeping them would take K times the memory of the input.

import { type FilterLayer, outputLength, type Shape } from "../network.ts";
import type { Lowering, Places, ValueGradients } from "./context.ts";
import { blockAt, rowBytes } from "./layout.ts";
import type { ProgramDraft } from "./program.ts";

/** Columns of a block stay in a core's own cache. */
const blockBytes = 96 * 1024;

/** Whole images, or some rows of one; `start` counts output positions before it in the slice. */
interface Part {
  readonly firstImage: number;
  readonly images: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly start: number;
  readonly count: number;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
/** The least count of things of `size` that ends on a whole vector. */
const evenCount = (size: number): number => 4 / gcd(size, 4);

function imageParts(images: number, height: number, width: number, most: number): Part[] {
  const size = height * width;
  const step = Math.max(1, Math.floor(most / (size * evenCount(size)))) * evenCount(size);
  const parts: Part[] = [];
  for (let first = 0; first < images; first += step) {
    const count = Math.min(step, images - first);
    parts.push({
      firstImage: first,
      images: count,
      firstRow: 0,
      rows: height,
      start: first * size,
      count: count * size,
    });
  }
  return parts;
}

function rowParts(images: number, height: number, width: number, most: number): Part[] {
  const step = Math.max(1, Math.floor(most / (width * evenCount(width)))) * evenCount(width);
  const parts: Part[] = [];
  for (let image = 0; image < images; image++) {
    for (let first = 0; first < height; first += step) {
      const rows = Math.min(step, height - first);
      const start = image * height * width + first * width;
      parts.push({ firstImage: image, images: 1, firstRow: first, rows, start, count: rows * width });
    }
  }
  return parts;
}

/** Parts that begin at whole vectors and whose columns fit the cache, as far as an image's rows allow. */
function partsOf(images: number, [, height, width]: Shape, taps: number): Part[] {
  const most = Math.max(4, Math.floor(blockBytes / (4 * taps)));
  const size = height * width;
  const canCutRows = size % 4 === 0;
  return size <= most || !canCutRows
    ? imageParts(images, height, width, most)
    : rowParts(images, height, width, most);
}

/** Rows of columns an odd number of cache lines apart, so that they do not all fall into the same few sets of the cache. */
function columnRowBytes(count: number): number {
  const lines = Math.ceil(count / 16);
  return 64 * (lines | 1);
}

interface Geometry {
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  /** Taps of one group's filters, filters of one group, channels of one group. */
  readonly taps: number;
  readonly filters: number;
  readonly channels: number;
  /** The input is its own column matrix. */
  readonly isPlain: boolean;
}

function geometryOf(layer: FilterLayer, { shapes }: Pick<Places, "shapes">): Geometry {
  const inputShape = shapes.get(layer.input)!;
  const channels = inputShape[0] / layer.group;
  const isPlain =
    layer.kernel.every((length) => length === 1) &&
    layer.strides.every((stride) => stride === 1) &&
    layer.pads.every((pad) => pad === 0);
  return {
    inputShape,
    outputShape: shapes.get(layer.output)!,
    taps: channels * layer.kernel[0] * layer.kernel[1],
    filters: layer.filters / layer.group,
    channels,
    isPlain,
  };
}

/** The arguments that `unfold` and `fold` share, behind the two addresses. */
function windowArguments(layer: FilterLayer, geometry: Geometry, part: Part, row: number): number[] {
  const { inputShape, outputShape, channels } = geometry;
  const [, height, width] = inputShape;
  const { kernel, strides, dilations, pads } = layer;
  return [
    ...[channels, part.images, height, width, row, columnRowBytes(part.count)],
    ...[...kernel, ...strides, ...dilations, pads[0], pads[1], part.firstRow, part.rows, outputShape[2]],
  ];
}

interface Piece {
  readonly slice: number;
  readonly group: number;
  readonly part: Part;
  /** Of the input's and the output's block, at this group's first channel. */
  readonly inputRow: number;
  readonly outputRow: number;
  /** The input at the part's first image, the columns, and the offset of the part in an output block. */
  readonly x: number;
  readonly columns: number;
  readonly columnRow: number;
  readonly outputOffset: number;
}

/** Calls `visit` for every part of every group of a slice, its columns made. */
function forEachPiece(
  layer: FilterLayer,
  places: Places,
  program: ProgramDraft,
  slice: number,
  visit: (piece: Piece) => void,
): void {
  const geometry = geometryOf(layer, places);
  const { inputShape, outputShape, taps, channels, filters, isPlain } = geometry;
  const images = places.slices.images[slice]!;
  const most = places.slices.images[0]!;
  const [inputRow, outputRow] = [rowBytes(inputShape, most), rowBytes(outputShape, most)];
  const parts = partsOf(images, outputShape, taps);
  const scratch = isPlain ? undefined : places.scratch("columns");
  for (let group = 0; group < layer.group; group++) {
    const channelsStart = blockAt(places.value(layer.input), slice) + group * channels * inputRow;
    for (const part of parts) {
      const x = channelsStart + 4 * part.firstImage * inputShape[1] * inputShape[2];
      const columns = scratch === undefined ? channelsStart + 4 * part.start : blockAt(scratch, slice);
      if (scratch !== undefined) {
        program.call(slice, "unfold", x, columns, ...windowArguments(layer, geometry, part, inputRow));
      }
      visit({
        ...{ slice, group, part, inputRow, outputRow, x, columns },
        columnRow: isPlain ? inputRow : columnRowBytes(part.count),
        outputOffset: group * filters * outputRow + 4 * part.start,
      });
    }
  }
}

/** Bytes of the columns of a layer's largest part. */
export function columnBytes(layer: FilterLayer, places: Pick<Places, "shapes" | "slices">): number {
  const { taps, outputShape } = geometryOf(layer, places);
  const parts = partsOf(places.slices.images[0]!, outputShape, taps);
  return taps * Math.max(...parts.slice(0, 2).map(({ count }) => columnRowBytes(count)));
}

/** The weights that a slice computes with: the parameter, or what its codes stand for, made by every slice for itself. */
function weightsOf(layer: FilterLayer, places: Places, slice: number): number {
  if (layer.grid === undefined) return places.parameter(layer.weight);
  return blockAt(places.own(layer, "weights", 4 * layer.filters * geometryOf(layer, places).taps), slice);
}

function roundWeights(layer: FilterLayer, places: Places, program: ProgramDraft, slice: number): void {
  if (layer.grid === undefined) return;
  const { step, low, high } = layer.grid;
  const grid = places.constants(layer, "float32", [step, low, high]);
  const count = layer.filters * geometryOf(layer, places).taps;
  const to = weightsOf(layer, places, slice);
  program.call(slice, "toGrid", places.parameter(layer.weight), to, grid, count);
}

function forward(layer: FilterLayer, places: Places, program: ProgramDraft): void {
  const { taps, filters } = geometryOf(layer, places);
  const bias = layer.bias && places.parameter(layer.bias);
  for (let slice = 0; slice < places.slices.count; slice++) {
    roundWeights(layer, places, program, slice);
    const w = weightsOf(layer, places, slice);
    const y = blockAt(places.value(layer.output), slice);
    forEachPiece(
      layer,
      places,
      program,
      slice,
      ({ group, part, columns, columnRow, outputOffset, outputRow }) => {
        program.call(
          slice,
          layer.kind,
          columns,
          w + 4 * group * filters * taps,
          bias ? bias + 4 * group * filters : 0,
          y + outputOffset,
          ...[filters, taps, part.count, columnRow, outputRow],
        );
      },
    );
  }
}

const weightKernels = {
  adder: { full: "weightGradient", sign: "signWeightGradient" },
  conv: { full: "weightGradient", sign: "weightGradient" },
} as const;
const inputKernels = {
  adder: { clamp: "adderInputGradient", sign: "signInputGradient" },
  conv: { clamp: "convInputGradient", sign: "convInputGradient" },
} as const;

/** What the whole slice adds to weights and bias besides the products. */
function finishSlice(
  layer: FilterLayer,
  places: Places,
  program: ProgramDraft,
  slice: number,
  dy: number,
): void {
  const { taps, outputShape } = geometryOf(layer, places);
  const isAdder = layer.kind === "adder" && places.gradients.weight === "full";
  if (!isAdder && layer.bias === undefined) return;
  const row = rowBytes(outputShape, places.slices.images[0]!);
  const sums =
    layer.bias === undefined
      ? blockAt(places.own(layer, "sums", 4 * layer.filters), slice)
      : blockAt(places.sliceGradient(layer.bias), slice);
  program.call(slice, "rowSums", dy, sums, layer.filters, row / 4, row);
  if (!isAdder) return;
  const dw = blockAt(places.sliceGradient(layer.weight), slice);
  program.call(slice, "subtractWeighted", dw, weightsOf(layer, places, slice), sums, layer.filters, taps);
}

function inputGradient(
  layer: FilterLayer,
  places: Places,
  program: ProgramDraft,
  piece: Piece,
  dy: number,
  dx: number,
): void {
  const geometry = geometryOf(layer, places);
  const { taps, filters, isPlain, inputShape } = geometry;
  const { slice, group, part, columns, columnRow, inputRow, outputRow, outputOffset } = piece;
  const start = dx + group * geometry.channels * inputRow;
  const target = isPlain ? start + 4 * part.start : blockAt(places.scratch("gradient"), slice);
  program.call(
    slice,
    inputKernels[layer.kind][places.gradients.input],
    columns,
    weightsOf(layer, places, slice) + 4 * group * filters * taps,
    dy + outputOffset,
    target,
    ...[filters, taps, part.count, columnRow, outputRow],
  );
  if (isPlain) return;
  const to = start + 4 * part.firstImage * inputShape[1] * inputShape[2];
  program.call(slice, "fold", target, to, ...windowArguments(layer, geometry, part, inputRow));
}

function backward(
  layer: FilterLayer,
  places: Places,
  program: ProgramDraft,
  gradients: ValueGradients,
): void {
  const { taps, filters, isPlain } = geometryOf(layer, places);
  const dyBlocks = gradients.of(layer.output);
  const isWanted = gradients.isWanted(layer.input);
  const dxBlocks = !isWanted
    ? undefined
    : isPlain
      ? gradients.take(layer.input)
      : gradients.takeSum(layer.input);
  const kernel = weightKernels[layer.kind][places.gradients.weight];
  for (let slice = 0; slice < places.slices.count; slice++) {
    const dy = blockAt(dyBlocks, slice);
    const dw = blockAt(places.sliceGradient(layer.weight), slice);
    program.call(slice, "clear", dw, 4 * layer.filters * taps);
    forEachPiece(layer, places, program, slice, (piece) => {
      const { group, part, columns, columnRow, outputOffset, outputRow } = piece;
      const offset = 4 * group * filters * taps;
      program.call(
        slice,
        kernel,
        ...[columns, dy + outputOffset, weightsOf(layer, places, slice) + offset, dw + offset],
        ...[filters, taps, part.count, columnRow, outputRow],
      );
      if (dxBlocks) inputGradient(layer, places, program, piece, dy, blockAt(dxBlocks, slice));
    });
    finishSlice(layer, places, program, slice, dy);
  }
  if (dxBlocks && isPlain) gradients.give(layer.input, dxBlocks);
}

export const filterLowering: Lowering<FilterLayer> = { forward, backward };

/** Output positions of a layer, for what counts its taps. */
export const positionsOf = ({ kernel, strides, dilations, pads }: FilterLayer, [, h, w]: Shape): number =>
  outputLength(h, kernel[0], strides[0], dilations[0], pads[0] + pads[2]) *
  outputLength(w, kernel[1], strides[1], dilations[1], pads[1] + pads[3]);
