// The loop: what is learned, what is the same bits, what is refused.

import { describe, expect, it } from "vitest";
import * as train from "../../src/train/index.ts";

const shape = [1, 8, 8] as const;

/** Bars that lie, stand or slant, in noise. */
function bars(count: number, change: Partial<train.Dataset> = {}): train.Dataset {
  const images = Array.from({ length: count }, (_, index) => {
    const random = train.randomStream(5, index);
    const place = random.below(8);
    const lit = (y: number, x: number): boolean =>
      [y === place, x === place, (x + y) % 8 === place][index % 3]!;
    return Float32Array.from({ length: 64 }, (_, at) => Number(lit(at >> 3, at & 7)) + random.next() / 2);
  });
  return {
    name: "bars",
    count,
    shape,
    classes: ["lying", "standing", "slanting"],
    label: (index) => index % 3,
    read: (index, target, offset) => target.set(images[index]!, offset),
    ...change,
  };
}

const network = (outputs = 3): train.Network =>
  train.sequential(shape, [
    ...[train.adder({ filters: 8, kernel: 3, pad: 1 }), train.batchNorm(), train.relu(), train.maxPool(2)],
    ...[train.adder({ filters: 12, kernel: 3 }), train.batchNorm(), train.relu(), train.globalAverage()],
    train.conv({ filters: outputs, bias: true }),
  ]);

const options = (): train.FitOptions => ({
  epochs: 5,
  optimizer: train.sgd({ learningRate: train.cosine(0.1), weightDecay: 5e-4 }),
  augmentations: [train.randomFlip()],
  seed: 3,
});

const copyOf = (values: ReadonlyMap<string, Float32Array>) =>
  new Map([...values].map(([name, value]) => [name, value.slice()]));

async function learn(batch: number, threads: number, change: Partial<train.FitOptions> = {}) {
  const trainer = await train.createTrainer(network(), { batch, threads, seed: 3 });
  const result = await train.fit(trainer, bars(150), { ...options(), ...change });
  const values = copyOf(trainer.values);
  return { trainer, values, result };
}

describe("a run", () => {
  it("learns what can be learned, also for images it has not seen", async () => {
    const { trainer, result } = await learn(15, 1, { epochs: 20 });
    expect(result.history.at(-1)!.loss).toBeLessThan(result.history[0]!.loss / 2);
    const { accuracy } = await train.evaluate(trainer, bars(200));
    expect(accuracy).toBeGreaterThan(0.9);
  });

  it.each([1, 7, 16, 50])("makes the same bits with 1, 2 and 3 threads, in batches of %i", async (batch) => {
    const lone = await learn(batch, 1, { epochs: 1 });
    for (const threads of [2, 3]) {
      const { trainer, values } = await learn(batch, threads, { epochs: 1 });
      expect(trainer.threads).toBe(threads);
      expect(values).toEqual(lone.values);
      await trainer.dispose();
    }
  });

  it("makes other bits with another seed", async () => {
    const [a, b] = [await learn(16, 1), await learn(16, 1, { seed: 4 })];
    expect(a.values).not.toEqual(b.values);
  });

  it.each([1, 9, 10, 17, 44])(
    "stopped after step %i goes on from its checkpoint with the same bits",
    async (stop) => {
      const whole = await learn(16, 1);
      const early = await train.createTrainer(network(), { batch: 16, seed: 3 });
      let kept: Uint8Array | undefined;
      await train.fit(early, bars(150), {
        ...options(),
        onStep: ({ step }, state) => {
          if (step !== stop) return undefined;
          kept = train.encodeCheckpoint(early.network, early.values, state, { a: 1 });
          return "stop";
        },
      });
      const { values, state, settings } = train.decodeCheckpoint(kept!, "kept");
      expect(settings).toEqual({ a: 1 });
      const late = await train.createTrainer(network(), { batch: 16, values });
      const { history, isComplete } = await train.fit(late, bars(150), { ...options(), state });
      expect(isComplete).toBe(true);
      expect(copyOf(late.values)).toEqual(whole.values);
      expect(history).toEqual(whole.result.history);
    },
  );

  it("stops where a callback says so", async () => {
    const { result } = await learn(16, 1, { onEpoch: ({ epoch }) => (epoch === 2 ? "stop" : undefined) });
    expect(result.isComplete).toBe(false);
    expect(result.history.map(({ epoch }) => epoch)).toEqual([1, 2]);
  });
});

describe("what cannot be learned is refused by name:", () => {
  const bare = train.sequential(shape, [
    ...[
      train.adder({ filters: 4, name: "first" }),
      train.relu(),
      train.adder({ filters: 3, name: "second" }),
    ],
    ...[train.batchNorm(), train.globalAverage()],
  ]);
  const refused = [
    { name: "no images", data: bars(0), code: "ADN_DATA", message: /bars: there are no images/ },
    {
      name: "fewer images than a batch",
      data: bars(5),
      code: "ADN_DATA",
      message: /fewer images than in a batch/,
    },
    {
      name: "images of another size",
      data: bars(20, { shape: [1, 4, 16] }),
      code: "ADN_DATA",
      message: /1x8x8.*1x4x16/,
    },
    {
      name: "another number of classes",
      data: bars(20),
      network: network(5),
      code: "ADN_CLASSES",
      message: /expected 3 classes, found 5 outputs/,
    },
    {
      name: "a label that is no class",
      data: bars(20, { classes: undefined, label: (index) => (index === 7 ? 3 : 0) }),
      code: "ADN_CLASSES",
      message: /image 7.*expected 0 to 2, found 3/,
    },
    {
      name: "an adder layer without batch normalisation",
      data: bars(20),
      network: bare,
      code: "ADN_BATCH_NORM_MISSING",
      message: /found first\)/,
    },
    {
      name: "images that are no numbers",
      data: bars(20, { read: (_, target, offset) => target.fill(Number.NaN, offset, offset + 64) }),
      code: "ADN_DIVERGED",
      message: /epoch 1, step 1: the loss is no number/,
    },
    {
      name: "a rate that ruins the weights",
      data: bars(20),
      change: { optimizer: train.sgd({ learningRate: 1e38, adders: train.increasedAdderRate(1e38) }) },
      code: "ADN_DIVERGED",
      message: /no numbers in/,
    },
  ];
  it.each(refused)("$name", async ({ data, code, message, change, ...given }) => {
    const trainer = await train.createTrainer(given.network ?? network(), { batch: 10 });
    const run = train.fit(trainer, data, { ...options(), ...change });
    await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("a file that is no checkpoint, or a part of one", () => {
    const state = { step: 0, optimizer: [], tally: { loss: 0, correct: 0, images: 0 }, history: [] };
    const whole = train.encodeCheckpoint(network(), train.initialise(network(), 1), state, {});
    for (const bytes of [
      new Uint8Array(3),
      new Uint8Array(100),
      whole.subarray(0, 200),
      whole.subarray(0, -4),
    ]) {
      expect(() => train.decodeCheckpoint(bytes, "x.checkpoint")).toThrow(
        expect.objectContaining({
          code: "ADN_CHECKPOINT",
          message: expect.stringMatching(/^x\.checkpoint: /),
        }),
      );
    }
  });

  it("a batch that no memory holds", async () => {
    const large = train.sequential(
      [3, 512, 512],
      [train.conv({ filters: 64, kernel: 3, pad: 1 }), train.batchNorm()],
    );
    await expect(train.createTrainer(large, { batch: 256 })).rejects.toMatchObject({ code: "ADN_LIMIT" });
  });
});
