// Bundles what profiles a model on a machine with Node alone, and writes it as text in a TypeScript module.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "src", "cli", "profile");
const { outputFiles } = await build({
  entryPoints: [join(folder, "board.ts")],
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  platform: "node",
  target: "node20",
  legalComments: "none",
});
const source = JSON.stringify(outputFiles[0].text.trim());
await mkdir(join(folder, "generated"), { recursive: true });
await writeFile(
  join(folder, "generated", "board.ts"),
  `// Written by scripts/build-board.mjs.\n\nexport const boardCode: string =\n  ${source};\n`,
);
console.log(`board: ${source.length} characters`);
