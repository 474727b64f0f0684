// Where a two-dimensional window reads, as tables of byte offsets for the kernels.

import type { BoundWindow } from "../src/core/ops/spatial-window.ts";

/** A window over planes that are padded at their edges; one spatial axis counts as height 1. */
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
  /** The plane as the kernel sees it, padding included. */
  readonly paddedHeight: number;
  readonly paddedWidth: number;
}

function pair(values: readonly number[], missing: number): readonly [number, number] {
  return values.length === 1 ? [missing, values[0]!] : [values[0]!, values[1]!];
}

export function planeOf(window: BoundWindow): Plane {
  const rank = window.kernel.length;
  const kernel = pair(window.kernel, 1);
  const strides = pair(window.strides, 1);
  const dilations = pair(window.dilations, 1);
  const [top, left] = pair(window.pads.slice(0, rank), 0);
  const [height, width] = pair(window.input, 1);
  const [outHeight, outWidth] = pair(window.output, 1);
  const reach = (axis: 0 | 1, length: number) =>
    (length - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1;
  return {
    kernel,
    strides,
    dilations,
    top,
    left,
    height,
    width,
    outHeight,
    outWidth,
    paddedHeight: Math.max(top + height, reach(0, outHeight)),
    paddedWidth: Math.max(left + width, reach(1, outWidth)),
  };
}

export function isPadded(plane: Plane): boolean {
  return plane.paddedHeight !== plane.height || plane.paddedWidth !== plane.width;
}

/** Byte offset of every tap of `channels` planes from the first, in the order of the weights (c, ky, kx). */
export function tapOffsets(plane: Plane, channels: number): Uint32Array {
  const { kernel, dilations, paddedHeight, paddedWidth } = plane;
  const offsets = new Uint32Array(channels * kernel[0] * kernel[1]);
  let index = 0;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < kernel[0]; i++) {
      const row = (c * paddedHeight + i * dilations[0]) * paddedWidth;
      for (let j = 0; j < kernel[1]; j++) offsets[index++] = (row + j * dilations[1]) * 4;
    }
  }
  return offsets;
}

/**
 * Byte offset of the window of every output pixel, filled up to whole panels of eight: unused entries repeat the first of their
 * four, or 0.
 */
export function pixelOffsets(plane: Plane): Uint32Array {
  const { outHeight, outWidth, strides, paddedWidth } = plane;
  const offsets = new Uint32Array(Math.ceil((outHeight * outWidth) / 8) * 8);
  let index = 0;
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) offsets[index++] = (y * strides[0] * paddedWidth + x * strides[1]) * 4;
  }
  return filledUp(offsets, index);
}

/** `count` columns `stride` bytes apart, filled up as pixels are. */
export function columnOffsets(count: number, stride: number): Uint32Array {
  const offsets = new Uint32Array(Math.ceil(count / 8) * 8);
  for (let index = 0; index < count; index++) offsets[index] = index * stride;
  return filledUp(offsets, count);
}

function filledUp(offsets: Uint32Array, used: number): Uint32Array {
  for (let index = used; index < offsets.length; index++) {
    const first = index - (index % 4);
    offsets[index] = first < used ? offsets[first]! : 0;
  }
  return offsets;
}

/** What two planes with equal tables have in common. */
export function planeKey(plane: Plane): string {
  const { kernel, strides, dilations, outHeight, outWidth, paddedHeight, paddedWidth } = plane;
  return [...kernel, ...strides, ...dilations, outHeight, outWidth, paddedHeight, paddedWidth].join();
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
