// The loop: epochs of steps, with callbacks. All that is random comes from the seed and the step's number, so that a run that goes on from
// a state makes the same bits as one that was never interrupted.

import type { Augmentation } from "./augment.ts";
import { checkData, requireFiniteLoss, requireNorms } from "./checks.ts";
import { type Batch, type Dataset, readBatch } from "./dataset.ts";
import { crossEntropy, type Loss } from "./losses.ts";
import { applyChain, type OptimizerState, startState, type Transform } from "./optimizers.ts";
import { randomStream, shuffled } from "./random.ts";
import type { Progress } from "./schedules.ts";
import type { Trainer } from "./trainer.ts";

/** What an epoch came to. */
export interface EpochRecord {
  /** From 1. */
  readonly epoch: number;
  readonly loss: number;
  /** Share of training images that were right when they were seen. */
  readonly accuracy: number;
  readonly validation?: Evaluation;
}

export interface Evaluation {
  readonly images: number;
  readonly loss: number;
  readonly accuracy: number;
}

/** Sums over the epoch that is running. */
interface Tally {
  readonly loss: number;
  readonly correct: number;
  readonly images: number;
}

/** All that a run needs to go on, besides the parameters themselves. */
export interface FitState {
  /** Steps done since the very first one. */
  readonly step: number;
  readonly optimizer: OptimizerState;
  readonly tally: Tally;
  readonly history: readonly EpochRecord[];
}

export interface StepReport extends Tally {
  readonly step: number;
  readonly epoch: number;
  readonly stepsPerEpoch: number;
  readonly epochs: number;
  /** Of this step alone. */
  readonly stepLoss: number;
}

export interface Callbacks {
  /** After every step, and after `onEpoch` where it was an epoch's last. Answering "stop" ends the run there. The state is what a checkpoint keeps; copy what you keep longer. */
  readonly onStep?: (report: StepReport, state: FitState) => "stop" | undefined | Promise<"stop" | undefined>;
  /** After every epoch and its validation. */
  readonly onEpoch?: (
    record: EpochRecord,
    state: FitState,
  ) => "stop" | undefined | Promise<"stop" | undefined>;
}

export interface FitOptions extends Callbacks {
  readonly epochs: number;
  /** A chain: `sgd({ learningRate: cosine(0.1) })`, `adam({ learningRate: 1e-3 })`, or links of your own. */
  readonly optimizer: readonly Transform[];
  readonly loss?: Loss;
  readonly seed?: number;
  readonly augmentations?: readonly Augmentation[];
  readonly validation?: Dataset;
  /** A teacher's outputs [batch, classes] for the same images. */
  readonly teacher?: (images: Float32Array) => Promise<Float32Array>;
  /** Where an earlier run stopped; the trainer must hold the parameters of that moment. */
  readonly state?: FitState;
}

export interface FitResult {
  readonly state: FitState;
  readonly history: readonly EpochRecord[];
  /** False when a callback stopped the run before its last step. */
  readonly isComplete: boolean;
}

const emptyTally: Tally = { loss: 0, correct: 0, images: 0 };

/** Index of the largest output of each row that equals its label, counted. */
export function countCorrect(
  outputs: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
  rows = labels.length,
): number {
  let correct = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    let best = 0;
    for (let c = 1; c < classes; c++) if (outputs[start + c]! > outputs[start + best]!) best = c;
    if (best === labels[row]) correct++;
  }
  return correct;
}

const breathMilliseconds = 40;

/** Lets events in between steps, now and then. */
function makeBreath(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < breathMilliseconds) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = performance.now();
  };
}

/** Accuracy and cross entropy with running statistics. Errors: ADN_DATA, ADN_CLASSES. */
export async function evaluate(trainer: Trainer, data: Dataset): Promise<Evaluation> {
  checkData(data, trainer, 1);
  const { batch, outputs: classes } = trainer;
  const plainLoss = crossEntropy();
  const breathe = makeBreath();
  let [loss, correct] = [0, 0];
  for (let start = 0; start < data.count; start += batch) {
    const used = Math.min(batch, data.count - start);
    // A last batch is filled up with its first image, whose outputs are not looked at.
    const indices = Array.from({ length: batch }, (_, row) => start + (row < used ? row : 0));
    const { images, labels } = readBatch(data, indices);
    const outputs = trainer.forward(images, "inference").subarray(0, used * classes);
    const kept = labels.subarray(0, used);
    loss += plainLoss({ outputs, labels: kept, classes }).loss * used;
    correct += countCorrect(outputs, kept, classes);
    await breathe();
  }
  return { images: data.count, loss: loss / data.count, accuracy: correct / data.count };
}

interface StepResult {
  readonly loss: number;
  readonly correct: number;
}

async function doStep(
  trainer: Trainer,
  { images, labels }: Batch,
  options: FitOptions,
  state: OptimizerState,
  progress: Progress,
): Promise<StepResult> {
  const { loss: lossOf = crossEntropy(), teacher, optimizer } = options;
  const outputs = trainer.forward(images, "training");
  const { loss, gradient } = lossOf({
    outputs,
    labels,
    classes: trainer.outputs,
    ...(teacher && { teacher: await teacher(images) }),
  });
  const { step, stepsPerEpoch } = progress;
  const where = `epoch ${Math.floor(step / stepsPerEpoch) + 1}, step ${(step % stepsPerEpoch) + 1}`;
  requireFiniteLoss(loss, trainer, where);
  trainer.backward(gradient);
  for (const [name, parameterGradient] of trainer.gradients) {
    const parameter = trainer.network.parameters.get(name)!;
    const value = trainer.values.get(name)!;
    applyChain(optimizer, state, parameterGradient, { parameter, value, progress });
  }
  return { loss, correct: countCorrect(outputs, labels, trainer.outputs) };
}

/** The order of an epoch; what does not fill a batch is left out, other images every time. */
const orderOf = (data: Dataset, seed: number, epoch: number): Uint32Array =>
  shuffled(data.count, randomStream(seed, 2, epoch));

async function finishEpoch(
  trainer: Trainer,
  epoch: number,
  tally: Tally,
  validation: Dataset | undefined,
): Promise<EpochRecord> {
  const { loss, correct, images } = tally;
  return {
    epoch: epoch + 1,
    loss: loss / images,
    accuracy: correct / images,
    ...(validation && { validation: await evaluate(trainer, validation) }),
  };
}

/**
 * Trains a network for `epochs` epochs, or what is left of them. Errors: ADN_BATCH_NORM_MISSING, ADN_DATA, ADN_CLASSES, and
 * ADN_DIVERGED as soon as a loss is no number.
 */
export async function fit(trainer: Trainer, data: Dataset, options: FitOptions): Promise<FitResult> {
  const { epochs, optimizer, seed = 1, augmentations = [], validation } = options;
  requireNorms(trainer.network);
  checkData(data, trainer);
  if (validation) checkData(validation, trainer, 1);
  const { batch } = trainer;
  const stepsPerEpoch = Math.floor(data.count / batch);
  let state: FitState = options.state ?? {
    step: 0,
    optimizer: startState(
      optimizer,
      [...trainer.gradients.keys()].map((name) => trainer.network.parameters.get(name)!),
    ),
    tally: emptyTally,
    history: [],
  };
  const breathe = makeBreath();
  let order: Uint32Array | undefined;
  let isStopped = false;
  while (!isStopped && state.step < epochs * stepsPerEpoch) {
    const { step } = state;
    const epoch = Math.floor(step / stepsPerEpoch);
    const place = step % stepsPerEpoch;
    if (place === 0 || order === undefined) order = orderOf(data, seed, epoch);
    const indices = order.subarray(place * batch, (place + 1) * batch);
    const images = readBatch(data, indices, augmentations, seed, epoch);
    const { loss, correct } = await doStep(trainer, images, options, state.optimizer, {
      step,
      stepsPerEpoch,
      epochs,
    });
    const { tally } = state;
    const sums = {
      loss: tally.loss + loss * batch,
      correct: tally.correct + correct,
      images: tally.images + batch,
    };
    const isLast = place === stepsPerEpoch - 1;
    const record = isLast ? await finishEpoch(trainer, epoch, sums, validation) : undefined;
    state = {
      step: step + 1,
      optimizer: state.optimizer,
      tally: record ? emptyTally : sums,
      history: record ? [...state.history, record] : state.history,
    };
    const report = { ...sums, step: step + 1, epoch: epoch + 1, stepsPerEpoch, epochs, stepLoss: loss };
    if (record && (await options.onEpoch?.(record, state)) === "stop") isStopped = true;
    if ((await options.onStep?.(report, state)) === "stop") isStopped = true;
    await breathe();
  }
  return { state, history: state.history, isComplete: state.step >= epochs * stepsPerEpoch };
}
