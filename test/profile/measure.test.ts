// Runs of known length: what is measured, when it ends, and that layers add up to the run.

import { describe, expect, it } from "vitest";
import type { StepTime } from "../../runtime/explain.ts";
import { measureRuns, type Recording, usualSteps } from "../../runtime/profile/measure.ts";

function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const step = (node: string, milliseconds: number): StepTime => ({
  node,
  fused: [],
  kernels: {},
  why: "",
  milliseconds,
});

const subject = (first: number, second: number) => ({
  run: async () => busy(first + second),
  profile: async () => {
    busy(first + second);
    return [step("a", first), step("b", second)];
  },
});

describe("measuring", () => {
  it("makes exactly as many runs as asked for", async () => {
    const recording = await measureRuns(subject(0.1, 0.1), { runs: 7, warmUpRuns: 2 });
    expect([recording.runs.length, recording.stepped.length, recording.ended]).toEqual([7, 7, "count"]);
    expect(recording.warmUpRuns).toBe(2);
    for (const { ms } of recording.runs) expect(ms).toBeGreaterThanOrEqual(0.2);
  });

  it("ends when the time is up, and lets others have turns", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const recording = await measureRuns(subject(1, 1), { seconds: 0.3, precision: 1e-9, warmUpRuns: 1 });
    clearInterval(timer);
    expect(recording.ended).toBe("time");
    expect(turns).toBeGreaterThan(1);
  });

  it("ends when the median is known well enough", async () => {
    const recording = await measureRuns(subject(0.1, 0.1), { seconds: 30, precision: 0.5, warmUpRuns: 1 });
    expect(recording.ended).toBe("precise");
    expect(recording.runs.length).toBeGreaterThanOrEqual(100);
  });

  /** A recording of runs with these lengths, of which a third is the first step. */
  function recordingOf(lengths: readonly number[], timed: readonly number[], repeats = 1): Recording {
    return {
      resolutionMs: 1e-4,
      repeats,
      warmUpRuns: 0,
      runs: lengths.map((ms, at) => ({ at, ms })),
      stepped: timed.map((ms, at) => ({ at, ms, steps: [ms / 3, (2 * ms) / 3] })),
      steps: [step("a", 0), step("b", 0)],
      precision: 0.01,
      ended: "count",
    };
  }

  it("takes steps from runs that are as long as the usual one, whatever disturbs the others", () => {
    const quiet = Array.from({ length: 60 }, (_, index) => 3 + index / 1000);
    const disturbed = Array.from({ length: 40 }, (_, index) => 30 + index);
    const [first, second] = usualSteps(recordingOf(quiet, [...disturbed, ...quiet]));
    expect(first! + second!).toBeCloseTo(3.03, 2);
    expect(second! / first!).toBeCloseTo(2, 9);
  });

  it("averages steps where the clock is coarse", () => {
    const timed = Array.from({ length: 100 }, (_, index) => (index % 10 === 0 ? 0.1 : 0));
    const [first, second] = usualSteps(recordingOf([0.01], timed, 100));
    expect(first! + second!).toBeGreaterThan(0.003);
    expect(first! + second!).toBeLessThan(0.011);
  });
});
