// All threads that compute a training step, and the calling thread's side of a run. Results do not depend on how many there are: tasks
// write only what is theirs, and what they leave is put together in the order of the slices.

import { AdderNetError } from "../../core/errors.ts";
import { canSleep, coreCount, type HostWorker, startWorker, threadsRefusal } from "../../core/workers.ts";
import {
  controlWords,
  type Kernel,
  type ReadyPhase,
  readProgram,
  runTask,
  type WorkerStart,
} from "./control.ts";
import { workerSource } from "./generated/worker.ts";
import { walkPhases } from "./phases.ts";
import { countUp, lookFor, sleepFor } from "./waiting.ts";

export interface Crew {
  readonly threads: number;
  /** Runs the program at word `at` to its end. Errors: ADN_WASM. */
  run(at: number): void;
  stop(): Promise<void>;
}

const startMilliseconds = 10_000;
const spinMilliseconds = { ownCore: 0.1, sharedCore: 0.01 } as const;
/** Without any task ending; a process may be paused for minutes. */
const patienceMilliseconds = 1_800_000;

function loss(reason: string): AdderNetError {
  return new AdderNetError("ADN_WASM", `a worker was lost: ${reason}`, {
    fix: "go on from the last checkpoint, or train with one thread",
  });
}

function startMember(message: WorkerStart, fail: (reason: string) => void) {
  let settle!: (reason: string | undefined) => void;
  const started = new Promise<string | undefined>((resolve) => {
    settle = resolve;
  });
  const worker = startWorker(workerSource, {
    message: (answer) => settle(answer === "ready" ? undefined : String(answer)),
    failure: (reason) => {
      settle(reason);
      fail(reason);
    },
  });
  const timer = setTimeout(() => settle("it did not start"), startMilliseconds);
  started.then(() => clearTimeout(timer));
  worker.post(message);
  return { worker, started };
}

/** One thread: the calling one. */
export function loneCrew(memory: WebAssembly.Memory, kernels: readonly Kernel[]): Crew {
  const all = new Int32Array(memory.buffer);
  const known = new Map<number, ReadyPhase[]>();
  return {
    threads: 1,
    run(at) {
      const phases = known.get(at) ?? readProgram(all, at, kernels);
      known.set(at, phases);
      for (const tasks of phases) for (const task of tasks) runTask(task);
    },
    stop: async () => {},
  };
}

/** Why more than one thread cannot be had here; undefined when nothing stands against it. */
export { threadsRefusal };

export interface CrewParts {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly kernelNames: readonly string[];
  readonly kernels: readonly Kernel[];
  /** Where the control block lies, in bytes. */
  readonly control: number;
  readonly threads: number;
}

/** Starts `threads - 1` workers over a shared memory. Errors: ADN_WASM. */
export async function startCrew(parts: CrewParts): Promise<Crew> {
  const { module, memory, kernelNames, control, threads } = parts;
  const spin = threads <= coreCount() ? spinMilliseconds.ownCore : spinMilliseconds.sharedCore;
  let failure: string | undefined;
  const start = { module, memory, kernels: kernelNames, control, spinMilliseconds: spin };
  const members = Array.from({ length: threads - 1 }, () =>
    startMember(start, (reason) => {
      failure ??= reason;
    }),
  );
  const workers: HostWorker[] = members.map(({ worker }) => worker);
  const stop = async (): Promise<void> => {
    failure ??= "stopped";
    await Promise.all(workers.map((worker) => worker.stop()));
  };
  for (const { started } of members) failure ??= await started;
  if (failure !== undefined) {
    const reason = failure;
    await stop();
    throw loss(reason);
  }
  for (const worker of workers) worker.release();
  return { threads, stop, run: makeRun(parts, spin, () => failure) };
}

function makeRun({ memory, control, kernels }: CrewParts, spin: number, failure: () => string | undefined) {
  const words = new Int32Array(memory.buffer, control, controlWords.length);
  const all = new Int32Array(memory.buffer);
  const known = new Map<number, ReadyPhase[]>();
  const maySleep = canSleep();
  let done = 0;
  const reach = (count: number): void => {
    if (lookFor(words, controlWords.ended, count, maySleep ? spin : patienceMilliseconds)) return;
    if (maySleep && sleepFor(words, controlWords.ended, count, patienceMilliseconds)) return;
    throw loss("it does not answer");
  };
  return (at: number): void => {
    const reason = failure();
    if (reason !== undefined) throw loss(reason);
    const phases = known.get(at) ?? readProgram(all, at, kernels);
    known.set(at, phases);
    Atomics.add(words, controlWords.run, 1);
    Atomics.store(words, controlWords.program, at);
    Atomics.store(words, controlWords.base, done);
    countUp(words, controlWords.run);
    done = walkPhases({ words, phases, base: done, reach });
    reach(done);
  };
}
