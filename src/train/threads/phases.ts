// A thread's way through a program: phase by phase, each task taken by whoever comes first.

import { controlWords, type ReadyPhase, runTask } from "./control.ts";
import { countUp } from "./waiting.ts";

const { taken, ended } = controlWords;

/** Takes tasks [first, last) of a phase until none is left. */
function doTasks(words: Int32Array, tasks: ReadyPhase, first: number): void {
  const last = (first + tasks.length) | 0;
  for (;;) {
    const task = Atomics.load(words, taken);
    if (((task - last) | 0) >= 0) return;
    if (Atomics.compareExchange(words, taken, task, (task + 1) | 0) !== task) continue;
    runTask(tasks[(task - first) | 0]!);
    countUp(words, ended);
  }
}

export interface Walk {
  /** The control block. */
  readonly words: Int32Array;
  readonly phases: readonly ReadyPhase[];
  /** Tasks that ended before this run. */
  readonly base: number;
  /** Waits until so many tasks have ended. */
  readonly reach: (count: number) => void;
}

/** Answers how many tasks will have ended once the run is over. A phase begins when all tasks before it have ended. */
export function walkPhases({ words, phases, base, reach }: Walk): number {
  let first = base;
  for (const phase of phases) {
    reach(first);
    doTasks(words, phase, first);
    first = (first + phase.length) | 0;
  }
  return first;
}
