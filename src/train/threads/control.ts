// The numbers that threads share, and how programs lie in memory: for each phase the count of its tasks, for each task the count of its
// calls, for each call the kernel's number, the count of its arguments, the arguments.

/** Words of the control block. `taken` and `ended` count tasks for ever; each is followed by the number of threads that sleep on it. */
export const controlWords = { taken: 0, ended: 2, run: 4, program: 6, base: 7, length: 8 } as const;

export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly kernels: readonly string[];
  readonly control: number;
  readonly spinMilliseconds: number;
}

export type Kernel = (...args: number[]) => void;

interface ReadyCall {
  readonly kernel: Kernel;
  readonly args: readonly number[];
}
export type ReadyTask = readonly ReadyCall[];
/** Tasks that need nothing of each other. */
export type ReadyPhase = readonly ReadyTask[];

/** The program at word `start`, ready to be run. */
export function readProgram(words: Int32Array, start: number, kernels: readonly Kernel[]): ReadyPhase[] {
  let at = start;
  const list = <T>(read: () => T): T[] => Array.from({ length: words[at++]! }, read);
  const readCall = (): ReadyCall => ({
    kernel: kernels[words[at++]!]!,
    args: list(() => words[at++]!),
  });
  return list(() => list(() => list(readCall)));
}

export function runTask(task: ReadyTask): void {
  for (const { kernel, args } of task) kernel(...args);
}
