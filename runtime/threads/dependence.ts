// Which calls of a step need one another, read off the buffers they read and write. What lowerings promise for that:
// - a kernel's output is its argument y; what it reads at the address of y it reads only where it writes;
// - calls of one kernel that write one buffer at different addresses never write the same element;
// - a buffer that only one step needs holds, when it is read, what was written last by the kernels that wrote it.

import { type KernelName, kernelTable } from "../../custom-ops/kernels/table.ts";
import type { ArenaAddress, Argument, Call } from "../builder.ts";
import type { PlannedBuffer } from "../plan.ts";

type Buffers = readonly PlannedBuffer[];

/** Whether a buffer is needed by one step alone. */
export function isOwnBuffer({ first, last }: PlannedBuffer): boolean {
  return first === last;
}

const isAddress = (argument: Argument | undefined): argument is ArenaAddress => typeof argument === "object";

const offsetOf = ({ buffer, bytes }: ArenaAddress, buffers: Buffers): number =>
  buffers[buffer]!.offset + bytes;

/** Buffers that take one place in the arena are one. */
function placeOf({ buffer }: ArenaAddress, buffers: Buffers): number {
  const planned = buffers[buffer]!;
  return isOwnBuffer(planned) ? -1 - buffer : planned.offset;
}

/** Where a call writes, and how far on for the next image. */
export function outputOf({ kernel, args, strides }: Call): ArenaAddress & { readonly stride: number } {
  const params: readonly string[] = kernelTable[kernel];
  const index = params.indexOf("y");
  return { ...(args[index] as ArenaAddress), stride: strides?.[index] ?? 0 };
}

interface Access {
  readonly kernel: KernelName;
  /** Place and offset of the output. */
  readonly place: number;
  readonly offset: number;
  /** Places read, the output's own among them only when it is read elsewhere than where it is written. */
  readonly reads: readonly number[];
  readonly isInPlace: boolean;
}

/** A call's scratch is of no use to others, and left out. */
function accessOf(call: Call, buffers: Buffers): Access {
  const { kernel, args } = call;
  const params: readonly string[] = kernelTable[kernel];
  const y = outputOf(call);
  const offset = offsetOf(y, buffers);
  const operands = args.filter(
    (argument, index): argument is ArenaAddress =>
      isAddress(argument) && params[index] !== "scratch" && params[index] !== "y",
  );
  const elsewhere = operands.filter((operand) => offsetOf(operand, buffers) !== offset);
  return {
    kernel,
    place: placeOf(y, buffers),
    offset,
    reads: elsewhere.map((operand) => placeOf(operand, buffers)),
    isInPlace: elsewhere.length < operands.length,
  };
}

/** Runs of calls one after the other of which none needs another of the same run. */
export function independentRuns(calls: readonly Call[], buffers: Buffers): Call[][] {
  const runs: Call[][] = [];
  let reads = new Set<number>();
  let writes = new Map<number, { kernel: KernelName; offsets: Set<number> }>();
  for (const call of calls) {
    const { kernel, place, offset, reads: needed } = accessOf(call, buffers);
    const written = writes.get(place);
    const isFree = written === undefined || (written.kernel === kernel && !written.offsets.has(offset));
    if (runs.length > 0 && isFree && !reads.has(place) && !needed.some((other) => writes.has(other))) {
      runs.at(-1)!.push(call);
    } else {
      runs.push([call]);
      [reads, writes] = [new Set(), new Map()];
    }
    for (const other of needed) reads.add(other);
    const own = writes.get(place) ?? { kernel, offsets: new Set() };
    own.offsets.add(offset);
    writes.set(place, own);
  }
  return runs;
}

/** Numbers in groups that can be joined; a group is known by its smallest number. */
function makeGroups(count: number) {
  const parent = Array.from({ length: count }, (_, index) => index);
  function groupOf(index: number): number {
    let group = index;
    while (parent[group] !== group) {
      parent[group] = parent[parent[group]!]!;
      group = parent[group]!;
    }
    return group;
  }
  function join(a: number, b: number): void {
    const [left, right] = [groupOf(a), groupOf(b)];
    parent[Math.max(left, right)] = Math.min(left, right);
  }
  return { groupOf, join };
}

/** The calls of one kernel that were the last to write in a place, by offset, and whether they are known to be in one group. */
interface Writers {
  readonly last: Map<number, number>;
  isOneGroup: boolean;
}

/** What happened in a place so far, as numbers of calls. */
interface History {
  readonly writers: Map<KernelName, Writers>;
  /** Those since the last call that needed all of them, and that call. */
  readers: number[];
}

/**
 * The calls of a step as chains. Calls of different chains need nothing of each other, provided that every chain has its own copy
 * of the buffers that only this step needs.
 */
export function chainsOf(calls: readonly Call[], buffers: Buffers): Call[][] {
  const { groupOf, join } = makeGroups(calls.length);
  const histories = new Map<number, History>();
  function historyOf(place: number): History {
    const history = histories.get(place) ?? { writers: new Map(), readers: [] };
    histories.set(place, history);
    return history;
  }
  function joinAll(writers: Writers, call: number): void {
    for (const writer of writers.last.values()) {
      join(writer, call);
      if (writers.isOneGroup) return;
    }
    writers.isOneGroup = true;
  }
  function addWriter({ last, isOneGroup }: Writers, offset: number, call: number): Writers {
    const [other] = last.values();
    last.set(offset, call);
    const isOfGroup = isOneGroup && groupOf(other ?? call) === groupOf(call);
    return { last, isOneGroup: isOfGroup || last.size === 1 };
  }
  for (const [index, call] of calls.entries()) {
    const { kernel, place, offset, reads, isInPlace } = accessOf(call, buffers);
    for (const other of reads) {
      const { writers, readers } = historyOf(other);
      for (const some of writers.values()) joinAll(some, index);
      readers.push(index);
    }
    const history = historyOf(place);
    const hasCopies = place < 0;
    for (const [other, some] of history.writers) {
      // Of its own copy a chain needs what it reads, and what another kernel wrote around what is written now.
      if (other !== kernel || (hasCopies && isInPlace)) joinAll(some, index);
      else if (!hasCopies && some.last.has(offset)) join(some.last.get(offset)!, index);
      some.last.delete(offset);
    }
    if (!hasCopies && history.readers.length > 0) {
      for (const reader of history.readers) join(reader, index);
      history.readers = [index];
    }
    const own = history.writers.get(kernel) ?? { last: new Map(), isOneGroup: true };
    history.writers.set(kernel, addWriter(own, offset, index));
  }
  const chains = new Map<number, Call[]>();
  for (const [index, call] of calls.entries()) {
    const chain = chains.get(groupOf(index));
    if (chain === undefined) chains.set(groupOf(index), [call]);
    else chain.push(call);
  }
  return [...chains.values()];
}
