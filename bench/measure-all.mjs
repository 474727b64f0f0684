// Every network in every Node binary with every thread count: one report.

import { existsSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { prepareModels } from "./models.mjs";
import { networks } from "./networks.mjs";
import { findNode } from "./node-binary.mjs";
import { addFailure, addNetwork, startPass, startReport } from "./report.mjs";
import { runScript } from "./run-script.mjs";
import { measureSizes } from "./sizes.mjs";
import { median } from "./statistics.mjs";

const cache = join(dirname(fileURLToPath(import.meta.url)), "..", ".cache");

/** Engine and file of what is started afresh for cold start and memory. */
const fresh = {
  "ours fp32": ["addernet", "adder.onnx"],
  "ours int8": ["addernet", "adder int8.onnx"],
  "web CNN fp32": ["web", "cnn.onnx"],
  "web CNN int8": ["web", "cnn QOperator uint8.onnx"],
  "node CNN fp32": ["node", "cnn.onnx"],
  "node CNN int8": ["node", "cnn QOperator uint8.onnx"],
  "web as exported": ["web", "exported.onnx"],
  "node as exported": ["node", "exported.onnx"],
};

const isLarge = (name) => networks[name].image[1] > 64;

/** What a network usually takes, next to the others. */
const weightOf = (name) => (isLarge(name) ? 4 : 1);

/** Tells what comes next, and about how long everything will still take. */
function makeProgress(total) {
  const start = performance.now();
  let done = 0;
  return (label, weight) => {
    const rest = ((performance.now() - start) / done) * (total - done);
    const left = done === 0 ? "" : `, about ${Math.ceil(rest / 60000)} min left`;
    process.stderr.write(`${Math.round((100 * done) / total)} %${left}: ${label}\n`);
    done += weight;
  };
}

/** Processes that medians of a first start are taken over; what others answer slowly is started once. */
const freshTimes = { small: 7, large: 3 };

/** Medians over several processes that each open one file in one engine. */
async function measureFresh(binary, { network, folder, threads, withExported }, most) {
  const results = {};
  for (const [name, [engine, file]] of Object.entries(fresh)) {
    const path = join(folder, file);
    if (!existsSync(path) || (name.endsWith("as exported") && !withExported)) continue;
    const isSlow = name.endsWith("as exported");
    const all = [];
    for (let index = 0; index < (isSlow ? 1 : most); index++) {
      const task = { engine, file: path, network, threads, runs: isSlow ? 1 : 3 };
      all.push(await runScript(binary, "fresh.mjs", task));
    }
    const medians = Object.keys(all[0]).map((key) => [key, median(all.map((result) => result[key]))]);
    results[name] = Object.fromEntries(medians);
  }
  return results;
}

const amounts = {
  quick: { rounds: 7, seconds: 0.5 },
  small: { rounds: 60, seconds: 5 },
  large: { rounds: 40, seconds: 10 },
};

async function measureNetwork(binary, network, folder, threads, quick) {
  const size = isLarge(network) ? "large" : "small";
  const task = { network, folder, threads, withExported: !(quick && isLarge(network)) };
  const turns = await runScript(binary, "measure.mjs", { ...task, ...amounts[quick ? "quick" : size] });
  const fresh = await measureFresh(binary, task, quick ? 1 : freshTimes[size]);
  return { ...turns, fresh, made: new Date().toISOString() };
}

/** A network in one Node with one thread count; one that fails is told and does not stop the others. */
async function measureInto(pass, binary, network, folder, quick) {
  try {
    addNetwork(pass, await measureNetwork(binary, network, folder, pass.threads, quick));
  } catch (error) {
    process.stderr.write(`\r\x1b[K${error.message}\n`);
    addFailure(pass, network, error.message);
  }
}

function describeMachine() {
  const [{ model }, ...others] = cpus();
  const platform = `${process.platform} ${process.arch}`;
  return { cpu: model.trim(), cores: others.length + 1, platform };
}

async function prepareAll(nets, progress) {
  const folders = new Map();
  for (const name of nets) {
    progress(`making ${name}`, weightOf(name));
    folders.set(name, await prepareModels(name));
  }
  return folders;
}

/**
 * Measures everything; `save` gets the report as far as it is after every network. What `earlier` holds of this machine stays in
 * it unless it is measured anew.
 */
export async function measureAll({ nets, nodes: wanted, threads: threadCounts, quick }, { earlier, save }) {
  const nodes = wanted.map((node) => findNode(node, cache));
  const perPass = nets.reduce((sum, name) => sum + 4 * weightOf(name), 0);
  const progress = makeProgress(perPass / 4 + nodes.length * (1 + threadCounts.length * perPass));
  const load = loadavg()[0];
  const folders = await prepareAll(nets, progress);
  const report = startReport(
    { machine: describeMachine(), load, quick, sizes: await measureSizes() },
    earlier,
  );
  for (const { binary, version, v8 } of nodes) {
    progress(`roofline on Node ${version}`, 1);
    const kernels = await runScript(binary, "kernels.mjs", { threads: 1 });
    for (const threads of threadCounts) {
      const pass = startPass(report, { node: version, v8, threads, kernels });
      for (const [network, folder] of folders) {
        progress(`${network} on Node ${version}, threads: ${threads}`, 4 * weightOf(network));
        await measureInto(pass, binary, network, folder, quick);
        save(report);
      }
    }
  }
  return report;
}
