// A kernel under test: its own memory, operands between canary words, outputs that start as NaN.

import { type Kernels, loadKernels, type SimdLevel } from "../../custom-ops/kernels/load.ts";
import { type KernelName, kernelTable, type ParamOf } from "../../custom-ops/kernels/table.ts";

const canary = 0xc0ffee11;
const canaryWords = 16;

interface Block {
  readonly name: string;
  readonly address: number;
  readonly words: number;
  readonly isInput: boolean;
}

export interface KernelRig {
  readonly kernels: Kernels;
  /** Copies numbers in; the kernel must not change them. Answers their address. */
  floats(name: string, values: ArrayLike<number>): number;
  words(name: string, values: ArrayLike<number>): number;
  /** Room for `count` floats, all NaN. */
  output(name: string, count: number): number;
  /** Puts numbers where an output is, for kernels that may work in place. */
  write(address: number, values: ArrayLike<number>): void;
  scratch(bytes: number): number;
  read(address: number, count: number): Float32Array;
  call<K extends KernelName>(kernel: K, args: Record<ParamOf<K>, number>): void;
  /** Names of blocks whose surroundings, or inputs whose contents, changed. */
  damage(): string[];
}

export async function makeRig(level: SimdLevel, pages = 64): Promise<KernelRig> {
  const memory = new WebAssembly.Memory({ initial: pages });
  const kernels = await loadKernels(level, memory);
  const words = new Uint32Array(memory.buffer);
  const reals = new Float32Array(memory.buffer);
  const blocks: Block[] = [];
  const originals = new Map<Block, Uint32Array>();
  words.fill(canary);
  let top = canaryWords;

  function reserve(name: string, count: number, isInput: boolean): Block {
    const block = { name, address: top * 4, words: count, isInput };
    top += count + canaryWords;
    if (top > words.length) throw new Error(`the rig is too small for ${name}`);
    blocks.push(block);
    return block;
  }
  function keep(block: Block): number {
    originals.set(block, words.slice(block.address / 4, block.address / 4 + block.words));
    return block.address;
  }
  function isIntact({ address, words: count }: Block): boolean {
    const [first, end] = [address / 4, address / 4 + count];
    const around = [...words.subarray(first - canaryWords, first), ...words.subarray(end, end + canaryWords)];
    return around.every((word) => word === canary);
  }
  function isUnchanged(block: Block): boolean {
    const original = originals.get(block);
    return (
      original === undefined || original.every((word, index) => words[block.address / 4 + index] === word)
    );
  }

  return {
    kernels,
    floats(name, values) {
      const block = reserve(name, values.length, true);
      reals.set(Float32Array.from(values), block.address / 4);
      return keep(block);
    },
    words(name, values) {
      const block = reserve(name, values.length, true);
      words.set(Uint32Array.from(values), block.address / 4);
      return keep(block);
    },
    output(name, count) {
      const block = reserve(name, count, false);
      reals.fill(Number.NaN, block.address / 4, block.address / 4 + count);
      return block.address;
    },
    write: (address, values) => reals.set(Float32Array.from(values), address / 4),
    scratch: (bytes) => reserve("scratch", Math.ceil(bytes / 4), false).address,
    read: (address, count) => reals.slice(address / 4, address / 4 + count),
    call(kernel, args) {
      const values = kernelTable[kernel].params.map((param) => (args as Record<string, number>)[param]!);
      kernels[kernel](...values);
    },
    damage: () => blocks.filter((block) => !isIntact(block) || !isUnchanged(block)).map(({ name }) => name),
  };
}

/** Repeatable numbers in [0, 1). */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomFloats(random: () => number, count: number, low = -1, high = 1): Float32Array {
  return Float32Array.from({ length: count }, () => low + (high - low) * random());
}
