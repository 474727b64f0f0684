// The table of kernels against the binaries: same names, same number of parameters, no data, memory as the only import.

import { inflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { scalarKernels } from "../../custom-ops/kernels/generated/scalar.ts";
import { simdKernels } from "../../custom-ops/kernels/generated/simd.ts";
import { chooseLevel, isLevelAvailable, loadKernels, simdLevels } from "../../custom-ops/kernels/load.ts";
import { kernelNames, kernelTable } from "../../custom-ops/kernels/table.ts";

const binaries = { scalar: scalarKernels, simd: simdKernels };
const moduleOf = (level: keyof typeof binaries) =>
  new WebAssembly.Module(inflateRawSync(Buffer.from(binaries[level], "base64")));

describe.each(Object.keys(binaries) as (keyof typeof binaries)[])("%s", (level) => {
  it("exports exactly the rows of the table", () => {
    const exported = WebAssembly.Module.exports(moduleOf(level)).map(({ name }) => name);
    expect(exported.sort()).toEqual([...kernelNames].sort());
  });

  it("takes as many arguments as the table says", async () => {
    const kernels = await loadKernels(level, new WebAssembly.Memory({ initial: 1 }));
    for (const name of kernelNames) {
      expect(kernels[name].length, name).toBe(kernelTable[name].length);
    }
  });

  it("imports memory only and leaves it untouched", async () => {
    expect(WebAssembly.Module.imports(moduleOf(level))).toEqual([
      { module: "env", name: "memory", kind: "memory" },
    ]);
    const memory = new WebAssembly.Memory({ initial: 1 });
    await loadKernels(level, memory);
    expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
  });
});

it("what decides about a binary decides as its own validation does", () => {
  for (const level of simdLevels) {
    const bytes = inflateRawSync(Buffer.from(binaries[level], "base64"));
    expect(isLevelAvailable(level), level).toBe(WebAssembly.validate(bytes));
  }
});

/** A function of type () -> () whose body is `code`, in a module of its own. */
function moduleWithCode(code: number[]): Uint8Array<ArrayBuffer> {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0];
  return Uint8Array.from([...header, 10, code.length + 4, 1, code.length + 2, 0, ...code, 0x0b]);
}

it("the levels are those this engine supports, best first", () => {
  const hasSimd = WebAssembly.validate(moduleWithCode([0xfd, 0x0c, ...new Array<number>(16).fill(0), 0x1a]));
  expect(simdLevels.at(-1)).toBe("scalar");
  expect(chooseLevel("auto")).toBe(hasSimd ? "simd" : "scalar");
  expect(chooseLevel("scalar")).toBe("scalar");
});
