// Progress lines: the estimate, and what reaches a terminal, a pipe or nobody.

import { describe, expect, it } from "vitest";
import { makeProgress, progressLine } from "../../src/cli/progress.ts";

describe("the line", () => {
  // biome-ignore format: a table
  it.each([
    ["reading", 0, 1, 0, "reading"],
    ["verify", 0, 4, 10, "verify 0/4"],
    ["verify", 1, 4, 2000, "verify 1/4, 6 s left"],
    ["verify", 4, 4, 8000, "verify 4/4"],
    ["evaluating", 10, 100, 10_000, "evaluating 10/100, 1 min 30 s left"],
    ["evaluating", 1, 1001, 36_000, "evaluating 1/1001, 10 h 0 min left"],
    ["fetching", 3, 0, 5, "fetching 3"],
  ] as const)("%s %i/%i after %i ms", (phase, done, total, elapsed, expected) => {
    expect(progressLine(phase, done, total, elapsed)).toBe(expected);
  });
});

function recorded(isTTY: boolean, steps: readonly (readonly [number, string, number, number])[]): string[] {
  const written: string[] = [];
  let time = 0;
  const progress = makeProgress({ write: (text) => written.push(text), isTTY, columns: 20 }, () => time);
  for (const [at, phase, done, total] of steps) {
    time = at;
    progress.show(phase, done, total);
  }
  progress.clear();
  return written;
}

describe("where it goes", () => {
  it("a pipe gets a line per phase and one every few seconds", () => {
    const lines = recorded(false, [
      [0, "a", 0, 10],
      [1000, "a", 1, 10],
      [6000, "a", 5, 10],
      [6100, "b", 0, 1],
    ]);
    expect(lines).toEqual(["a 0/10\n", "a 5/10, 6 s left\n", "b\n"]);
  });

  it("a terminal gets one line, rewritten, cut to its width and removed at the end", () => {
    const written = recorded(true, [
      [0, "a", 0, 10],
      [50, "a", 1, 10],
      [500, "a long phase name that does not fit", 0, 1],
    ]);
    expect(written).toEqual(["a 0/10", "\r\u001b[2K", "a long phase name t", "\r\u001b[2K"]);
  });
});
