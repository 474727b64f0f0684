// addernet train: trains or fine-tunes a network, resumable at any moment, and writes what it learned.

import { existsSync } from "node:fs";
import { listArchitectures } from "../../../converter/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import { coreCount } from "../../core/workers.ts";
import type { Dataset } from "../../train/index.ts";
import {
  createTrainer,
  decodeCheckpoint,
  type EpochRecord,
  encodeCheckpoint,
  evaluate,
  type FitState,
  fit,
  measureNorms,
  readBatch,
  requireNorms,
  type TrainableModel,
  type Trainer,
  type TrainingCheckpoint,
} from "../../train/index.ts";
import { defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import type { Normalisation } from "../evaluate.ts";
import { chooseNormalisation } from "../image-input.ts";
import { saveOnInterrupt } from "../interrupts.ts";
import { readWholeFile } from "../read-model.ts";
import { textTable } from "../text-table.ts";
import { type MetricsLog, openMetrics, type RunFiles, runFiles } from "../train/files.ts";
import { convertTrained, encodeWeights } from "../train/finish.ts";
import { decisiveFlags, type TrainFlags, trainFlags } from "../train/flags.ts";
import { openData, toDataset } from "../train/images.ts";
import { checkSource, openNetwork } from "../train/network.ts";
import { augmentationsOf, gradientsOf, lossOf, optimizerOf, scheduleOf, withUsual } from "../train/recipe.ts";
import { openTeacher } from "../train/teacher.ts";
import { epochLine, makePace, percent } from "../train/telling.ts";
import { writeFiles } from "../write-file.ts";

interface Run {
  readonly given: TrainFlags;
  readonly files: RunFiles;
  readonly trainable: TrainableModel;
  readonly trainer: Trainer;
  readonly training: Dataset;
  readonly validation: Dataset | undefined;
  readonly normalisation: Normalisation | undefined;
  readonly context: Context;
}

/** Errors: ADN_USAGE where the checkpoint was written with other settings. */
function checkSettings(found: unknown, given: TrainFlags, where: string): void {
  const [old, now] = [found as Record<string, unknown>, decisiveFlags(given)];
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  const other = names.filter((name) => JSON.stringify(old[name]) !== JSON.stringify(now[name]));
  if (other.length === 0) return;
  const told = (settings: Record<string, unknown>): string =>
    other.map((name) => `--${name} ${settings[name] ?? "absent"}`).join(", ");
  throw new AdderNetError("ADN_USAGE", "the checkpoint belongs to a run with other settings", {
    where,
    expected: told(old),
    found: told(now),
    fix: "give the same flags, or begin without --resume",
  });
}

function readCheckpoint({ checkpoint }: RunFiles, given: TrainFlags): TrainingCheckpoint | undefined {
  if (!given.resume || !existsSync(checkpoint)) return undefined;
  const read = decodeCheckpoint(readWholeFile(checkpoint), checkpoint);
  checkSettings(read.settings, given, checkpoint);
  return read;
}

async function prepare(given: TrainFlags, context: Context): Promise<Run> {
  checkSource(given);
  const inputs = [given.model, given.init, given.teacher].flatMap((path) => path ?? []);
  const files = runFiles(given.out, inputs);
  const { training, validation } = openData(given, context);
  const trainable = await openNetwork(given, training);
  requireNorms(trainable.network);
  const normalisation = chooseNormalisation(training, trainable.model, given);
  const trainer = await createTrainer(trainable.network, {
    batch: given.batch,
    values: trainable.values,
    threads: given.threads ?? coreCount(),
    gradients: gradientsOf(given),
  });
  return {
    ...{ given, files, trainable, trainer, normalisation, context },
    training: toDataset(training, normalisation, given.limit),
    validation: validation && toDataset(validation, normalisation),
  };
}

/** What a fused file forgot is measured, and where the network stands before the first step is told. */
async function begin({ trainable, trainer, training, validation, given, context }: Run, metrics: MetricsLog) {
  const isNew = given.model === undefined && given.init === undefined;
  if (trainable.unmeasured.length > 0) {
    const indices = Array.from({ length: trainer.batch }, (_, row) =>
      Math.floor((row * training.count) / trainer.batch),
    );
    measureNorms(trainer, trainable.unmeasured, readBatch(training, indices).images);
  }
  metrics.add({ kind: "start", step: 0, settings: decisiveFlags(given) });
  if (isNew || validation === undefined) return;
  context.progress("measuring where the network stands", 0, 1);
  const before = await evaluate(trainer, validation);
  metrics.add({ kind: "epoch", step: 0, epoch: 0, validation: before });
  context.note(`before: validation loss ${before.loss.toFixed(4)}, accuracy ${percent(before.accuracy)}`);
}

interface Watch {
  readonly save: (state: FitState) => void;
  readonly isInterrupted: () => boolean;
  readonly end: () => void;
}

function watch({ trainer, files, given }: Run): Watch {
  let isInterrupted = false;
  const end = saveOnInterrupt(() => {
    isInterrupted = true;
  });
  return {
    save: (state) => {
      const bytes = encodeCheckpoint(trainer.network, trainer.values, state, decisiveFlags(given));
      writeFiles([{ path: files.checkpoint, bytes }]);
    },
    isInterrupted: () => isInterrupted,
    end,
  };
}

function interrupted({ checkpoint }: RunFiles, step: number): AdderNetError {
  return new AdderNetError("ADN_INTERRUPTED", `stopped after step ${step}`, {
    where: "train",
    fix: `${checkpoint} holds everything: go on with --resume`,
  });
}

async function runEpochs(
  run: Run,
  start: FitState | undefined,
  metrics: MetricsLog,
): Promise<readonly EpochRecord[]> {
  const { given, trainer, training, validation, context, files } = run;
  const schedule = scheduleOf(given);
  const pace = makePace(context, trainer.batch);
  const guard = watch(run);
  const teacher = given.teacher
    ? await openTeacher(given.teacher, training.shape, trainer.outputs)
    : undefined;
  let lastSave = performance.now();
  try {
    // biome-ignore lint/suspicious/noFocusedTests: it fits a network, not a test
    const { history, state, isComplete } = await fit(trainer, training, {
      epochs: given.epochs,
      optimizer: optimizerOf(given),
      loss: lossOf(given),
      seed: given.seed,
      augmentations: augmentationsOf(given, run.normalisation),
      ...(validation && { validation }),
      ...(teacher && { teacher: teacher.ask }),
      ...(start && { state: start }),
      onEpoch: (record, { step }) => {
        const progress = { step: step - 1, stepsPerEpoch: step / record.epoch, epochs: given.epochs };
        const imagesPerSecond = Math.round(pace.imagesPerSecond());
        metrics.add({ kind: "epoch", step, ...record, learningRate: schedule(progress), imagesPerSecond });
        context.note(epochLine(record, given.epochs));
        return undefined;
      },
      onStep: (report, state) => {
        pace.told(report);
        const isDue = performance.now() - lastSave > 1000 * given["checkpoint-every"];
        const isEpochOver = report.step % report.stepsPerEpoch === 0;
        if (!isDue && !isEpochOver && !guard.isInterrupted()) return undefined;
        guard.save(state);
        lastSave = performance.now();
        return guard.isInterrupted() ? "stop" : undefined;
      },
    });
    if (!isComplete) throw interrupted(files, state.step);
    return history;
  } finally {
    guard.end();
    await teacher?.dispose();
  }
}

async function write(run: Run, context: Context) {
  const { trainable, trainer, files, normalisation } = run;
  context.progress("converting and verifying", 0, 1);
  const values = new Map([...trainer.values].map(([name, view]) => [name, view.slice()]));
  const { bytes } = await convertTrained(trainable, values, normalisation);
  writeFiles([
    { path: files.weights, bytes: encodeWeights(trainable, values) },
    { path: files.model, bytes },
  ]);
}

export const trainCommand = defineCommand({
  name: "train",
  summary: "Trains or fine-tunes a network on labelled images; writes ONNX, and weights for PyTorch.",
  positionals: [],
  flags: trainFlags,
  notes: [
    `Architectures: ${listArchitectures().join(", ")}.`,
    "Beside OUT.onnx stand OUT.safetensors (the weights), OUT.metrics.jsonl and OUT.checkpoint. A run that was interrupted,\nhowever it ended, goes on with --resume and makes the same bits as one that was not.",
    "AdderNet's recipe is the default: full-precision gradients of weights, clamped ones of inputs, the layer-wise rate, cosine.",
  ],
  examples: [
    "addernet train --arch lenet5-bn --data mnist --epochs 50 --out lenet.onnx",
    "addernet train --model r20.onnx --data cifar10 --epochs 1 --learning-rate 0.01 --out tuned.onnx",
    "addernet train --arch resnet20 --init r20.pth --teacher cnn.onnx --data cifar10 --epochs 10 --out student.onnx",
    "addernet train --arch lenet5-bn --data mnist --out lenet.onnx --resume",
  ],
  run: async ({ flags }, context) => {
    const given = withUsual(flags);
    const run = await prepare(given, context);
    const { trainer, files } = run;
    try {
      const checkpoint = readCheckpoint(files, given);
      const metrics = openMetrics(files.metrics, checkpoint?.state.step ?? 0);
      if (checkpoint === undefined) await begin(run, metrics);
      else {
        for (const [name, view] of trainer.values) view.set(checkpoint.values.get(name)!);
        context.note(`going on after step ${checkpoint.state.step}`);
      }
      const history = await runEpochs(run, checkpoint?.state, metrics);
      await write(run, context);
      const last = history.at(-1)!;
      return {
        text: textTable([
          ["model", files.model],
          ["weights", files.weights],
          ["loss", last.loss.toFixed(4)],
          ["training accuracy", percent(last.accuracy)],
          ...(last.validation ? [["validation accuracy", percent(last.validation.accuracy)]] : []),
        ]),
        json: {
          schemaVersion: 1,
          model: files.model,
          weights: files.weights,
          metrics: files.metrics,
          checkpoint: files.checkpoint,
          settings: decisiveFlags(given),
          threads: trainer.threads,
          before: metrics.lines().find(({ epoch }) => epoch === 0)?.validation ?? null,
          history,
        },
      };
    } finally {
      await trainer.dispose();
    }
  },
});
