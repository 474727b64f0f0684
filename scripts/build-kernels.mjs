// Compiles the kernels to one WebAssembly module per instruction set and writes all of them to one TypeScript module, deflated
// together and in base64, so that nothing has to be fetched at run time. What they have in common is stored once. Then the
// module that unpacks them, and the workers that run them on further threads.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import asc from "assemblyscript/asc";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const common = ["--noAssert", "--runtime", "stub", "--importMemory", "--noExportMemory"];
const levels = { scalar: ["--disable", "simd"], simd: ["--enable", "simd"] };
/**
 * Where kernels are, and the instruction sets each is compiled for: the smaller binary in front, because deflate looks back 32 KB. Those
 * of training are apart: who only runs models does not carry them. Adderize takes two of them.
 */
const families = [
  { kernels: join(root, "custom-ops", "kernels"), names: ["scalar", "simd"] },
  { kernels: join(root, "src", "train", "kernels"), names: ["simd"] },
  { kernels: join(root, "converter", "adderize", "kernels"), names: ["simd"] },
];

async function compile(folder, source, flags) {
  const binary = "module.wasm";
  let bytes;
  const { error, stderr } = await asc.main(
    [
      relative(root, join(folder, "assembly", source)),
      "--baseDir",
      root,
      "--outFile",
      binary,
      ...common,
      ...flags,
    ],
    {
      writeFile: (name, contents) => {
        if (name === binary) bytes = contents;
      },
    },
  );
  if (error) throw new Error(`${source} of ${folder} does not compile:\n${stderr.toString()}`);
  return bytes;
}

/** The smallest of what deflate makes with more or less memory. */
function pack(bytes) {
  const attempts = [4, 5, 6, 7, 8, 9].map((memLevel) => deflateRawSync(bytes, { level: 9, memLevel }));
  return attempts.sort((a, b) => a.length - b.length)[0].toString("base64");
}

async function writeGenerated(folder, file, text) {
  const generated = join(folder, "generated");
  await rm(generated, { recursive: true, force: true });
  await mkdir(generated, { recursive: true });
  await writeFile(join(generated, file), `// Written by scripts/build-kernels.mjs.\n\n${text}`);
}

for (const { kernels, names } of families) {
  const binaries = [];
  for (const level of names) {
    const bytes = await compile(kernels, "index.ts", ["-O3s", ...levels[level]]);
    binaries.push({ level, bytes });
    console.log(`${relative(root, kernels)}, ${level}: ${bytes.length} bytes`);
  }
  const packed = pack(Buffer.concat(binaries.map(({ bytes }) => bytes)));
  const lengths = binaries.map(({ level, bytes }) => `  ${level}: ${bytes.length},\n`).join("");
  await writeGenerated(
    kernels,
    "binaries.ts",
    `/** Bytes of each module, in the order in which they lie. */
export const lengths = {
${lengths}} as const;

/** All modules, deflated, in base64. */
export const packed =
  "${packed}";
`,
  );
  console.log(`packed: ${packed.length} characters`);
}

const core = join(root, "src", "core");
const unpacker = Buffer.from(await compile(core, "inflate.ts", ["-O3z"]));
await writeGenerated(
  core,
  "unpacker.ts",
  `/** The module that unpacks others, in base64. */
export const unpacker =
  "${unpacker.toString("base64")}";
`,
);
console.log(`unpacker: ${unpacker.length} bytes`);

const native = join(root, "src", "ort", "native");
const seen = Buffer.from(await compile(native, "seen.ts", ["-O3", ...levels.scalar]));
await writeGenerated(
  native,
  "seen.ts",
  `/** The binary of seen.ts, in base64. */
export const seenBinary =
  "${seen.toString("base64")}";
`,
);

await import("./build-worker.mjs");
