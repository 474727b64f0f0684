// Compiles the kernels to one WebAssembly module per instruction set and writes each as base64 in a TypeScript module, so that
// nothing has to be fetched at run time.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
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

async function writeModule(level, bytes) {
  const folder = join(kernels, "generated");
  await mkdir(folder, { recursive: true });
  const text = `// Written by scripts/build-kernels.mjs.\nexport const ${level}Kernels =\n  "${Buffer.from(bytes).toString("base64")}";\n`;
  await writeFile(join(folder, `${level}.ts`), text);
  console.log(`${level} kernels: ${bytes.length} bytes`);
}

await rm(join(kernels, "generated"), { recursive: true, force: true });
for (const [level, flags] of Object.entries(levels)) await writeModule(level, await compile(level, flags));
