// The one memory of a session: a first-fit allocator over a growing WebAssembly memory, and its parts for memories that are not ours.

import { AdderNetError } from "../src/core/errors.ts";

const pageBytes = 65536;
const largestPages = 65536;
const smallestReserve = 4096;
const alignment = 64;
/** Kept free at both ends of the memory: kernels read whole vectors beyond their operands. */
export const margin = 512;

export interface Span {
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

export const blockSize = (bytes: number): number =>
  Math.max(alignment, Math.ceil(bytes / alignment) * alignment);

/** A shared memory reserves its maximum at once, and some hosts have less room than others. */
function makeSharedMemory(most: number): WebAssembly.Memory {
  for (let maximum = most; maximum > smallestReserve; maximum = Math.ceil(maximum / 2)) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared: true });
    } catch {}
  }
  return new WebAssembly.Memory({ initial: 1, maximum: Math.min(most, smallestReserve), shared: true });
}

/** Adds a span to free ones in the order of their addresses, joined with its neighbours. */
export function insertSpan(free: Span[], span: Span): void {
  free.push(span);
  free.sort((a, b) => a.start - b.start);
  for (let index = free.length - 1; index > 0; index--) {
    const [left, right] = [free[index - 1]!, free[index]!];
    if (left.end === right.start) free.splice(index - 1, 2, { start: left.start, end: right.end });
  }
}

/** Blocks out of free spans, the first that has room; `grow` adds a span of that many bytes where none has. */
export function makeBlocks(free: Span[], grow: (size: number) => void): Omit<Arena, "memory"> {
  const used = new Map<number, number>();
  return {
    allocate(bytes) {
      const size = blockSize(bytes);
      const firstFit = () => free.findIndex(({ start, end }) => end - start >= size);
      if (firstFit() < 0) grow(size);
      const index = firstFit();
      const { start, end } = free[index]!;
      free.splice(index, 1, ...(end - start > size ? [{ start: start + size, end }] : []));
      used.set(start, size);
      return start;
    },
    shrink(address, bytes) {
      const before = used.get(address);
      const size = blockSize(bytes);
      if (before === undefined || size >= before) return;
      used.set(address, size);
      insertSpan(free, { start: address + size, end: address + before });
    },
    release(address) {
      const size = used.get(address);
      if (size === undefined) return;
      used.delete(address);
      insertSpan(free, { start: address, end: address + size });
    },
    usedBytes: () => [...used.values()].reduce((sum, size) => sum + size, 0),
  };
}

/** A memory of at most `limit` bytes with an allocator. Address 0 is never handed out: kernels read it as "none". */
export function makeArena(isShared = false, limit = Number.POSITIVE_INFINITY): Arena {
  const maximum = Math.min(largestPages, Math.floor(limit / pageBytes));
  const memory = isShared ? makeSharedMemory(maximum) : new WebAssembly.Memory({ initial: 1, maximum });
  const free: Span[] = [{ start: margin, end: pageBytes - margin }];

  function grow(size: number): void {
    const before = memory.buffer.byteLength;
    const last = free.at(-1);
    const atEnd = last?.end === before - margin ? last.end - last.start : 0;
    const pages = Math.ceil((size - atEnd) / pageBytes);
    try {
      memory.grow(pages);
    } catch (cause) {
      throw new AdderNetError("ADN_LIMIT", `no memory for ${size - atEnd} more bytes`, {
        found: `${before} bytes in use`,
        fix: "use a smaller batch or input, or raise the session's memory if it was limited",
        cause,
      });
    }
    insertSpan(free, { start: before - margin, end: before + pages * pageBytes - margin });
  }
  return { memory, ...makeBlocks(free, grow) };
}
