// The kernels of a fit as callable functions over a memory of their own.

import { AdderNetError } from "../../../src/core/errors.ts";
import { inflateBase64 } from "../../../src/core/wasm-binary.ts";
import { lengths, packed } from "./generated/binaries.ts";

/** Addresses and distances between rows are in bytes. */
export interface FitKernels {
  /** y[m][q] = -Σ_k |x[k][q] - w[m][k]| */
  adder(
    columns: number,
    w: number,
    bias: 0,
    y: number,
    m: number,
    k: number,
    q: number,
    columnRow: number,
    yRow: number,
  ): void;
  /** dw[m][k] += Σ_q sign(x[k][q] - w[m][k])·dy[m][q] */
  signWeightGradient(
    columns: number,
    dy: number,
    w: number,
    dw: number,
    m: number,
    k: number,
    q: number,
    columnRow: number,
    dyRow: number,
  ): void;
}

let compiled: Promise<WebAssembly.Module> | undefined;

async function compile(): Promise<WebAssembly.Module> {
  if (typeof WebAssembly !== "object") throw new AdderNetError("ADN_WASM", "this engine has no WebAssembly");
  try {
    return await WebAssembly.compile(inflateBase64(packed, lengths.simd));
  } catch (cause) {
    throw new AdderNetError("ADN_WASM", "the kernels that fit layers could not be compiled", {
      fix: "adderize needs an engine with SIMD: Node 20, or a browser since 2023",
      cause,
    });
  }
}

/** Errors: ADN_WASM. */
export async function loadFitKernels(memory: WebAssembly.Memory): Promise<FitKernels> {
  compiled ??= compile();
  const { exports } = await WebAssembly.instantiate(await compiled, { env: { memory } });
  return exports as unknown as FitKernels;
}
