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

/** Writes columns[k][q] of `channels` channels from `first` on; `rowLength` elements from one k to the next. Padding reads 0. */
export function gatherColumns(
  { x: feeds, window, kernel }: LayerData,
  positions: Positions,
  first: number,
  channels: number,
  columns: Float32Array,
  rowLength: number,
): void {
  const [kernelHeight, kernelWidth] = kernel;
  const { strides, pads, dilations } = window;
  for (let q = 0; q < positions.feed.length; q++) {
    const { data, dims } = feeds[positions.feed[q]!]!;
    const [, C, H, W] = dims;
    const top = positions.y[q]! * strides[0] - pads[0];
    const left = positions.x[q]! * strides[1] - pads[1];
    let plane = (positions.row[q]! * C + first) * H * W;
    let at = q;
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < kernelHeight; i++) {
        const line = top + i * dilations[0];
        const isInside = line >= 0 && line < H;
        for (let j = 0; j < kernelWidth; j++) {
          const column = left + j * dilations[1];
          columns[at] = isInside && column >= 0 && column < W ? data[plane + line * W + column]! : 0;
          at += rowLength;
        }
      }
      plane += H * W;
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
