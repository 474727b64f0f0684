// Compiles the kernels to one WebAssembly module per instruction set and writes all of them to one TypeScript module, deflated
// together and in base64, so that nothing has to be fetched at run time. What they have in common is stored once. Then the
// worker that runs them on further threads.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import asc from "assemblyscript/asc";

const kernels = join(dirname(fileURLToPath(import.meta.url)), "..", "custom-ops", "kernels");
const source = join("assembly", "index.ts");
const common = ["-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--noExportMemory"];
const levels = { scalar: ["--disable", "simd"], simd: ["--enable", "simd"] };

async function compile(level, flags) {
  const binary = `${level}.wasm`;
  let bytes;
  const { error, stderr } = await asc.main(
    [source, "--baseDir", kernels, "--outFile", binary, ...common, ...flags],
    {
      writeFile: (name, contents) => {
        if (name === binary) bytes = contents;
      },
    },
  );
  if (error) throw new Error(`${level} kernels do not compile:\n${stderr.toString()}`);
  return bytes;
}

const binaries = [];
for (const [level, flags] of Object.entries(levels)) {
  const bytes = await compile(level, flags);
  binaries.push({ level, bytes });
  console.log(`${level} kernels: ${bytes.length} bytes`);
}
const all = Buffer.concat(binaries.map(({ bytes }) => bytes));
const attempts = [4, 5, 6, 7, 8, 9].map((memLevel) => deflateRawSync(all, { level: 9, memLevel }));
const packed = attempts.sort((a, b) => a.length - b.length)[0].toString("base64");
const lengths = binaries.map(({ level, bytes }) => `  ${level}: ${bytes.length},\n`).join("");
await rm(join(kernels, "generated"), { recursive: true, force: true });
await mkdir(join(kernels, "generated"), { recursive: true });
await writeFile(
  join(kernels, "generated", "binaries.ts"),
  `// Written by scripts/build-kernels.mjs.

/** Bytes of each module, in the order in which they lie. */
export const lengths = {
${lengths}} as const;

/** All modules, deflated, in base64. */
export const packed =
  "${packed}";
`,
);
console.log(`packed: ${packed.length} characters`);

await import("./build-worker.mjs");
