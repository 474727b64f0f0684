// A kernel under test: its own memory, operands between canaries, outputs that start as NaN or, in bytes, as garbage.

import { type Kernels, loadKernels, type SimdLevel } from "../../custom-ops/kernels/load.ts";
import { type KernelName, kernelTable, type ParamOf } from "../../custom-ops/kernels/table.ts";

const canary = 0xc0ffee11;
const canaryBytes = 64;
/** Kernels may read that far beyond an operand. */
const margin = 512;
const garbage = 0xa5;

interface Block {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
}

export interface KernelRig {
  readonly kernels: Kernels;
  /** Copies numbers in; the kernel must not change them. Answers their address. */
  floats(name: string, values: ArrayLike<number>): number;
  words(name: string, values: ArrayLike<number>): number;
  bytes(name: string, values: ArrayLike<number>): number;
  /** Room for `count` floats, all NaN. */
  output(name: string, count: number): number;
  /** Room for `count` bytes, all garbage. */
  byteOutput(name: string, count: number): number;
  /** Puts numbers where an output is, for kernels that may work in place. */
  write(address: number, values: ArrayLike<number>): void;
  scratch(bytes: number): number;
  read(address: number, count: number): Float32Array;
  readIntegers(address: number, count: number): Int32Array;
  readBytes(address: number, count: number): Uint8Array;
  call<K extends KernelName>(kernel: K, args: Record<ParamOf<K>, number>): void;
  /** Names of blocks whose surroundings, or inputs whose contents, changed. */
  damage(): string[];
}

export async function makeRig(level: SimdLevel, pages = 64): Promise<KernelRig> {
  const memory = new WebAssembly.Memory({ initial: pages });
  const kernels = await loadKernels(level, memory);
  const bytes = new Uint8Array(memory.buffer);
  const blocks: Block[] = [];
  const originals = new Map<Block, Uint8Array>();
  new Uint32Array(memory.buffer).fill(canary);
  const untouched = bytes.slice(0, 4);
  let top = margin;

  function reserve(name: string, count: number): Block {
    const block = { name, address: top, bytes: count };
    top = Math.ceil((top + count + canaryBytes) / 16) * 16;
    if (top + margin > bytes.length) throw new Error(`the rig is too small for ${name}`);
    blocks.push(block);
    return block;
  }
  function keep(name: string, values: Uint8Array): number {
    const block = reserve(name, values.length);
    bytes.set(values, block.address);
    originals.set(block, values);
    return block.address;
  }
  const isCanary = (address: number): boolean => bytes[address] === untouched[address % 4];
  function isIntact({ address, bytes: count }: Block): boolean {
    for (let i = 1; i <= canaryBytes; i++) {
      // The block before may end there.
      const isFree = !blocks.some(
        (other) => other.address <= address - i && address - i < other.address + other.bytes,
      );
      if ((isFree && !isCanary(address - i)) || !isCanary(address + count - 1 + i)) return false;
    }
    return true;
  }
  function isUnchanged(block: Block): boolean {
    return originals.get(block)?.every((byte, index) => bytes[block.address + index] === byte) ?? true;
  }

  return {
    kernels,
    floats: (name, values) => keep(name, new Uint8Array(Float32Array.from(values).buffer)),
    words: (name, values) => keep(name, new Uint8Array(Uint32Array.from(values).buffer)),
    bytes: (name, values) => keep(name, Uint8Array.from(values)),
    output(name, count) {
      const { address } = reserve(name, count * 4);
      new Float32Array(memory.buffer, address, count).fill(Number.NaN);
      return address;
    },
    byteOutput(name, count) {
      const { address } = reserve(name, count);
      bytes.fill(garbage, address, address + count);
      return address;
    },
    write: (address, values) => new Float32Array(memory.buffer).set(Float32Array.from(values), address / 4),
    scratch: (count) => reserve("scratch", count).address,
    read: (address, count) => new Float32Array(memory.buffer.slice(address, address + count * 4)),
    readIntegers: (address, count) => new Int32Array(memory.buffer.slice(address, address + count * 4)),
    readBytes: (address, count) => bytes.slice(address, address + count),
    call(kernel, args) {
      const values = kernelTable[kernel].map((param) => (args as Record<string, number>)[param]!);
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
