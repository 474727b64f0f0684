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

/** Flags of which the recipe is decided: those that have a usual value for each kind of run have it. */
export type Recipe = TrainFlags & Usual;

interface Usual {
  readonly batch: number;
  readonly "learning-rate": number;
  readonly schedule: NonNullable<TrainFlags["schedule"]>;
  readonly "input-gradient": AdderGradients["input"];
  readonly crop: number;
  readonly flip: "on" | "off";
}

export function scheduleOf(given: Recipe): Schedule {
  const rate = given["learning-rate"];
  const { epochs } = given;
  const plain = {
    cosine: () => cosine(rate),
    "smooth-cosine": () => cosine(rate, { every: "step" }),
    steps: () => steps(rate, { at: [Math.floor(epochs / 2), Math.floor((3 * epochs) / 4)] }),
    constant: () => constant(rate),
  }[given.schedule]();
  return given["warm-up"] > 0 ? warmUp(given["warm-up"], plain) : plain;
}

export function optimizerOf(given: Recipe): Transform[] {
  const learningRate = scheduleOf(given);
  const weightDecay = given["weight-decay"];
  if (given.optimizer === "adam") return adam({ learningRate, weightDecay });
  const factor = given["rate-factor"];
  const adders =
    given["adder-rate"] === "adaptive" ? adaptiveAdderRate(factor) : increasedAdderRate(factor ?? 100);
  return sgd({ learningRate, weightDecay, momentum: given.momentum, nesterov: given.nesterov, adders });
}

export function lossOf({ teacher, bits, alpha, temperature, smoothing }: TrainFlags): Loss {
  const isTaught = teacher !== undefined || bits !== undefined;
  return isTaught ? distillation({ alpha, temperature }) : crossEntropy({ smoothing });
}

export const gradientsOf = (given: Recipe): AdderGradients => ({
  weight: given["weight-gradient"],
  input: given["input-gradient"],
});

/** Pixels by which images of known sets are usually moved, and whether they are mirrored. */
const imagesUsual: Readonly<Record<string, Pick<Usual, "crop" | "flip">>> = {
  mnist: { crop: 2, flip: "off" },
  "fashion-mnist": { crop: 2, flip: "on" },
  cifar10: { crop: 4, flip: "on" },
};

type Steps = Omit<Usual, "crop" | "flip">;

/** What is new learns as AdderNet's authors have it. */
const fromNothing: Steps = {
  batch: 256,
  "learning-rate": 0.1,
  schedule: "cosine",
  "input-gradient": "clamp",
};

/** Few epochs want more steps, and a rate that is near to 0 at their end. */
const fineTuning: Steps = {
  batch: 128,
  "learning-rate": 0.02,
  schedule: "smooth-cosine",
  "input-gradient": "clamp",
};

/**
 * On codes, weights lie within the range of their input, where |x - w| is small and its clamped gradient far from what the layer does:
 * through twenty layers it grows a thousandfold. The sign is exact.
 */
const fineTuningCodes: Steps = { ...fineTuning, "learning-rate": 0.0005, "input-gradient": "sign" };

function stepsUsual({ model, init, bits, optimizer }: TrainFlags): Steps {
  const isNew = model === undefined && init === undefined;
  const steps = bits !== undefined ? fineTuningCodes : isNew ? fromNothing : fineTuning;
  return optimizer === "adam" ? { ...steps, "learning-rate": steps["learning-rate"] / 100 } : steps;
}

/** The flags with what is usual for the data set, and for new and for learned weights, where they say nothing. */
export function withUsual(given: TrainFlags): Recipe {
  const known = imagesUsual[given.data?.split(":")[0] ?? ""] ?? { crop: 0, flip: "off" };
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...stepsUsual(given), ...known, ...Object.fromEntries(said) } as Recipe;
}

/** Outside of a moved image is black, as it is when pixels are padded before they are normalised. */
export function augmentationsOf(
  { crop, flip }: Recipe,
  normalisation: Normalisation | undefined,
): Augmentation[] {
  const fill = normalisation?.mean.map((mean, channel) => -mean / normalisation.std[channel]!) ?? [];
  return [...(crop > 0 ? [randomCrop(crop, fill)] : []), ...(flip === "on" ? [randomFlip()] : [])];
}
