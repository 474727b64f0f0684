// Runs the cases of one kind from a first seed on. Each seed goes through file descriptor 3 before it starts, so that the process that
// watches knows at which seed this one hung or died.

import { writeSync } from "node:fs";
import { kinds } from "./kinds.mjs";
import { shrink } from "./shrink.mjs";

const [kind, first, end, memoryMb] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const tell = (message) => writeSync(3, `${JSON.stringify(message)}\n`);

const { make, check, smaller, show } = await kinds[kind].load();
tell({ ready: true });

/** Milliseconds of a processor that a case may take; what takes more is a finding. */
const longest = 5000;

for (let seed = first; seed < end; seed++) {
  tell({ seed });
  const start = process.cpuUsage();
  try {
    const outcome = await check(make(seed));
    const { user, system } = process.cpuUsage(start);
    const took = (user + system) / 1000;
    const rss = process.memoryUsage.rss() / 2 ** 20;
    if (took > longest) tell({ finding: { seed, what: "slow", detail: `${Math.round(took)} ms` } });
    if (rss > memoryMb) {
      tell({ finding: { seed, what: "memory", detail: `${Math.round(rss)} MB` } });
      process.exit(0);
    }
    tell({ outcome: String(outcome ?? "passed") });
  } catch (error) {
    const small = await shrink(make(seed), error, { check, smaller });
    const { what = "crash", message } = small.error;
    tell({ finding: { seed, what, detail: message, case: show(small.found) } });
  }
}
tell({ done: true });
process.exit(0);
