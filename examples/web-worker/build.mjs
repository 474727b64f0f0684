// Bundles the page and its worker into dist/, beside the converted model: any static server can carry that folder.

import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { convert } from "addernet/converter";
import { build } from "esbuild";
import { readNpy } from "../node/npy.mjs";

const here = import.meta.dirname;
const lenet = new URL("../../test/fixtures/lenet5bn/", import.meta.url);

/** Makes `folder` anew. */
export async function buildPage(folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: ["page.js", "worker.js"].map((name) => join(here, name)),
    outdir: folder,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    logLevel: "warning",
  });
  const { bytes } = await convert(new Uint8Array(await readFile(new URL("lenet5bn.inlined.onnx", lenet))));
  const { data } = await readNpy(new URL("digits.npy", lenet));
  await writeFile(join(folder, "digits.onnx"), bytes);
  await writeFile(join(folder, "digits.u8"), data);
  await copyFile(join(here, "index.html"), join(folder, "index.html"));
}

if (process.argv[1] === import.meta.filename) await buildPage(process.argv[2] ?? join(here, "dist"));
