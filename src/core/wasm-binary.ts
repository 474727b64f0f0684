// WebAssembly binaries that travel inside the JavaScript: out of base64, and with their memory shared or not.

/** The bytes of raw deflate data in base64; `length` is that of the bytes. */
export async function inflateBase64(packed: string, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const deflated = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const reader = new Blob([deflated])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"))
    .getReader();
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { value } = await reader.read();
    bytes.set(value!, at);
    at += value!.length;
  }
  return bytes;
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
