// How images become what a model takes: one float32 input, and the mean and std of its pixels.

import { AdderNetError } from "../core/errors.ts";
import type { Model } from "../core/ir/model.ts";
import type { Samples } from "./data-sets/samples.ts";
import type { Normalisation } from "./evaluate.ts";
import { type ModelInput, modelInputs } from "./feeds.ts";
import * as types from "./flag-types.ts";

/** Numbers that the model carries under `addernet.mean` and `addernet.std`. Errors: ADN_ONNX_MODEL. */
function fromMetadata(model: Model, key: string): readonly number[] | undefined {
  const written = model.metadata.get(key);
  if (written === undefined) return undefined;
  const values = types.numberList.parse(written.replace(/^\s*\[|\]\s*$/g, ""));
  if (values) return values;
  throw new AdderNetError("ADN_ONNX_MODEL", `the metadata ${key} is no list of numbers`, {
    found: written.slice(0, 60),
  });
}

function perChannel(values: readonly number[], channels: number, name: string): readonly number[] {
  if (values.length === channels) return values;
  if (values.length === 1) return new Array<number>(channels).fill(values[0]!);
  throw new AdderNetError("ADN_USAGE", `--${name} does not fit the images`, {
    expected: `1 or ${channels} numbers`,
    found: `${values.length}`,
  });
}

/** Flags win, then what the model says, then what is usual for the data set. Values that are no pixels are changed by flags only. */
export function chooseNormalisation(
  samples: Samples,
  model: Model,
  flags: { mean: readonly number[] | undefined; std: readonly number[] | undefined },
): Normalisation | undefined {
  const channels = samples.shape[0];
  const isPixels = samples.kind === "pixels";
  if (!isPixels && flags.mean === undefined && flags.std === undefined) return undefined;
  const usual = isPixels
    ? {
        mean: fromMetadata(model, "addernet.mean") ?? samples.mean,
        std: fromMetadata(model, "addernet.std") ?? samples.std,
      }
    : {};
  return {
    mean: perChannel(flags.mean ?? usual.mean ?? [0], channels, "mean"),
    std: perChannel(flags.std ?? usual.std ?? [1], channels, "std"),
  };
}

/** Neither flags, model nor data set said anything. */
export function isPlain(normalisation: Normalisation | undefined): boolean {
  return (
    normalisation?.mean.every((value) => value === 0) === true && normalisation.std.every((v) => v === 1)
  );
}

/** The input that images go to. ADN_DATA when there are others, or it takes no floats. */
export function imageInput(model: Model, command: string): ModelInput {
  const inputs = modelInputs(model);
  const [input, ...more] = inputs;
  if (input !== undefined && more.length === 0 && input.type === "float32") return input;
  throw new AdderNetError("ADN_DATA", `${command} takes models with one float32 input`, {
    found: inputs.map(({ name, type }) => `${name}: ${type}`).join(", "),
  });
}

/** The flags that change pixels. */
export const normalisationFlags = {
  mean: {
    type: types.numberList,
    placeholder: "R,G,B",
    help: "what is subtracted per channel after division by 255",
  },
  std: {
    type: types.positiveList,
    placeholder: "R,G,B",
    help: "what is divided by per channel after that",
  },
} as const;
