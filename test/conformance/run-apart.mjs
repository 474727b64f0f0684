// Jobs in a process of their own, because some cases end the process inside onnxruntime.

import { fork } from "node:child_process";
import { join } from "node:path";

/** One process over `jobs`, from `first` on; answers the index of the job at which it ended early, if it did. */
function runOne(folder, jobs, first, withoutOrt, onVerdicts) {
  return new Promise((done, fail) => {
    const child = fork(join(import.meta.dirname, "job-process.mjs"), [folder], {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    let next = first;
    child.on("message", (verdicts) => {
      onVerdicts(next, verdicts);
      next++;
      if (next === jobs.length) child.disconnect();
    });
    child.on("error", fail);
    child.on("exit", () => done(next < jobs.length ? next : undefined));
    child.send({ jobs: jobs.slice(first), withoutOrt });
  });
}

/** Verdicts of the jobs with these numbers, in order. A job that ends its process is run again without onnxruntime. */
export async function runApart(folder, jobs, onProgress) {
  const verdicts = [];
  let first = 0;
  let withoutOrt = [];
  while (first < jobs.length) {
    const stoppedAt = await runOne(folder, jobs, first, withoutOrt, (at, found) => {
      verdicts[at] = found;
      onProgress(at);
    });
    if (stoppedAt === undefined) break;
    if (withoutOrt.includes(jobs[stoppedAt]))
      throw new Error(`job ${jobs[stoppedAt]} ends its process without onnxruntime`);
    withoutOrt = [jobs[stoppedAt]];
    first = stoppedAt;
  }
  return verdicts;
}
