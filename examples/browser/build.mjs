// Builds the demo into a folder that any static server can serve: scripts, styles, the digit network, digits, onnxruntime's wasm.

import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { build } from "esbuild";
import { writeModels } from "./models.mjs";
import { samples } from "./samples.js";

const here = import.meta.dirname;
const root = join(here, "../..");

async function bundle(folder) {
  await build({
    absWorkingDir: root,
    entryPoints: ["main.js", "worker.js"].map((name) => join(here, name)),
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    logLevel: "warning",
  });
}

/** The last step: it names every file that is there. */
async function writeServiceWorker(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).split(sep).join("/"));
  await build({
    entryPoints: [join(here, "service-worker.js")],
    outdir: folder,
    minify: true,
    define: { BUILT_FILES: JSON.stringify(files) },
    logLevel: "warning",
  });
}

/** Pictures, and the trained network that classifies them. */
async function copyPhotos(folder) {
  await mkdir(join(folder, "samples"));
  for (const { file } of samples) await copyFile(join(here, "samples", file), join(folder, "samples", file));
  await copyFile(join(here, "resnet20.int8.onnx"), join(folder, "photos.onnx"));
}

/** Makes `folder` anew. */
export async function buildDemo(folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await bundle(folder);
  await writeModels(folder);
  await copyPhotos(folder);
  for (const name of ["index.html", "style.css"]) await copyFile(join(here, name), join(folder, name));
  const wasm = "ort-wasm-simd-threaded.wasm";
  await copyFile(join(root, "node_modules/onnxruntime-web/dist", wasm), join(folder, wasm));
  await writeServiceWorker(folder);
}
