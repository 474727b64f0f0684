// How the work of a plan is shared: its calls as phases of tasks. The tasks of a phase need nothing of each other; all of them
// end before the next phase begins.

import { type Argument, type Call, callsOf } from "../builder.ts";
import type { Plan } from "../plan.ts";
import { chainsOf, independentRuns, isOwnBuffer, outputOf } from "./dependence.ts";
import { divideCall, nanosecondsOf } from "./divisions.ts";

/** Calls one after the other, all of one step of the plan. */
export interface Part {
  readonly calls: readonly Call[];
  readonly step: number;
}

/** Parts one after the other, for each image from `first` to before `end`. Tasks that follow each other may have the same parts. */
export interface Task {
  readonly parts: readonly Part[];
  readonly first: number;
  readonly end: number;
}

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
/** The same where tasks are whole images. */
const mostImageTasksPerThread = 16;

const nothing: ReadonlySet<number> = new Set();

const timeOfCalls = (calls: readonly Call[]): number =>
  calls.reduce((sum, call) => sum + nanosecondsOf(call), 0);

const timeOfParts = (parts: readonly Part[]): number =>
  parts.reduce((sum, { calls }) => sum + timeOfCalls(calls), 0);

/** Tasks of the same parts follow each other: their time is summed once. */
function timesOfTasks(tasks: readonly Task[]): number[] {
  let [known, time] = [undefined as readonly Part[] | undefined, 0];
  return tasks.map(({ parts, first, end }) => {
    if (parts !== known) [known, time] = [parts, timeOfParts(parts)];
    return (end - first) * time;
  });
}

const timeOfTasks = (tasks: readonly Task[]): number =>
  timesOfTasks(tasks).reduce((sum, time) => sum + time, 0);

/** When the last thread is done, if each takes the next task as soon as it has ended one. */
function timeShared(tasks: readonly Task[], threads: number): number {
  const loads = new Float64Array(threads);
  for (const time of timesOfTasks(tasks)) loads[loads.indexOf(Math.min(...loads))]! += time;
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

const taskOf = (calls: readonly Call[], step: number): Task => ({
  parts: [{ calls, step }],
  first: 0,
  end: 1,
});

function phaseOfRun(calls: readonly Call[], step: number, { threads, smallest = 0 }: ArrangeOptions): Phase {
  const asTasks = (all: readonly Call[]) => all.map((call) => taskOf([call], step));
  const whole = asTasks(calls);
  if (timeOfCalls(calls) < smallest) {
    return { tasks: whole, isShared: false, own: nothing };
  }
  const divided = asTasks(calls.flatMap((call) => partsOf(call, threads, smallest)));
  const isGain = timeShared(whole, threads) > priceOfDividing * timeShared(divided, threads);
  const tasks = isGain ? divided : whole;
  return { tasks, isShared: tasks.length > 1, own: nothing };
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
    for (const call of chain) tasks.at(-1)!.push(call);
    time += timeOfCalls(chain);
  }
  const outputs = chains.flatMap((calls) => calls.map((call) => outputOf(call).buffer));
  const own = new Set(outputs.filter((buffer) => isOwnBuffer(buffers[buffer]!)));
  return { tasks: tasks.map((calls) => taskOf(calls, step)), isShared: tasks.length > 1, own };
}

/** Calls that need nothing of each other together. */
function phasesTogether({ buffers }: Plan, { calls, step }: Part, options: ArrangeOptions): Phase[] {
  return independentRuns(calls, buffers).map((run) => phaseOfRun(run, step, options));
}

/** A step call by call, or in chains where that is faster. */
function phasesOfStep(plan: Plan, part: Part, options: ArrangeOptions): Phase[] {
  const { calls, step } = part;
  const { threads, smallest = 0 } = options;
  const together = phasesTogether(plan, part, options);
  if (timeOfCalls(calls) < smallest) return together;
  const chains = chainsOf(calls, plan.buffers);
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

const range = (first: number, end: number): number[] =>
  Array.from({ length: end - first }, (_, index) => first + index);

/** How far each argument of a call is from image to image. */
function withStrides(call: Call, strides: ReadonlyMap<number, number>): Call {
  const strideOf = (argument: Argument) =>
    typeof argument === "number" ? 0 : (strides.get(argument.buffer) ?? 0);
  return { ...call, strides: call.args.map(strideOf) };
}

/** The first steps, where they are for one image of a batch. */
function taskOfImages({ steps, images }: Plan): Task[] {
  if (images === undefined) return [];
  const parts = steps.slice(0, images.steps).map((planned, step) => ({
    step,
    calls: callsOf(planned).map((call) => withStrides(call, images.strides)),
  }));
  return [{ parts, first: 0, end: images.count }];
}

/** Steps for the whole batch, each as its groups of calls. */
function tasksOfOthers({ steps, images }: Plan): Task[][] {
  const tasks = steps.map(({ groups }, step) =>
    groups.map(({ calls, images: end }) => ({ ...taskOf(calls, step), end })),
  );
  return tasks.slice(images?.steps);
}

/** Everything in one phase of the calling thread. */
function arrangeAlone(plan: Plan): Arrangement {
  const tasks = [...taskOfImages(plan), ...tasksOfOthers(plan).flat()];
  return { threads: 1, phases: [{ tasks, isShared: false, own: nothing }], gain: 1 };
}

/** Buffers that every image writes at the same place. */
function ownOfImage(parts: readonly Part[]): Set<number> {
  const outputs = parts.flatMap(({ calls }) => calls.map(outputOf));
  return new Set(outputs.filter(({ stride }) => stride === 0).map(({ buffer }) => buffer));
}

/** So many images in tasks of about as many. */
function shareImages({ parts }: Task, images: number, threads: number): Task[] {
  const perThread = Math.floor((images * timeOfParts(parts)) / (threads * ampleTask));
  const count = Math.min(images, threads * Math.min(mostImageTasksPerThread, Math.max(1, perThread)));
  const start = (task: number): number => Math.floor((images * task) / count);
  return range(0, count).map((task) => ({ parts, first: start(task), end: start(task + 1) }));
}

/** Whole images, as many as all threads can share evenly, and the others step by step. */
function phasesOfImages(plan: Plan, task: Task, options: ArrangeOptions): Phase[] {
  const { parts, end } = task;
  const { threads, smallest = 0 } = options;
  if (end * timeOfParts(parts) < smallest) return [{ tasks: [task], isShared: false, own: nothing }];
  const even = end - (end % threads);
  const phases = even < end ? parts.flatMap((part) => phasesOfStep(plan, part, options)) : [];
  const others = range(even, end).flatMap((first) =>
    phases.map((phase) => ({
      ...phase,
      tasks: phase.tasks.map((one) => ({ ...one, first, end: first + 1 })),
    })),
  );
  if (even === 0) return others;
  return [{ tasks: shareImages(task, even, threads), isShared: true, own: ownOfImage(parts) }, ...others];
}

/** Where a step has several groups, later ones read what earlier ones wrote: no thread may keep that to itself. */
function phasesOfGroups(plan: Plan, tasks: readonly Task[], options: ArrangeOptions): Phase[] {
  const phasesOf = tasks.length > 1 ? phasesTogether : phasesOfStep;
  return tasks.flatMap((task) =>
    task.end > 1 ? phasesOfImages(plan, task, options) : phasesOf(plan, task.parts[0]!, options),
  );
}

export function arrangePlan(plan: Plan, options: ArrangeOptions): Arrangement {
  if (options.threads === 1) return arrangeAlone(plan);
  const given = { smallest: smallestShared, ...options };
  const { threads } = given;
  const start: Phase = { tasks: [], isShared: false, own: nothing };
  const phases = joined([
    start,
    ...taskOfImages(plan).flatMap((task) => phasesOfImages(plan, task, given)),
    ...tasksOfOthers(plan).flatMap((tasks) => phasesOfGroups(plan, tasks, given)),
  ]);
  const alone = phases.reduce((sum, { tasks }) => sum + timeOfTasks(tasks), 0);
  const gain = alone / Math.max(1, timeOfPhases(phases, threads));
  return { threads, phases, gain };
}
