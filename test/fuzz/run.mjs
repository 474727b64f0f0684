// npm run fuzz: random graphs and damaged files, in processes that are watched, for so many minutes or cases.

import { fork } from "node:child_process";
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { kinds } from "./kinds.mjs";

const usage = `npm run fuzz -- [options]
  --minutes N    how long (default: 1)
  --count N      how many cases per kind, in place of --minutes
  --kind NAME    only ${Object.keys(kinds).join(", ")} (may be repeated)
  --seed S       first seed (default: one of today's)
  --memory MB    most memory a case may leave behind (default: 2048)
Findings are kept in test/fuzz/findings.jsonl, made smaller where that works. Exit code 1 when there are any.`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    count: { type: "string" },
    kind: { type: "string", multiple: true, default: Object.keys(kinds) },
    seed: { type: "string" },
    memory: { type: "string", default: "2048" },
    help: { type: "boolean", default: false },
  },
});
const numbers = [values.minutes, values.count ?? "1", values.seed ?? "1", values.memory].map(Number);
const isUsable =
  numbers.every((number) => number >= 0) && values.kind.every((kind) => Object.hasOwn(kinds, kind));
if (values.help || !isUsable) {
  process.stderr.write(`${usage}\n`);
  process.exit(values.help ? 0 : 2);
}

/** A process that says nothing for so many seconds hangs. They are counted one by one: those of a machine put to sleep do not count. */
const patience = 60;
/** Cases per process: leaks of other libraries do not add up. */
const batch = 2000;
const keptIn = join(import.meta.dirname, "findings.jsonl");

/** Runs seeds of one kind in one process. Answers the next seed, after which findings and outcomes were told to `note`. */
function runProcess(kind, first, end, deadline, note) {
  return new Promise((done) => {
    const child = fork(join(import.meta.dirname, "case-process.mjs"), [kind, first, end, values.memory], {
      execArgv: ["--max-old-space-size=1500"],
      stdio: ["ignore", "ignore", "pipe", "pipe", "ipc"],
    });
    let [seed, isDone, isHanging, said] = [first, false, false, ""];
    let silence = 0;
    const watch = setInterval(() => {
      silence++;
      if (silence < patience) return;
      isHanging = true;
      child.kill("SIGKILL");
    }, 1000);
    child.stderr.on("data", (part) => {
      said = (said + part).slice(-2000);
    });
    createInterface({ input: child.stdio[3] }).on("line", (line) => {
      silence = 0;
      const message = JSON.parse(line);
      if (message.seed !== undefined) seed = message.seed;
      if (message.finding) note({ kind, ...message.finding });
      if (message.outcome) note({ kind, outcome: message.outcome });
      if (message.done) isDone = true;
      if (Date.now() > deadline && message.outcome) {
        isDone = true;
        child.kill("SIGKILL");
      }
    });
    child.on("close", (code) => {
      clearInterval(watch);
      if (isHanging) note({ kind, seed, what: "hang", detail: `nothing for ${patience} s` });
      else if (!isDone && code !== 0)
        note({ kind, seed, what: "crash", detail: `the process ended with ${code}: ${said}` });
      done(isDone && Date.now() <= deadline ? end : seed + 1);
    });
  });
}

const counts = new Map();
const findings = [];

function note({ kind, outcome, ...finding }) {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
  if (outcome !== undefined) {
    outcomes.set(`${kind}: ${outcome}`, (outcomes.get(`${kind}: ${outcome}`) ?? 0) + 1);
    return;
  }
  findings.push({ kind, ...finding });
  mkdirSync(import.meta.dirname, { recursive: true });
  appendFileSync(keptIn, `${JSON.stringify({ kind, ...finding })}\n`);
  process.stdout.write(
    `${kind}, seed ${finding.seed}: ${finding.what}: ${String(finding.detail).split("\n")[0].slice(0, 300)}\n`,
  );
}

const outcomes = new Map();
const start = Date.now();
const firstSeed = values.seed === undefined ? Math.floor(start / 1000) : Number(values.seed);
const byCount = values.count !== undefined;
const perKind = byCount ? Number(values.count) : Number.POSITIVE_INFINITY;
const share = (Number(values.minutes) * 60_000) / values.kind.length;

for (const kind of values.kind) {
  const deadline = byCount ? Number.POSITIVE_INFINITY : Date.now() + share;
  let seed = firstSeed;
  while (seed < firstSeed + perKind && Date.now() < deadline) {
    seed = await runProcess(kind, seed, Math.min(seed + batch, firstSeed + perKind), deadline, note);
    process.stderr.write(`\r\x1b[K${kind}: ${counts.get(kind) ?? 0} cases, ${findings.length} findings`);
  }
}
process.stderr.write("\r\x1b[K");
const told = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ");
for (const [outcome, count] of [...outcomes].sort()) process.stdout.write(`  ${outcome}: ${count}\n`);
const seconds = Math.round((Date.now() - start) / 1000);
process.stdout.write(
  `${told || "nothing"}: ${findings.length} findings, seeds from ${firstSeed}, ${seconds} s\n`,
);
process.exitCode = findings.length === 0 ? 0 : 1;
