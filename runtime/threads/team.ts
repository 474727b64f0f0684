// Workers that compute together with the calling thread: their start, how all of them meet, and what happens when one is lost.

import { kernelNames } from "../../custom-ops/kernels/table.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { canSleep, coreCount, type HostWorker, startWorker } from "../../src/core/workers.ts";
import type { Arena } from "../arena.ts";
import { controlWords, type WorkerStart } from "./control.ts";
import { workerSource } from "./generated/worker.ts";

/** A program in the shared memory. */
export interface PublishedProgram {
  readonly address: number;
  readonly words: number;
}

/**
 * The calling thread's side of a run: `begin`; for each phase `enter`, then its tasks; at last `finish`. `enter` and `finish`
 * answer false where other threads are not done yet after a moment; then `patience` goes on waiting.
 */
export interface Team {
  /** Why no run can use these workers any more. */
  failure(): string | undefined;
  /** Sends the workers into a run whose programs, one for each of them, have a number of their own. */
  begin(number: number, programs: readonly PublishedProgram[]): void;
  /** To the next phase, of so many shared tasks; 0: the phase is the calling thread's. */
  enter(tasks: number): boolean;
  /** A task of the shared phase that nobody has taken yet; -1 when there is none. */
  take(): number;
  /** A task that was taken has ended. */
  end(): void;
  /** The calling thread has done all of its own phase. */
  endOwn(): void;
  finish(): boolean;
  /** Waits without keeping the thread busy. Throws ADN_WASM when a worker is lost. */
  patience(): Promise<void>;
  /** Throws ADN_WASM when a kernel failed in a worker. */
  requireSuccess(): void;
  /** Gives the workers up. */
  abandon(reason: string): void;
  stop(): Promise<void>;
}

const startMilliseconds = 5_000;
/** With a core for each thread looking costs nothing that others need; a thread that shares its core must let go of it. */
const spinMilliseconds = { ownCore: 0.2, sharedCore: 0.02 } as const;
const momentMilliseconds = 50;
/** Looks, at least a millisecond apart, after which a worker that shows no sign of life counts as lost. */
const mostLooks = 20_000;

interface Start {
  readonly arena: Arena;
  readonly module: WebAssembly.Module;
  readonly threads: number;
}

interface Member {
  readonly worker: HostWorker;
  /** Resolves to a reason when the worker cannot start, to undefined when it has. */
  readonly started: Promise<string | undefined>;
}

function startMember(message: WorkerStart, lost: (reason: string) => void): Member {
  let settle!: (reason: string | undefined) => void;
  const started = new Promise<string | undefined>((resolve) => {
    settle = resolve;
  });
  const worker = startWorker(workerSource, {
    message: (answer) => settle(answer === "ready" ? undefined : String(answer)),
    failure: (reason) => {
      settle(reason);
      lost(reason);
    },
  });
  const timer = setTimeout(
    () => settle(`it did not start in ${startMilliseconds / 1000} s`),
    startMilliseconds,
  );
  started.then(() => clearTimeout(timer));
  try {
    worker.post(message);
  } catch (error) {
    settle((error as Error).message);
  }
  return { worker, started };
}

/** Starts `threads - 1` workers over the arena's memory. Answers the reason in words when they cannot be had. */
export async function startTeam({ arena, module, threads }: Start): Promise<Team | string> {
  let failure: string | undefined;
  const lost = (reason: string): void => {
    failure ??= reason;
  };
  const spin = threads <= coreCount() ? spinMilliseconds.ownCore : spinMilliseconds.sharedCore;
  const controlBytes = 4 * (controlWords.programs + 2 * threads);
  const control = arena.allocate(controlBytes);
  const words = new Int32Array(arena.memory.buffer, control, controlBytes / 4).fill(0);
  const members: Member[] = [];
  const stop = async (): Promise<void> => {
    failure ??= "stopped";
    await Promise.all(members.map(({ worker }) => worker.stop()));
  };
  try {
    for (let thread = 1; thread < threads; thread++) {
      const { memory } = arena;
      const message = {
        module,
        memory,
        kernels: kernelNames,
        control,
        thread,
        threads,
        spinMilliseconds: spin,
      };
      members.push(startMember(message, lost));
    }
  } catch (error) {
    lost((error as Error).message);
  }
  for (const { started } of members) failure ??= await started;
  if (failure !== undefined) {
    const reason = failure;
    await stop();
    return `no worker could be started: ${reason}`;
  }
  for (const { worker } of members) worker.release();
  return makeTeam(words, { spin, stop, failure: () => failure, lost });
}

interface TeamParts extends Pick<Team, "stop" | "failure"> {
  readonly spin: number;
  readonly lost: (reason: string) => void;
}

/** Waits for counters that other threads count up. */
function makeWaiting(words: Int32Array<ArrayBufferLike>, word: number, spin: number) {
  const maySleep = canSleep();
  const hasReached = (count: number): boolean => ((Atomics.load(words, word) - count) | 0) >= 0;
  function lookUntil(count: number, end: number): boolean {
    do {
      for (let i = 0; i < 200; i++) if (hasReached(count)) return true;
    } while (performance.now() < end);
    return hasReached(count);
  }
  function sleepUntil(count: number, end: number): boolean {
    Atomics.add(words, word + 1, 1);
    for (let left = 1; left > 0 && !hasReached(count); left = end - performance.now()) {
      const seen = Atomics.load(words, word);
      if (((seen - count) | 0) < 0) Atomics.wait(words, word, seen, left);
    }
    Atomics.sub(words, word + 1, 1);
    return hasReached(count);
  }
  return {
    hasReached,
    /** Whether the count is reached within a moment. */
    briefly(count: number): boolean {
      if (hasReached(count)) return true;
      const now = performance.now();
      const end = now + momentMilliseconds;
      return lookUntil(count, maySleep ? now + spin : end) || (maySleep && sleepUntil(count, end));
    },
  };
}

/** See the worker's source for the other side. */
function makeTeam(words: Int32Array<ArrayBufferLike>, { spin, stop, failure, lost }: TeamParts): Team {
  const { taken, ended, run, program, base, failures, programs: table } = controlWords;
  const waiting = makeWaiting(words, ended, spin);
  let [first, last, awaited] = [0, 0, 0];
  function reach(count: number): boolean {
    awaited = count;
    return waiting.briefly(count);
  }
  function wake(word: number): void {
    if (Atomics.load(words, word + 1) > 0) Atomics.notify(words, word);
  }
  function loss(reason: string): AdderNetError {
    lost(reason);
    return new AdderNetError("ADN_WASM", `a worker was lost during a run: ${reason}`, {
      fix: "run again: new workers are started",
    });
  }
  function end(): void {
    const count = (Atomics.add(words, ended, 1) + 1) | 0;
    if (count === last) wake(ended);
  }
  return {
    failure,
    stop,
    abandon: lost,
    end,
    begin(number, programs) {
      Atomics.add(words, run, 1);
      Atomics.store(words, program, number);
      Atomics.store(words, base, last);
      for (const [index, { address, words: length }] of programs.entries()) {
        Atomics.store(words, table + 2 * (index + 1), address);
        Atomics.store(words, table + 2 * (index + 1) + 1, length);
      }
      Atomics.add(words, run, 1);
      wake(run);
    },
    enter(tasks) {
      first = last;
      last = (first + Math.max(1, tasks)) | 0;
      return reach(first);
    },
    take() {
      for (;;) {
        const task = Atomics.load(words, taken);
        if (((task - last) | 0) >= 0) return -1;
        if (Atomics.compareExchange(words, taken, task, (task + 1) | 0) === task) return (task - first) | 0;
      }
    },
    endOwn() {
      Atomics.add(words, taken, 1);
      end();
    },
    finish: () => reach(last),
    async patience() {
      let seen = Atomics.load(words, ended);
      for (let looks = 0; !waiting.hasReached(awaited); looks++) {
        const reason = failure() ?? (looks > mostLooks ? "it does not answer" : undefined);
        if (reason !== undefined) throw loss(reason);
        await new Promise((resolve) => setTimeout(resolve, 1));
        const now = Atomics.load(words, ended);
        if (now !== seen) looks = 0;
        seen = now;
      }
    },
    requireSuccess() {
      if (Atomics.load(words, failures) > 0) throw loss("a kernel failed in it");
    },
  };
}
