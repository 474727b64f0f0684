// The digit network in this worker: pixels in, ten probabilities out.

import { createSession } from "addernet/runtime";
import { fetchBytes } from "./fetch-bytes.js";

/** Statistics of MNIST, with which the network was trained. */
const mean = 0.1307;
const deviation = 0.3081;

let opened;
const openSession = () => {
  opened ??= fetchBytes("digits.onnx").then((bytes) => createSession(bytes));
  return opened;
};

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** `pixels`: 28x28 bytes, ink is bright. */
export async function classifyDigit(pixels) {
  const session = await openSession();
  const data = Float32Array.from(pixels, (pixel) => (pixel / 255 - mean) / deviation);
  const begin = performance.now();
  const { output } = await session.run({ input: { type: "float32", data, dims: [1, 1, 28, 28] } });
  const milliseconds = performance.now() - begin;
  const { simd, threads } = session.explain();
  return { probabilities: softmax(output.data), milliseconds, simd, threads };
}
