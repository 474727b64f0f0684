// Runs of a session, timed until the median is known well enough: whole runs and runs with every step timed take turns, so that both
// meet the same machine.

import type { StepTime } from "../explain.ts";
import { medianInterval, quantile } from "./statistics.ts";

export interface Subject {
  readonly run: () => Promise<unknown>;
  readonly profile: () => Promise<readonly StepTime[]>;
}

export interface MeasureOptions {
  /** Runs before those that count; by default as many as half a second holds, 3 to 200. */
  readonly warmUpRuns?: number;
  /** Exactly so many timed runs; otherwise as many as `precision` takes. */
  readonly runs?: number;
  /** The 95 % interval of the median reaches at most this share of it to either side; 0.01 unless given. */
  readonly precision?: number;
  /** What all of it may take; 10 unless given. */
  readonly seconds?: number;
  /** Told now and then; a promise is waited for. */
  readonly onProgress?: (done: number, total: number) => void | Promise<void>;
}

export interface TimedRun {
  /** Milliseconds since the measurement began. */
  readonly at: number;
  readonly ms: number;
}

export interface TimedSteps extends TimedRun {
  /** Milliseconds of every step. */
  readonly steps: readonly number[];
}

export interface Recording {
  readonly resolutionMs: number;
  /** Runs that are timed together, so that a measurement is long next to the resolution of the clock. */
  readonly repeats: number;
  readonly warmUpRuns: number;
  readonly runs: readonly TimedRun[];
  readonly stepped: readonly TimedSteps[];
  readonly steps: readonly StepTime[];
  readonly precision: number;
  /** Why no more runs were made. */
  readonly ended: "precise" | "time" | "count";
}

/** The smallest step that the clock makes, in ms. */
export function clockResolution(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 20; look++) {
    const before = performance.now();
    let after = before;
    while (after === before) after = performance.now();
    least = Math.min(least, after - before);
  }
  return least;
}

/** A measurement should be this many times as long as the clock is fine. */
const resolutions = 100;
const leastRuns = 100;
const mostRuns = 20_000;
/** How long nothing else gets a turn, in ms. */
const turnMs = 50;

const letOthers = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** Lets timers, messages and signals through now and then, and says how far it is. */
function makeBreather(
  onProgress: MeasureOptions["onProgress"],
): (done: number, total: number) => Promise<void> {
  let last = performance.now();
  return async (done, total) => {
    if (performance.now() - last < turnMs) return;
    await onProgress?.(done, total);
    await letOthers();
    last = performance.now();
  };
}

async function warmUp(subject: Subject, runs: number | undefined): Promise<{ count: number; ms: number }> {
  const start = performance.now();
  let fastest = Number.POSITIVE_INFINITY;
  let count = 0;
  const isEnough = () =>
    runs === undefined ? count >= 3 && (performance.now() - start > 500 || count >= 200) : count >= runs;
  const breathe = makeBreather(undefined);
  while (!isEnough()) {
    const before = performance.now();
    await subject.run();
    fastest = Math.min(fastest, performance.now() - before);
    await subject.profile();
    count++;
    await breathe(count, 0);
  }
  return { count, ms: fastest };
}

const isPrecise = (times: readonly number[], precision: number): boolean => {
  const [low, high] = medianInterval(times);
  return high - low <= 2 * precision * quantile(times, 0.5);
};

/** Measures until the interval is narrow enough, the time is up, or the count is reached. */
export async function measureRuns(subject: Subject, options: MeasureOptions = {}): Promise<Recording> {
  const { precision = 0.01, seconds = 10, onProgress } = options;
  const resolutionMs = clockResolution();
  const warm = await warmUp(subject, options.warmUpRuns);
  const repeats = Math.min(1000, Math.max(1, Math.ceil((resolutions * resolutionMs) / warm.ms)));
  const begin = performance.now();
  const runs: TimedRun[] = [];
  const stepped: TimedSteps[] = [];
  let steps: readonly StepTime[] = [];
  const breathe = makeBreather(onProgress);
  const most = options.runs ?? mostRuns;
  let ended: Recording["ended"] = "count";
  for (let checkAt = leastRuns; runs.length < most; ) {
    const before = performance.now();
    for (let repeat = 0; repeat < repeats; repeat++) await subject.run();
    const between = performance.now();
    runs.push({ at: before - begin, ms: (between - before) / repeats });
    steps = await subject.profile();
    const ms = performance.now() - between;
    stepped.push({ at: between - begin, ms, steps: steps.map(({ milliseconds }) => milliseconds) });
    const elapsed = performance.now() - begin;
    await breathe(elapsed, seconds * 1000);
    if (options.runs !== undefined) continue;
    if (runs.length >= checkAt) {
      const times = runs.map((run) => run.ms);
      if (isPrecise(times, precision)) {
        ended = "precise";
        break;
      }
      checkAt = Math.ceil(checkAt * 1.3);
    }
    if (elapsed > seconds * 1000 && runs.length >= 3) {
      ended = "time";
      break;
    }
  }
  return { resolutionMs, repeats, warmUpRuns: warm.count, runs, stepped, steps, precision, ended };
}

/** Runs with every step timed that took as long as the usual whole run: the tenth of them nearest to its median. */
function usualRuns({ runs, stepped, repeats }: Recording): readonly TimedSteps[] {
  // A clock too coarse for single runs cannot tell them apart: the mean of nearly all is what it gives.
  if (repeats > 1) {
    return [...stepped].sort((a, b) => a.ms - b.ms).slice(0, Math.max(1, Math.floor(0.95 * stepped.length)));
  }
  const times = runs.map(({ ms }) => ms);
  const wall = quantile(times, 0.5);
  const byDistance = [...stepped].sort((a, b) => Math.abs(a.ms - wall) - Math.abs(b.ms - wall));
  return byDistance.slice(0, Math.max(3, Math.round(stepped.length / 10)));
}

/** Milliseconds of every step in a usual run, so that they add up to one. */
export function usualSteps(recording: Recording): number[] {
  const usual = usualRuns(recording);
  return recording.steps.map(
    (_, step) => usual.reduce((sum, run) => sum + run.steps[step]!, 0) / usual.length,
  );
}
