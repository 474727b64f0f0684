// Models into networks and back: what a network computes is what its model computes, and what is written is read again.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildModel, convert, randomCheckpoint, runReference } from "../../converter/index.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { decodeModel } from "../../src/core/onnx/index.ts";
import * as train from "../../src/train/index.ts";

const batch = 4;

function drawImages([channels, height, width]: train.Shape): Float32Array {
  const random = train.randomStream(7);
  return Float32Array.from({ length: batch * channels * height * width }, () => 2 * random.next() - 1);
}

/** What the written bytes of a model compute, by the references of its ops. */
async function reference(model: Model, images: Float32Array, shape: train.Shape): Promise<Float32Array> {
  const { bytes } = await convert(model, { check: false });
  const { graph } = decodeModel(bytes);
  const feeds = new Map([
    [graph.inputs[0]!.name, { type: "float32", data: images, dims: [batch, ...shape] } as const],
  ]);
  const outputs = await runReference(bytes, feeds);
  return outputs.get(graph.outputs[0]!.name)!.data as Float32Array;
}

function largestDifference(found: Float32Array, expected: Float32Array): number {
  expect(found.length).toBe(expected.length);
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return found.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0) / scale;
}

const architectures = [
  { arch: "lenet5-bn", kind: "adder", inputShape: [1, 28, 28] },
  { arch: "lenet5-bn", kind: "conv", inputShape: [1, 28, 28] },
  { arch: "resnet20", kind: "adder", inputShape: [3, 8, 8] },
] as const;

describe.each(architectures)("$arch of $kind layers", ({ arch, kind, inputShape }) => {
  const built = () => buildModel(arch, randomCheckpoint(arch, { kind }), { inputShape });

  it("computes what its model computes", async () => {
    const { network, values } = train.fromModel(built());
    const images = drawImages(network.shape);
    const trainer = await train.createTrainer(network, { batch, values });
    const expected = await reference(built(), images, network.shape);
    expect(largestDifference(trainer.forward(images, "inference"), expected)).toBeLessThan(1e-4);
  });

  it("is the same network once it was converted, fused, and its statistics measured again", async () => {
    const { bytes } = await convert(built(), { check: false });
    const trainable = train.fromModel(decodeModel(bytes));
    const { network, values, unmeasured } = trainable;
    const images = drawImages(network.shape);
    const trainer = await train.createTrainer(network, { batch, values });
    const expected = await reference(built(), images, network.shape);
    const norms = network.layers.filter((layer) => layer.kind === "norm");
    const adders = network.layers.filter((layer) => layer.kind === "adder");
    expect(unmeasured.length).toBe(adders.length);
    train.measureNorms(trainer, unmeasured, images);
    expect(norms.every((layer) => trainer.values.get(layer.mean)!.some((mean) => mean !== 0))).toBe(true);
    expect(largestDifference(trainer.forward(images, "inference"), expected)).toBeLessThan(1e-3);
    // With the statistics of these very images, training and inference see the same.
    if (adders.length > 0) {
      const again = await reference(train.withValues(trainable, trainer.values), images, network.shape);
      expect(largestDifference(trainer.forward(images, "inference"), again)).toBeLessThan(1e-3);
    }
  });
});

it("reads a fused export of PyTorch and writes it back with other values", async () => {
  const bytes = readFileSync(
    join(import.meta.dirname, "..", "fixtures", "lenet5bn", "lenet5bn.inlined.onnx"),
  );
  const { model } = await convert(new Uint8Array(bytes), { check: false });
  const trainable = train.fromModel(model);
  const values = new Map([...trainable.values].map(([name, value]) => [name, value.map((x) => x + 0.125)]));
  const written = train.fromModel(train.withValues(trainable, values));
  for (const [name, value] of values) expect(written.values.get(name)).toEqual(value);
});

describe("models that cannot be trained", () => {
  it("are refused by the names of all their ops", () => {
    const model = buildModel("lenet5-bn", randomCheckpoint("lenet5-bn", { kind: "adder" }));
    model.graph.nodes[2]!.opType = "Tanh";
    model.graph.nodes[3]!.opType = "LRN";
    expect(() => train.fromModel(model)).toThrow(
      expect.objectContaining({ code: "ADN_OP_UNSUPPORTED", message: expect.stringMatching(/Tanh, LRN/) }),
    );
  });
});
