// Runs the jobs it is sent one by one and sends back what came of each.

import { jobsOf, readIndex } from "./cases.mjs";
import { runJob } from "./run-job.mjs";

const folder = process.argv[2];

process.on("message", async ({ jobs, withoutOrt }) => {
  const all = [...jobsOf(folder, readIndex(folder))];
  for (const at of jobs) {
    process.send(await runJob(all[at], { withOrt: !withoutOrt.includes(at) }));
  }
});
