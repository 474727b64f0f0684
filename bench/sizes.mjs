// What a page has to load: our runtime bundled with its kernels, and onnxruntime-web.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const kilobytes = (bytes) => gzipSync(bytes, { level: 9 }).length / 1000;

/** Gzipped kilobytes of an entry, bundled and minified for a browser. */
async function bundleKilobytes(entry) {
  const { outputFiles } = await build({
    entryPoints: [join(root, "dist", entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    legalComments: "none",
  });
  return kilobytes(outputFiles[0].contents);
}

/** onnxruntime-web's smallest entry that runs models, with the WebAssembly file it fetches. */
function ortKilobytes() {
  const folder = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
  const files = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];
  return files.reduce((sum, file) => sum + kilobytes(readFileSync(join(folder, file))), 0);
}

export async function measureSizes() {
  return {
    "addernet/runtime": await bundleKilobytes("runtime/index.js"),
    "addernet/converter": await bundleKilobytes("converter/index.js"),
    "onnxruntime-web (wasm)": ortKilobytes(),
  };
}
