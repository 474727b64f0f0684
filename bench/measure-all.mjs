// Every network in every Node binary with every thread count: one report.

import { existsSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { prepareModels } from "./models.mjs";
import { networks } from "./networks.mjs";
import { findNode } from "./node-binary.mjs";
import { compileRoofline } from "./roofline.mjs";
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

/** Networks that are measured in batches as well. */
const batches = { resnet20: 16, resnet18: 16 };

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

/** Medians over several processes that each open one file in one engine. */
async function measureFresh(binary, { network, folder, threads, withExported }, times) {
  const results = {};
  for (const [name, [engine, file]] of Object.entries(fresh)) {
    const path = join(folder, file);
    if (!existsSync(path) || (name.endsWith("as exported") && !withExported)) continue;
    const all = [];
    for (let index = 0; index < times; index++) {
      all.push(await runScript(binary, "fresh.mjs", { engine, file: path, network, threads, runs: 3 }));
    }
    const medians = Object.keys(all[0]).map((key) => [key, median(all.map((result) => result[key]))]);
    results[name] = Object.fromEntries(medians);
  }
  return results;
}

async function measureNetwork(binary, network, folder, threads, quick) {
  const withExported = !(quick && isLarge(network));
  const amount = quick ? { rounds: 7, seconds: 0.5 } : { rounds: 60, seconds: isLarge(network) ? 20 : 6 };
  const task = { network, folder, threads, withExported, batch: batches[network] ?? 0 };
  const turns = await runScript(binary, "measure.mjs", { ...task, ...amount });
  return { ...turns, fresh: await measureFresh(binary, task, quick ? 1 : 5) };
}

/** One Node binary with one thread count. A network that fails is told and does not stop the others. */
async function measurePass({ binary, version }, threads, folders, quick, progress) {
  const measured = [];
  const failures = [];
  for (const [network, folder] of folders) {
    progress(`${network} on Node ${version}, threads: ${threads}`, 4 * weightOf(network));
    try {
      measured.push(await measureNetwork(binary, network, folder, threads, quick));
    } catch (error) {
      process.stderr.write(`\r\x1b[K${error.message}\n`);
      failures.push({ network, reason: error.message });
    }
  }
  return { networks: measured, failures };
}

export async function measureAll({ nets, nodes: wanted, threads: threadCounts, quick }) {
  const nodes = wanted.map((node) => findNode(node, cache));
  const perPass = nets.reduce((sum, name) => sum + 4 * weightOf(name), 0);
  const progress = makeProgress(perPass / 4 + nodes.length * (1 + threadCounts.length * perPass));
  const load = loadavg()[0];
  const folders = new Map();
  for (const name of nets) {
    progress(`making ${name}`, weightOf(name));
    folders.set(name, await prepareModels(name));
  }
  const binaries = await compileRoofline();
  const results = [];
  for (const node of nodes) {
    progress(`roofline on Node ${node.version}`, 1);
    const kernels = await runScript(node.binary, "kernels.mjs", { binaries, threads: 1 });
    for (const threads of threadCounts) {
      const pass = await measurePass(node, threads, folders, quick, progress);
      results.push({ node: node.version, v8: node.v8, threads, kernels, ...pass });
    }
  }
  const cpu = cpus();
  return {
    made: new Date().toISOString(),
    machine: {
      cpu: cpu[0].model.trim(),
      cores: cpu.length,
      platform: `${process.platform} ${process.arch}`,
      load,
    },
    quick,
    sizes: await measureSizes(),
    results,
  };
}
