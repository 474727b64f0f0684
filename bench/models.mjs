// Every file that is measured, made once and kept in the cache until what makes it changes.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { convert, optimise } from "../dist/converter/index.js";
import { ops } from "../dist/custom-ops/index.js";
import { interpret } from "../dist/src/core/interpret.js";
import { cloneModel } from "../dist/src/core/ir/clone.js";
import { decodeModel, encodeModel } from "../dist/src/core/onnx/index.js";
import { asExported } from "./as-exported.mjs";
import { imageFor, samplesFor } from "./networks.mjs";
import { quantizeAdder } from "./quantize-adder.mjs";
import { quantizeCnn } from "./quantize-cnn.mjs";
import { buildTwins } from "./twins.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** What the files depend on: their makers here and the converter. */
const makers = [
  "draws.mjs",
  "networks.mjs",
  "walk.mjs",
  "twins.mjs",
  "as-exported.mjs",
  "quantize-adder.mjs",
  "quantize-cnn.mjs",
  "models.mjs",
];
const libraries = ["dist/converter", "dist/src/core", "dist/custom-ops"];

function cacheKey() {
  const hash = createHash("sha256");
  const compiled = libraries.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((file) => file.endsWith(".js") && !file.includes("kernels"))
      .map((file) => join(root, folder, file)),
  );
  for (const file of [...makers.map((name) => join(root, "bench", name)), ...compiled.sort()]) {
    hash.update(relative(root, file)).update(readFileSync(file));
  }
  return hash.digest("hex").slice(0, 12);
}

const bytesOf = (model) => encodeModel(model).bytes;

/** The model's answer in float64, by the plain meaning of every op. */
function exactAnswer({ graph, opsetImports, functions }, image) {
  const outputs = interpret(graph, opsetImports, ops, new Map([["input", image]]), {
    functions,
    float64: true,
  });
  const [{ data }] = outputs.values();
  return new Uint8Array(Float64Array.from(data).buffer);
}

/** The quantized AdderNet, and what its own file means exactly: on codes a deep network of random weights strays far from floats. */
async function quantizedFiles(model, samples, image) {
  const files = await quantizeAdder(model, samples);
  const bytes = files["adder int8.onnx"];
  return bytes ? { ...files, "adder int8.exact": exactAnswer(decodeModel(bytes), image) } : files;
}

/** Contents of all files of a network, by name. */
async function makeFiles(name) {
  const { adder, cnn } = await buildTwins(name);
  const [image, samples] = [imageFor(name), samplesFor(name)];
  const folded = cloneModel(cnn.model);
  optimise(folded, { ops });
  const { model, bytes } = await convert(adder.model, { check: false });
  const quantizedCnns = await quantizeCnn(folded, samples);
  return {
    "adder.onnx": bytes,
    ...(await quantizedFiles(model, samples, image)),
    "adder.exact": exactAnswer(model, image),
    "exported.onnx": bytesOf(asExported(adder.model, image)),
    "cnn.onnx": bytesOf(cnn.model),
    "cnn.exact": exactAnswer(folded, image),
    ...Object.fromEntries(quantizedCnns.map(({ form, model }) => [`cnn ${form}.onnx`, bytesOf(model)])),
    "activations.json": JSON.stringify({ adder: adder.activations, cnn: cnn.activations }),
  };
}

/** The folder with a network's files; they are made when the cache has none. */
export async function prepareModels(name) {
  const folder = join(root, ".cache", "bench", cacheKey(), name);
  if (existsSync(folder)) return folder;
  const pending = `${folder}.pending-${process.pid}`;
  mkdirSync(pending, { recursive: true });
  for (const [file, contents] of Object.entries(await makeFiles(name)))
    writeFileSync(join(pending, file), contents);
  renameSync(pending, folder);
  return folder;
}
