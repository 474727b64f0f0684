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
function makeSharedMemory(): WebAssembly.Memory {
  for (let maximum = largestPages; maximum > smallestReserve; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared: true });
    } catch {}
  }
  return new WebAssembly.Memory({ initial: 1, maximum: smallestReserve, shared: true });
}

/** Free room between addresses, in their order. */
export interface FreeSpans {
  readonly spans: Span[];
  /** Adds a span, joined with its neighbours. */
  insert(span: Span): void;
  /** Start of `size` bytes out of the first span that has them. */
  take(size: number): number | undefined;
}

export function makeFreeSpans(): FreeSpans {
  const spans: Span[] = [];
  return {
    spans,
    insert(span) {
      spans.push(span);
      spans.sort((a, b) => a.start - b.start);
      for (let index = spans.length - 1; index > 0; index--) {
        const [left, right] = [spans[index - 1]!, spans[index]!];
        if (left.end !== right.start) continue;
        spans.splice(index - 1, 2, { start: left.start, end: right.end });
      }
    },
    take(size) {
      const index = spans.findIndex(({ start, end }) => end - start >= size);
      if (index < 0) return undefined;
      const { start, end } = spans[index]!;
      spans.splice(index, 1, ...(end - start > size ? [{ start: start + size, end }] : []));
      return start;
    },
  };
}

/** Blocks out of free spans; `grow` inserts a span with that many bytes where none has them. */
export function makeBlocks(
  free: FreeSpans,
  grow: (size: number) => void,
): Pick<Arena, "allocate" | "release" | "shrink" | "usedBytes"> {
  const used = new Map<number, number>();
  return {
    allocate(bytes) {
      const size = blockSize(bytes);
      let start = free.take(size);
      if (start === undefined) {
        grow(size);
        start = free.take(size)!;
      }
      used.set(start, size);
      return start;
    },
    shrink(address, bytes) {
      const before = used.get(address);
      const size = blockSize(bytes);
      if (before === undefined || size >= before) return;
      used.set(address, size);
      free.insert({ start: address + size, end: address + before });
    },
    release(address) {
      const size = used.get(address);
      if (size === undefined) return;
      used.delete(address);
      free.insert({ start: address, end: address + size });
    },
    usedBytes: () => [...used.values()].reduce((sum, size) => sum + size, 0),
  };
}

/** A memory with an allocator. Address 0 is never handed out: kernels read it as "none". */
export function makeArena(isShared = false): Arena {
  const memory = isShared
    ? makeSharedMemory()
    : new WebAssembly.Memory({ initial: 1, maximum: largestPages });
  const free = makeFreeSpans();
  free.insert({ start: margin, end: pageBytes - margin });

  function grow(size: number): void {
    const before = memory.buffer.byteLength;
    const last = free.spans.at(-1);
    const atEnd = last?.end === before - margin ? last.end - last.start : 0;
    const pages = Math.ceil((size - atEnd) / pageBytes);
    try {
      memory.grow(pages);
    } catch (cause) {
      throw new AdderNetError("ADN_LIMIT", `no memory for ${size - atEnd} more bytes`, {
        found: `${before} bytes in use`,
        fix: "use a smaller batch or input",
        cause,
      });
    }
    free.insert({ start: before - margin, end: before + pages * pageBytes - margin });
  }
  return { memory, ...makeBlocks(free, grow) };
}
