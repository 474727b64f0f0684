// What a worker runs. It travels as text inside the JavaScript (scripts/build-worker.mjs) and imports nothing at run time.

import { controlWords, type WorkerStart } from "./control.ts";
import { type LinkedCall, linkKernel } from "./linked-call.ts";

type Kernel = (...args: number[]) => void;
interface Task {
  readonly first: number;
  readonly end: number;
  readonly calls: readonly LinkedCall[];
}
type Phase = readonly Task[];

const { taken, ended, run, program, base, failures, programs } = controlWords;
const keptPrograms = 16;
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});

/** The kernels' phases out of the numbers that `encodePrograms` wrote. */
function parseProgram(numbers: Float64Array, kernels: readonly Kernel[]): Phase[] {
  let at = 0;
  const next = (): number => numbers[at++]!;
  const list = <T>(read: () => T): T[] => Array.from({ length: next() }, read);
  function readCall(): LinkedCall {
    const kernel = kernels[next()]!;
    const from = Array.from({ length: kernel.length }, next);
    return linkKernel(kernel, from, list(next));
  }
  let calls: LinkedCall[] = [];
  function readTask(): Task {
    const [first, end] = [next(), next()];
    const own = list(readCall);
    if (own.length > 0) calls = own;
    return { first, end, calls };
  }
  const phases: Phase[] = [];
  while (at < numbers.length) phases.push(list(readTask));
  return phases;
}

/** Waits for runs and does tasks of them, for ever. */
function serve(start: WorkerStart, kernels: readonly Kernel[]): never {
  const { memory, control, thread, threads, spinMilliseconds } = start;
  const words = new Int32Array(memory.buffer, control, programs + 2 * threads);
  const known = new Map<number, Phase[]>();

  const hasReached = (word: number, count: number): boolean => ((Atomics.load(words, word) - count) | 0) >= 0;
  function waitUntil(word: number, count: number): void {
    const end = performance.now() + spinMilliseconds;
    do {
      for (let looks = 0; looks < 200; looks++) {
        if (hasReached(word, count)) return;
        pause();
      }
    } while (performance.now() < end);
    Atomics.add(words, word + 1, 1);
    while (!hasReached(word, count)) {
      const seen = Atomics.load(words, word);
      if (((seen - count) | 0) < 0) Atomics.wait(words, word, seen);
    }
    Atomics.sub(words, word + 1, 1);
  }
  function readProgram(): Float64Array {
    const at = programs + 2 * thread;
    // Growing by nothing makes growth by another thread visible here.
    memory.grow(0);
    return new Float64Array(memory.buffer, words[at]! >>> 0, words[at + 1]).slice();
  }
  /** What is read while another run begins is of both, and is not used. Adding 0 keeps reads before it from moving behind it. */
  function phasesOf(number: number, current: number): Phase[] | undefined {
    const kept = known.get(number);
    if (kept !== undefined) return kept;
    const numbers = readProgram();
    if (Atomics.add(words, run, 0) !== current) return undefined;
    if (known.size >= keptPrograms) known.clear();
    const phases = parseProgram(numbers, kernels);
    known.set(number, phases);
    return phases;
  }
  function doTask({ first, end, calls }: Task, last: number): void {
    try {
      for (let image = first; image < end; image++) for (const call of calls) call(image);
    } catch {
      Atomics.add(words, failures, 1);
    }
    const count = (Atomics.add(words, ended, 1) + 1) | 0;
    if (count === last && Atomics.load(words, ended + 1) > 0) Atomics.notify(words, ended);
  }
  function doPhase(tasks: Phase, first: number, last: number): void {
    waitUntil(ended, first);
    for (;;) {
      const task = Atomics.load(words, taken);
      if (((task - last) | 0) >= 0) return;
      if (Atomics.compareExchange(words, taken, task, (task + 1) | 0) === task) {
        doTask(tasks[(task - first) | 0]!, last);
      }
    }
  }
  for (let current = 0; ; ) {
    waitUntil(run, (current | 1) + 1);
    current = Atomics.load(words, run);
    const number = Atomics.load(words, program);
    let first = Atomics.load(words, base);
    if (current % 2 !== 0 || Atomics.load(words, run) !== current) continue;
    for (const tasks of phasesOf(number, current) ?? []) {
      const last = (first + Math.max(1, tasks.length)) | 0;
      if (tasks.length > 0) doPhase(tasks, first, last);
      first = last;
    }
  }
}

async function begin(start: WorkerStart, tell: (message: string) => void): Promise<void> {
  const { module, memory, kernels } = start;
  try {
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    const functions = kernels.map((name) => exports[name] as Kernel);
    tell("ready");
    serve(start, functions);
  } catch (error) {
    tell(String(error));
  }
}

const node = globalThis.process?.getBuiltinModule("node:worker_threads");
if (node === undefined) {
  globalThis.onmessage = ({ data }) => begin(data, (message) => postMessage(message));
} else {
  const parent = node.parentPort!;
  parent.once("message", (start) => begin(start, (message) => parent.postMessage(message)));
}
