// Builds the demo into a folder that any static server can serve: scripts, styles, the digit network, digits, onnxruntime's wasm.

import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { convert } from "addernet/converter";
import { build } from "esbuild";
import { readNpy } from "../node/npy.mjs";

const here = import.meta.dirname;
const root = join(here, "../..");
const lenet = join(root, "test/fixtures/lenet5bn");

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
  const files = await readdir(folder);
  await build({
    entryPoints: [join(here, "service-worker.js")],
    outdir: folder,
    minify: true,
    define: { BUILT_FILES: JSON.stringify(files) },
    logLevel: "warning",
  });
}

async function writeDigits(folder) {
  const exported = new Uint8Array(await readFile(join(lenet, "lenet5bn.inlined.onnx")));
  const { bytes } = await convert(exported);
  const { data } = await readNpy(new URL("../../test/fixtures/lenet5bn/digits.npy", import.meta.url));
  await writeFile(join(folder, "lenet5bn.onnx"), exported);
  await writeFile(join(folder, "digits.onnx"), bytes);
  await writeFile(join(folder, "digits.u8"), data);
}

/** Makes `folder` anew. */
export async function buildDemo(folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await bundle(folder);
  await writeDigits(folder);
  for (const name of ["index.html", "style.css"]) await copyFile(join(here, name), join(folder, name));
  const wasm = "ort-wasm-simd-threaded.wasm";
  await copyFile(join(root, "node_modules/onnxruntime-web/dist", wasm), join(folder, wasm));
  await writeServiceWorker(folder);
}
