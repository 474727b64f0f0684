// Every layer, loss and optimizer against PyTorch in float64: outputs, raw gradients, ten steps. fixtures/make.py wrote the goldens.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as train from "../../src/train/index.ts";

type Place = readonly [start: number, count: number];
type BlockData = { readonly kind: string } & Readonly<Record<string, unknown>>;

interface Golden {
  readonly blocks: readonly BlockData[];
  readonly gradients: Readonly<Record<string, Place>>;
  readonly rules?: train.AdderGradients;
  readonly loss?: train.DistillationOptions & { readonly kind: string; readonly smoothing?: number };
  readonly optimizer?: { readonly kind: string; readonly learningRate: number };
  readonly shape: train.Shape;
  readonly batch: number;
  readonly images: Place;
  readonly teacher: Place;
  readonly labels: readonly number[];
  readonly initial: Readonly<Record<string, Place>>;
  readonly outputs: Place;
  readonly losses: readonly number[];
  readonly final: Readonly<Record<string, Place>>;
  readonly inference: Place;
}

const folder = join(import.meta.dirname, "fixtures");
const { cases } = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as {
  cases: Record<string, Golden>;
};
const bytes = readFileSync(join(folder, "golden.bin"));
const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const at = ([start, count]: Place): Float32Array => floats.slice(start, start + count);

const { adder, conv, linear, batchNorm, relu, prelu, globalAverage, flatten, grid } = train;
const makers = { adder, conv, linear, batchNorm, relu, prelu, globalAverage, flatten, grid };

function blockOf({ kind, ...options }: BlockData): train.Block {
  if (kind === "residual") {
    const { body, shortcut } = options as unknown as { body: BlockData[]; shortcut: BlockData[] };
    return train.residual(body.map(blockOf), shortcut.map(blockOf));
  }
  if (kind === "maxPool" || kind === "averagePool") {
    const { kernel, stride, pad } = options as Record<string, number>;
    return kind === "maxPool" ? train.maxPool(kernel!, stride, pad) : train.averagePool(kernel!, stride);
  }
  return makers[kind as keyof typeof makers](options as never);
}

function optimizerOf(golden: Golden): train.Transform[] {
  const { kind, ...options } = golden.optimizer ?? {
    kind: "sgd",
    learningRate: 0.05,
    momentum: 0.9,
    weightDecay: 5e-4,
  };
  return kind === "adam" ? train.adam(options) : train.sgd(options);
}

function lossOf({ loss }: Golden): train.Loss {
  const { kind, ...options } = loss ?? { kind: "crossEntropy" };
  return kind === "distillation" ? train.distillation(options) : train.crossEntropy(options);
}

/** Largest difference, relative to the largest expected value. */
function difference(found: Float32Array, expected: Float32Array, least = 1e-3): number {
  expect(found.length).toBe(expected.length);
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), least);
  return found.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0) / scale;
}

function valuesOf(golden: Golden, network: train.Network): Map<string, Float32Array> {
  const values = train.initialise(network, 1);
  for (const [name, place] of Object.entries(golden.initial)) values.set(name, at(place));
  return values;
}

async function makeTrainer(golden: Golden, threads: number): Promise<train.Trainer> {
  const network = train.sequential(golden.shape, golden.blocks.map(blockOf));
  const { batch } = golden;
  const values = valuesOf(golden, network);
  return train.createTrainer(network, {
    batch,
    values,
    threads,
    ...(golden.rules && { gradients: golden.rules }),
  });
}

/** The recorded outputs for the same images in another order. */
function teacherOf(golden: Golden, images: Float32Array) {
  const [outputs, length] = [at(golden.teacher), images.length / golden.batch];
  const classes = outputs.length / golden.batch;
  return async (batch: Float32Array): Promise<Float32Array> => {
    const rows = Array.from({ length: golden.batch }, (_, row) => {
      const index = golden.labels.findIndex((_, other) => images[other * length] === batch[row * length]);
      return outputs.subarray(index * classes, (index + 1) * classes);
    });
    return Float32Array.from(rows.flatMap((row) => [...row]));
  };
}

const tolerance = 1e-4;

describe.each(Object.entries(cases))("%s", (_, golden) => {
  const images = at(golden.images);
  const dataset: train.Dataset = {
    name: "golden",
    count: golden.batch,
    shape: golden.shape,
    label: (index) => golden.labels[index]!,
    read: (index, target, offset) => {
      const length = images.length / golden.batch;
      target.set(images.subarray(index * length, (index + 1) * length), offset);
    },
  };

  it("has PyTorch's outputs, loss and raw gradients", async () => {
    const trainer = await makeTrainer(golden, 1);
    const outputs = trainer.forward(images, "training");
    expect(difference(outputs, at(golden.outputs))).toBeLessThan(tolerance);
    const { loss, gradient } = lossOf(golden)({
      outputs,
      labels: golden.labels,
      classes: trainer.outputs,
      teacher: at(golden.teacher),
    });
    expect(Math.abs(loss / golden.losses[0]! - 1)).toBeLessThan(tolerance);
    trainer.backward(gradient);
    expect([...trainer.gradients.keys()].sort()).toEqual(Object.keys(golden.gradients).sort());
    for (const [name, place] of Object.entries(golden.gradients)) {
      expect(difference(trainer.gradients.get(name)!, at(place)), name).toBeLessThan(tolerance);
    }
    await trainer.dispose();
  });

  it.each([1, 2])("arrives where PyTorch does after its steps, on %i threads", async (threads) => {
    const trainer = await makeTrainer(golden, threads);
    const losses: number[] = [];
    await train.fit(trainer, dataset, {
      epochs: golden.losses.length,
      optimizer: optimizerOf(golden),
      loss: lossOf(golden),
      ...(golden.loss?.kind === "distillation" && { teacher: teacherOf(golden, images) }),
      onStep: ({ stepLoss }) => {
        losses.push(stepLoss);
        return undefined;
      },
    });
    for (const [step, loss] of losses.entries()) {
      expect(Math.abs(loss - golden.losses[step]!), `step ${step}`).toBeLessThan(
        tolerance * golden.losses[0]!,
      );
    }
    for (const [name, place] of Object.entries(golden.final)) {
      expect(difference(trainer.values.get(name)!, at(place)), name).toBeLessThan(tolerance);
    }
    expect(difference(trainer.forward(images, "inference"), at(golden.inference))).toBeLessThan(
      2 * tolerance,
    );
    await trainer.dispose();
  });
});
