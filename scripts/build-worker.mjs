// Bundles what workers run and writes each as text in a TypeScript module: it travels inside the JavaScript, like the kernels.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
for (const parts of [
  ["runtime", "threads"],
  ["src", "train", "threads"],
]) {
  const folder = join(root, ...parts);
  const { outputFiles } = await build({
    entryPoints: [join(folder, "worker.ts")],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2022",
  });
  const source = JSON.stringify(outputFiles[0].text.trim());
  await mkdir(join(folder, "generated"), { recursive: true });
  await writeFile(
    join(folder, "generated", "worker.ts"),
    `// Written by scripts/build-worker.mjs.\n\nexport const workerSource =\n  ${source};\n`,
  );
  console.log(`worker of ${parts.join("/")}: ${source.length} characters`);
}
