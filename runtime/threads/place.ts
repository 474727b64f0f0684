// An arrangement in the memory: addresses for every thread, and what the other threads read.

import type { Kernels } from "../../custom-ops/kernels/load.ts";
import { kernelNames, kernelTable } from "../../custom-ops/kernels/table.ts";
import type { Call } from "../builder.ts";
import type { Plan } from "../plan.ts";
import type { Arrangement, Part, Phase } from "./arrange.ts";
import { type LinkedCall, linkKernel } from "./linked-call.ts";

export interface LinkedPart {
  readonly calls: readonly LinkedCall[];
  /** The plan's step it belongs to. */
  readonly step: number;
}

export interface LinkedTask {
  readonly parts: readonly LinkedPart[];
  readonly first: number;
  readonly end: number;
}

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
  const parts = [...new Set(tasks.map((task) => task.parts))].flat();
  for (const { kernel, args } of parts.flatMap(({ calls }) => calls)) {
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
    const { parts } = phase.tasks[0]!;
    const own = ownBuffers(phase);
    if (parts.length > 1) {
      const start = Math.min(...[...own].map((buffer) => plan.buffers[buffer]!.offset));
      for (const buffer of own) {
        const { offset, bytes } = plan.buffers[buffer]!;
        offsets.set(buffer, offset - start);
        most = Math.max(most, aligned(offset - start + bytes));
      }
      continue;
    }
    if (parts[0]!.step !== step) end = 0;
    step = parts[0]!.step;
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
  const linkCall = (call: Call, phase: Phase): LinkedCall =>
    linkKernel(kernels[call.kernel], resolve(call, phase), call.strides ?? []);
  const known = new Map<readonly Part[], LinkedPart[]>();
  function linkParts(parts: readonly Part[], phase: Phase): LinkedPart[] {
    const made =
      known.get(parts) ??
      parts.map(({ calls, step }) => ({ step, calls: calls.map((call) => linkCall(call, phase)) }));
    known.set(parts, made);
    return made;
  }
  return phases.map((phase) => ({
    isShared: phase.isShared,
    tasks: phase.tasks.map((task) => ({ ...task, parts: linkParts(task.parts, phase) })),
  }));
}

/**
 * Phases as numbers: how many tasks; for each its first image, where its images end, and how many calls, 0 for those of the task before
 * it; for each call the kernel's place in the table, its arguments, how many strides it has, and these. A phase of the calling thread
 * alone has no tasks.
 */
function encodePhases(phases: readonly Phase[], resolve: Resolve): Float64Array<ArrayBuffer> {
  const numbers: number[] = [];
  for (const phase of phases) {
    const tasks = phase.isShared ? phase.tasks : [];
    numbers.push(tasks.length);
    let before: readonly Part[] | undefined;
    for (const { parts, first, end } of tasks) {
      const calls = parts === before ? [] : parts.flatMap((part) => part.calls);
      numbers.push(first, end, calls.length);
      for (const call of calls) {
        const { kernel, strides = [] } = call;
        numbers.push(kernelNames.indexOf(kernel), ...resolve(call, phase), strides.length, ...strides);
      }
      before = parts;
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
