// Runs the cases of one kind from a first seed on. Each seed goes through file descriptor 3 before it starts, so that the process that
// watches knows at which seed this one hung or died.

import { writeSync } from "node:fs";
import { kinds } from "./kinds.mjs";
import { shrink } from "./shrink.mjs";

const [kind, first, end, memoryMb] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const tell = (message) => writeSync(3, `${JSON.stringify(message)}\n`);

const { make, check, smaller, show } = await kinds[kind].load();
tell({ ready: true });

/** Milliseconds of a processor that a case may take: time in which others ran, or nobody, is no time of its own. */
const longest = 5000;

/** Most memory this process ever held, in MB. */
const peakMb = () => process.resourceUsage().maxRSS / 1024;

/** What the case came to, and what it took. */
async function measure(seed) {
  const start = process.cpuUsage();
  const outcome = await check(make(seed));
  const { user, system } = process.cpuUsage(start);
  return { outcome: String(outcome ?? "passed"), took: (user + system) / 1000, peak: peakMb() };
}

/** The watching process keeps the finding as it is, should what follows never end. */
async function tellShrunk(seed, error) {
  const { what = "crash", message } = error;
  tell({ suspect: { seed, what, detail: message, case: show(make(seed)) } });
  const checkAloud = (one) => {
    tell({ isShrinking: true });
    return check(one);
  };
  const small = await shrink(make(seed), error, { check: checkAloud, smaller });
  tell({ finding: { seed, what, detail: small.error.message, case: show(small.found) } });
}

for (let seed = first; seed < end; seed++) {
  tell({ seed });
  try {
    const { outcome, took, peak } = await measure(seed);
    if (took > longest) {
      tell({ finding: { seed, what: "hang", detail: `${Math.round(took)} ms of a processor` } });
    } else if (peak > memoryMb) {
      tell({ finding: { seed, what: "memory", detail: `${Math.round(peak)} MB` } });
    } else tell({ outcome, took, peak });
    // The peak of a process never falls: the next case gets a process of its own.
    if (peak > memoryMb) process.exit(0);
  } catch (error) {
    await tellShrunk(seed, error);
  }
}
tell({ done: true });
process.exit(0);
