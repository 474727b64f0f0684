// `npm run bench`: AdderNet and CNN twins through our runtime and onnxruntime, in turns; writes bench/results/latest.{json,md}.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));

const usage = `npm run bench -- [options]
  --nets NAMES     networks, separated by commas (default: all)
  --node LIST      Node binaries: "this", 20, 24 (fetched from npm into .cache), or paths (default: this)
  --threads LIST   thread counts (default: 1)
  --anew           forgets what earlier runs on this machine measured; otherwise it stays in the report beside what is new
  --quick          a few rounds: to see that everything runs
  --out FOLDER     where the results go (default: bench/results)`;

const options = {
  nets: { type: "string" },
  node: { type: "string", default: "this" },
  threads: { type: "string", default: "1" },
  anew: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
  out: { type: "string", default: join(here, "results") },
  help: { type: "boolean", default: false },
};

class UsageError extends Error {}

function readOptions() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
}

function readThreads(list) {
  const counts = list.split(",").map(Number);
  if (counts.every((count) => Number.isInteger(count) && count > 0)) return counts;
  throw new UsageError("--threads takes counts of 1 and more");
}

function readNetworks(list, networks) {
  const names = list?.split(",") ?? Object.keys(networks);
  const unknown = names.find((name) => !(name in networks));
  if (unknown === undefined) return names;
  throw new UsageError(`no network "${unknown}": there are ${Object.keys(networks).join(", ")}`);
}

/** A reader never sees half of a file. */
function replaceFile(path, contents) {
  writeFileSync(`${path}.new`, contents);
  renameSync(`${path}.new`, path);
}

/** The report so far, if there is one. */
function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

async function main() {
  const values = readOptions();
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  if (!existsSync(join(here, "..", "dist", "runtime", "index.js"))) {
    throw new UsageError("there is no dist: run `npm run build` first");
  }
  const { networks } = await import("./networks.mjs");
  const nets = readNetworks(values.nets, networks);
  const threads = readThreads(values.threads);
  const [{ measureAll }, { toMarkdown }] = [
    await import("./measure-all.mjs"),
    await import("./markdown.mjs"),
  ];
  const [json, text] = ["json", "md"].map((ending) => join(values.out, `latest.${ending}`));
  mkdirSync(values.out, { recursive: true });
  const save = (report) => {
    replaceFile(json, `${JSON.stringify(report, null, 1)}\n`);
    replaceFile(text, toMarkdown(report, networks));
  };
  process.once("SIGINT", () => {
    process.stderr.write(
      `\r\x1b[Kstopped; ${existsSync(json) ? `what was measured is in ${json}` : "nothing was measured"}\n`,
    );
    process.exit(130);
  });
  const earlier = values.anew ? undefined : readReport(json);
  const nodes = values.node.split(",");
  const report = await measureAll({ nets, nodes, threads, quick: values.quick }, { earlier, save });
  process.stdout.write(toMarkdown(report, networks));
  const hasFailed = ({ network }) => nets.includes(network);
  if (report.results.some(({ failures }) => failures.some(hasFailed))) process.exitCode = 1;
}

await main().catch((error) => {
  const isUsage = error instanceof UsageError;
  process.stderr.write(isUsage ? `${error.message}\n${usage}\n` : `bench: ${error.message}\n`);
  process.exitCode = isUsage ? 2 : 1;
});
