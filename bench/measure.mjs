// One network in all engines, in this process: prints a JSON object. Started by run.mjs with its task as the only argument.

import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ops } from "../dist/custom-ops/index.js";
import { inferShapes } from "../dist/src/core/infer-shapes.js";
import { nodeLabel } from "../dist/src/core/ir/attributes.js";
import { decodeModel } from "../dist/src/core/onnx/index.js";
import { alternate } from "./alternate.mjs";
import { openEngine } from "./engines.mjs";
import { imageFor } from "./networks.mjs";
import { forms } from "./quantize-cnn.mjs";
import { median, ratioOf, summarise } from "./statistics.mjs";

const { network, folder, threads, rounds, seconds, withExported } = JSON.parse(process.argv[2]);
const image = imageFor(network);
const read = (file) => new Uint8Array(readFileSync(join(folder, file)));
const report = (text) => process.stderr.write(`\r\x1b[K  ${text}`);

/**
 * Engine and file of every candidate, and whose exact answer it is measured against; `exact`: what its own file means, where that is
 * another. Those with `forms` take the fastest of several files.
 */
const candidates = {
  "ours fp32": { engine: "addernet", file: "adder.onnx", twin: "adder" },
  "ours int8": { engine: "addernet", file: "adder int8.onnx", twin: "adder", exact: "adder int8" },
  "web CNN fp32": { engine: "web", file: "cnn.onnx", twin: "cnn" },
  "web CNN int8": { engine: "web", forms, twin: "cnn", isInt8: true },
  "node CNN fp32": { engine: "node", file: "cnn.onnx", twin: "cnn" },
  "node CNN int8": { engine: "node", forms, twin: "cnn", isInt8: true },
  "web as exported": { engine: "web", file: "exported.onnx", twin: "adder" },
  "node as exported": { engine: "node", file: "exported.onnx", twin: "adder" },
};

function reasonToSkip(name, { file }) {
  if (name.endsWith("as exported") && !withExported) return "left out of a quick run for large images";
  if (!file || existsSync(join(folder, file))) return undefined;
  return readFileSync(join(folder, file.replace(".onnx", ".skipped")), "utf8");
}

const options = { threads };

async function openFastest(engine, files) {
  const opened = [];
  for (const form of files) {
    opened.push({ form, ...(await openEngine(engine, read(`cnn ${form}.onnx`), image, options)) });
  }
  const runs = opened.map(({ form, run }) => [form, run]);
  const times = await alternate(runs, { rounds: 5, seconds: 2, warmUpMilliseconds: 100 });
  const medians = opened.map(({ form }) => median([...times.get(form).values()]));
  const best = medians.indexOf(Math.min(...medians));
  for (const [index, { release }] of opened.entries()) if (index !== best) await release();
  return opened[best];
}

async function openAll() {
  const opened = new Map();
  const skipped = {};
  for (const [name, candidate] of Object.entries(candidates)) {
    const reason = reasonToSkip(name, candidate);
    if (reason !== undefined) {
      skipped[name] = reason;
      continue;
    }
    report(`${network}: opening ${name}`);
    const { engine, file } = candidate;
    opened.set(
      name,
      candidate.forms
        ? await openFastest(engine, candidate.forms)
        : await openEngine(engine, read(file), image, options),
    );
  }
  return { opened, skipped };
}

/**
 * Largest difference from the twin's exact answer that a fair comparison allows, as a share of its largest magnitude. Exports sum
 * thousands of plain differences in float32 before they normalise, layer after layer: the deepest are off by a tenth.
 */
const tolerances = { float: 0.01, int8: 0.5, exported: 0.3 };

function toleranceFor(name) {
  if (name.endsWith("as exported")) return tolerances.exported;
  return candidates[name].isInt8 ? tolerances.int8 : tolerances.float;
}

/** Largest difference from an exact answer, as a share of its largest magnitude. */
function errorOf(answer, file) {
  const exact = new Float64Array(read(`${file}.exact`).buffer);
  const largest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = exact.reduce((most, value, index) => Math.max(most, Math.abs(value - answer[index])), 0);
  return worst / largest;
}

/** How far every engine is from its twin's exact answer. Throws for one that computes something else than its file means. */
async function checkAnswers(opened) {
  const errors = {};
  for (const [name, { run }] of opened) {
    const { twin, exact = twin } = candidates[name];
    const answer = await run();
    errors[name] = errorOf(answer, twin);
    const error = errorOf(answer, exact);
    if (error < toleranceFor(name)) continue;
    throw new Error(
      `${network}: ${name} is off by ${error} of the largest output: it computes something else`,
    );
  }
  return errors;
}

/** Taps (multiplications of a convolution, differences of an adder layer) of every filter layer, by its label. */
function tapsByNode(file) {
  const { graph, opsetImports, functions } = decodeModel(read(file));
  const facts = inferShapes(graph, opsetImports, ops, {
    inputs: new Map([["input", image.dims]]),
    functions,
  });
  const filters = graph.nodes.filter(({ opType }) => /^(QLinear)?(Adder2d|Conv)$|^Q?Gemm$/.test(opType));
  return new Map(
    filters.map((node) => {
      const shapes = node.inputs.slice(1).map((name) => facts.get(name)?.shape ?? []);
      const [, ...weights] = shapes.find((shape) => shape.length > 1);
      const outputs = facts.get(node.outputs[0]).shape;
      const product = (dims) => dims.reduce((all, dim) => all * dim, 1);
      return [nodeLabel(node), { opType: node.opType, taps: product(outputs) * product(weights) }];
    }),
  );
}

/** Median milliseconds of every step, with the taps of filter layers. */
async function profileSteps({ session, feeds }, file) {
  const profiles = [];
  const start = performance.now();
  while (profiles.length < 5 || (profiles.length < 200 && performance.now() - start < 1000)) {
    profiles.push(await session.profile(feeds));
  }
  const taps = tapsByNode(file);
  return profiles[0].map(({ node, fused, kernels, why, live }, index) => ({
    ...{ node, fused, kernels, why, live },
    milliseconds: median(profiles.map((steps) => steps[index].milliseconds)),
    ...taps.get(node),
  }));
}

/** Images of a batch. */
const batch = 16;
const ours = Object.keys(candidates).filter((name) => name.startsWith("ours"));

/** Our engine with a batch, and with one more thread than it is measured with, as further candidates. */
async function openVariants(opened) {
  for (const name of ours.filter((known) => opened.has(known))) {
    const bytes = read(candidates[name].file);
    const batched = await openEngine("addernet", bytes, imageFor(network, batch), options);
    opened.set(`${name}, batch ${batch}`, batched);
    if (threads > 1 || availableParallelism() < 2) continue;
    opened.set(`${name}, 2 threads`, await openEngine("addernet", bytes, image, { threads: 2 }));
  }
}

function ratios(times) {
  const peers = [...times.keys()].filter((name) => !name.startsWith("ours"));
  return ours
    .filter((name) => times.has(name))
    .flatMap((name) =>
      peers.map((peer) => ({ ours: name, peer, ...ratioOf(times.get(name), times.get(peer)) })),
    );
}

/** How many times as fast as one image after the other on one thread, by image. */
function gains(times) {
  return ours
    .filter((name) => times.has(name))
    .flatMap((name) =>
      [...times.keys()]
        .filter((variant) => variant.startsWith(`${name},`))
        .map((variant) => {
          const images = variant.endsWith(`batch ${batch}`) ? batch : 1;
          const { ratio, quartiles } = ratioOf(times.get(name), times.get(variant));
          return { variant, gain: images * ratio, quartiles: quartiles.map((value) => images * value) };
        }),
    );
}

function explanationOf({ session }) {
  const { simd, threads: used } = session.explain();
  return { simd, threads: used };
}

const { opened, skipped } = await openAll();
const errors = await checkAnswers(opened);
await openVariants(opened);
const runs = [...opened].map(([name, { run }]) => [name, run]);
const start = performance.now();
const times = await alternate(runs, {
  rounds,
  seconds,
  onRound: (done) => {
    const left = ((performance.now() - start) / done) * (rounds - done);
    report(`${network}: round ${done} of ${rounds}, ${Math.ceil(left / 1000)} s left`);
  },
});
const steps = {};
const explained = {};
for (const [name, { engine, file }] of Object.entries(candidates)) {
  if (engine !== "addernet" || !opened.has(name)) continue;
  steps[name] = await profileSteps(opened.get(name), file);
  explained[name] = explanationOf(opened.get(name));
  const shared = opened.get(`${name}, 2 threads`);
  if (shared !== undefined) explained[`${name}, 2 threads`] = explanationOf(shared);
}
process.stderr.write("\r\x1b[K");
process.stdout.write(
  JSON.stringify({
    network,
    threads,
    milliseconds: Object.fromEntries(
      [...times].map(([name, byRound]) => [name, summarise([...byRound.values()])]),
    ),
    ratios: ratios(times),
    gains: gains(times),
    forms: Object.fromEntries(
      [...opened].filter(([, { form }]) => form).map(([name, { form }]) => [name, form]),
    ),
    errors,
    skipped,
    steps,
    explained,
  }),
);
process.exit(0);
