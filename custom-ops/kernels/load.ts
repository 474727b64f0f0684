// Kernels as callable functions: chooses the best binary this engine can run and instantiates it over a given memory.

import { AdderNetError } from "../../src/core/errors.ts";
import { inflateBase64, isSharedMemory, sharingMemory } from "../../src/core/wasm-binary.ts";
import { lengths, packed } from "./generated/binaries.ts";
import type { KernelName } from "./table.ts";

/** Instruction sets, the most demanding first. */
export const simdLevels = ["simd", "scalar"] as const satisfies readonly (keyof typeof lengths)[];
export type SimdLevel = (typeof simdLevels)[number];

/** Arguments are numbers in the order of the table's `params`. */
export type Kernels = { readonly [K in KernelName]: (...args: number[]) => void };

/** The module of an instruction set; the scalar one lies first. */
export function binaryOf(level: SimdLevel): Uint8Array<ArrayBuffer> {
  const { scalar, simd } = lengths;
  return level === "scalar"
    ? inflateBase64(packed, scalar)
    : inflateBase64(packed, scalar + simd).subarray(scalar);
}

/** The start of a module with one function of no parameters and no results, whose body is still to come. */
const emptyModule = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0];
/** Small modules that are valid where a binary is: for SIMD one that drops a vector constant. */
const probes: Record<SimdLevel, readonly number[]> = {
  simd: [...emptyModule, 10, 23, 1, 21, 0, 0xfd, 0x0c, ...new Array<number>(16).fill(0), 0x1a, 0x0b],
  scalar: [...emptyModule, 10, 4, 1, 2, 0, 0x0b],
};

const compiled = new Map<string, Promise<WebAssembly.Module>>();

function requireWebAssembly(): void {
  if (typeof WebAssembly === "object") return;
  throw new AdderNetError("ADN_WASM", "this engine has no WebAssembly", {
    fix: "use a current browser or Node",
  });
}

/** Whether this engine can run a binary. */
export function isLevelAvailable(level: SimdLevel): boolean {
  requireWebAssembly();
  return WebAssembly.validate(Uint8Array.from(probes[level]));
}

/** The wanted binary, or the best one available for "auto". Throws ADN_WASM when the wanted one cannot run here. */
export function chooseLevel(wanted: SimdLevel | "auto"): SimdLevel {
  const level = wanted === "auto" ? simdLevels.find(isLevelAvailable) : wanted;
  if (level !== undefined && isLevelAvailable(level)) return level;
  throw new AdderNetError("ADN_WASM", `the ${level} kernels do not run on this engine`, {
    fix: 'use simd: "auto"',
  });
}

/** A binary for shared memories or for a memory of its own thread, compiled once per process. */
export function compileKernels(level: SimdLevel, isShared: boolean): Promise<WebAssembly.Module> {
  const key = `${level} ${isShared ? "shared" : "own"}`;
  let module = compiled.get(key);
  if (module === undefined) {
    const bytes = binaryOf(level);
    module = WebAssembly.compile(isShared ? sharingMemory(bytes) : bytes);
    compiled.set(key, module);
    module.catch(() => compiled.delete(key));
  }
  return module;
}

/** The kernels of a binary over `memory`. */
export async function loadKernels(level: SimdLevel, memory: WebAssembly.Memory): Promise<Kernels> {
  try {
    const module = await compileKernels(level, isSharedMemory(memory));
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    return exports as unknown as Kernels;
  } catch (cause) {
    throw new AdderNetError("ADN_WASM", `the ${level} kernels could not be started`, { cause });
  }
}
