// How many threads a session uses, and why not more.

import { AdderNetError } from "../../src/core/errors.ts";
import { coreCount, threadsRefusal } from "../../src/core/workers.ts";

/** Threads of a session; 1 where more cannot be had, with the reason. */
export interface ThreadChoice {
  readonly most: number;
  readonly reason: string;
  /** Whether plans that gain little stay on one thread. */
  readonly isAuto: boolean;
}

const mostOfAll = 64;
const mostByItself = 4;
/** How many times as fast a plan must get before "auto" shares it. */
export const leastGain = 1.25;

export function requireThreadCount(threads: number | "auto"): void {
  if (threads === "auto" || (Number.isInteger(threads) && threads >= 1)) return;
  throw new AdderNetError("ADN_USAGE", "threads is out of range", {
    expected: '"auto" or >= 1',
    found: String(threads),
  });
}

export function chooseThreads(wanted: number | "auto"): ThreadChoice {
  const isAuto = wanted === "auto";
  if (wanted === 1) return { most: 1, reason: "asked for", isAuto };
  const refusal = threadsRefusal();
  if (refusal !== undefined) return { most: 1, reason: refusal, isAuto };
  if (!isAuto) {
    const reason = wanted > mostOfAll ? `at most ${mostOfAll}` : "asked for";
    return { most: Math.min(wanted, mostOfAll), reason, isAuto };
  }
  const cores = coreCount();
  const most = Math.min(mostByItself, cores);
  return { most, reason: cores === 1 ? "there is one core" : `auto, ${cores} cores`, isAuto };
}
