// What a worker of training runs. It travels as text inside the JavaScript and imports nothing at run time.

import { controlWords, type Kernel, type ReadyPhase, readProgram, type WorkerStart } from "./control.ts";
import { walkPhases } from "./phases.ts";
import { lookFor, sleepFor } from "./waiting.ts";

const { ended, run, program, base, length } = controlWords;
const forever = Number.POSITIVE_INFINITY;

/** Waits for runs and does tasks of them, for ever. Programs never change, so a run that is over by now does no harm. */
function serve({ memory, control, spinMilliseconds }: WorkerStart, kernels: readonly Kernel[]): never {
  const words = new Int32Array(memory.buffer, control, length);
  const all = new Int32Array(memory.buffer);
  const known = new Map<number, ReadyPhase[]>();
  const reach = (word: number, count: number): void => {
    if (!lookFor(words, word, count, spinMilliseconds)) sleepFor(words, word, count, forever);
  };
  const phasesOf = (at: number): ReadyPhase[] => {
    const phases = known.get(at) ?? readProgram(all, at, kernels);
    known.set(at, phases);
    return phases;
  };
  for (let seen = 0; ; ) {
    reach(run, (seen | 1) + 1);
    seen = Atomics.load(words, run);
    const [at, from] = [Atomics.load(words, program), Atomics.load(words, base)];
    // Odd while a run is being set up; changed when another one began.
    if (seen % 2 !== 0 || Atomics.load(words, run) !== seen) continue;
    walkPhases({
      words,
      phases: phasesOf(at),
      base: from,
      reach: (count) => reach(ended, count),
    });
  }
}

async function begin(start: WorkerStart, tell: (message: string) => void): Promise<void> {
  try {
    const { exports } = await WebAssembly.instantiate(start.module, { env: { memory: start.memory } });
    const kernels = start.kernels.map((name) => exports[name] as Kernel);
    tell("ready");
    serve(start, kernels);
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
