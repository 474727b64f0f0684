// The race in this worker: engines that take turns, each timed run by run.

import { buildModel, convert, randomCheckpoint } from "addernet/converter";
import { createSession } from "addernet/runtime";
import { fetchBytes } from "./fetch-bytes.js";
import { median } from "./timing.js";

const seconds = 4;
const leastRounds = 30;
const warmUps = 6;
/** Rounds whose median is a point of the plot. */
const recentRounds = 9;

/** Weights are made up in the spread of trained ones: time does not depend on what a float network has learnt. */
async function madeUpResnet(kind) {
  const model = buildModel("resnet20", randomCheckpoint("resnet20", { kind }));
  return (await convert(model, { check: false })).bytes;
}

/** Networks by name: the lanes, and which of them (`against`) the others are compared with. */
const networks = {
  resnet20: {
    title: "ResNet-20, one 32×32 image",
    dims: [1, 3, 32, 32],
    against: 2,
    lanes: [
      { name: "AdderNet, 8 bit", start: startOurs, bytes: () => fetchBytes("photos.onnx") },
      { name: "AdderNet, float32", start: startOurs, bytes: () => madeUpResnet("adder") },
      { name: "CNN, float32", start: startTheirs, bytes: () => madeUpResnet("conv") },
      { name: "CNN, 8 bit", start: startTheirs, bytes: () => fetchBytes("cnn.int8.onnx") },
    ],
  },
  lenet: {
    title: "LeNet-5-BN, one 28×28 image",
    dims: [1, 1, 28, 28],
    against: 2,
    lanes: [
      { name: "AdderNet, 8 bit", start: startOurs, bytes: () => fetchBytes("digits.onnx") },
      { name: "AdderNet, float32", start: startOurs, bytes: () => fetchBytes("digits.float.onnx") },
      {
        name: "AdderNet as exported by PyTorch",
        start: startTheirs,
        bytes: () => fetchBytes("lenet5bn.onnx"),
      },
    ],
  },
};

async function startOurs(bytes, data, dims) {
  const session = await createSession(bytes, { threads: 1 });
  const feeds = { [session.inputNames[0]]: { type: "float32", data, dims } };
  const { level } = session.explain().simd;
  return {
    engine: `addernet/runtime, ${level} kernels`,
    run: () => session.run(feeds),
    dispose: () => session.dispose(),
  };
}

async function startTheirs(bytes, data, dims) {
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(bytes);
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", data, dims) };
  return {
    engine: `onnxruntime-web ${ort.env.versions.web}, wasm`,
    run: () => session.run(feeds),
    dispose: () => session.release(),
  };
}

async function startLanes({ lanes, dims }) {
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, index) => Math.sin(index));
  const started = [];
  for (const { name, start, bytes } of lanes) {
    started.push({ name, times: [], ...(await start(await bytes(), data, dims)) });
  }
  return started;
}

async function timeOnce({ run }) {
  const begin = performance.now();
  await run();
  return performance.now() - begin;
}

/** Runs of the lanes in turns, each first equally often; `onRound` is called after the rounds that count. */
async function runInTurns(lanes, onRound) {
  let start = performance.now();
  let elapsed = 0;
  for (let round = -warmUps; round < leastRounds || elapsed < seconds * 1000; round++) {
    if (round === 0) start = performance.now();
    for (let turn = 0; turn < lanes.length; turn++) {
      const lane = lanes[(turn + round + warmUps) % lanes.length];
      const time = await timeOnce(lane);
      if (round >= 0) lane.times.push(time);
    }
    elapsed = performance.now() - start;
    if (round >= 0) onRound(elapsed);
  }
}

const standingOf = (lanes) =>
  lanes.map(({ name, engine, times }) => ({
    name,
    engine,
    milliseconds: median(times),
    recent: median(times.slice(-recentRounds)),
  }));

/** Progress: the lanes with their median milliseconds so far, every tenth of a second. Answers the same with the settings. */
export async function race(network, onProgress) {
  const { title, against } = networks[network];
  const lanes = await startLanes(networks[network]);
  let shown = Number.NEGATIVE_INFINITY;
  const rounds = () => lanes[0].times.length;
  await runInTurns(lanes, (elapsed) => {
    if (elapsed - shown < 100) return;
    shown = elapsed;
    onProgress({
      lanes: standingOf(lanes),
      rounds: rounds(),
      share: Math.min(1, elapsed / (seconds * 1000)),
    });
  });
  for (const { dispose } of lanes) await dispose();
  return {
    title,
    against,
    lanes: standingOf(lanes),
    settings: `one thread each, ${rounds()} runs in turns after ${warmUps} to warm up, medians`,
  };
}
