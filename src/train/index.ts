// addernet/train: trains and fine-tunes AdderNets, in Node and in browsers.

export { AdderNetError } from "../core/errors.ts";
export { type Augmentation, randomCrop, randomFlip } from "./augment.ts";
export { decodeCheckpoint, encodeCheckpoint, type TrainingCheckpoint } from "./checkpoint.ts";
export { requireNorms } from "./checks.ts";
export { type Batch, type Dataset, readBatch } from "./dataset.ts";
export {
  type Callbacks,
  type EpochRecord,
  type Evaluation,
  evaluate,
  type FitOptions,
  type FitResult,
  type FitState,
  fit,
  type StepReport,
} from "./fit.ts";
export { fromModel, type TrainableModel, withValues } from "./from-model.ts";
export { initialise, type Values } from "./initialise.ts";
export { crossEntropy, type DistillationOptions, distillation, type Loss } from "./losses.ts";
export { type LowBits, type Refit, valuesOnGrids, withGrids } from "./low-bits.ts";
export type { AdderGradients } from "./lower/context.ts";
export { measureNorms } from "./measure-norms.ts";
export * from "./network.ts";
export {
  type AdamOptions,
  adam,
  adamRatio,
  adaptiveAdderRate,
  increasedAdderRate,
  type LinkArguments,
  learningRate,
  momentum,
  type OptimizerState,
  type SgdOptions,
  sgd,
  type Transform,
  weightDecay,
} from "./optimizers.ts";
export { type Random, randomStream, shuffled } from "./random.ts";
export { constant, cosine, type Progress, type Schedule, steps, warmUp } from "./schedules.ts";
export { createTrainer, type Trainer, type TrainerOptions } from "./trainer.ts";
