// What can be told of an input by looking at it, cheaply against what a layer costs: kernels for x >= 0 are faster, and so are those for
// narrow codes.

import { isSharedMemory, sharingMemory } from "../../core/wasm-binary.ts";
import { seenBinary } from "./generated/seen.ts";

/** Looks at the bytes at an address. */
export interface RangeReader {
  /** Whether no float has its sign bit set. */
  isNotNegative(address: number, bytes: number): boolean;
  /** 2^n - 1: a bound of the codes, at least `before`. */
  mostCode(address: number, bytes: number, before: number): number;
}

const signBit = 0x80000000;
/** The highest bit of each of four codes: with one of them nothing more can be learned. */
const highBits = 0x80808080;

type SeenBits = (address: number, bytes: number, enough: number) => number;

export async function makeRangeReader(memory: WebAssembly.Memory): Promise<RangeReader> {
  const binary = Uint8Array.from(atob(seenBinary), (letter) => letter.charCodeAt(0));
  const module = isSharedMemory(memory) ? sharingMemory(binary) : binary;
  const { instance } = await WebAssembly.instantiate(module, { env: { memory } });
  const seenBits = instance.exports.seen_bits as SeenBits;
  return {
    isNotNegative: (address, bytes) => seenBits(address, bytes, signBit) >= 0,
    mostCode(address, bytes, before) {
      if (before >= 128) return 255;
      const words = seenBits(address, bytes, highBits);
      const bits = before | words | (words >>> 8) | (words >>> 16) | (words >>> 24) | 1;
      return 2 ** (32 - Math.clz32(bits & 255)) - 1;
    },
  };
}
