// What an adder layer reads at chosen positions of its output: columns x[k][q], and the targets beside them.

import type { AdderWindow } from "../../custom-ops/adder-window.ts";

/** Images of one feed. */
export interface Maps {
  readonly data: Float32Array;
  /** N, C, H, W */
  readonly dims: readonly [number, number, number, number];
}

/** Feeds as a layer sees them: its inputs, its targets, and where its window lies. */
export interface LayerData {
  readonly x: readonly Maps[];
  /** Dims N, M, OH, OW. */
  readonly target: readonly Maps[];
  readonly window: AdderWindow;
  /** Height and width of the kernel. */
  readonly kernel: readonly [number, number];
}

/** Positions of the output: feed, row of the feed, y, x of each. */
export interface Positions {
  readonly feed: Int32Array;
  readonly row: Int32Array;
  readonly y: Int32Array;
  readonly x: Int32Array;
}

/** `count` positions by chance, every image as likely as its number of positions. */
export function drawPositions({ target }: LayerData, count: number, uniform: () => number): Positions {
  const starts = [0];
  for (const { dims } of target) starts.push(starts.at(-1)! + dims[0] * dims[2] * dims[3]);
  const total = starts.at(-1)!;
  const make = () => new Int32Array(count);
  const positions = { feed: make(), row: make(), y: make(), x: make() };
  for (let q = 0; q < count; q++) {
    const drawn = Math.floor(uniform() * total);
    let [low, high] = [0, target.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= drawn) low = middle;
      else high = middle;
    }
    const [, , height, width] = target[low]!.dims;
    const within = drawn - starts[low]!;
    const inRow = within % (height * width);
    positions.feed[q] = low;
    positions.row[q] = (within - inRow) / (height * width);
    positions.y[q] = Math.floor(inRow / width);
    positions.x[q] = inRow % width;
  }
  return positions;
}

/** A layer's inputs with the channels of a position side by side, as windows read them; `starts` of every feed. */
export interface Pixels {
  readonly data: Float32Array;
  readonly starts: readonly number[];
}

export function pixelsOf({ x: feeds }: Pick<LayerData, "x">): Pixels {
  const starts = [0];
  for (const { data } of feeds) starts.push(starts.at(-1)! + data.length);
  const pixels = new Float32Array(starts.at(-1)!);
  for (const [feed, { data, dims }] of feeds.entries()) {
    const [N, C, H, W] = dims;
    const plane = H * W;
    for (let row = 0; row < N; row++) {
      const start = row * C * plane;
      for (let c = 0; c < C; c++) {
        let to = starts[feed]! + start + c;
        for (let from = start + c * plane; from < start + (c + 1) * plane; from++, to += C) {
          pixels[to] = data[from]!;
        }
      }
    }
  }
  return { data: pixels, starts };
}

/** Positions gathered together: as many elements as a cache line has, since rows of columns often lie a power of two apart. */
const tile = 16;

/** Where the tap (i, j) of each window lies among the pixels, its first channel; -1 for padding. */
function aimTap(
  { x: feeds, window: { strides, pads, dilations } }: LayerData,
  { starts }: Pixels,
  positions: Positions,
  [from, count]: readonly [number, number],
  [i, j, first]: readonly [number, number, number],
  places: Int32Array,
): void {
  for (let q = from; q < from + count; q++) {
    const feed = positions.feed[q]!;
    const [, C, H, W] = feeds[feed]!.dims;
    const line = positions.y[q]! * strides[0] - pads[0] + i * dilations[0];
    const column = positions.x[q]! * strides[1] - pads[1] + j * dilations[1];
    const isInside = line >= 0 && line < H && column >= 0 && column < W;
    const pixel = (positions.row[q]! * H + line) * W + column;
    places[q - from] = isInside ? starts[feed]! + pixel * C + first : -1;
  }
}

/** Writes columns[k][q] of `channels` channels from `first` on; `rowLength` elements from one k to the next. Padding reads 0. */
export function gatherColumns(
  layer: LayerData,
  pixels: Pixels,
  positions: Positions,
  first: number,
  channels: number,
  columns: Float32Array,
  rowLength: number,
): void {
  const [kernelHeight, kernelWidth] = layer.kernel;
  const taps = kernelHeight * kernelWidth;
  const places = new Int32Array(tile);
  const { data } = pixels;
  for (let from = 0; from < positions.feed.length; from += tile) {
    const count = Math.min(tile, positions.feed.length - from);
    for (let tap = 0; tap < taps; tap++) {
      const [i, j] = [Math.floor(tap / kernelWidth), tap % kernelWidth];
      aimTap(layer, pixels, positions, [from, count], [i, j, first], places);
      for (let c = 0; c < channels; c++) {
        const at = (c * taps + tap) * rowLength + from;
        for (let q = 0; q < count; q++) {
          const place = places[q]!;
          columns[at + q] = place < 0 ? 0 : data[place + c]!;
        }
      }
    }
  }
}

/** Writes targets[m][q] of `filters` filters from `first` on. */
export function gatherTargets(
  { target: feeds }: LayerData,
  positions: Positions,
  first: number,
  filters: number,
  targets: Float32Array,
  rowLength: number,
): void {
  for (let q = 0; q < positions.feed.length; q++) {
    const { data, dims } = feeds[positions.feed[q]!]!;
    const [, M, height, width] = dims;
    let from = ((positions.row[q]! * M + first) * height + positions.y[q]!) * width + positions.x[q]!;
    let at = q;
    for (let m = 0; m < filters; m++) {
      targets[at] = data[from]!;
      from += height * width;
      at += rowLength;
    }
  }
}

/** About `count` values of an input channel, spread over all feeds. */
export function channelValues({ x: feeds }: LayerData, channel: number, count: number): Float32Array {
  const total = feeds.reduce((sum, { dims }) => sum + dims[0] * dims[2] * dims[3], 0);
  // A step without a common divisor with the width of a map, so that all columns are met.
  const step = Math.max(1, Math.floor(total / count)) | 1;
  const values = new Float32Array(Math.ceil(total / step));
  let [next, offset, filled] = [0, 0, 0];
  for (const { data, dims } of feeds) {
    const [N, C, H, W] = dims;
    const plane = H * W;
    for (; next < offset + N * plane; next += step) {
      const within = next - offset;
      const inRow = within % plane;
      values[filled++] = data[(((within - inRow) / plane) * C + channel) * plane + inRow]!;
    }
    offset += N * plane;
  }
  return values.subarray(0, filled);
}
