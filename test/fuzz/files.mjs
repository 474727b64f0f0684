// Mutated files through everything that reads them. Whatever a file says, it is read or refused with an error of ours.

import {
  buildModel as buildNetwork,
  convert,
  guessArchitectures,
  parseCalibration,
  quantize,
  readCheckpoint,
} from "../../dist/converter/index.js";
import { ops } from "../../dist/custom-ops/index.js";
import { createSession } from "../../dist/runtime/index.js";
import { decodeNpy, encodeNpy } from "../../dist/src/cli/npy.js";
import { interpret } from "../../dist/src/core/interpret.js";
import { decodeModel, encodeModel } from "../../dist/src/core/onnx/index.js";
import { makeCorpus } from "./corpus.mjs";
import { mutateArchive, mutateBytes, mutateJson, mutateModel } from "./mutate.mjs";
import { codeOf, distance, Finding } from "./outcome.mjs";
import { makeRandom } from "./random.mjs";

const corpus = await makeCorpus();

/** More work than this is refused by the fuzzer, not by the product: a mutated length may ask for minutes of honest work. */
const largestFeed = 4096;
const largestWork = 20_000;

async function attempt(act) {
  try {
    return { value: await act() };
  } catch (error) {
    return { code: codeOf(error) };
  }
}

/** Small inputs in the shapes a model asks for; undefined when they would be large or of other types. */
function feedsOf({ graph }, random) {
  const feeds = {};
  for (const { name, type } of graph.inputs) {
    if (type?.kind !== "tensor" || type.elemType !== "float32" || type.shape === undefined) return undefined;
    const dims = type.shape.map((dim) => (typeof dim === "number" ? dim : 2));
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (!(count <= largestFeed)) return undefined;
    feeds[name] = { type: "float32", data: Float32Array.from({ length: count }, random.normal), dims };
  }
  return feeds;
}

const isModest = ({ data }) =>
  data.every((value) => Number.isFinite(Number(value)) && Math.abs(Number(value)) < 1e5);

/** What kernels and references make of the same model must be the same, as far as floats allow. */
async function compareRuns(model, feeds, found) {
  // Kernels say NaN where the plain formula says infinity, and the other way about: what is not finite is only promised to show.
  let isStable = [...model.graph.initializers.values()].every(isModest);
  const onNode = (_node, outputs) => {
    isStable &&= outputs.every((tensor) => tensor === undefined || isModest(tensor));
  };
  const { graph, opsetImports, functions } = model;
  const reference = await attempt(() =>
    interpret(graph, opsetImports, ops, new Map(Object.entries(feeds)), {
      functions,
      maxElements: largestWork,
      onNode,
    }),
  );
  if (reference.value === undefined || !isStable) return;
  for (const [name, wanted] of reference.value) {
    const apart = distance(found[name], wanted);
    if (apart > 1e-2)
      throw new Finding("mismatch", `kernels against references: ${apart} apart in "${name}"`);
  }
}

async function readOnnx(bytes, random) {
  const model = decodeModel(bytes);
  const again = await attempt(() => decodeModel(encodeModel(model).bytes));
  await attempt(() => convert(bytes, { check: false }));
  const feeds = feedsOf(model, random);
  if (feeds === undefined) return;
  const session = (await attempt(() => createSession(bytes))).value;
  if (session === undefined) return;
  const found = (await attempt(() => session.run(feeds))).value;
  await session.dispose();
  if (found !== undefined && again.value !== undefined) await compareRuns(model, feeds, found);
}

async function readWeights(bytes) {
  const checkpoint = await readCheckpoint(bytes);
  for (const arch of guessArchitectures(checkpoint).slice(0, 1))
    await attempt(() => buildNetwork(arch, checkpoint));
}

async function readArray(bytes) {
  const tensor = decodeNpy(bytes, "x.npy");
  const again = decodeNpy(encodeNpy(tensor), "again.npy");
  const isSame =
    again.type === tensor.type &&
    again.dims.join() === tensor.dims.join() &&
    again.data.length === tensor.data.length;
  if (!isSame) throw new Finding("mismatch", "an array that was read and written is another");
}

async function readTable(bytes) {
  const calibration = parseCalibration(bytes.toString("utf8"));
  const { bytes: made } = await quantize(corpus.calibratedModel, { calibration });
  const session = await createSession(made);
  const feeds = feedsOf(decodeModel(made), makeRandom(1));
  if (feeds !== undefined) await session.run(feeds);
  await session.dispose();
}

const readers = {
  onnx: {
    read: readOnnx,
    mutate: (random, bytes, others) => mutateModel(random, bytes, others, { decodeModel, encodeModel }),
  },
  pth: { read: readWeights, mutate: mutateArchive },
  safetensors: { read: readWeights, mutate: mutateBytes },
  npy: { read: readArray, mutate: mutateBytes },
  calibration: { read: readTable, mutate: mutateJson },
};
const fileKinds = Object.keys(readers);

/** A mutated file by its seed. */
export function makeFile(seed, kind = undefined) {
  const random = makeRandom(seed);
  const chosen = kind ?? fileKinds[seed % fileKinds.length];
  const files = corpus[chosen];
  return { kind: chosen, bytes: readers[chosen].mutate(random, random.pick(files), files) };
}

/** Reads a file of a kind. Answers "read" or the code of the error; throws a Finding for anything else. */
export async function checkFile({ kind, bytes, seed = 0 }) {
  const { code } = await attempt(() => readers[kind].read(bytes, makeRandom(seed)));
  return code ?? "read";
}
