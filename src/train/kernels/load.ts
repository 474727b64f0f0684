// The kernels of training as callable functions over a given memory.

import { AdderNetError } from "../../core/errors.ts";
import { inflateBase64, sharingMemory } from "../../core/wasm-binary.ts";
import { lengths, packed } from "./generated/binaries.ts";

/** The module, for shared memories or for one of its own thread. Errors: ADN_WASM. */
export async function compileKernels(isShared: boolean): Promise<WebAssembly.Module> {
  if (typeof WebAssembly !== "object") throw new AdderNetError("ADN_WASM", "this engine has no WebAssembly");
  try {
    const bytes = inflateBase64(packed, lengths.simd);
    return await WebAssembly.compile(isShared ? sharingMemory(bytes) : bytes);
  } catch (cause) {
    throw new AdderNetError("ADN_WASM", "the kernels of training could not be compiled", {
      fix: "training needs an engine with SIMD: Node 20, or a browser since 2023",
      cause,
    });
  }
}
