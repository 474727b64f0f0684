// addernet train: trains or fine-tunes a network, resumable at any moment, and writes what it learned.

import { existsSync } from "node:fs";
import { listArchitectures } from "../../../converter/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  evaluate,
  type FitState,
  fit,
  measureNorms,
  readBatch,
  type TrainingCheckpoint,
  valuesOnGrids,
} from "../../train/index.ts";
import { defineCommand } from "../command.ts";
import { saveOnInterrupt } from "../interrupts.ts";
import { readWholeFile } from "../read-model.ts";
import { textTable } from "../text-table.ts";
import { type MetricsLog, openMetrics, type RunFiles } from "../train/files.ts";
import { convertTrained, encodeWeights } from "../train/finish.ts";
import { decisiveFlags, type TrainFlags, trainFlags } from "../train/flags.ts";
import { accuracyOf, type LowBitsStart, quantizeOnGrids } from "../train/low-bits.ts";
import { prepare, type Run } from "../train/prepare.ts";
import { augmentationsOf, lossOf, optimizerOf, scheduleOf, withUsual } from "../train/recipe.ts";
import { reportPage } from "../train/report.ts";
import { epochLine, makePace, percent } from "../train/telling.ts";
import { writeFiles } from "../write-file.ts";

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

/** Images that norms are measured on: enough that those of training, which are drawn alike, do not have other statistics. */
const measuredImages = 2048;

/** Images from all over the set, changed at random as training will see them. */
function* imagesToMeasure({ training, trainer, given, normalisation }: Run): Iterable<Float32Array> {
  const batches = Math.ceil(Math.min(measuredImages, training.count) / trainer.batch);
  const count = batches * trainer.batch;
  for (let batch = 0; batch < batches; batch++) {
    const indices = Array.from({ length: trainer.batch }, (_, row) =>
      Math.floor(((row * batches + batch) * training.count) / count),
    );
    yield readBatch(training, indices, augmentationsOf(given, normalisation), given.seed, -1).images;
  }
}

/** What a fused file forgot is measured, and where the network stands before the first step is told. */
async function begin(run: Run, metrics: MetricsLog): Promise<void> {
  const { trainable, trainer, validation, given, context } = run;
  const isNew = given.model === undefined && given.init === undefined;
  if (trainable.unmeasured.length > 0) {
    context.progress("measuring the statistics of norms", 0, 1);
    measureNorms(trainer, trainable.unmeasured, imagesToMeasure(run));
  }
  metrics.add({ kind: "start", step: 0, settings: decisiveFlags(given) });
  await tellCodes(run, metrics, 0, run.lowBits);
  if (isNew || validation === undefined) return;
  context.progress("measuring where the network stands", 0, 1);
  const before = await evaluate(trainer, validation);
  metrics.add({ kind: "epoch", step: 0, epoch: 0, validation: before });
  context.note(`before: validation loss ${before.loss.toFixed(4)}, accuracy ${percent(before.accuracy)}`);
}

/** Measures codes on the validation images, and notes it. */
async function tellCodes(
  { given, validationSamples: samples, normalisation, context }: Run,
  metrics: MetricsLog,
  step: number,
  codes: Pick<LowBitsStart, "model" | "bytes"> | undefined,
): Promise<void> {
  if (codes === undefined || samples === undefined) return;
  const accuracy = await accuracyOf(codes.model, codes.bytes, { samples, normalisation }, context);
  metrics.add({ kind: "codes", step, bits: given.bits, accuracy });
  context.note(`${given.bits}-bit codes ${step === 0 ? "before" : "after"}: accuracy ${percent(accuracy)}`);
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

async function runEpochs(run: Run, start: FitState | undefined, metrics: MetricsLog) {
  const { given, trainer, training, validation, context, files, teacher } = run;
  const schedule = scheduleOf(given);
  const pace = makePace(context, trainer.batch);
  const guard = watch(run);
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
    return { history, step: state.step };
  } finally {
    guard.end();
  }
}

async function write(run: Run, metrics: MetricsLog, step: number): Promise<void> {
  const { trainable, trainer, files, normalisation, context, lowBits } = run;
  context.progress("converting and verifying", 0, 1);
  const values = new Map(
    [...valuesOnGrids(trainer.network, trainer.values)].map(([name, view]) => [name, view.slice()]),
  );
  const { model, bytes } = await convertTrained(trainable, values, normalisation);
  const codes = lowBits && (await quantizeOnGrids(model, lowBits.calibration));
  writeFiles([
    ...(codes && files.codes ? [{ path: files.codes, bytes: codes.bytes }] : []),
    { path: files.weights, bytes: encodeWeights(trainable, values) },
    { path: files.model, bytes },
  ]);
  await tellCodes(run, metrics, step, codes && { model, bytes: codes.bytes });
}

function reportOf({ given, trainer, training, validation, files }: Run, metrics: MetricsLog): string {
  return reportPage({
    title: `${given.arch ?? given.model} on ${given.data}: ${files.model}`,
    settings: decisiveFlags(given),
    lines: metrics.lines(),
    trainer,
    data: validation ?? training,
  });
}

/** What codes got right at a step, where it was measured. */
function accuracyIn(metrics: MetricsLog, at: number): number | null {
  const line = metrics.lines().findLast(({ kind, step }) => kind === "codes" && step === at);
  return (line?.accuracy as number | undefined) ?? null;
}

export const trainCommand = defineCommand({
  name: "train",
  summary: "Trains or fine-tunes a network on labelled images; writes ONNX, and weights for PyTorch.",
  positionals: [],
  flags: trainFlags,
  notes: [
    `Architectures: ${listArchitectures().join(", ")}.`,
    "Beside OUT.onnx stand OUT.safetensors (the weights), OUT.metrics.jsonl, OUT.html (curves, weights, filters)\nand OUT.checkpoint. A run that was interrupted, however it ended, goes on with --resume and makes the same bits as one that was not.",
    "AdderNet's recipe is the default: full-precision gradients of weights, clamped ones of inputs, the layer-wise rate, cosine.",
    "--bits writes OUT.intB.onnx as well, on the grids of OUT.intB.calib.json, and says what its codes get right before and after.",
  ],
  examples: [
    "addernet train --arch lenet5-bn --data mnist --epochs 50 --out lenet.onnx",
    "addernet train --model r20.onnx --teacher cnn.onnx --data cifar10 --epochs 2 --out tuned.onnx",
    "addernet train --model r20.onnx --bits 4 --data cifar10 --epochs 1 --out tuned.onnx",
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
      const { history, step } = await runEpochs(run, checkpoint?.state, metrics);
      await write(run, metrics, step);
      const codes = files.codes ?? null;
      writeFiles([{ path: files.report, bytes: reportOf(run, metrics) }]);
      const last = history.at(-1)!;
      return {
        text: textTable([
          ["model", files.model],
          ...(codes ? [[`${given.bits}-bit codes`, codes]] : []),
          ["weights", files.weights],
          ["report", files.report],
          ["loss", last.loss.toFixed(4)],
          ["training accuracy", percent(last.accuracy)],
          ...(last.validation ? [["validation accuracy", percent(last.validation.accuracy)]] : []),
        ]),
        json: {
          schemaVersion: 1,
          model: files.model,
          codes: codes && {
            model: codes,
            bits: given.bits,
            before: accuracyIn(metrics, 0),
            after: accuracyIn(metrics, step),
          },
          weights: files.weights,
          metrics: files.metrics,
          report: files.report,
          checkpoint: files.checkpoint,
          settings: decisiveFlags(given),
          threads: trainer.threads,
          before: metrics.lines().find(({ epoch }) => epoch === 0)?.validation ?? null,
          history,
        },
      };
    } finally {
      await run.teacher?.dispose();
      await trainer.dispose();
    }
  },
});
