// npm run conformance: the ONNX project's backend tests through every engine, and SUPPORTED-OPS.md from what came of it.

import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { jobsOf, readIndex } from "./cases.mjs";
import { caseFolder } from "./folder.mjs";
import { failuresOf, reportOf } from "./report.mjs";
import { runApart } from "./run-apart.mjs";

const usage = `npm run conformance -- [options]
  --cases DIR   folder of gathered cases (default: ADDERNET_ONNX_TESTS, else the cache; npm run conformance:fetch fills it)
  --op NAME     only cases with this op; writes no report
  --json FILE   every verdict, for looking into them
  --out FILE    the report (default: SUPPORTED-OPS.md)`;

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: caseFolder() },
    json: { type: "string" },
    op: { type: "string" },
    out: { type: "string", default: join(resolve(import.meta.dirname, "../.."), "SUPPORTED-OPS.md") },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}

const index = readIndex(values.cases);
const jobs = [...jobsOf(values.cases, index)];
const wanted = [...jobs.keys()].filter((at) => values.op === undefined || jobs[at].ops.includes(values.op));
const verdicts = await runApart(values.cases, wanted, (done) => {
  if (done % 50 === 0) process.stderr.write(`\r\x1b[K${done} of ${wanted.length}`);
});
process.stderr.write("\r\x1b[K");
const results = wanted.map((at, index) => ({ ...jobs[at], verdicts: verdicts[index] }));

if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(results, undefined, 1));

const failures = failuresOf(results);
for (const { name, opset, engine, failed } of failures) {
  process.stdout.write(`${name}, opset ${opset}, ${engine}: ${failed}\n`);
}
const report = reportOf(results, index);
if (values.op === undefined) writeFileSync(values.out, report.text);
process.stdout.write(`${results.length} runs of cases, ${failures.length} failures\n`);
for (const line of report.unproven) process.stdout.write(`claimed, but no case passes: ${line}\n`);
process.exitCode = failures.length + report.unproven.length > 0 ? 1 : 0;
