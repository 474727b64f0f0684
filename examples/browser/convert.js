// Converting a person's files in this worker: the same steps and errors as `addernet convert`.

import {
  buildModel,
  convert,
  guessArchitectures,
  listArchitectures,
  readCheckpoint,
  runReference,
} from "addernet/converter";
import { AdderNetError, createSession } from "addernet/runtime";
import { readFlags } from "./flags.js";
import { median, timeRuns } from "./timing.js";

/** What a checkpoint may be the weights of. */
export const architectureNames = listArchitectures;

const isCheckpoint = ({ name }) => /\.(pth|pt|ckpt|safetensors)$/i.test(name);
const isModel = ({ name }) => /\.onnx$/i.test(name);

function chooseMain(files) {
  const candidates = files.filter((file) => isModel(file) || isCheckpoint(file));
  if (candidates.length === 1) return candidates[0];
  throw new AdderNetError("ADN_USAGE", "one model at a time", {
    expected: "an .onnx, .pth or .safetensors file, with its .data beside it",
    found: files.map(({ name }) => name).join(", "),
  });
}

async function readCheckpointModel({ name, bytes }, arch) {
  const checkpoint = await readCheckpoint(bytes, name);
  const fitting = arch ? [arch] : guessArchitectures(checkpoint);
  if (fitting.length > 0) return buildModel(fitting[0], checkpoint, { where: name });
  throw new AdderNetError("ADN_USAGE", "the checkpoint fits none of the known networks", {
    where: name,
    expected: listArchitectures().join(", "),
    fix: "choose the nearest one above to see where it differs, or export the network as .onnx",
  });
}

/** Runs written bytes in our runtime, else by the references of the ops; keeps the session and its first feeds. */
function makeRunner() {
  const runner = { session: undefined, refusal: undefined, feeds: undefined };
  runner.run = async (bytes, feeds) => {
    runner.feeds ??= feeds;
    if (runner.session === undefined && runner.refusal === undefined) {
      try {
        runner.session = await createSession(bytes);
      } catch (error) {
        if (error.code !== "ADN_OP_UNSUPPORTED") throw error;
        runner.refusal = error.message;
      }
    }
    if (runner.session === undefined) return runReference(bytes, feeds);
    return new Map(Object.entries(await runner.session.run(Object.fromEntries(feeds))));
  };
  return runner;
}

async function latencyOf({ session, feeds }) {
  if (session === undefined) return undefined;
  const one = Object.fromEntries(feeds);
  const times = await timeRuns(() => session.run(one), { milliseconds: 500, most: 200 });
  return {
    milliseconds: median(times),
    runs: times.length,
    shapes: Object.entries(one).map(([name, { dims }]) => `${name} ${dims.join("×")}`),
  };
}

/** `files`: names and bytes; `arch`: of a checkpoint, or empty; `flags`: as on the command line. */
export async function convertFiles({ files, arch, flags }, onProgress) {
  const main = chooseMain(files);
  const source = isCheckpoint(main) ? await readCheckpointModel(main, arch) : main.bytes;
  const beside = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const runner = makeRunner();
  try {
    const { bytes, report } = await convert(source, {
      ...readFlags(flags),
      externalData: (location) => beside.get(location.slice(location.lastIndexOf("/") + 1)),
      run: runner.run,
      onProgress,
    });
    const { layers, warnings, nodesBefore, nodesAfter, verification } = report;
    const latency = await latencyOf(runner);
    return {
      name: main.name.replace(/\.\w+$/, ".adder.onnx"),
      bytesBefore: files.reduce((total, file) => total + file.bytes.length, 0),
      ...{ bytes, layers, warnings, nodesBefore, nodesAfter, verification, latency },
      refusal: runner.refusal,
    };
  } finally {
    await runner.session?.dispose();
  }
}
