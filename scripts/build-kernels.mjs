// Compiles the kernels to one WebAssembly module per instruction set and writes each, deflated, as base64 in a TypeScript module, so
// that nothing has to be fetched at run time. Deflated here it shrinks further than base64 does on its way to a browser.

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

async function writeModule(level, bytes) {
  const folder = join(kernels, "generated");
  await mkdir(folder, { recursive: true });
  const packed = deflateRawSync(bytes, { level: 9 }).toString("base64");
  const text = `// Written by scripts/build-kernels.mjs.\nexport const ${level}Kernels =\n  "${packed}";\n`;
  await writeFile(join(folder, `${level}.ts`), text);
  console.log(`${level} kernels: ${bytes.length} bytes, ${packed.length} packed`);
}

await rm(join(kernels, "generated"), { recursive: true, force: true });
for (const [level, flags] of Object.entries(levels)) await writeModule(level, await compile(level, flags));
