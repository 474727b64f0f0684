// The table of kernels against the binaries: same names, same number of parameters, no data, memory as the only import.

import { describe, expect, it } from "vitest";
import {
  binaryOf,
  chooseLevel,
  isLevelAvailable,
  loadKernels,
  type SimdLevel,
  simdLevels,
} from "../../custom-ops/kernels/load.ts";
import { kernelNames, kernelTable } from "../../custom-ops/kernels/table.ts";

const moduleOf = async (level: SimdLevel) => new WebAssembly.Module(await binaryOf(level));

describe.each(simdLevels)("%s", (level) => {
  it("exports exactly the rows of the table", async () => {
    const exported = WebAssembly.Module.exports(await moduleOf(level)).map(({ name }) => name);
    expect(exported.sort()).toEqual([...kernelNames].sort());
  });

  it("takes as many arguments as the table says", async () => {
    const kernels = await loadKernels(level, new WebAssembly.Memory({ initial: 1 }));
    for (const name of kernelNames) {
      expect(kernels[name].length, name).toBe(kernelTable[name].length);
    }
  });

  it("imports memory only and leaves it untouched", async () => {
    expect(WebAssembly.Module.imports(await moduleOf(level))).toEqual([
      { module: "env", name: "memory", kind: "memory" },
    ]);
    const memory = new WebAssembly.Memory({ initial: 1 });
    await loadKernels(level, memory);
    expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
  });
});

it("what decides about a binary decides as its own validation does", async () => {
  for (const level of simdLevels) {
    expect(isLevelAvailable(level), level).toBe(WebAssembly.validate(await binaryOf(level)));
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
