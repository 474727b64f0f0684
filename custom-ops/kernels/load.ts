// Kernels as callable functions: chooses the best binary this engine can run and instantiates it over a given memory.

import { AdderNetError } from "../../src/core/errors.ts";
import { scalarKernels } from "./generated/scalar.ts";
import { simdKernels } from "./generated/simd.ts";
import type { KernelName } from "./table.ts";

/** Binaries from the most to the least demanding: deflated, in base64. */
const binaries = { simd: simdKernels, scalar: scalarKernels } as const;

export type SimdLevel = keyof typeof binaries;
export const simdLevels = Object.keys(binaries) as SimdLevel[];

/** Arguments are numbers in the order of the table's `params`. */
export type Kernels = { readonly [K in KernelName]: (...args: number[]) => void };

async function bytesOf(level: SimdLevel): Promise<ArrayBuffer> {
  const deflated = Uint8Array.from(atob(binaries[level]), (character) => character.charCodeAt(0));
  const inflated = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(inflated).arrayBuffer();
}

/** The start of a module with one function of no parameters and no results, whose body is still to come. */
const emptyModule = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0];
/** Small modules that are valid where a binary is: for SIMD one that drops a vector constant. */
const probes: Record<SimdLevel, readonly number[]> = {
  simd: [...emptyModule, 10, 23, 1, 21, 0, 0xfd, 0x0c, ...new Array<number>(16).fill(0), 0x1a, 0x0b],
  scalar: [...emptyModule, 10, 4, 1, 2, 0, 0x0b],
};

const compiled = new Map<SimdLevel, Promise<WebAssembly.Module>>();

function requireWebAssembly(): void {
  if (typeof WebAssembly === "object") return;
  throw new AdderNetError("ADN_WASM", "this JavaScript engine has no WebAssembly", {
    fix: "use a current browser or Node 20 or newer",
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
  throw new AdderNetError(
    "ADN_WASM",
    `the ${level ?? "WebAssembly"} kernels do not validate on this engine`,
    {
      fix: 'use simd: "auto" or a newer engine',
    },
  );
}

/** The kernels of a binary over `memory`; each binary is compiled once per process. */
export async function loadKernels(level: SimdLevel, memory: WebAssembly.Memory): Promise<Kernels> {
  let module = compiled.get(level);
  if (module === undefined) {
    module = bytesOf(level).then((bytes) => WebAssembly.compile(bytes));
    compiled.set(level, module);
  }
  try {
    const { exports } = await WebAssembly.instantiate(await module, { env: { memory } });
    return exports as unknown as Kernels;
  } catch (cause) {
    compiled.delete(level);
    throw new AdderNetError("ADN_WASM", `the ${level} kernels could not be started`, { cause });
  }
}
