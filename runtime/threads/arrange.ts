// How the work of a plan is shared: its calls as phases of tasks. The tasks of a phase need nothing of each other; all of them
// end before the next phase begins.

import { type Call, shifted } from "../builder.ts";
import type { Plan } from "../plan.ts";
import { chainsOf, independentRuns, isOwnBuffer } from "./dependence.ts";
import { divideCall, nanosecondsOf } from "./divisions.ts";

/** Calls one after the other, all of one step of the plan. */
export interface Part {
  readonly calls: readonly Call[];
  readonly step: number;
}

/** Parts one after the other: one, or all that an image goes through. */
export type Task = readonly Part[];

export interface Phase {
  readonly tasks: readonly Task[];
  /** Whether every thread takes tasks of it, in any order; otherwise the calling thread does all of them, in theirs. */
  readonly isShared: boolean;
  /** Buffers of which every thread has its own copy. */
  readonly own: ReadonlySet<number>;
}

export interface Arrangement {
  readonly threads: number;
  /** The first one is the calling thread's: what it has to do before others can begin. */
  readonly phases: readonly Phase[];
  /** How many times as fast as on one thread this should be. */
  readonly gain: number;
}

export interface ArrangeOptions {
  readonly threads: number;
  /** Nanoseconds of work from which sharing it pays. */
  readonly smallest?: number;
}

/** What a shared phase costs beside its work: waking, taking tasks, cache lines on their way. */
const meetingNanoseconds = 2_000;
const smallestShared = 10_000;
/** Work of a task that is long enough for taking it to cost nothing. */
const ampleTask = 50_000;
/** More tasks than threads, so that a thread that is late or slow leaves its share to the others. */
const mostTasksPerThread = 4;

const nothing: ReadonlySet<number> = new Set();

const timeOfCalls = (calls: readonly Call[]): number =>
  calls.reduce((sum, call) => sum + nanosecondsOf(call), 0);

const timeOfTask = (task: Task): number => task.reduce((sum, { calls }) => sum + timeOfCalls(calls), 0);

const timeOfTasks = (tasks: readonly Task[]): number =>
  tasks.reduce((sum, task) => sum + timeOfTask(task), 0);

/** When the last thread is done, if each takes the next task as soon as it has ended one. */
function timeShared(tasks: readonly Task[], threads: number): number {
  const loads = new Float64Array(threads);
  for (const task of tasks) loads[loads.indexOf(Math.min(...loads))]! += timeOfTask(task);
  return Math.max(...loads);
}

const timeOfPhase = ({ tasks, isShared }: Phase, threads: number): number =>
  isShared ? timeShared(tasks, threads) + meetingNanoseconds : timeOfTasks(tasks);

const timeOfPhases = (phases: readonly Phase[], threads: number): number =>
  phases.reduce((sum, phase) => sum + timeOfPhase(phase, threads), 0);

/** As many parts as there are threads, or a multiple where they stay ample. */
function partsOf(call: Call, threads: number, smallest: number): Call[] {
  const time = nanosecondsOf(call);
  if (time < smallest) return [call];
  const perThread = Math.min(mostTasksPerThread, Math.max(1, Math.floor(time / (threads * ampleTask))));
  return divideCall(call, threads, perThread);
}

/** What dividing calls must at least gain where there are enough of them: parts are slower than the whole in other ways. */
const priceOfDividing = 1.08;

function phaseOfRun(calls: readonly Call[], step: number, { threads, smallest = 0 }: ArrangeOptions): Phase {
  const asTasks = (all: readonly Call[]) => all.map((call): Task => [{ calls: [call], step }]);
  const whole = asTasks(calls);
  if (timeOfCalls(calls) < smallest) {
    return { tasks: whole, isShared: false, own: nothing };
  }
  const divided = asTasks(calls.flatMap((call) => partsOf(call, threads, smallest)));
  const isGain = timeShared(whole, threads) > priceOfDividing * timeShared(divided, threads);
  const tasks = isGain ? divided : whole;
  return { tasks, isShared: tasks.length > 1, own: nothing };
}

/** Buffers in calls that fit. */
function buffersIn(calls: readonly Call[], fits: (buffer: number) => boolean): Set<number> {
  const addresses = calls.flatMap(({ args }) => args).filter((argument) => typeof argument === "object");
  return new Set(addresses.map(({ buffer }) => buffer).filter(fits));
}

/** Chains as tasks; short ones together. */
function phaseOfChains(
  chains: readonly Call[][],
  { buffers }: Plan,
  step: number,
  { threads, smallest = 0 }: ArrangeOptions,
): Phase {
  const total = chains.reduce((sum, calls) => sum + timeOfCalls(calls), 0);
  const enough = Math.max(smallest, total / (2 * threads * mostTasksPerThread));
  const tasks: Call[][] = [];
  let time = Number.POSITIVE_INFINITY;
  for (const chain of chains) {
    if (time >= enough) {
      tasks.push([]);
      time = 0;
    }
    tasks.at(-1)!.push(...chain);
    time += timeOfCalls(chain);
  }
  const own = buffersIn(chains.flat(), (buffer) => isOwnBuffer(buffers[buffer]!));
  return { tasks: tasks.map((calls) => [{ calls, step }]), isShared: tasks.length > 1, own };
}

/** Calls of a step up to which chains are looked for: finding them takes the square of that. */
const mostChained = 4096;

/** A step call by call, or in chains where that is faster. */
function phasesOfStep(plan: Plan, { calls, step }: Part, options: ArrangeOptions): Phase[] {
  const { buffers } = plan;
  const { threads, smallest = 0 } = options;
  const together = independentRuns(calls, buffers).map((run) => phaseOfRun(run, step, options));
  if (timeOfCalls(calls) < smallest || calls.length > mostChained) return together;
  const chains = chainsOf(calls, buffers);
  if (chains.length < 2) return together;
  const apart = phaseOfChains(chains, plan, step, options);
  return timeOfPhases([apart], threads) < timeOfPhases(together, threads) ? [apart] : together;
}

/** Phases of the calling thread alone that follow each other are one. */
function joined(phases: readonly Phase[]): Phase[] {
  const result: Phase[] = [];
  let alone: Task[] | undefined;
  for (const phase of phases) {
    if (alone !== undefined && !phase.isShared) {
      for (const task of phase.tasks) alone.push(task);
      continue;
    }
    alone = phase.isShared ? undefined : [...phase.tasks];
    result.push(alone === undefined ? phase : { ...phase, tasks: alone });
  }
  return result;
}

/** What an image of a batch goes through by itself. */
function partsOfImage({ steps, images }: Plan, image: number): Part[] {
  const { steps: count, strides } = images!;
  return steps.slice(0, count).map(({ calls }, step) => ({
    step,
    calls: calls.map((call) => ({
      ...call,
      args: call.args.map((argument) =>
        typeof argument === "number"
          ? argument
          : shifted(argument, image * (strides.get(argument.buffer) ?? 0)),
      ),
    })),
  }));
}

/** Steps for the whole batch. */
function partsOfAll({ steps, images }: Plan): Part[] {
  const parts = steps.map(({ calls }, step) => ({ calls, step }));
  return parts.slice(images?.steps);
}

const range = (first: number, end: number): number[] =>
  Array.from({ length: end - first }, (_, index) => first + index);

/** Everything in one phase of the calling thread. */
function arrangeAlone(plan: Plan): Arrangement {
  const parts = range(0, plan.images?.count ?? 0).flatMap((image) => partsOfImage(plan, image));
  const tasks = [...parts, ...partsOfAll(plan)].map((part) => [part]);
  return { threads: 1, phases: [{ tasks, isShared: false, own: nothing }], gain: 1 };
}

/** Whole images, as many as all threads can share evenly, and the others step by step. */
function phasesOfImages(plan: Plan, options: ArrangeOptions): Phase[] {
  const { images } = plan;
  if (images === undefined) return [];
  const { count, strides } = images;
  const even = count - (count % options.threads);
  const tasks = range(0, even).map((image) => partsOfImage(plan, image));
  const own = buffersIn(
    tasks.flat().flatMap(({ calls }) => calls),
    (buffer) => !strides.has(buffer),
  );
  const others = range(even, count).flatMap((image) => partsOfImage(plan, image));
  return [
    ...(even > 0 ? [{ tasks, isShared: true, own }] : []),
    ...others.flatMap((part) => phasesOfStep(plan, part, options)),
  ];
}

export function arrangePlan(plan: Plan, options: ArrangeOptions): Arrangement {
  if (options.threads === 1) return arrangeAlone(plan);
  const given = { smallest: smallestShared, ...options };
  const { threads } = given;
  const start: Phase = { tasks: [], isShared: false, own: nothing };
  const steps = partsOfAll(plan).flatMap((part) => phasesOfStep(plan, part, given));
  const phases = joined([start, ...phasesOfImages(plan, given), ...steps]);
  const alone = phases.reduce((sum, { tasks }) => sum + timeOfTasks(tasks), 0);
  const gain = alone / Math.max(1, timeOfPhases(phases, threads));
  return { threads, phases, gain };
}
