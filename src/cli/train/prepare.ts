// A run of `addernet train` before its first step: files, data, network, codes and teacher, each refused before anything is written.

import { existsSync, readFileSync } from "node:fs";
import { formatCalibration, parseCalibration } from "../../../converter/index.ts";
import { elementCount } from "../../core/tensor.ts";
import { coreCount } from "../../core/workers.ts";
import {
  createTrainer,
  type Dataset,
  type Network,
  requireNorms,
  shapesOf,
  type TrainableModel,
  type Trainer,
} from "../../train/index.ts";
import type { Context } from "../context.ts";
import type { Samples } from "../data-sets/samples.ts";
import type { Normalisation } from "../evaluate.ts";
import { chooseNormalisation } from "../image-input.ts";
import { readModel } from "../read-model.ts";
import { writeFiles } from "../write-file.ts";
import { type RunFiles, runFiles } from "./files.ts";
import { openData, toDataset } from "./images.ts";
import { fused, type Images, type LowBitsStart, startLowBits } from "./low-bits.ts";
import { checkSource, openNetwork } from "./network.ts";
import { gradientsOf, type Recipe } from "./recipe.ts";
import { type OpenedTeacher, openTeacher } from "./teacher.ts";

export interface Run {
  readonly given: Recipe;
  readonly files: RunFiles;
  readonly trainable: TrainableModel;
  readonly trainer: Trainer;
  readonly training: Dataset;
  readonly validation: Dataset | undefined;
  readonly validationSamples: Samples | undefined;
  readonly normalisation: Normalisation | undefined;
  readonly teacher: OpenedTeacher | undefined;
  /** What --bits starts from: the codes of the network as it was given. */
  readonly lowBits: LowBitsStart | undefined;
  readonly context: Context;
}

/** Errors: those of all that is opened. */
export async function prepare(given: Recipe, context: Context): Promise<Run> {
  checkSource(given);
  const inputs = [given.model, given.init, given.teacher].flatMap((path) => path ?? []);
  const files = runFiles(given.out, given.bits, inputs);
  const { training, validation } = openData(given, context);
  const opened = await openNetwork(given, training);
  const trainable = given.bits === undefined ? opened : await fused(opened);
  requireNorms(trainable.network);
  const normalisation = chooseNormalisation(training, trainable.model, given);
  const lowBits = await openLowBits(given, files, trainable, { samples: training, normalisation }, context);
  const { network, values } = lowBits ?? trainable;
  const teacher = await chooseTeacher(given, lowBits, network);
  const trainer = await createTrainer(network, {
    batch: given.batch,
    values,
    threads: given.threads ?? coreCount(),
    gradients: gradientsOf(given),
  });
  return {
    ...{ given, files, trainable, trainer, teacher, normalisation, context, lowBits },
    validationSamples: validation,
    training: toDataset(training, normalisation, given.limit),
    validation: validation && toDataset(validation, normalisation),
  };
}

/** The codes of --bits: those that the checkpoint goes on with, else those that fit best. */
async function openLowBits(
  { bits, resume }: Recipe,
  { checkpoint, calibration }: RunFiles,
  trainable: TrainableModel,
  images: Images,
  context: Context,
): Promise<LowBitsStart | undefined> {
  if (bits === undefined || calibration === undefined) return undefined;
  const isKnown = resume && existsSync(checkpoint) && existsSync(calibration);
  const known = isKnown ? parseCalibration(readFileSync(calibration, "utf8")) : undefined;
  const start = await startLowBits(trainable, bits, images, context, known);
  if (!isKnown) writeFiles([{ path: calibration, bytes: formatCalibration(start.calibration) }]);
  return start;
}

/** Who is asked beside the labels: for codes the float network, unless another is given. */
async function chooseTeacher(
  { teacher }: Recipe,
  lowBits: LowBitsStart | undefined,
  network: Network,
): Promise<OpenedTeacher | undefined> {
  const source = teacher
    ? { path: teacher, model: readModel(teacher).model }
    : lowBits && { path: "the float network", model: lowBits.model };
  return source && openTeacher(source, network.shape, elementCount(shapesOf(network).get(network.output)!));
}
