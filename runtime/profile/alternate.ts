// Candidates measured in turns, so that whatever the machine does meanwhile meets all of them.

export type Run = () => Promise<unknown>;

export interface AlternateOptions {
  readonly rounds: number;
  /** What one candidate may take in all. */
  readonly seconds: number;
  readonly warmUpMilliseconds?: number;
  readonly onRound?: (done: number) => void | Promise<void>;
}

/** Runs until engines have compiled their hot code; answers milliseconds per run. */
async function warmUp(run: Run, milliseconds: number): Promise<number> {
  const start = performance.now();
  let runs = 0;
  let last = start;
  let fastest = Number.POSITIVE_INFINITY;
  while (runs < 3 || last - start < milliseconds) {
    await run();
    const now = performance.now();
    fastest = Math.min(fastest, now - last);
    last = now;
    runs++;
    if (fastest > milliseconds) break;
  }
  return fastest;
}

/** Milliseconds that one measurement should take at least: short runs are repeated. */
const shortest = 5;

async function timeRuns(run: Run, repeats: number): Promise<number> {
  const start = performance.now();
  for (let index = 0; index < repeats; index++) await run();
  return (performance.now() - start) / repeats;
}

interface Schedule {
  readonly repeats: number;
  readonly stride: number;
}

/** How often a candidate runs in a round, and in which of the rounds: slow ones sit some out. */
function schedule(milliseconds: number, { rounds, seconds }: AlternateOptions): Schedule {
  const repeats = Math.max(1, Math.ceil(shortest / milliseconds));
  const affordable = Math.floor((seconds * 1000) / (repeats * milliseconds));
  const stride = Math.ceil(rounds / Math.min(rounds, Math.max(3, affordable)));
  return { repeats, stride };
}

/**
 * Milliseconds per run of every candidate, by name and round. In each round the candidates run one after the other, each time
 * another one first. `seconds` bounds what one candidate takes in all.
 */
export async function alternate(
  candidates: readonly (readonly [string, Run])[],
  options: AlternateOptions,
): Promise<Map<string, Map<number, number>>> {
  const { rounds, warmUpMilliseconds = 400, onRound = () => {} } = options;
  const plans = new Map<string, Schedule>();
  for (const [name, run] of candidates) {
    plans.set(name, schedule(await warmUp(run, warmUpMilliseconds), options));
  }
  const times = new Map(candidates.map(([name]) => [name, new Map<number, number>()]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < candidates.length; turn++) {
      const [name, run] = candidates[(round + turn) % candidates.length]!;
      const { repeats, stride } = plans.get(name)!;
      if (round % stride === 0) times.get(name)!.set(round, await timeRuns(run, repeats));
    }
    await onRound(round + 1);
  }
  return times;
}
