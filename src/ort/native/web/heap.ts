// onnxruntime-web's own memory as the arena of our kernels: blocks out of large pieces that its allocator gives.

import {
  type Arena,
  blockSize,
  insertSpan,
  makeBlocks,
  margin,
  type Span,
} from "../../../../runtime/arena.ts";
import { AdderNetError } from "../../../core/errors.ts";
import { askOrt, type OrtHost } from "../ort-host.ts";

const pieceBytes = 2 ** 20;
const alignment = 64;

interface Piece extends Span {
  /** What the allocator gave. */
  readonly address: number;
}

/** An arena over memory of onnxruntime's; pieces with nothing in them go back. */
export function makeHeap(host: OrtHost, memory: WebAssembly.Memory): Arena {
  const allocator = askOrt(host, "GetAllocatorWithDefaultOptions");
  const pieces = new Set<Piece>();
  const free: Span[] = [];
  const blocks = makeBlocks(free, (size) => {
    const room = Math.max(size, pieceBytes);
    let address = 0;
    try {
      address = askOrt(host, "AllocatorAlloc", allocator, room + 2 * margin + alignment);
    } catch (cause) {
      throw new AdderNetError("ADN_LIMIT", `onnxruntime has no memory for ${room} more bytes`, { cause });
    }
    if (address === 0)
      throw new AdderNetError("ADN_LIMIT", `onnxruntime has no memory for ${room} more bytes`);
    const start = Math.ceil((address + margin) / alignment) * alignment;
    const piece = { address, start, end: start + blockSize(room) };
    pieces.add(piece);
    insertSpan(free, { start: piece.start, end: piece.end });
  });
  return {
    memory,
    ...blocks,
    release(address) {
      blocks.release(address);
      for (const piece of pieces) {
        const isEmpty = ({ start, end }: Span): boolean => start === piece.start && end === piece.end;
        const empty = free.findIndex(isEmpty);
        if (empty < 0) continue;
        free.splice(empty, 1);
        pieces.delete(piece);
        host.call("AllocatorFree", allocator, piece.address);
      }
    },
  };
}
