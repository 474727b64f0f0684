// An arrangement in the memory: addresses for every thread, and what the other threads read.

import type { Kernels } from "../../custom-ops/kernels/load.ts";
import { kernelNames, kernelTable } from "../../custom-ops/kernels/table.ts";
import type { Call } from "../builder.ts";
import type { Plan } from "../plan.ts";
import type { Arrangement, Phase } from "./arrange.ts";

export interface LinkedCall {
  readonly kernel: (...args: number[]) => void;
  readonly args: readonly number[];
}

export interface LinkedPart {
  readonly calls: readonly LinkedCall[];
  /** The plan's step it belongs to. */
  readonly step: number;
}

export type LinkedTask = readonly LinkedPart[];

export interface LinkedPhase {
  readonly tasks: readonly LinkedTask[];
  /** Whether other threads take tasks of it too. */
  readonly isShared: boolean;
}

const alignment = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

/** Where every buffer is for a thread that is not the calling one: offsets of the copies, and what they take in all. */
interface Copies {
  /** By buffer, from the start of the thread's block. */
  readonly offsets: ReadonlyMap<number, number>;
  readonly bytes: number;
}

/** Buffers that a thread needs for itself in a phase: its own ones, and scratch. */
function ownBuffers({ tasks, own }: Phase): Set<number> {
  const all = new Set<number>();
  for (const { kernel, args } of tasks.flat().flatMap(({ calls }) => calls)) {
    for (const [index, argument] of args.entries()) {
      if (typeof argument === "number") continue;
      const isScratch = kernelTable[kernel][index] === "scratch";
      if (isScratch || own.has(argument.buffer)) all.add(argument.buffer);
    }
  }
  return all;
}

/** Copies of one step take the place of those of another; those of several steps lie to each other as in the plan. */
function copiesOf({ phases }: Arrangement, plan: Plan): Copies {
  const offsets = new Map<number, number>();
  let [most, end, step] = [0, 0, -1];
  for (const phase of phases.filter(({ isShared }) => isShared)) {
    const [first] = phase.tasks;
    const own = ownBuffers(phase);
    if (first!.length > 1) {
      const start = Math.min(...[...own].map((buffer) => plan.buffers[buffer]!.offset));
      for (const buffer of own) {
        const { offset, bytes } = plan.buffers[buffer]!;
        offsets.set(buffer, offset - start);
        most = Math.max(most, aligned(offset - start + bytes));
      }
      continue;
    }
    if (first![0]!.step !== step) end = 0;
    step = first![0]!.step;
    for (const buffer of own) {
      if (offsets.has(buffer)) continue;
      offsets.set(buffer, end);
      end += aligned(plan.buffers[buffer]!.bytes);
    }
    most = Math.max(most, end);
  }
  return { offsets, bytes: most };
}

/** Bytes that a plan's values take, with the copies of all threads but the calling one behind them. */
export function placedBytes(plan: Plan, arrangement: Arrangement): number {
  return plan.arenaBytes + (arrangement.threads - 1) * copiesOf(arrangement, plan).bytes;
}

type Resolve = (call: Call, phase: Phase) => number[];

/** Addresses as the calling thread sees them, for values that begin at `base`. */
function resolveAt({ buffers }: Plan, base: number): Resolve {
  return ({ args }) =>
    args.map((argument) =>
      typeof argument === "number" ? argument : base + buffers[argument.buffer]!.offset + argument.bytes,
    );
}

/** Addresses as another thread sees them, whose copies begin at `block`. */
function resolveWithCopies(plan: Plan, base: number, block: number, { offsets }: Copies): Resolve {
  const resolve = resolveAt(plan, base);
  return (call, phase) => {
    const addresses = resolve(call, phase);
    for (const [index, argument] of call.args.entries()) {
      if (typeof argument === "number") continue;
      const isScratch = kernelTable[call.kernel][index] === "scratch";
      if (isScratch || phase.own.has(argument.buffer))
        addresses[index] = block + offsets.get(argument.buffer)! + argument.bytes;
    }
    return addresses;
  };
}

/** What the calling thread does. */
export function linkPhases(
  { phases }: Arrangement,
  plan: Plan,
  base: number,
  kernels: Kernels,
): LinkedPhase[] {
  const resolve = resolveAt(plan, base);
  return phases.map((phase) => ({
    isShared: phase.isShared,
    tasks: phase.tasks.map((parts) =>
      parts.map(({ calls, step }) => ({
        step,
        calls: calls.map((call) => ({ kernel: kernels[call.kernel], args: resolve(call, phase) })),
      })),
    ),
  }));
}

/**
 * Phases as numbers: how many tasks, for each how many calls, for each the kernel's place in the table and its arguments. A phase
 * of the calling thread alone has no tasks.
 */
function encodePhases(phases: readonly Phase[], resolve: Resolve): Float64Array<ArrayBuffer> {
  const numbers: number[] = [];
  for (const phase of phases) {
    const tasks = phase.isShared ? phase.tasks : [];
    numbers.push(tasks.length);
    for (const parts of tasks) {
      const calls = parts.flatMap((part) => part.calls);
      numbers.push(calls.length);
      for (const call of calls) numbers.push(kernelNames.indexOf(call.kernel), ...resolve(call, phase));
    }
  }
  return Float64Array.from(numbers);
}

/** What every other thread does; none when nothing is shared. */
export function encodePrograms(
  arrangement: Arrangement,
  plan: Plan,
  base: number,
): Float64Array<ArrayBuffer>[] {
  const { phases, threads } = arrangement;
  if (!phases.some(({ isShared }) => isShared)) return [];
  const copies = copiesOf(arrangement, plan);
  return Array.from({ length: threads - 1 }, (_, index) => {
    const block = base + plan.arenaBytes + index * copies.bytes;
    return encodePhases(phases, resolveWithCopies(plan, base, block, copies));
  });
}
