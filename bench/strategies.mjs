// How long one run takes under each strategy of registerAdderNet, and with nothing registered: the function bodies in the file. One
// process for each, because an onnxruntime-web is native from its start; they take turns, so that a busy moment hits all of them. Printed is the
// tenth percentile: what a run takes when nothing else takes the processor.

import { fork } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { convert } from "../dist/converter/index.js";
import { naturalImages } from "./draws.mjs";
import { mixedNet } from "./mixed-net.mjs";
import { imageFor, samplesFor } from "./networks.mjs";
import { quantizeAdder } from "./quantize-adder.mjs";
import { median, quantile } from "./statistics.mjs";
import { buildTwins } from "./twins.mjs";

const usage = `node bench/strategies.mjs [options]
  --engines LIST   of web, node (default: web,node)
  --nets LIST      of resnet20, resnet20-int8, resnet18, mixed (default: all)
  --rounds COUNT   turns of each (default: 9)
  --prepare        only makes the models, which are kept in .cache/strategies
  --json           machine-readable`;

const { values } = parseArgs({
  options: {
    engines: { type: "string", default: "web,node" },
    nets: { type: "string", default: "resnet20,resnet20-int8,resnet18,mixed" },
    rounds: { type: "string", default: "9" },
    json: { type: "boolean", default: false },
    prepare: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    child: { type: "string" },
  },
});
if (values.help) {
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}

const strategies = ["partition", "native", "functions"];
/** Milliseconds of one turn at least; function bodies of large nets take longer for one run. */
const turnMilliseconds = 150;
const warmUpMilliseconds = 1500;

const folder = join(dirname(fileURLToPath(import.meta.url)), "..", ".cache", "strategies");
const fileOf = (net) => join(folder, `${net}.onnx`);

/** Makes the models that are not there, all of one network at once. */
async function prepare(nets) {
  mkdirSync(folder, { recursive: true });
  for (const name of new Set(nets.filter((net) => net !== "mixed").map((net) => net.split("-")[0]))) {
    const own = nets.filter((net) => net.split("-")[0] === name);
    if (own.every((net) => existsSync(fileOf(net)))) continue;
    const { adder } = await buildTwins(name);
    if (own.includes(`${name}-int8`)) {
      // Before the batch is fixed: calibration takes several images at once.
      const { model } = await convert(adder.model, { check: false });
      const { "adder int8.onnx": quantized, "adder int8.skipped": reason } = await quantizeAdder(
        model,
        samplesFor(name),
      );
      if (quantized === undefined) throw new Error(`${name}: ${reason}`);
      writeFileSync(fileOf(`${name}-int8`), quantized);
    }
    const [input] = adder.model.graph.inputs;
    adder.model.graph.inputs = [{ ...input, type: { ...input.type, shape: feedOf(name).dims } }];
    const { bytes } = await convert(adder.model, { check: false });
    writeFileSync(fileOf(name), bytes);
  }
}

const bytesOf = (net) => (net === "mixed" ? mixedNet().bytes : readFileSync(fileOf(net)));

/** Height and width of images for nets whose function bodies would want gigabytes. */
const smaller = { resnet18: 64 };

function feedOf(net) {
  if (net === "mixed") return mixedNet().feed;
  const [name] = net.split("-");
  return smaller[name] === undefined ? imageFor(name) : naturalImages([1, 3, smaller[name]], 11);
}

/** One child: a session under one strategy, which runs when it is told to. */
async function serve({ engine, net, strategy }) {
  const ort = engine === "web" ? await import("onnxruntime-web") : (await import("onnxruntime-node")).default;
  const { adderNetEp, explain, registerAdderNet } = await import("../dist/src/ort.js");
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 };
  if (engine === "web") ort.env.wasm.numThreads = 1;
  if (strategy !== "functions") {
    registerAdderNet(ort, { strategy });
    options.executionProviders = [adderNetEp()];
  }
  const bytes = new Uint8Array(bytesOf(net));
  const session = await ort.InferenceSession.create(bytes, options);
  const { type, data, dims } = feedOf(net);
  const feeds = { [session.inputNames[0]]: new ort.Tensor(type, data, dims) };
  const first = performance.now();
  // Engines compile what runs often better after a while: native sessions have more of that to do.
  while (performance.now() - first < warmUpMilliseconds) await session.run(feeds);
  const answer = (await session.run(feeds))[session.outputNames[0]].data;
  process.on("message", async () => {
    const times = [];
    const start = performance.now();
    do {
      const before = performance.now();
      await session.run(feeds);
      times.push(performance.now() - before);
    } while (performance.now() - start < turnMilliseconds);
    process.send(times);
  });
  const kinds = explain(session)?.map(({ engine: kind }) => kind) ?? [];
  process.send({ answer: [...answer].map(Number), segments: kinds.length });
}

const answerOf = (child) =>
  new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`a process ended with ${code}`)));
  });

async function compare(engine, net) {
  const children = [];
  for (const strategy of strategies) {
    const child = fork(fileURLToPath(import.meta.url), [
      "--child",
      JSON.stringify({ engine, net, strategy }),
    ]);
    children.push({ strategy, child, ...(await answerOf(child)), times: [] });
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const each of children) {
      each.child.send("run");
      each.times.push(...(await answerOf(each.child)));
    }
  }
  const reference = children.at(-1).answer;
  return children.map(({ strategy, child, answer, segments, times }) => {
    child.removeAllListeners("exit");
    child.kill();
    const difference = Math.max(...answer.map((value, index) => Math.abs(value - reference[index])));
    return { engine, net, strategy, segments, median: median(times), p10: quantile(times, 0.1), difference };
  });
}

const milliseconds = (time) => time.toFixed(time < 10 ? 2 : 1);

if (values.child !== undefined) {
  await serve(JSON.parse(values.child));
} else {
  if (values.prepare) rmSync(folder, { recursive: true, force: true });
  await prepare(values.nets.split(","));
  if (values.prepare) process.exit(0);
  const rows = [];
  for (const engine of values.engines.split(",")) {
    for (const net of values.nets.split(",")) {
      rows.push(...(await compare(engine, net)));
      if (values.json) continue;
      const [partition, native, functions] = rows.slice(-3);
      process.stdout.write(
        `${engine} ${net}: partition ${milliseconds(partition.p10)} ms (${partition.segments} segments), native ${milliseconds(native.p10)} ms, function bodies ${milliseconds(functions.p10)} ms; largest difference ${Math.max(partition.difference, native.difference).toExponential(1)}\n`,
      );
    }
  }
  if (values.json) process.stdout.write(`${JSON.stringify(rows, null, 1)}\n`);
}
