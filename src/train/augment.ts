// Augmentation: images moved and mirrored at random. Which way is drawn from the seed, the epoch and the image's number alone.

import type { Shape } from "./network.ts";
import type { Random } from "./random.ts";

/** Changes an image in place. */
export type Augmentation = (image: Float32Array, shape: Shape, random: Random) => void;

/**
 * The image moved by up to `pad` pixels each way: a crop of the padded one. `fill` is what stands outside, one number for each channel
 * (0 when absent); for padding with black before normalisation it is -mean/std.
 */
export function randomCrop(pad: number, fill: readonly number[] = []): Augmentation {
  return (image, [channels, height, width], random) => {
    const [down, right] = [random.below(2 * pad + 1) - pad, random.below(2 * pad + 1) - pad];
    const old = image.slice();
    const plane = height * width;
    for (let c = 0; c < channels; c++) {
      const outside = fill[c] ?? 0;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const [fromY, fromX] = [y + down, x + right];
          const isInside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width;
          image[c * plane + y * width + x] = isInside ? old[c * plane + fromY * width + fromX]! : outside;
        }
      }
    }
  };
}

/** Every other image mirrored, left to right. */
export function randomFlip(): Augmentation {
  return (image, [channels, height, width], random) => {
    if (random.next() < 0.5) return;
    for (let row = 0; row < channels * height; row++) {
      image.subarray(row * width, (row + 1) * width).reverse();
    }
  };
}
