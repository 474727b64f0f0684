// What the adder layers of a network take as custom ops inside onnxruntime-web, against the same layers on the runtime's own session, which
// is what a partition runs them on. In turns, in one process.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createSession } from "../dist/runtime/index.js";
import { adderNetEp, registerAdderNet } from "../dist/src/ort.js";
import { imageFor } from "./networks.mjs";
import { quantile } from "./statistics.mjs";

const [net = "resnet20", rounds = "15"] = process.argv.slice(2);
const root = join(dirname(fileURLToPath(import.meta.url)), "..");

// Time inside our functions that onnxruntime calls: all but those that compute are called while sessions are made.
let inside = 0;
/** The same imports, our functions among them timed. */
function timed(imports) {
  if (imports?.f === undefined) return imports;
  const functions = Object.entries(imports.f).map(([name, call]) => [
    name,
    (...args) => {
      const start = performance.now();
      const answer = call(...args);
      inside += performance.now() - start;
      return answer;
    },
  ]);
  return { ...imports, f: Object.fromEntries(functions) };
}
WebAssembly.Instance = class extends WebAssembly.Instance {
  constructor(module, imports) {
    super(module, timed(imports));
  }
};

const ort = await import("onnxruntime-web");
ort.env.wasm.numThreads = 1;
registerAdderNet(ort, { strategy: "native" });
const bytes = new Uint8Array(readFileSync(join(root, ".cache", "strategies", `${net}.onnx`)));
const native = await ort.InferenceSession.create(bytes.slice(), { executionProviders: [adderNetEp()] });
const own = await createSession(bytes);
const { type, data, dims } = imageFor(net.split("-")[0]);
const feeds = { [native.inputNames[0]]: new ort.Tensor(type, data, dims) };

const isAdder = ({ node }) => node.includes("Adder");
const candidates = {
  async native() {
    inside = 0;
    await native.run(feeds);
    return inside;
  },
  async partition() {
    const steps = await own.profile({ [own.inputNames[0]]: { type, data, dims } });
    return steps.filter(isAdder).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  },
};
const times = { native: [], partition: [] };
for (let run = 0; run < 300; run++) for (const act of Object.values(candidates)) await act();
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, act] of Object.entries(candidates)) {
    const taken = [];
    for (let run = 0; run < 40; run++) taken.push(await act());
    times[name].push(...taken);
  }
}
// What they take when nothing else takes the processor.
const [inNative, inPartition] = [quantile(times.native, 0.1), quantile(times.partition, 0.1)];
const result = { net, native: inNative, partition: inPartition, ratio: inNative / inPartition };
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
