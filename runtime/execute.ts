// Running a plan: feeds into the arena, one call after the other, outputs out of it.

import type { DataType } from "../src/core/dtype.ts";
import type { Tensor } from "../src/core/tensor.ts";
import type { Plan } from "./plan.ts";
import type { LinkedPart, LinkedPhase, LinkedTask } from "./threads/place.ts";
import type { PublishedProgram, Team } from "./threads/team.ts";

/** A plan whose addresses are absolute, for one place of the arena. */
export interface LinkedPlan {
  /** Tells plans apart. */
  readonly number: number;
  readonly base: number;
  readonly phases: readonly LinkedPhase[];
  /** What the other threads do; none when this one does it all. */
  readonly programs: readonly PublishedProgram[];
}

const arrays = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;

function elementsAt(plan: Plan, buffer: number, base: number, memory: WebAssembly.Memory, type: DataType) {
  const { offset, bytes } = plan.buffers[buffer]!;
  const elements = arrays[type as keyof typeof arrays];
  return new elements(memory.buffer, base + offset, bytes / elements.BYTES_PER_ELEMENT);
}

function writeFeeds(plan: Plan, base: number, memory: WebAssembly.Memory, feeds: readonly Tensor[]): void {
  for (const [index, { buffer }] of plan.inputs.entries()) {
    const { data, type } = feeds[index]!;
    // Data of other types only ever goes through as it is, or is not read at all.
    if (buffer === undefined || !Object.hasOwn(arrays, type)) continue;
    elementsAt(plan, buffer, base, memory, type).set(data as Float32Array);
  }
}

/** Called when the feeds are in their places, without a step, and after the calls of every part of a task with its step. */
type Watch = (step?: number) => void;

/** What a run works with. `team` is needed for plans with programs. */
export interface Run {
  readonly plan: Plan;
  readonly linked: LinkedPlan;
  readonly memory: WebAssembly.Memory;
  /** In the order of the plan's inputs, in its shapes. */
  readonly feeds: readonly Tensor[];
  readonly team: Team | undefined;
}

function doPart({ calls, step }: LinkedPart, image: number, watch: Watch | undefined): void {
  for (const call of calls) call(image);
  watch?.(step);
}

function doTask({ parts, first, end }: LinkedTask, watch: Watch | undefined): void {
  for (let image = first; image < end; image++) for (const part of parts) doPart(part, image, watch);
}

function runAlone({ plan, linked, memory, feeds }: Run, watch?: Watch): void {
  writeFeeds(plan, linked.base, memory, feeds);
  watch?.();
  for (const { tasks } of linked.phases) for (const task of tasks) doTask(task, watch);
}

function doShared(tasks: readonly LinkedTask[], team: Team, watch: Watch | undefined): void {
  for (let index = team.take(); index >= 0; index = team.take()) {
    doTask(tasks[index]!, watch);
    team.end();
  }
}

/** The first phase is the calling thread's: the others begin when the feeds are there. */
async function runTogether({ plan, linked, memory, feeds }: Run, team: Team, watch?: Watch): Promise<void> {
  const { number, programs, phases, base } = linked;
  team.begin(number, programs);
  writeFeeds(plan, base, memory, feeds);
  watch?.();
  let before: number | undefined;
  for (const { tasks, isShared } of phases) {
    if (!team.enter(isShared ? tasks.length : 0)) await team.patience();
    // Waiting is time of the phase that is waited for.
    watch?.(before);
    before = tasks.at(-1)?.parts.at(-1)?.step;
    if (isShared) doShared(tasks, team, watch);
    else {
      for (const task of tasks) doTask(task, watch);
      team.endOwn();
    }
  }
  if (!team.finish()) await team.patience();
  watch?.(before);
  team.requireSuccess();
}

async function runPlan(run: Run, watch?: Watch): Promise<void> {
  if (run.linked.programs.length === 0) {
    runAlone(run, watch);
    return;
  }
  try {
    await runTogether(run, run.team!, watch);
  } catch (error) {
    run.team!.abandon("a run was left");
    throw error;
  }
}

/** Answers fresh tensors in the order of the plan's outputs. Throws ADN_WASM when a worker is lost. */
export async function execute(run: Run): Promise<Tensor[]> {
  await runPlan(run);
  const { plan, linked, memory, feeds } = run;
  return plan.outputs.map(({ value, buffer, feed }) => {
    const { type, dims, constant } = value;
    const source = constant?.data ?? (feed === undefined ? undefined : feeds[feed]!.data);
    const data = (source ?? elementsAt(plan, buffer!, linked.base, memory, type)).slice() as Tensor["data"];
    return { type, data, dims: [...dims] };
  });
}

/** Runs the plan once and answers how many milliseconds each of its steps took. */
export async function executeTimed(run: Run): Promise<Float64Array> {
  const times = new Float64Array(run.plan.steps.length);
  let before = 0;
  await runPlan(run, (step) => {
    const now = performance.now();
    if (step !== undefined) times[step]! += now - before;
    before = now;
  });
  return times;
}
