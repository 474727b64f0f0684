// The one memory of a session: a first-fit allocator over a growing WebAssembly memory.

import { AdderNetError } from "../src/core/errors.ts";

const pageBytes = 65536;
const largestPages = 65536;
const smallestReserve = 4096;
const alignment = 64;
/** Kept free at both ends of the memory: kernels read whole vectors beyond their operands. */
const margin = 512;

interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Arena {
  readonly memory: WebAssembly.Memory;
  /** Address of `bytes` free bytes, aligned to 64. Throws ADN_LIMIT when the memory cannot grow that far. */
  allocate(bytes: number): number;
  release(address: number): void;
  /** Gives back all but the first `bytes` of a block. */
  shrink(address: number, bytes: number): void;
  /** Bytes in use. */
  usedBytes(): number;
}

const blockSize = (bytes: number): number => Math.max(alignment, Math.ceil(bytes / alignment) * alignment);

/** A shared memory reserves its maximum at once, and some hosts have less room than others. */
function makeSharedMemory(): WebAssembly.Memory {
  for (let maximum = largestPages; maximum > smallestReserve; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared: true });
    } catch {}
  }
  return new WebAssembly.Memory({ initial: 1, maximum: smallestReserve, shared: true });
}

/** A memory with an allocator. Address 0 is never handed out: kernels read it as "none". */
export function makeArena(isShared = false): Arena {
  const memory = isShared
    ? makeSharedMemory()
    : new WebAssembly.Memory({ initial: 1, maximum: largestPages });
  const free: Span[] = [{ start: margin, end: pageBytes - margin }];
  const used = new Map<number, number>();

  function grow(bytes: number): void {
    const before = memory.buffer.byteLength;
    const pages = Math.ceil(bytes / pageBytes);
    try {
      memory.grow(pages);
    } catch (cause) {
      throw new AdderNetError("ADN_LIMIT", `no memory for ${bytes} more bytes`, {
        found: `${before} bytes in use`,
        fix: "use a smaller batch or input",
        cause,
      });
    }
    insert({ start: before - margin, end: before + pages * pageBytes - margin });
  }
  /** Adds a free span, joined with its neighbours. */
  function insert({ start, end }: Span): void {
    const at = free.findIndex((span) => span.start > start);
    const index = at < 0 ? free.length : at;
    const [left, right] = [free[index - 1], free[index]];
    const [joinsLeft, joinsRight] = [left?.end === start, right?.start === end];
    const joined = { start: joinsLeft ? left!.start : start, end: joinsRight ? right!.end : end };
    free.splice(index - (joinsLeft ? 1 : 0), (joinsLeft ? 1 : 0) + (joinsRight ? 1 : 0), joined);
  }
  function allocate(bytes: number): number {
    const size = blockSize(bytes);
    const index = free.findIndex(({ start, end }) => end - start >= size);
    if (index < 0) {
      const last = free.at(-1);
      const atEnd = last?.end === memory.buffer.byteLength - margin ? last.end - last.start : 0;
      grow(size - atEnd);
      return allocate(bytes);
    }
    const { start, end } = free[index]!;
    if (end - start === size) free.splice(index, 1);
    else free[index] = { start: start + size, end };
    used.set(start, size);
    return start;
  }
  return {
    memory,
    allocate,
    shrink(address, bytes) {
      const before = used.get(address);
      const size = blockSize(bytes);
      if (before === undefined || size >= before) return;
      used.set(address, size);
      insert({ start: address + size, end: address + before });
    },
    release(address) {
      const size = used.get(address);
      if (size === undefined) return;
      used.delete(address);
      insert({ start: address, end: address + size });
    },
    usedBytes: () => [...used.values()].reduce((sum, size) => sum + size, 0),
  };
}
