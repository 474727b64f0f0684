// Lists of live taps for the sparse kernels, made in the arena: weights of 0 add nothing to a sum of minima and are left out.

import type { Kernels } from "../custom-ops/kernels/load.ts";
import { kernelTable, listBytes, listScratchBytes } from "../custom-ops/kernels/table.ts";
import type { Arena } from "./arena.ts";
import { shareable } from "./geometry.ts";

/** What lists are made of: weights [channels][k], and where their taps lie. */
export interface ListSource {
  readonly weights: Float32Array | Uint8Array;
  readonly channels: number;
  readonly groups: number;
  /** Element of every tap from the start of its group's planes. */
  readonly offsets: Uint32Array;
  /** Elements between the planes of neighbouring groups. */
  readonly groupElements: number;
  /** Bounds the codes of x; for codes alone. */
  readonly mostCode?: number;
}

/** Output channels that one call of a kernel makes. */
export interface ListPart {
  readonly first: number;
  readonly count: number;
  /** Address of their lists. */
  readonly address: number;
}

export interface TapLists {
  readonly parts: readonly ListPart[];
  /** Sum of the weights' sizes, by channel. */
  readonly sums: Float64Array;
  /** Taps in lists. */
  readonly live: number;
}

/** Offsets of code lists have 24 bits. */
export const mostCodeElements = 2 ** 24;

/**
 * Taps at a time: their pixels stay in a first-level cache while all channels go through them, and sums of that many floats are
 * accurate. 64 pixels of codes take no more than 16 of floats.
 */
const spans = { f32_list_taps: 128, u8_list_taps: 576 } as const;
/** Lists are read for every block of pixels: they should stay in a second-level cache. */
const partBytes = 2 ** 18;
/** The sums of a block for that many channels fit beside its pixels. */
const mostChannels = 128;

/** First channels of parts as even as can be; a part has whole groups. About half of the taps are live. */
function partStarts({ channels, groups, offsets, mostCode }: ListSource): number[] {
  const channelBytes = (offsets.length * (mostCode === undefined ? 8 : 4)) / 2;
  const fitting = Math.max(1, Math.min(mostChannels, Math.floor(partBytes / Math.max(1, channelBytes))));
  const unit = groups === 1 ? 1 : channels / groups;
  const parts = shareable(Math.ceil(channels / unit / Math.max(1, Math.floor(fitting / unit))));
  const size = Math.ceil(channels / unit / parts) * unit;
  return Array.from({ length: Math.ceil(channels / size) }, (_, part) => part * size);
}

/** A place for values while something is made, released with all others. */
interface Workplace {
  readonly room: (bytes: number) => number;
  readonly place: (words: Float32Array | Uint8Array | Uint32Array) => number;
  readonly release: () => void;
}

function openWorkplace({ allocate, release, memory }: Arena): Workplace {
  const blocks: number[] = [];
  const room = (bytes: number): number => {
    const address = allocate(bytes);
    blocks.push(address);
    return address;
  };
  return {
    room,
    place({ buffer, byteOffset, byteLength }) {
      const address = room(byteLength);
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      new Uint8Array(memory.buffer, address, byteLength).set(bytes);
      return address;
    },
    release: () => blocks.forEach(release),
  };
}

/** Fills a block with lists; answers what is known of them and where they end. */
function fillBlock(
  source: ListSource,
  block: number,
  memory: WebAssembly.Memory,
  kernels: Kernels,
  { room, place }: Workplace,
): TapLists & { readonly end: number } {
  const { weights, channels, groups, offsets, groupElements, mostCode } = source;
  const kernel = mostCode === undefined ? "f32_list_taps" : "u8_list_taps";
  const [span, k] = [spans[kernel], offsets.length];
  const [from, taps, sums] = [place(weights), place(offsets), room(8 * channels)];
  const scratch = room(listScratchBytes(span));
  const starts = partStarts(source);
  const parts: ListPart[] = [];
  let [end, live] = [block, 0];
  for (const [index, first] of starts.entries()) {
    const count = (starts[index + 1] ?? channels) - first;
    parts.push({ first, count, address: end });
    const args: Readonly<Record<string, number | undefined>> = {
      ...{ w: from + first * k * weights.BYTES_PER_ELEMENT, offsets: taps, y: end, sums: sums + 8 * first },
      ...{ scratch, k, m: count, first, perGroup: channels / groups, groupElements, span, mostCode },
    };
    kernels[kernel](...kernelTable[kernel].map((name) => args[name]!));
    const answers = new Uint32Array(memory.buffer, scratch, 2);
    end = answers[0]!;
    live += answers[1]!;
  }
  return { parts, sums: new Float64Array(memory.buffer, sums, channels).slice(), live, end };
}

/** Makes lists in a block of the arena. */
export function makeLists(
  source: ListSource,
  arena: Arena,
  kernels: Kernels,
): { readonly block: number; readonly lists: TapLists } {
  const { channels, offsets, mostCode } = source;
  const isCodes = mostCode !== undefined;
  const span = isCodes ? spans.u8_list_taps : spans.f32_list_taps;
  // Each part starts with a word of its own.
  const block = arena.allocate(listBytes(offsets.length, channels, span, isCodes) + 4 * channels);
  const workplace = openWorkplace(arena);
  try {
    const { end, ...lists } = fillBlock(source, block, arena.memory, kernels, workplace);
    arena.shrink(block, end - block);
    return { block, lists };
  } catch (error) {
    arena.release(block);
    throw error;
  } finally {
    workplace.release();
  }
}
