// The main job on bundled real input: a PyTorch export becomes an optimised model, is checked against PyTorch's own outputs, classifies
// digits, and runs in onnxruntime with our kernels registered.

import { readFile } from "node:fs/promises";
import { convert } from "addernet/converter";
import { adderNetEp, registerAdderNet } from "addernet/ort";
import { createSession } from "addernet/runtime";
import * as ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { readNpy } from "./npy.mjs";

const folder = new URL("../../test/fixtures/lenet5bn/", import.meta.url);
const exported = new Uint8Array(await readFile(new URL("lenet5bn.inlined.onnx", folder)));
const input = await readNpy(new URL("input.npy", folder));
const expected = await readNpy(new URL("output.npy", folder));
const digits = await readNpy(new URL("digits.npy", folder));
const labels = await readNpy(new URL("labels.npy", folder));
const mean = 0.1307;
const deviation = 0.3081;

const { bytes, report } = await convert(exported, {
  onProgress: ({ phase, done, total }) => process.stderr.write(`${phase} ${done}/${total}\n`),
});

const session = await createSession(bytes);
registerAdderNet(ortNode);
registerAdderNet(ortWeb);
const threads = { intraOpNumThreads: 1, interOpNumThreads: 1 };
const registered = { executionProviders: [adderNetEp()], ...threads };
const engines = {
  "converted, addernet/runtime": (feeds) => session.run(feeds),
  "converted, onnxruntime-node + adderNetEp()": await ortRunner(ortNode, bytes, registered),
  "converted, onnxruntime-web + adderNetEp()": await ortRunner(ortWeb, bytes, registered),
  "converted, onnxruntime-node, nothing registered": await ortRunner(ortNode, bytes, threads),
  "as exported, onnxruntime-node": await ortRunner(ortNode, exported, threads),
  "as exported, onnxruntime-web": await ortRunner(ortWeb, exported, threads),
};

async function ortRunner(ort, model, options) {
  const ortSession = await ort.InferenceSession.create(model, options);
  return (feeds) => {
    const tensors = Object.entries(feeds).map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type, data, dims),
    ]);
    return ortSession.run(Object.fromEntries(tensors));
  };
}

const [inputName] = session.inputNames;
const [outputName] = session.outputNames;
const one = { [inputName]: firstRows(input, 1) };

function firstRows({ type, data, dims }, rows) {
  const size = dims.slice(1).reduce((product, dim) => product * dim, 1);
  return { type, data: data.slice(0, rows * size), dims: [rows, ...dims.slice(1)] };
}

async function largestDifference(run) {
  const { [outputName]: output } = await run({ [inputName]: input });
  return output.data.reduce(
    (largest, value, index) => Math.max(largest, Math.abs(value - expected.data[index])),
    0,
  );
}

/** Median milliseconds of one image, all engines in turn so that they share the machine's moods. */
async function medianLatencies(rounds) {
  const times = new Map(Object.keys(engines).map((name) => [name, []]));
  for (let round = 0; round < rounds + 3; round++) {
    for (const [name, run] of Object.entries(engines)) {
      const begin = performance.now();
      await run(one);
      if (round >= 3) times.get(name).push(performance.now() - begin);
    }
  }
  return new Map([...times].map(([name, list]) => [name, list.sort((a, b) => a - b)[list.length >> 1]]));
}

async function accuracy(run) {
  const pixels = Float32Array.from(digits.data, (value) => (value / 255 - mean) / deviation);
  const { [outputName]: output } = await run({
    [inputName]: { type: "float32", data: pixels, dims: [digits.dims[0], 1, 28, 28] },
  });
  const classes = output.dims[1];
  let correct = 0;
  for (let image = 0; image < digits.dims[0]; image++) {
    const scores = output.data.subarray(image * classes, (image + 1) * classes);
    if (scores.indexOf(Math.max(...scores)) === Number(labels.data[image])) correct++;
  }
  return (100 * correct) / digits.dims[0];
}

function printTable(title, header, rows) {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column].length)),
  );
  const line = (cells) =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column])).join("  ")}`.trimEnd();
  console.log(
    [`\n${title}`, line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join(
      "\n",
    ),
  );
}

const latencies = await medianLatencies(30);
const results = [];
for (const [name, run] of Object.entries(engines)) {
  results.push([
    name,
    (await largestDifference(run)).toExponential(1),
    `${(await accuracy(run)).toFixed(1)} %`,
    `${latencies.get(name).toFixed(2)} ms`,
  ]);
}

console.log(
  "LeNet-5-BN, every layer an adder, trained on MNIST, exported by PyTorch with the layers inlined",
);
printTable(
  "Recognised",
  ["layer", "form", "weight", "strides", "pads"],
  report.layers.map(({ layer, form, weightShape, strides, pads }) => [
    layer,
    form,
    weightShape.join("x"),
    strides.join(","),
    pads.join(","),
  ]),
);
printTable(
  "Graph",
  ["", "as exported", "converted"],
  [
    ["nodes", `${report.nodesBefore}`, `${report.nodesAfter}`],
    ["bytes", `${exported.length}`, `${bytes.length}`],
  ],
);
printTable(
  `Against PyTorch's outputs (${input.dims[0]} images), ${digits.dims[0]} digits classified, one image on one thread`,
  ["engine", "largest difference", "accuracy", "median latency"],
  results,
);
session.dispose();

const worst = Math.max(...results.map(([, difference]) => Number(difference)));
if (!(worst < 1e-3)) {
  console.error(`an engine differs from PyTorch by ${worst}`);
  process.exitCode = 1;
}
