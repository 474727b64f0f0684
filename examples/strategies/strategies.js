// Measures one model under every strategy, in turns, so that whatever the machine does meanwhile meets all of them.

import { convert } from "addernet/converter";
import { adderNetEp, explain, registerAdderNet } from "addernet/ort";
import * as ort from "onnxruntime-web";

const rows = document.querySelector("tbody");
const output = document.querySelector("output");

// Before the first session: a custom op can only come into an onnxruntime-web that is seen to start.
registerAdderNet(ort, { strategy: "auto" });
ort.env.wasm.numThreads = 1;

const strategies = {
  partition: [adderNetEp({ strategy: "partition" })],
  native: [adderNetEp({ strategy: "auto" })],
  "function bodies": ["wasm"],
};

/** Lengths that a model leaves open. */
const openLength = 1;

function feedsFor({ inputMetadata }) {
  const entries = inputMetadata.map(({ name, type, shape }) => {
    const dims = shape.map((length) => (typeof length === "number" ? length : openLength));
    const count = dims.reduce((product, length) => product * length, 1);
    const data = type === "float32" ? new Float32Array(count) : new Uint8Array(count);
    for (let i = 0; i < count; i++) data[i] = type === "float32" ? Math.sin(i) : (i * 37) % 256;
    return [name, new ort.Tensor(type, data, dims)];
  });
  return Object.fromEntries(entries);
}

/** Milliseconds of one run, out of as many as fill a twentieth of a second. */
async function timeRuns(session, feeds) {
  const start = performance.now();
  let runs = 0;
  do {
    await session.run(feeds);
    runs++;
  } while (performance.now() - start < 50);
  return (performance.now() - start) / runs;
}

const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];

function largestDifference(found, expected) {
  return found.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index])), 0);
}

function show(name, time, difference, session) {
  const explanation = explain(session);
  const how = explanation
    ? `${explanation.strategy}: ${explanation.length} segment(s), ${explanation.reason}`
    : "onnxruntime alone";
  const row = rows.insertRow();
  for (const text of [name, `${time.toFixed(2)} ms`, difference.toExponential(1), how])
    row.insertCell().textContent = text;
}

async function compare(bytes) {
  rows.replaceChildren();
  output.textContent = "loading";
  const measured = [];
  for (const [name, executionProviders] of Object.entries(strategies)) {
    const session = await ort.InferenceSession.create(bytes.slice(), { executionProviders });
    const feeds = feedsFor(session);
    const answer = Object.values(await session.run(feeds))[0].data;
    await timeRuns(session, feeds);
    measured.push({ name, session, feeds, answer, times: [] });
  }
  for (let round = 0; round < 5; round++) {
    for (const each of measured) each.times.push(await timeRuns(each.session, each.feeds));
  }
  const expected = measured.at(-1).answer;
  for (const { name, session, answer, times } of measured) {
    show(name, median(times), largestDifference([...answer].map(Number), expected), session);
    await session.release();
  }
  output.textContent = `${measured.length} strategies measured`;
}

document.querySelector("input").addEventListener("change", async ({ target }) => {
  await compare(new Uint8Array(await target.files[0].arrayBuffer())).catch((error) => {
    output.textContent = error.message;
  });
});

const exported = new URL("../../test/fixtures/lenet5bn/lenet5bn.inlined.onnx", import.meta.url);
const { bytes } = await convert(new Uint8Array(await (await fetch(exported)).arrayBuffer()));
await compare(bytes);
