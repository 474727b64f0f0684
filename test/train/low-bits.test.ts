// Training for codes: the network that learns is the one that will be written, before the first step and after the last.

import { describe, expect, it } from "vitest";
import {
  buildModel,
  type Calibration,
  convert,
  type Quantized,
  quantize,
  randomCheckpoint,
} from "../../converter/index.ts";
import { createSession } from "../../runtime/index.ts";
import { startModel } from "../../src/cli/start-model.ts";
import { gridsOf, quantizeOnGrids } from "../../src/cli/train/low-bits.ts";
import type { Model } from "../../src/core/ir/model.ts";
import * as train from "../../src/train/index.ts";

const [batch, shape, bits] = [16, [3, 8, 8], 4] as const;

function drawImages(seed: number): Float32Array {
  const random = train.randomStream(seed);
  return Float32Array.from({ length: batch * 3 * 64 }, () => 2 * random.next() - 1);
}

async function* feeds() {
  yield new Map([["input", { type: "float32", data: drawImages(1), dims: [batch, ...shape] } as const]]);
}

interface Start {
  readonly model: Model;
  readonly quantized: Quantized;
  readonly trainable: train.TrainableModel;
  readonly trainer: train.Trainer;
}

const refitsOf = ({ layers }: Calibration) => new Map(Object.entries(layers));

/** A ResNet-20 with drawn weights, on codes, and the network that trains for them. */
async function start(gradients?: train.AdderGradients): Promise<Start> {
  const built = buildModel("resnet20", randomCheckpoint("resnet20", { kind: "adder" }), {
    inputShape: shape,
  });
  const { model } = await convert(built, { check: false });
  const quantized = await quantize(model, { samples: feeds(), bits, edges: "float", start: startModel });
  const trainable = train.fromModel(model);
  const { calibration } = quantized;
  const grids = gridsOf(calibration);
  const low = train.withGrids(trainable.network, trainable.values, grids, refitsOf(calibration));
  const trainer = await train.createTrainer(low.network, {
    ...{ batch, values: low.values },
    ...(gradients && { gradients }),
  });
  return { model, quantized, trainable, trainer };
}

async function codesAnswer({ bytes }: Quantized, images: Float32Array): Promise<Float32Array> {
  const session = await createSession(bytes);
  const answers = await session.run({ input: { type: "float32", data: images, dims: [batch, ...shape] } });
  await session.dispose();
  return Object.values(answers)[0]!.data as Float32Array;
}

/** Noise over signal: a sum that ends at the border of two codes may fall on either side. */
function noise(found: Float32Array, wanted: Float32Array): number {
  const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
  const energy = (of: (i: number) => number) => wanted.reduce((sum, _, i) => sum + of(i) ** 2, 0);
  return Math.sqrt(energy((i) => found[i]! - wanted[i]!) / energy((i) => wanted[i]! - mean));
}

describe("training for codes", () => {
  it("begins at what quantize wrote, scales and biases refitted", async () => {
    const { quantized, trainable, trainer } = await start();
    const images = drawImages(2);
    const wanted = await codesAnswer(quantized, images);
    expect(noise(trainer.forward(images, "inference"), wanted)).toBeLessThan(0.05);
    train.measureNorms(trainer, trainable.unmeasured, [drawImages(3), drawImages(4)]);
    expect(noise(trainer.forward(images, "inference"), wanted)).toBeLessThan(0.05);
  });

  it("ends at codes that answer as the trained network does", async () => {
    const { quantized, trainable, trainer } = await start({ weight: "full", input: "sign" });
    train.measureNorms(trainer, trainable.unmeasured, [drawImages(3)]);
    const random = train.randomStream(5);
    for (const [name, values] of trainer.values) {
      if (!/(adder|scale|bias)$/.test(name)) continue;
      for (let i = 0; i < values.length; i++) values[i]! *= 1 + 0.1 * (random.next() - 0.5);
    }
    const { model } = await convert(
      train.withValues(trainable, train.valuesOnGrids(trainer.network, trainer.values)),
      { check: false },
    );
    const codes = await quantizeOnGrids(model, quantized.calibration, "float");
    const images = drawImages(2);
    const wanted = trainer.forward(images, "inference");
    expect(noise(await codesAnswer(codes, images), wanted)).toBeLessThan(0.05);
    // Codes of the network as it was do not.
    expect(noise(await codesAnswer(quantized, images), wanted)).toBeGreaterThan(0.3);
  });
});
