// Where everything lies in the one memory, decided before it exists. A batch is cut into slices of images; a value has a block per slice,
// [channels][images·height·width], its rows filled up to a multiple of four floats. In gradients that filling is always zero.

import type { Shape } from "../network.ts";

export interface Slices {
  readonly count: number;
  /** Images in each slice; only the last one may have fewer than the first. */
  readonly images: readonly number[];
}

const mostSlices = 16;
/** Every slice has weight gradients of its own. */
const mostGradientBytes = 2 ** 26;

/**
 * A batch in at most 16 slices. How it is cut depends on batch and network alone, never on the threads: that is what makes results
 * the same for any number of them.
 */
export function cutBatch(batch: number, gradientBytes: number): Slices {
  const room = Math.max(1, Math.floor(mostGradientBytes / Math.max(1, gradientBytes)));
  const each = Math.ceil(batch / Math.min(mostSlices, room, batch));
  const count = Math.ceil(batch / each);
  const images = Array.from({ length: count }, (_, slice) => Math.min(each, batch - slice * each));
  return { count, images };
}

/** Hands out addresses, one behind the other. */
export interface Space {
  /** An address of its own for so many bytes, a multiple of 64; everything is zero at first. */
  take(bytes: number): number;
  used(): number;
}

/** The first addresses stay unused: 0 means "none". */
const firstAddress = 1024;

export function makeSpace(): Space {
  let end = firstAddress;
  return {
    take(bytes) {
      const address = end;
      end += Math.ceil(bytes / 64) * 64;
      return address;
    },
    used: () => end,
  };
}

/** A block per slice. */
export interface Blocks {
  readonly address: number;
  readonly sliceBytes: number;
}

export const blockAt = ({ address, sliceBytes }: Blocks, slice: number): number =>
  address + slice * sliceBytes;

/** Bytes of one row, the images of a slice at one channel. */
export const rowBytes = ([, height, width]: Shape, images: number): number =>
  16 * Math.ceil((images * height * width) / 4);

export function takeValue(space: Space, shape: Shape, { count, images }: Slices): Blocks {
  const sliceBytes = Math.ceil((shape[0] * rowBytes(shape, images[0]!)) / 64) * 64;
  return { address: space.take(count * sliceBytes), sliceBytes };
}
