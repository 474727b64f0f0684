// One engine and one model in a process of their own: prints what the first answer takes and how much memory the process ever held.

import { readFileSync } from "node:fs";
import { loadEngine, openEngine } from "./engines.mjs";
import { imageFor } from "./networks.mjs";

/** Most memory ever resident, in megabytes. The system's own account of a started process begins with its parent's. */
function peakMegabytes() {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS / 1024;
  const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(kilobytes) / 1024;
}

const { engine, file, network, threads, runs } = JSON.parse(process.argv[2]);
const image = imageFor(network);
const bytes = new Uint8Array(readFileSync(file));
await loadEngine(engine);
const start = performance.now();
const { run } = await openEngine(engine, bytes, image, { threads });
const opened = performance.now();
await run();
const answered = performance.now();
for (let index = 1; index < runs; index++) await run();
process.stdout.write(
  JSON.stringify({
    sessionMilliseconds: opened - start,
    firstRunMilliseconds: answered - opened,
    coldStartMilliseconds: answered - start,
    peakMegabytes: peakMegabytes(),
  }),
);
process.exit(0);
