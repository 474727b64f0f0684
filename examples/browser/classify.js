// The networks in this worker: pixels in, probabilities out.

import { createSession } from "addernet/runtime";
import { fetchBytes } from "./fetch-bytes.js";

/** Files, sides of the images, and the statistics (of pixels / 255, by channel) with which the networks were trained. */
const networks = {
  digits: { file: "digits.onnx", side: 28, mean: [0.1307], deviation: [0.3081] },
  photos: {
    file: "photos.onnx",
    side: 32,
    mean: [0.4914, 0.4822, 0.4465],
    deviation: [0.2023, 0.1994, 0.201],
  },
};

const sessions = new Map();

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Bytes with interleaved channels as [1, C, side, side]. */
function inputOf(pixels, { side, mean, deviation }) {
  const channels = mean.length;
  const plane = side * side;
  const data = new Float32Array(channels * plane);
  pixels.forEach((pixel, index) => {
    const channel = index % channels;
    const at = channel * plane + Math.floor(index / channels);
    data[at] = (pixel / 255 - mean[channel]) / deviation[channel];
  });
  return { type: "float32", data, dims: [1, channels, side, side] };
}

/** A session that has planned its work: what is timed later is a run and nothing else. */
async function startSession(network) {
  const session = await createSession(await fetchBytes(network.file));
  await session.run({ input: inputOf(new Uint8Array(network.mean.length * network.side ** 2), network) });
  return session;
}

function openSession(name) {
  if (!sessions.has(name)) {
    const opening = startSession(networks[name]);
    opening.catch(() => sessions.delete(name));
    sessions.set(name, opening);
  }
  return sessions.get(name);
}

/** `network`: "digits" (28x28 bytes, ink is bright) or "photos" (32x32 times red, green, blue). */
export async function classify({ network, pixels }) {
  const session = await openSession(network);
  const input = inputOf(pixels, networks[network]);
  const begin = performance.now();
  const { output } = await session.run({ input });
  const milliseconds = performance.now() - begin;
  const { simd, threads } = session.explain();
  return { probabilities: softmax(output.data), milliseconds, simd, threads };
}
