// In a worker: decodes images, brings them to the network's size, and answers its most likely classes.

import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { createSession } from "addernet/runtime";
import { decodeImage } from "./decode.mjs";

const { model, labels, mean, deviation } = workerData;
const session = await createSession(await readFile(model));
const [, channels, height, width] = session.inputMetadata[0].shape;

/** Mean of one channel over part of the image, at least one pixel. */
function average({ width: columns, data }, channel, [left, right], [top, bottom]) {
  let sum = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) sum += data[3 * (y * columns + x) + channel];
  }
  return sum / ((right - left) * (bottom - top));
}

/** Where the `index`th of `count` equal parts of a length begins and ends. */
function part(index, count, offset, length) {
  const begin = offset + Math.floor((index * length) / count);
  return [begin, Math.max(begin + 1, offset + Math.floor(((index + 1) * length) / count))];
}

/** The middle of the image in the network's proportions, as [1, C, H, W]; one channel is grey. */
function inputOf(image) {
  const scale = Math.min(image.width / width, image.height / height);
  const [cutWidth, cutHeight] = [
    Math.max(1, Math.floor(width * scale)),
    Math.max(1, Math.floor(height * scale)),
  ];
  const [left, top] = [(image.width - cutWidth) >> 1, (image.height - cutHeight) >> 1];
  const data = new Float32Array(channels * height * width);
  data.forEach((_, index) => {
    const channel = Math.floor(index / (height * width));
    const columns = part(index % width, width, left, cutWidth);
    const rows = part(Math.floor(index / width) % height, height, top, cutHeight);
    const colours = channels === 1 ? [0, 1, 2] : [channel];
    const pixel =
      colours.reduce((sum, colour) => sum + average(image, colour, columns, rows), 0) / colours.length;
    data[index] = (pixel / 255 - mean[channel]) / deviation[channel];
  });
  return { type: "float32", data, dims: [1, channels, height, width] };
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

async function classify({ bytes, type }) {
  const image = decodeImage(bytes, type);
  const input = inputOf(image);
  const begin = performance.now();
  const outputs = await session.run({ [session.inputNames[0]]: input });
  const milliseconds = performance.now() - begin;
  const probabilities = softmax(outputs[session.outputNames[0]].data);
  const classes = probabilities.map((probability, index) => ({
    label: labels[index] ?? `${index}`,
    probability,
  }));
  classes.sort((a, b) => b.probability - a.probability);
  return { classes: classes.slice(0, 5), image: [image.width, image.height], milliseconds };
}

parentPort.on("message", async (job) => {
  try {
    parentPort.postMessage({ result: await classify(job) });
  } catch ({ message, status = 500 }) {
    parentPort.postMessage({ failure: { message, status } });
  }
});
// The first run plans and packs: nobody has to wait for it.
const blank = {
  type: "float32",
  data: new Float32Array(channels * height * width),
  dims: [1, channels, height, width],
};
await session.run({ [session.inputNames[0]]: blank });
parentPort.postMessage({ ready: { input: [channels, height, width] } });
