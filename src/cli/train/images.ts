// Data sets of the command line as what training reads: normalised floats, their labels checked by the trainer.

import { AdderNetError } from "../../core/errors.ts";
import type { Dataset } from "../../train/index.ts";
import type { Context } from "../context.ts";
import { cacheFolder } from "../data-sets/cache.ts";
import { isDataSetName, openSamples } from "../data-sets/open.ts";
import type { Samples } from "../data-sets/samples.ts";
import { type Normalisation, normaliser } from "../evaluate.ts";
import type { TrainFlags } from "./flags.ts";

/** Images of a set, its first `limit` ones. */
export function toDataset(
  samples: Samples,
  normalisation: Normalisation | undefined,
  limit?: number,
): Dataset {
  const normalise = normaliser(samples, normalisation);
  const { name, shape, classes, label } = samples;
  const length = shape[0] * shape[1] * shape[2];
  return {
    ...{ name, shape, classes, label },
    count: Math.min(limit ?? samples.count, samples.count),
    read: (index, target, offset) => {
      samples.read(index, target, offset);
      normalise(target.subarray(offset, offset + length));
    },
  };
}

export interface OpenedData {
  readonly training: Samples;
  readonly validation: Samples | undefined;
}

/** Errors: ADN_USAGE, and those of `openSamples`. */
export function openData(given: TrainFlags, context: Context): OpenedData {
  const { data, dir } = given;
  if (data === undefined) {
    throw new AdderNetError("ADN_USAGE", "--data is missing: what is learned from?", {
      where: "train",
      fix: "for example --data mnist",
    });
  }
  const cache = cacheFolder(context.env, dir);
  context.progress(`reading ${data}`, 0, 1);
  const training = openSamples(data, cache, "train");
  const [name] = data.split(":");
  const validation = given.validation ?? (isDataSetName(name!) ? `${name}:test` : undefined);
  return { training, validation: validation === undefined ? undefined : openSamples(validation, cache) };
}

/** How many classes the labels speak of. */
export function classCount({ classes, count, label }: Samples): number {
  if (classes !== undefined) return classes.length;
  let most = 0;
  for (let index = 0; index < count; index++) most = Math.max(most, label(index));
  return most + 1;
}
