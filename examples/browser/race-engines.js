// Two engines in this worker, measured in turns.

import { buildModel, convert, randomCheckpoint } from "addernet/converter";
import { createSession } from "addernet/runtime";
import { fetchBytes } from "./fetch-bytes.js";
import { median } from "./timing.js";

const seconds = 4;
const leastRounds = 30;
const warmUps = 6;

/** Weights are made up in the spread of trained ones: time does not depend on what a network has learnt. */
async function madeUpResnet(kind) {
  const model = buildModel("resnet20", randomCheckpoint("resnet20", { kind }));
  return (await convert(model, { check: false })).bytes;
}

const networks = {
  resnet20: async () => ({
    title: "ResNet-20, one 32×32 image",
    dims: [1, 3, 32, 32],
    ours: { name: "AdderNet", bytes: await madeUpResnet("adder") },
    theirs: { name: "CNN", bytes: await madeUpResnet("conv") },
  }),
  lenet: async () => ({
    title: "LeNet-5-BN, one 28×28 image",
    dims: [1, 1, 28, 28],
    ours: { name: "AdderNet, converted", bytes: await fetchBytes("digits.onnx") },
    theirs: { name: "AdderNet as exported by PyTorch", bytes: await fetchBytes("lenet5bn.onnx") },
  }),
};

async function startOurs({ name, bytes }, data, dims) {
  const session = await createSession(bytes, { threads: 1 });
  const feeds = { [session.inputNames[0]]: { type: "float32", data, dims } };
  const { level } = session.explain().simd;
  return {
    name,
    engine: `addernet/runtime, ${level} kernels`,
    run: () => session.run(feeds),
    dispose: () => session.dispose(),
  };
}

async function startTheirs({ name, bytes }, data, dims) {
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(bytes);
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", data, dims) };
  return {
    name,
    engine: `onnxruntime-web ${ort.env.versions.web}, wasm`,
    run: () => session.run(feeds),
    dispose: () => session.release(),
  };
}

async function timeOnce({ run }) {
  const begin = performance.now();
  await run();
  return performance.now() - begin;
}

/** Runs of the lanes in turns, each first in every other round; `onRound` is called after the rounds that count. */
async function runInTurns(lanes, times, onRound) {
  const start = performance.now();
  let elapsed = 0;
  for (let round = -warmUps; round < leastRounds || elapsed < seconds * 1000; round++) {
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const lane of order) {
      const time = await timeOnce(lanes[lane]);
      if (round >= 0) times[lane].push(time);
    }
    elapsed = performance.now() - start;
    if (round >= 0) onRound(elapsed);
  }
}

/** Progress: the lanes with their median milliseconds so far, every tenth of a second. Answers the same with the settings. */
export async function race(network, onProgress) {
  const { title, dims, ours, theirs } = await networks[network]();
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, index) => Math.sin(index));
  const lanes = [await startOurs(ours, data, dims), await startTheirs(theirs, data, dims)];
  const times = lanes.map(() => []);
  const standing = () =>
    lanes.map(({ name, engine }, lane) => ({ name, engine, milliseconds: median(times[lane]) }));
  let shown = Number.NEGATIVE_INFINITY;
  await runInTurns(lanes, times, (elapsed) => {
    if (elapsed - shown < 100) return;
    shown = elapsed;
    onProgress({ lanes: standing(), rounds: times[0].length });
  });
  for (const { dispose } of lanes) await dispose();
  return {
    title,
    lanes: standing(),
    settings: `one thread each, ${times[0].length} runs in turns after ${warmUps} to warm up, medians`,
  };
}
