// Images of a data set as feeds to calibrate with.

import { setImmediate } from "node:timers/promises";
import type { Tensor } from "../core/tensor.ts";
import type { Samples } from "./data-sets/samples.ts";
import { batchReader, type Normalisation } from "./evaluate.ts";
import type { ModelInput } from "./feeds.ts";
import * as types from "./flag-types.ts";

export const calibrationBatchFlag = {
  batch: {
    type: types.positiveInteger,
    placeholder: "N",
    help: "images per run (default: 8, fewer where images are large)",
  },
} as const;

export interface CalibrationImages {
  readonly samples: Samples;
  readonly input: ModelInput;
  readonly normalisation: Normalisation | undefined;
  /** At most this many, spread evenly over the set. */
  readonly limit: number;
  /** Images per feed; a model with a fixed batch sets its own. */
  readonly batch: number;
}

const fixedBatch = ({ shape }: ModelInput): number | undefined =>
  typeof shape?.[0] === "number" ? shape[0] : undefined;

/** How many images `imageFeeds` will read: whole batches only, where the model fixes the batch. */
export function imageCount({ samples, input, limit }: CalibrationImages): number {
  const wanted = Math.min(limit, samples.count);
  const fixed = fixedBatch(input) ?? 1;
  return wanted - (wanted % fixed);
}

/** The images in batches. Errors: ADN_DATA when images and model do not fit. */
export async function* imageFeeds(images: CalibrationImages): AsyncGenerator<ReadonlyMap<string, Tensor>> {
  const { samples, input, batch } = images;
  const read = batchReader(images);
  const count = imageCount(images);
  const size = fixedBatch(input) ?? batch;
  for (let start = 0; start < count; start += size) {
    const used = Math.min(size, count - start);
    const indices = Array.from({ length: used }, (_, row) =>
      Math.floor(((start + row) * samples.count) / count),
    );
    yield new Map([[input.name, read(indices, used)]]);
    // Lets signals in between two feeds.
    await setImmediate();
  }
}
