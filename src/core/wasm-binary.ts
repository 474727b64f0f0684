// WebAssembly binaries that travel inside the JavaScript: out of base64, and with their memory shared or not.

import { unpacker } from "./generated/unpacker.ts";

/** Writes base64 as bytes from an address on; answers where they end. */
function writeBase64(text: string, bytes: Uint8Array, address: number): number {
  const decoded = atob(text);
  for (let i = 0; i < decoded.length; i++) bytes[address + i] = decoded.charCodeAt(i);
  return address + decoded.length;
}

/** The unpacker keeps its tables below this address. */
const packedAt = 4096;

/**
 * The first `length` bytes of raw deflate data in base64, all blocks with codes of their own. Engines have streams for this, but
 * take longer to load them than this takes in all.
 */
export function inflateBase64(packed: string, length: number): Uint8Array<ArrayBuffer> {
  const pages = Math.ceil((packedAt + packed.length + length) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages });
  const bytes = new Uint8Array(memory.buffer);
  const at = writeBase64(packed, bytes, packedAt);
  const end = at + length;
  // The unpacker's own binary lies where its results will.
  const module = new WebAssembly.Module(bytes.slice(at, writeBase64(unpacker, bytes, at)));
  const { inflate } = new WebAssembly.Instance(module, { env: { memory } }).exports;
  (inflate as (from: number, to: number, end: number) => void)(packedAt, at, end);
  return bytes.slice(at, end);
}

/** How a binary declares its one import: one entry, env.memory, a memory without a maximum. */
const memoryImport = "\x01\x03env\x06memory\x02\x00";
/** No import begins later than this. */
const importReach = 4096;

/** The same binary with its memory declared as shared: flag 3, and behind the initial size the largest maximum. */
export function sharingMemory(binary: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const at = String.fromCharCode(...binary.subarray(0, importReach)).indexOf(memoryImport);
  const flag = at + memoryImport.length - 1;
  const maximum = [0x80, 0x80, 0x04];
  const shared = new Uint8Array(binary.length + maximum.length);
  shared.set(binary.subarray(0, flag + 2));
  shared[at - 1]! += maximum.length;
  shared[flag] = 3;
  shared.set(maximum, flag + 2);
  shared.set(binary.subarray(flag + 2), flag + 2 + maximum.length);
  return shared;
}

/** Whether other threads can use a memory too. */
export function isSharedMemory({ buffer }: WebAssembly.Memory): boolean {
  return (buffer[Symbol.toStringTag] as string) === "SharedArrayBuffer";
}
