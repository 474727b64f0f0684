// What is learned from: labelled images, read one at a time.

import type { Augmentation } from "./augment.ts";
import type { Shape } from "./network.ts";
import { randomStream } from "./random.ts";

export interface Dataset {
  readonly name: string;
  readonly count: number;
  readonly shape: Shape;
  readonly classes?: readonly string[] | undefined;
  readonly label: (index: number) => number;
  /** Writes image `index`, as the network takes it, to `target` from `offset`. */
  readonly read: (index: number, target: Float32Array, offset: number) => void;
}

export interface Batch {
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

/** The images `indices` of a data set; those drawn in `epoch` with `seed` are augmented the same way every time. */
export function readBatch(
  data: Dataset,
  indices: ArrayLike<number>,
  augmentations: readonly Augmentation[] = [],
  seed = 0,
  epoch = 0,
): Batch {
  const length = data.shape[0] * data.shape[1] * data.shape[2];
  const images = new Float32Array(indices.length * length);
  const labels = new Int32Array(indices.length);
  for (let row = 0; row < indices.length; row++) {
    const index = indices[row]!;
    data.read(index, images, row * length);
    labels[row] = data.label(index);
    if (augmentations.length === 0) continue;
    const random = randomStream(seed, 3, epoch, index);
    const image = images.subarray(row * length, (row + 1) * length);
    for (const augment of augmentations) augment(image, data.shape, random);
  }
  return { images, labels };
}
