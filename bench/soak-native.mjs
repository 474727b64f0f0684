// Whether memory stays flat with custom ops inside onnxruntime: many runs of one session, many sessions created and released. Exits with 1
// when onnxruntime's memory or the process grows over the second half.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { adderNetEp, explain, registerAdderNet } from "../dist/src/ort.js";
import { prepareModels } from "./models.mjs";
import { imageFor } from "./networks.mjs";

const usage = `node --expose-gc bench/soak-native.mjs [options]
  --engine NAME    web or node (default: web)
  --net NAME       network (default: lenet5-bn)
  --runs COUNT     runs of one session (default: 100000)
  --sessions COUNT sessions created, run once and released (default: 1000)`;

const { values } = parseArgs({
  options: {
    engine: { type: "string", default: "web" },
    net: { type: "string", default: "lenet5-bn" },
    runs: { type: "string", default: "100000" },
    sessions: { type: "string", default: "1000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help || typeof gc !== "function") {
  process.stderr.write(`${usage}\n`);
  process.exit(values.help ? 0 : 2);
}

/** onnxruntime-web's memory: the only shared one that is instantiated with. */
let memory;
const { instantiate } = WebAssembly;
WebAssembly.instantiate = (source, imports) => {
  for (const each of Object.values(imports ?? {}).flatMap(Object.values)) {
    if (each instanceof WebAssembly.Memory && each.buffer instanceof SharedArrayBuffer) memory ??= each;
  }
  return instantiate.call(WebAssembly, source, imports);
};

const samples = 20;

function sample() {
  gc();
  return { rss: process.memoryUsage().rss, wasm: memory?.buffer.byteLength ?? 0 };
}

/** Does `act` `count` times; answers memory after the first half and at the end, lowest of neighbouring samples. */
async function soak(count, act) {
  const taken = [];
  for (let done = 1; done <= count; done++) {
    await act();
    if (done % Math.max(1, Math.floor(count / samples)) === 0) taken.push(sample());
  }
  const lowest = (list, kind) => Math.min(...list.map((each) => each[kind]));
  const quarter = Math.max(1, Math.floor(taken.length / 4));
  const [middle, end] = [taken.slice(quarter * 2, quarter * 3), taken.slice(-quarter)];
  const growth = (kind) => lowest(end, kind) - lowest(middle, kind);
  return {
    count,
    rss: taken.at(-1).rss,
    wasm: taken.at(-1).wasm,
    growth: { rss: growth("rss"), wasm: growth("wasm") },
  };
}

const ort =
  values.engine === "web" ? await import("onnxruntime-web") : (await import("onnxruntime-node")).default;
if (values.engine === "web") ort.env.wasm.numThreads = 1;
registerAdderNet(ort, { strategy: "native" });
const bytes = new Uint8Array(readFileSync(join(await prepareModels(values.net), "adder.onnx")));
const { type, data, dims } = imageFor(values.net);
const create = () => ort.InferenceSession.create(bytes.slice(), { executionProviders: [adderNetEp()] });

const session = await create();
const feeds = { [session.inputNames[0]]: new ort.Tensor(type, data, dims) };
const runs = await soak(Number(values.runs), () => session.run(feeds));
const { strategy } = explain(session);
await session.release();
const sessions = await soak(Number(values.sessions), async () => {
  const short = await create();
  await short.run(feeds);
  await short.release();
});
/** What may come and go in the process: a few pages of the collector's. onnxruntime's own memory may not grow at all. */
const tolerated = 4 * 2 ** 20;
const grows = [runs, sessions].some(({ growth }) => growth.wasm > 0 || growth.rss > tolerated);
process.stdout.write(
  `${JSON.stringify({ engine: values.engine, net: values.net, strategy, runs, sessions, grows }, null, 1)}\n`,
);
process.exit(grows ? 1 : 0);
