// Where a two-dimensional window reads: how input planes are laid out for it, and where its taps lie in that layout.

import type { BoundWindow } from "../src/core/ops/spatial-window.ts";

/** A window over planes; one spatial axis counts as height 1. */
export interface Plane {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
}

function pair(values: readonly number[], missing: number): readonly [number, number] {
  return values.length === 1 ? [missing, values[0]!] : [values[0]!, values[1]!];
}

export function planeOf(window: BoundWindow): Plane {
  const [top, left] = pair(window.pads.slice(0, window.kernel.length), 0);
  const [height, width] = pair(window.input, 1);
  const [outHeight, outWidth] = pair(window.output, 1);
  const strides = pair(window.strides, 1);
  return {
    kernel: pair(window.kernel, 1),
    // A stride that leads to no second output may be any number, also one beyond all addresses.
    strides: [outHeight > 1 ? strides[0] : 1, outWidth > 1 ? strides[1] : 1],
    dilations: pair(window.dilations, 1),
    top,
    left,
    height,
    width,
    outHeight,
    outWidth,
  };
}

/**
 * Planes as the kernels read them: for each column of the window, for each remainder of the row by the stride, the rows; in a row one
 * element per output. All pixels of a tap then lie in one run.
 */
export interface Layout {
  /** The plane as it is has this form already. */
  readonly isInPlace: boolean;
  readonly phases: number;
  /** Rows of a phase. */
  readonly rows: number;
  readonly columns: number;
  /** Elements of one input plane. */
  readonly length: number;
}

/** The layout for `outRows` rows of outputs. */
export function layoutOf(plane: Plane, outRows: number): Layout {
  const { kernel, strides, dilations, top, left, height, width, outHeight, outWidth } = plane;
  const lastRow = (kernel[0] - 1) * dilations[0];
  const isUnpadded = top === 0 && left === 0 && outWidth === width && outHeight + lastRow <= height;
  if (isUnpadded && kernel[1] === 1 && strides[0] === 1 && strides[1] === 1 && outRows === outHeight) {
    return { isInPlace: true, phases: 1, rows: height, columns: width, length: height * width };
  }
  const phases = kernel[0] > 1 ? strides[0] : 1;
  const rows = Math.ceil(((outRows - 1) * strides[0] + lastRow + 1) / strides[0]);
  return {
    isInPlace: false,
    phases,
    rows,
    columns: outWidth,
    length: kernel[1] * phases * rows * outWidth,
  };
}

/** Element of every tap of `channels` planes from the first, in the order of the weights (c, ky, kx). */
export function tapOffsets(plane: Plane, layout: Layout, channels: number): Uint32Array {
  const { kernel, strides, dilations } = plane;
  const { phases, rows, columns, length } = layout;
  const offsets = new Uint32Array(channels * kernel[0] * kernel[1]);
  let index = 0;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < kernel[0]; i++) {
      const row = i * dilations[0];
      const phase = phases === 1 ? 0 : row % strides[0];
      const start = c * length + (phase * rows + Math.floor(row / strides[0])) * columns;
      for (let j = 0; j < kernel[1]; j++) offsets[index++] = start + j * phases * rows * columns;
    }
  }
  return offsets;
}

/** Bytes that vectors may read beyond a row, see the table of kernels. */
const readableBytes = 448;

/**
 * For every column of the window whether each element of a row lies inside the plane, as masks in whole vectors. Undefined where
 * the kernels cannot read whole vectors.
 */
export function rowMasks(plane: Plane, elementBytes: number): Uint8Array | undefined {
  const { kernel, strides, dilations, left, width, outWidth } = plane;
  const lanes = 16 / elementBytes;
  const length = Math.ceil(outWidth / lanes) * lanes;
  const end = (kernel[1] - 1) * dilations[1] - left + length * strides[1];
  if (strides[1] > 2 || Math.max(left, end - width) * elementBytes > readableBytes) return undefined;
  const masks = new Uint8Array(kernel[1] * length * elementBytes);
  for (let tap = 0; tap < kernel[1]; tap++) {
    for (let x = 0; x < outWidth; x++) {
      const column = tap * dilations[1] - left + x * strides[1];
      if (column < 0 || column >= width) continue;
      const at = (tap * length + x) * elementBytes;
      masks.fill(255, at, at + elementBytes);
    }
  }
  return masks;
}

/** What two planes with equal tables have in common. */
export function planeKey(plane: Plane): string {
  return Object.values(plane).join();
}

/** Taps of every output pixel's window on the input alone or, with `includePad`, on the padded input; never beyond both. */
export function tapCounts(window: BoundWindow, includePad: boolean): Float32Array {
  const rank = window.kernel.length;
  const perAxis = window.kernel.map((taps, axis) => {
    const begin = window.pads[axis]!;
    const [low, high] = includePad
      ? [0, begin + window.input[axis]! + window.pads[axis + rank]!]
      : [begin, begin + window.input[axis]!];
    return Array.from({ length: window.output[axis]! }, (_, out) => {
      let count = 0;
      for (let tap = 0; tap < taps; tap++) {
        const at = out * window.strides[axis]! + tap * window.dilations[axis]!;
        if (at >= low && at < high) count++;
      }
      return count;
    });
  });
  const [rows, columns] = rank === 1 ? [[1], perAxis[0]!] : [perAxis[0]!, perAxis[1]!];
  return Float32Array.from(rows.flatMap((row) => columns.map((column) => row * column)));
}

/** Parts of something large: so many, or a few more, that two and four threads have equal shares. */
export function shareable(parts: number): number {
  return parts === 1 ? 1 : Math.ceil(parts / 4) * 4;
}
