// `npm run study:mnist`: the paper's study on MNIST. LeNet-5-BN as CNN and as AdderNet by four schemes, two seeds each, every one a run of
// `addernet train`; then a table, a plot and the pictures of weights and features as bench/results/study-mnist/EPOCHS/study.{json,md,html}.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { studyMarkdown, studyPage } from "./study-mnist-page.mjs";
import { runsOf, schemes, summarise } from "./study-mnist-runs.mjs";

const usage = `npm run study:mnist -- [options]
  --epochs N       epochs of every run (default: 50, as published)
  --features N     epochs of the two LeNet++ for the picture of features (default: 2; 0: no picture)
  --seeds LIST     seeds (default: 1,2)
  --schemes LIST   ${schemes.map(({ name }) => name).join(", ")} (default: all)
  --limit N        the first N images only
  --threads N      threads of a run (default: the cores)
  --out FOLDER     where everything goes (default: bench/results/study-mnist)
Ctrl-C at any time: the same command goes on from there.`;

const options = {
  epochs: { type: "string", default: "50" },
  features: { type: "string", default: "2" },
  seeds: { type: "string", default: "1,2" },
  schemes: { type: "string" },
  limit: { type: "string" },
  threads: { type: "string" },
  out: { type: "string", default: join(import.meta.dirname, "results", "study-mnist") },
  help: { type: "boolean", default: false },
};

class UsageError extends Error {}

function count(text, name, least = 1) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} takes whole numbers from ${least} on, not "${text}"`);
}

function readOptions() {
  let given;
  try {
    given = parseArgs({ options }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
  const epochs = count(given.epochs, "epochs");
  const names = given.schemes?.split(",") ?? schemes.map(({ name }) => name);
  const unknown = names.find((name) => !schemes.some((scheme) => scheme.name === name));
  if (unknown !== undefined) throw new UsageError(`no scheme is called "${unknown}"`);
  return {
    epochs,
    names,
    features: count(given.features, "features", 0),
    seeds: given.seeds.split(",").map((seed) => count(seed, "seeds", 0)),
    limit: given.limit === undefined ? undefined : count(given.limit, "limit"),
    threads: given.threads === undefined ? undefined : count(given.threads, "threads"),
    out: given.out,
    help: given.help,
  };
}

const cli = join(import.meta.dirname, "..", "dist", "src", "cli", "main.js");

/** Runs the command line in the foreground, so that its progress is seen and Ctrl-C reaches it; answers its exit code. */
function addernet(args) {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "ignore", "inherit"] });
    const end = () => child.kill("SIGTERM");
    process.once("SIGTERM", end);
    child.on("error", fail);
    child.on("close", (code, signal) => {
      process.off("SIGTERM", end);
      done(code ?? signal);
    });
  });
}

function readLines(path) {
  const texts = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  return texts.filter((text) => text !== "").map((text) => JSON.parse(text));
}

/** What a run has written: its epochs, and whether it has come to its end. */
function look(folder, run) {
  const lines = readLines(join(folder, `${run.name}.metrics.jsonl`));
  const epochs = lines.filter(({ kind }) => kind === "epoch");
  const isDone = epochs.length >= run.wanted && existsSync(join(folder, `${run.name}.html`));
  return { ...run, epochs, isDone };
}

/** Seconds that are left, by the pace of runs of the same kind, else of any. */
function secondsLeft(looked) {
  const paces = looked.flatMap(({ kind, epochs }) =>
    epochs.slice(-1).map(({ imagesPerSecond }) => ({ kind, imagesPerSecond })),
  );
  const paceOf = (kind) => (paces.find((pace) => pace.kind === kind) ?? paces[0])?.imagesPerSecond;
  return looked.reduce((sum, { kind, images, epochs, wanted, isDone }) => {
    const open = isDone ? 0 : Math.max(0, wanted - epochs.length);
    return sum + (open * images) / (paceOf(kind) ?? Number.NaN);
  }, 0);
}

function told(seconds) {
  if (Number.isNaN(seconds)) return "time unknown before the first epoch";
  return seconds < 90 ? `${Math.round(seconds)} s left` : `about ${Math.round(seconds / 60)} min left`;
}

/** A reader never sees half of a file. */
function replaceFile(path, contents) {
  writeFileSync(`${path}.new`, contents);
  renameSync(`${path}.new`, path);
}

function writeStudy(folder, looked, given) {
  const study = summarise(looked, given);
  replaceFile(join(folder, "study.json"), `${JSON.stringify(study, null, 2)}\n`);
  replaceFile(join(folder, "study.md"), studyMarkdown(study));
  replaceFile(join(folder, "study.html"), studyPage(study, folder));
  return study;
}

async function main() {
  const given = readOptions();
  if (given.help) return console.log(usage);
  const { epochs, limit, threads, out } = given;
  const folder = join(out, `${epochs}-epochs${limit === undefined ? "" : `-of-${limit}`}`);
  mkdirSync(folder, { recursive: true });
  // The run in the foreground saves and ends; what is left here is to say how to go on.
  process.on("SIGINT", () => {});
  const runs = runsOf(given);
  if ((await addernet(["data", "fetch", "mnist", "--quiet"])) !== 0) process.exit(1);
  for (const [index, run] of runs.entries()) {
    const looked = runs.map((each) => look(folder, each));
    if (looked[index].isDone) continue;
    const left = told(secondsLeft(looked));
    console.error(`run ${index + 1} of ${runs.length}: ${run.name}; all runs: ${left}`);
    const more = threads === undefined ? [] : ["--threads", String(threads)];
    const code = await addernet([
      "train",
      ...run.flags,
      ...more,
      "--out",
      join(folder, `${run.name}.onnx`),
      "--resume",
    ]);
    if (code !== 0) {
      console.error(`${run.name} stopped (${code}); the same command goes on from there`);
      process.exit(typeof code === "number" ? code : 1);
    }
    writeStudy(
      folder,
      runs.map((each) => look(folder, each)),
      given,
    );
  }
  const study = writeStudy(
    folder,
    runs.map((each) => look(folder, each)),
    given,
  );
  console.log(studyMarkdown(study));
  console.log(`${join(folder, "study.html")}`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${usage}`);
  process.exitCode = 2;
}
