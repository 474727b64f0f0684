// Valid files to start mutations from: the project's own fixtures, and small models made from recipes.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { convert, formatCalibration, quantize } from "../../dist/converter/index.js";
import { encodeNpy } from "../../dist/src/cli/npy.js";
import { encodeModel } from "../../dist/src/core/onnx/index.js";
import { buildModel, feedsFor } from "./build.mjs";
import { makeRandom } from "./random.mjs";
import { makeRecipe } from "./recipe.mjs";

const tests = resolve(import.meta.dirname, "..");
/** Larger files only make every case slower. */
const largestFile = 20_000;

function filesOf(folders, pattern) {
  return folders
    .flatMap((folder) => readdirSync(join(tests, folder)).map((name) => join(tests, folder, name)))
    .filter((path) => pattern.test(path) && statSync(path).size <= largestFile)
    .map((path) => readFileSync(path));
}

/** Small recipes of every form. */
function* smallRecipes(count) {
  for (let seed = 1; count > 0; seed++) {
    const recipe = { ...makeRecipe(seed), bits: 0, threads: 1 };
    const isSmall = recipe.steps.length <= 4 && recipe.height * recipe.width * recipe.channels <= 400;
    if (!isSmall || encodeModel(buildModel(recipe)).bytes.length > 12_000) continue;
    count--;
    yield recipe;
  }
}

async function models() {
  const made = [];
  for (const recipe of smallRecipes(12)) {
    const source = encodeModel(buildModel(recipe)).bytes;
    made.push(source);
    const { bytes, model } = await convert(source, { check: false });
    made.push(bytes);
    try {
      made.push((await quantize(model, { samples: samplesOf(recipe) })).bytes);
    } catch {
      // Some have no layer that can be put on codes.
    }
  }
  return [...made.map((bytes) => Buffer.from(bytes)), ...filesOf(["onnx/data"], /\.onnx$/)];
}

const samplesOf = (recipe) => feedsFor(recipe, 3).map((feeds) => new Map(Object.entries(feeds)));

/** A converted model with its table. */
async function calibrated() {
  for (const recipe of smallRecipes(20)) {
    const { model } = await convert(encodeModel(buildModel(recipe)).bytes, { check: false });
    try {
      const { calibration } = await quantize(model, { samples: samplesOf(recipe) });
      return { model, text: formatCalibration(calibration) };
    } catch {}
  }
  throw new Error("no small recipe can be quantized");
}

function arrays() {
  const random = makeRandom(7);
  const types = {
    float32: Float32Array,
    int64: BigInt64Array,
    uint8: Uint8Array,
    float64: Float64Array,
    int16: Int16Array,
  };
  return Object.entries(types).flatMap(([type, array]) =>
    [[], [3], [2, 3, 4], [1, 3, 5, 5]].map((dims) => {
      const count = dims.reduce((product, dim) => product * dim, 1);
      const values = Array.from({ length: count }, () => random.below(100));
      const data = type === "int64" ? array.from(values, BigInt) : array.from(values);
      return Buffer.from(encodeNpy({ type, data, dims }));
    }),
  );
}

export async function makeCorpus() {
  const table = await calibrated();
  return {
    onnx: await models(),
    pth: filesOf(["checkpoints/fixtures", "topologies/fixtures"], /\.(pth|pickle)$/),
    safetensors: filesOf(["checkpoints/fixtures"], /\.safetensors$/),
    npy: arrays(),
    calibration: [Buffer.from(table.text)],
    calibratedModel: table.model,
  };
}
