// Progress on stderr: one line that is rewritten on a terminal, a line now and then elsewhere.

import type { Output } from "./context.ts";

const linesEveryMs = 5000;
const redrawEveryMs = 100;

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** "verify 2/4, 3 s left" */
export function progressLine(phase: string, done: number, total: number, elapsedMs: number): string {
  if (total <= 0) return done > 0 ? `${phase} ${done}` : phase;
  if (total === 1) return phase;
  const leftMs = done > 0 && done < total ? (elapsedMs * (total - done)) / done : 0;
  return `${phase} ${done}/${total}${leftMs > 0 ? `, ${duration(leftMs)} left` : ""}`;
}

export interface Progress {
  readonly show: (phase: string, done: number, total: number) => void;
  /** Removes the line from a terminal, so that something else can be printed. */
  readonly clear: () => void;
}

/** `now` answers milliseconds. */
export function makeProgress(output: Output, now: () => number = () => performance.now()): Progress {
  let phase = "";
  let [startedAt, lastAt, printedAt] = [now(), now(), Number.NEGATIVE_INFINITY];
  let shown = false;
  const clear = (): void => {
    if (shown) output.write("\r\u001b[2K");
    shown = false;
  };
  const show = (next: string, done: number, total: number): void => {
    const time = now();
    const isNew = next !== phase;
    // A phase first heard of when a part of it is done began when the one before it ended.
    if (isNew) [phase, startedAt] = [next, done > 0 ? lastAt : time];
    lastAt = time;
    const line = progressLine(phase, done, total, time - startedAt);
    if (output.isTTY) {
      if (!isNew && done < total && time - printedAt < redrawEveryMs) return;
      clear();
      output.write(line.slice(0, (output.columns ?? 80) - 1));
      shown = true;
    } else {
      if (!isNew && time - printedAt < linesEveryMs) return;
      output.write(`${line}\n`);
    }
    printedAt = time;
  };
  return { show, clear };
}
