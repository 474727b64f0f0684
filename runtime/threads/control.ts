// Through which words of the shared memory threads meet, and with what a worker is started.

/**
 * Tasks have numbers that go on from run to run. A phase is open when all tasks before it have ended; then any thread takes its
 * tasks by counting `taken` up, and counts `ended` up after each. Nothing ever waits for a worker that has taken nothing: one
 * that comes late to a run finds no tasks left and goes on. Numbers do not come back, so that a worker that slept through a run
 * cannot take a task of another by mistake. Counters may run over: only differences count.
 *
 * The word behind one that threads sleep on counts the sleepers. Words that many threads write have a cache line for themselves.
 */
export const controlWords = {
  /** Counts the tasks that were ever taken, over all runs. */
  taken: 0,
  /** Counts the tasks that have ended. */
  ended: 16,
  /** Number of the run, odd while the words below are written. */
  run: 32,
  /** Number of the run's program. */
  program: 34,
  /** How many tasks were taken before the run. */
  base: 35,
  failures: 36,
  /** Address and length of each thread's program. */
  programs: 37,
} as const;

/** What a worker is started with. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Kernels in the order in which programs number them. */
  readonly kernels: readonly string[];
  /** Address of the control block. */
  readonly control: number;
  /** Which of `threads` this is; the calling thread is 0. */
  readonly thread: number;
  readonly threads: number;
  /** How long to look for work before sleeping. */
  readonly spinMilliseconds: number;
}
