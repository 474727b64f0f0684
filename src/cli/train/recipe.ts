// Flags as the parts of a run: loss, schedule, chain of links, augmentation.

import {
  type AdderGradients,
  type Augmentation,
  adam,
  adaptiveAdderRate,
  constant,
  cosine,
  crossEntropy,
  distillation,
  increasedAdderRate,
  type Loss,
  randomCrop,
  randomFlip,
  type Schedule,
  sgd,
  steps,
  type Transform,
  warmUp,
} from "../../train/index.ts";
import type { Normalisation } from "../evaluate.ts";
import type { TrainFlags } from "./flags.ts";

export function scheduleOf(given: TrainFlags): Schedule {
  const rate = given["learning-rate"] ?? (given.optimizer === "adam" ? 0.001 : 0.1);
  const { epochs } = given;
  const plain = {
    cosine: () => cosine(rate),
    "smooth-cosine": () => cosine(rate, { every: "step" }),
    steps: () => steps(rate, { at: [Math.floor(epochs / 2), Math.floor((3 * epochs) / 4)] }),
    constant: () => constant(rate),
  }[given.schedule]();
  return given["warm-up"] > 0 ? warmUp(given["warm-up"], plain) : plain;
}

export function optimizerOf(given: TrainFlags): Transform[] {
  const learningRate = scheduleOf(given);
  const weightDecay = given["weight-decay"];
  if (given.optimizer === "adam") return adam({ learningRate, weightDecay });
  const factor = given["rate-factor"];
  const adders =
    given["adder-rate"] === "adaptive" ? adaptiveAdderRate(factor) : increasedAdderRate(factor ?? 100);
  return sgd({ learningRate, weightDecay, momentum: given.momentum, nesterov: given.nesterov, adders });
}

export function lossOf({ teacher, alpha, temperature, smoothing }: TrainFlags): Loss {
  return teacher === undefined ? crossEntropy({ smoothing }) : distillation({ alpha, temperature });
}

export const gradientsOf = (given: TrainFlags): AdderGradients => ({
  weight: given["weight-gradient"],
  input: given["input-gradient"],
});

/** Pixels by which images of known sets are usually moved, and whether they are mirrored. */
const usual: Readonly<Record<string, { readonly crop: number; readonly flip: boolean }>> = {
  mnist: { crop: 2, flip: false },
  "fashion-mnist": { crop: 2, flip: true },
  cifar10: { crop: 4, flip: true },
};

/** The flags with what is usual for the data set where they say nothing. */
export function withUsual(given: TrainFlags): TrainFlags {
  const known = usual[given.data?.split(":")[0] ?? ""] ?? { crop: 0, flip: false };
  return { ...given, crop: given.crop ?? known.crop, flip: given.flip ?? (known.flip ? "on" : "off") };
}

/** Outside of a moved image is black, as it is when pixels are padded before they are normalised. */
export function augmentationsOf(
  { crop = 0, flip }: TrainFlags,
  normalisation: Normalisation | undefined,
): Augmentation[] {
  const fill = normalisation?.mean.map((mean, channel) => -mean / normalisation.std[channel]!) ?? [];
  return [...(crop > 0 ? [randomCrop(crop, fill)] : []), ...(flip === "on" ? [randomFlip()] : [])];
}
