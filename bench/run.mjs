// `npm run bench`: AdderNet and CNN twins through our runtime and onnxruntime, in turns; writes bench/results/latest.{json,md}.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..");

const usage = `npm run bench -- [options]
  --nets NAMES     networks, separated by commas (default: all)
  --node LIST      Node binaries: "this", 20, 24 (fetched from npm into .cache), or paths (default: this)
  --threads LIST   thread counts (default: 1)
  --quick          a few rounds: to see that everything runs
  --out FOLDER     where the results go (default: bench/results)`;

const options = {
  nets: { type: "string" },
  node: { type: "string", default: "this" },
  threads: { type: "string", default: "1" },
  quick: { type: "boolean", default: false },
  out: { type: "string", default: join(here, "results") },
  help: { type: "boolean", default: false },
};

function refuse(problem) {
  process.stderr.write(`${problem}\n${usage}\n`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse(error.message);
  }
}

/** Runs one of this folder's scripts in a Node binary with a task; answers what it prints, as JSON. */
function runScript(binary, script, task) {
  return new Promise((done, fail) => {
    const child = spawn(binary, [join(here, script), JSON.stringify(task)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [printed, said] = ["", ""];
    child.stdout.on("data", (part) => {
      printed += part;
    });
    child.stderr.on("data", (part) => {
      const text = part.toString();
      if (text.startsWith("\r")) process.stderr.write(text);
      else said = (said + text).slice(-2000);
    });
    child.on("error", fail);
    child.on("close", (code) => {
      if (code === 0) return done(JSON.parse(printed));
      const reason =
        said.split("\n").findLast((line) => /Error/.test(line)) ?? said.trim().split("\n").at(-1);
      fail(new Error(`${script} failed (exit ${code}): ${reason}`));
    });
  });
}

/** Weighs tasks by what they usually take, so that the rest can be told. */
function makeProgress(weights) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const start = performance.now();
  let done = 0;
  return (label, weight) => {
    const left =
      done === 0
        ? ""
        : `, about ${Math.ceil((((performance.now() - start) / done) * (total - done)) / 60000)} min left`;
    process.stderr.write(`${Math.round((100 * done) / total)} %${left}: ${label}\n`);
    done += weight;
  };
}

const files = {
  "ours fp32": ["addernet", "adder.onnx"],
  "ours int8": ["addernet", "adder int8.onnx"],
  "web CNN fp32": ["web", "cnn.onnx"],
  "web CNN int8": ["web", "cnn QOperator uint8.onnx"],
  "node CNN fp32": ["node", "cnn.onnx"],
  "node CNN int8": ["node", "cnn QOperator uint8.onnx"],
  "web as exported": ["web", "exported.onnx"],
  "node as exported": ["node", "exported.onnx"],
};

/** Medians of several fresh processes, by engine. */
async function measureFresh({ binary, folder, network, threads, times, withExported, median }) {
  const results = {};
  for (const [name, [engine, file]] of Object.entries(files)) {
    const path = join(folder, file);
    if (!existsSync(path) || (name.endsWith("as exported") && !withExported)) continue;
    const all = [];
    for (let index = 0; index < times; index++) {
      all.push(await runScript(binary, "fresh.mjs", { engine, file: path, network, threads, runs: 3 }));
    }
    results[name] = Object.fromEntries(
      Object.keys(all[0]).map((key) => [key, median(all.map((result) => result[key]))]),
    );
  }
  return results;
}

async function main() {
  const values = readOptions();
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  if (!existsSync(join(root, "dist", "runtime", "index.js")))
    refuse("there is no dist: run `npm run build` first");
  const [
    { networks },
    { prepareModels },
    { compileRoofline },
    { measureSizes },
    { findNode },
    { median },
    { toMarkdown },
  ] = await Promise.all(
    ["networks", "models", "roofline", "sizes", "node-binary", "statistics", "markdown"].map(
      (name) => import(`./${name}.mjs`),
    ),
  );
  const nets = values.nets?.split(",") ?? Object.keys(networks);
  const unknown = nets.find((name) => !(name in networks));
  if (unknown !== undefined) refuse(`no network "${unknown}": there are ${Object.keys(networks).join(", ")}`);
  const threadCounts = values.threads.split(",").map(Number);
  if (!threadCounts.every((count) => Number.isInteger(count) && count > 0))
    refuse("--threads takes counts of 1 and more");
  const nodes = values.node.split(",").map((wanted) => findNode(wanted, join(root, ".cache")));
  const isLarge = (name) => networks[name].image[1] > 64;
  const weightOf = (name) => (isLarge(name) ? 4 : 1);
  const passes = nodes.length * threadCounts.length;
  const progress = makeProgress([
    ...nets.flatMap((name) => [weightOf(name), ...new Array(passes).fill(4 * weightOf(name))]),
    nodes.length,
  ]);

  const folders = {};
  for (const name of nets) {
    progress(`making ${name}`, weightOf(name));
    folders[name] = await prepareModels(name);
  }
  const binaries = await compileRoofline();
  const load = loadavg()[0];
  const results = [];
  for (const { binary, version, v8 } of nodes) {
    progress(`roofline on Node ${version}`, 1);
    const kernels = await runScript(binary, "kernels.mjs", { binaries, threads: 1 });
    for (const threads of threadCounts) {
      const measured = [];
      for (const network of nets) {
        progress(`${network} on Node ${version}, threads: ${threads}`, 4 * weightOf(network));
        const folder = folders[network];
        const withExported = !(values.quick && isLarge(network));
        const task = {
          network,
          folder,
          threads,
          withExported,
          batch: network === "resnet20" || network === "resnet18" ? 16 : 0,
        };
        const amount = values.quick
          ? { rounds: 7, seconds: 0.5 }
          : { rounds: 60, seconds: isLarge(network) ? 20 : 6 };
        const times = await runScript(binary, "measure.mjs", { ...task, ...amount });
        const fresh = await measureFresh({
          binary,
          folder,
          network,
          threads,
          times: values.quick ? 1 : 5,
          withExported,
          median,
        });
        measured.push({ ...times, fresh });
      }
      results.push({ node: version, v8, threads, kernels, networks: measured });
    }
  }
  const report = {
    made: new Date().toISOString(),
    machine: {
      cpu: cpus()[0].model.trim(),
      cores: cpus().length,
      platform: `${process.platform} ${process.arch}`,
      load,
    },
    quick: values.quick,
    sizes: await measureSizes(),
    results,
  };
  const text = toMarkdown(report, networks);
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, "latest.json"), `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(join(values.out, "latest.md"), text);
  process.stdout.write(text);
}

await main().catch((error) => {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
});
