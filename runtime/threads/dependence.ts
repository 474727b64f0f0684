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
function accessOf({ kernel, args }: Call, buffers: Buffers): Access {
  const params: readonly string[] = kernelTable[kernel];
  const y = args[params.indexOf("y")] as ArenaAddress;
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

/** What happened in a place so far, as numbers of calls. */
interface History {
  readonly readers: number[];
  /** By offset, the last call that wrote there. */
  readonly writers: Map<number, number>;
}

/**
 * The calls of a step as chains. Calls of different chains need nothing of each other, provided that every chain has its own copy
 * of the buffers that only this step needs.
 */
export function chainsOf(calls: readonly Call[], buffers: Buffers): Call[][] {
  const { groupOf, join } = makeGroups(calls.length);
  const histories = new Map<number, History>();
  function historyOf(place: number): History {
    const history = histories.get(place) ?? { readers: [], writers: new Map() };
    histories.set(place, history);
    return history;
  }
  for (const [index, call] of calls.entries()) {
    const { kernel, place, offset, reads, isInPlace } = accessOf(call, buffers);
    for (const other of reads) {
      const { readers, writers } = historyOf(other);
      for (const writer of writers.values()) join(writer, index);
      readers.push(index);
    }
    const { readers, writers } = historyOf(place);
    const hasCopies = place < 0;
    for (const [at, writer] of writers) {
      const isSame = calls[writer]!.kernel === kernel;
      // Of its own copy a chain needs what it reads, and what another kernel wrote around what is written now.
      if (hasCopies ? isInPlace || !isSame : at === offset || !isSame) join(writer, index);
    }
    if (!hasCopies) for (const reader of readers) join(reader, index);
    writers.set(offset, index);
  }
  const chains = new Map<number, Call[]>();
  for (const [index, call] of calls.entries()) {
    const chain = chains.get(groupOf(index));
    if (chain === undefined) chains.set(groupOf(index), [call]);
    else chain.push(call);
  }
  return [...chains.values()];
}
