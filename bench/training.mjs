// A training step of LeNet-5-BN with adders here and in PyTorch (python3 with torch), turn by turn in one run on the same cores.
// node bench/training.mjs [threads] [rounds]

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import {
  adder,
  batchNorm,
  createTrainer,
  fit,
  maxPool,
  randomStream,
  relu,
  sequential,
  sgd,
} from "addernet/train";

const threads = Number(process.argv[2] ?? 2);
const rounds = Number(process.argv[3] ?? 3);
const [batch, images] = [256, 60_000];
const [ourSteps, torchSteps] = [60, 6];

const block = (filters, kernel, pad = 0) => [adder({ filters, kernel, pad }), batchNorm(), relu()];
const network = sequential(
  [1, 28, 28],
  [
    ...[...block(6, 5, 2), maxPool(2), ...block(16, 5), maxPool(2), ...block(120, 5), ...block(84, 1)],
    ...[adder({ filters: 10 }), batchNorm()],
  ],
);

const pixels = Float32Array.from({ length: batch * 784 }, randomStream(1).next);
const data = {
  name: "noise",
  count: batch * (ourSteps + 1),
  shape: [1, 28, 28],
  label: (index) => index % 10,
  read: (index, target, offset) =>
    target.set(pixels.subarray((index % batch) * 784, ((index % batch) + 1) * 784), offset),
};

async function ourSeconds() {
  const trainer = await createTrainer(network, { batch, threads });
  let start = 0;
  // biome-ignore lint/suspicious/noFocusedTests: it fits a network, not a test
  await fit(trainer, data, {
    epochs: 1,
    optimizer: sgd({ learningRate: 0.1, weightDecay: 5e-4 }),
    onStep: ({ step }) => {
      if (step === 1) start = performance.now();
      return undefined;
    },
  });
  await trainer.dispose();
  return (performance.now() - start) / 1000 / ourSteps;
}

function torchSeconds() {
  const folder = import.meta.dirname;
  const examples = join(folder, "..", "examples", "pytorch");
  const args = [join(folder, "train-step.py"), examples, threads, batch, torchSteps].map(String);
  const { status, stdout, stderr } = spawnSync("/usr/bin/python3", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`PyTorch did not run: ${stderr}`);
  return Number(stdout);
}

const medianOf = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const [ours, theirs] = [[], []];
for (let round = 0; round < rounds; round++) {
  ours.push(await ourSeconds());
  theirs.push(torchSeconds());
}
const perEpoch = (seconds) => (seconds * images) / batch;
const [here, torch] = [perEpoch(medianOf(ours)), perEpoch(medianOf(theirs))];
console.log(
  `threads ${threads}, batch ${batch}, an epoch of ${images} images by its median step of ${rounds} rounds:`,
);
console.log(
  `addernet/train ${here.toFixed(1)} s, PyTorch ${torch.toFixed(1)} s: ${(here / torch).toFixed(2)}`,
);
