// Compiles the kernels to one WebAssembly module per instruction set and writes all of them to one TypeScript module, deflated
// together and in base64, so that nothing has to be fetched at run time. What they have in common is stored once. Then the
// workers that run them on further threads.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import asc from "assemblyscript/asc";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const source = join("assembly", "index.ts");
const common = ["-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--noExportMemory"];
const levels = { scalar: ["--disable", "simd"], simd: ["--enable", "simd"] };
/** Where kernels are, and the instruction sets each is compiled for. Those of training are apart: who only runs models does not carry them. */
const families = [
  { kernels: join(root, "custom-ops", "kernels"), names: ["scalar", "simd"] },
  { kernels: join(root, "src", "train", "kernels"), names: ["simd"] },
];

async function compile(kernels, level) {
  const binary = `${level}.wasm`;
  let bytes;
  const { error, stderr } = await asc.main(
    [source, "--baseDir", kernels, "--outFile", binary, ...common, ...levels[level]],
    {
      writeFile: (name, contents) => {
        if (name === binary) bytes = contents;
      },
    },
  );
  if (error) throw new Error(`${level} kernels do not compile:\n${stderr.toString()}`);
  return bytes;
}

/** The smallest of what deflate makes with more or less memory. */
function pack(bytes) {
  const attempts = [4, 5, 6, 7, 8, 9].map((memLevel) => deflateRawSync(bytes, { level: 9, memLevel }));
  return attempts.sort((a, b) => a.length - b.length)[0].toString("base64");
}

for (const { kernels, names } of families) {
  const binaries = [];
  for (const level of names) {
    const bytes = await compile(kernels, level);
    binaries.push({ level, bytes });
    console.log(`${relative(root, kernels)}, ${level}: ${bytes.length} bytes`);
  }
  const packed = pack(Buffer.concat(binaries.map(({ bytes }) => bytes)));
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
}

await import("./build-worker.mjs");
