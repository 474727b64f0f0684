// Whether memory stays flat: many runs of one session, and many sessions made and disposed of. Exits with 1 when it grows.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createSession } from "../dist/runtime/index.js";
import { prepareModels } from "./models.mjs";
import { imageFor } from "./networks.mjs";

const usage = `node --expose-gc bench/soak.mjs [options]
  --net NAME       network (default: lenet5-bn)
  --threads COUNT  threads of a session (default: 1)
  --runs COUNT     runs of one session (default: 100000)
  --sessions COUNT sessions made, run once and disposed of, after as many to settle (default: 1000)`;

const { values } = parseArgs({
  options: {
    net: { type: "string", default: "lenet5-bn" },
    threads: { type: "string", default: "1" },
    runs: { type: "string", default: "100000" },
    sessions: { type: "string", default: "1000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help || typeof gc !== "function") {
  process.stderr.write(`${usage}\n`);
  process.exit(values.help ? 0 : 2);
}

/** Samples taken over each phase. */
const samples = 50;

function sample() {
  gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heapUsed, external };
}

/** Least-squares slope of y over x. */
function slope(points) {
  const mean = (index) => points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return covariance / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

/** Does `act` `count` times; answers the memory after each part and its growth per time over the second half. */
async function soak(label, count, act) {
  const taken = [];
  const start = performance.now();
  for (let done = 1; done <= count; done++) {
    await act();
    if (done % Math.max(1, Math.floor(count / samples)) !== 0) continue;
    taken.push([done, sample()]);
    const left = ((performance.now() - start) / done) * (count - done);
    process.stderr.write(`\r\x1b[K${label}: ${done} of ${count}, ${Math.ceil(left / 1000)} s left`);
  }
  process.stderr.write("\r\x1b[K");
  const settled = taken.slice(taken.length >> 1);
  const growth = (kind) => slope(settled.map(([done, memory]) => [done, memory[kind]]));
  return {
    count,
    firstMegabytes: taken[0][1].rss / 2 ** 20,
    lastMegabytes: taken.at(-1)[1].rss / 2 ** 20,
    bytesEach: { rss: growth("rss"), heapUsed: growth("heapUsed"), external: growth("external") },
  };
}

/** What may grow over a whole phase without being called a leak: a few pages of the collector's. */
const tolerated = 4 * 2 ** 20;

const folder = await prepareModels(values.net);
const bytes = new Uint8Array(readFileSync(join(folder, "adder.onnx")));
const feeds = { input: imageFor(values.net) };

const options = { threads: Number(values.threads) };
const session = await createSession(bytes, options);
const runs = await soak("runs", Number(values.runs), () => session.run(feeds));
const { threads } = session.explain();
await session.dispose();
async function openAndClose() {
  const short = await createSession(bytes, options);
  await short.run(feeds);
  await short.dispose();
}
// Compiled code and the collector's pages settle over hundreds of sessions.
await soak("sessions, to settle", Number(values.sessions), openAndClose);
const sessions = await soak("sessions", Number(values.sessions), openAndClose);
const grows = [runs, sessions].filter(({ count, bytesEach }) => count * bytesEach.rss > tolerated);
process.stdout.write(
  `${JSON.stringify({ net: values.net, threads, runs, sessions, grows: grows.length > 0 }, null, 1)}\n`,
);
process.exitCode = grows.length > 0 ? 1 : 0;
