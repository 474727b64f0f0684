// npm run fuzz: random graphs and damaged files, in processes that are watched, for so many minutes or cases.

import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { kinds } from "./kinds.mjs";
import { count, kindIn, openTally, summaryOf, writeTally } from "./tally.mjs";
import { runProcess } from "./watch.mjs";

const usage = `npm run fuzz -- [options]
  --minutes N      how long (default: 1)
  --count N        how many cases per kind, in place of --minutes
  --kind NAME[=N]  only ${Object.keys(kinds).join(", ")} (may be repeated); N cases of it
  --seed S         first seed (default: one of today's)
  --memory MB      most memory a case may take (default: 2048)
  --processes N    how many kinds at the same time (default: 1)
  --state FILE     where the run's sums are kept: the same command goes on where it was stopped
A case may take 5 s of a processor. Findings are kept in test/fuzz/findings.jsonl, made smaller where that works. Exit code 1 when there
are any.`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    count: { type: "string" },
    kind: { type: "string", multiple: true, default: Object.keys(kinds) },
    seed: { type: "string" },
    memory: { type: "string", default: "2048" },
    processes: { type: "string", default: "1" },
    state: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const chosen = values.kind.map((text) => {
  const [kind, number = values.count] = text.split("=");
  return { kind, cases: number === undefined ? undefined : Number(number) };
});
const numbers = [values.minutes, values.seed ?? "1", values.memory].map(Number);
const processes = Number(values.processes);
const isUsable =
  processes >= 1 &&
  [...numbers, ...chosen.map(({ cases }) => cases ?? 1)].every((number) => number >= 0) &&
  chosen.every(({ kind }) => Object.hasOwn(kinds, kind));
if (values.help || !isUsable) {
  process.stderr.write(`${usage}\n`);
  process.exit(values.help ? 0 : 2);
}

/** Cases per process: leaks of other libraries do not add up. */
const batch = 2000;
const keptIn = join(import.meta.dirname, "findings.jsonl");
const tally = openTally(values.state);
if (Object.keys(tally.kinds).length > 0) tally.stops++;
const firstSeed = values.seed === undefined ? Math.floor(Date.now() / 1000) : Number(values.seed);
const share = (Number(values.minutes) * 60_000 * Math.min(processes, chosen.length)) / chosen.length;

function tellFinding(kind, finding) {
  appendFileSync(keptIn, `${JSON.stringify({ kind, ...finding })}\n`);
  const line = String(finding.detail).split("\n")[0].slice(0, 300);
  process.stdout.write(`${kind}, seed ${finding.seed}: ${finding.what}: ${line}\n`);
}

let writtenAt = Date.now();

/** Sums are written every few seconds: that much is done again after a stop. */
function keep(isLast = false) {
  const now = Date.now();
  if (!isLast && now - writtenAt < 5000) return;
  tally.seconds += (now - writtenAt) / 1000;
  writtenAt = now;
  writeTally(values.state, tally);
}

async function runKind({ kind, cases }) {
  const sums = kindIn(tally, kind, firstSeed);
  const last = cases === undefined ? Number.POSITIVE_INFINITY : sums.first + cases;
  const deadline = cases === undefined ? Date.now() + share : Number.POSITIVE_INFINITY;
  while (sums.next < last && Date.now() < deadline) {
    const part = {
      kind,
      first: sums.next,
      end: Math.min(sums.next + batch, last),
      memoryMb: values.memory,
      deadline,
    };
    sums.next = await runProcess(part, (one) => {
      count(tally, kind, one);
      if (one.finding) tellFinding(kind, one.finding);
      keep();
    });
    process.stderr.write(`\r\x1b[K${kind}: ${sums.cases} cases, ${tally.findings.length} findings`);
  }
}

/** Whoever is free takes the next kind. */
const waiting = chosen.values();
async function runKinds() {
  for (const one of waiting) await runKind(one);
}

await Promise.all(Array.from({ length: processes }, runKinds));
keep(true);
process.stderr.write("\r\x1b[K");
process.stdout.write(`${summaryOf(tally)}\n`);
process.exitCode = tally.findings.length === 0 ? 0 : 1;
