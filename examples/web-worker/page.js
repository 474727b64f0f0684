// Moves a digit over the page and shows what the worker says of it. Nothing here takes longer than drawing 784 pixels.

import { keepNewest } from "./latest.js";

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const answers = new Map();
worker.addEventListener("message", ({ data: { id, failure, ...answer } }) => {
  const { resolve, reject } = answers.get(id);
  answers.delete(id);
  if (failure === undefined) resolve(answer);
  else reject(new Error(failure));
});

let last = 0;
const classify = (pixels) =>
  new Promise((resolve, reject) => {
    answers.set(++last, { resolve, reject });
    worker.postMessage({ id: last, pixels });
  });

const byId = (id) => document.getElementById(id);
const totals = { shown: 0, classified: 0, longestTask: 0 };

function showTotals() {
  byId("totals").textContent =
    `${totals.classified} of ${totals.shown} images classified; longest task of the page ${totals.longestTask.toFixed(0)} ms`;
}

const push = keepNewest(classify, {
  onResult: ({ logits, milliseconds }) => {
    totals.classified++;
    byId("answer").textContent = logits.indexOf(Math.max(...logits));
    byId("time").textContent = `${milliseconds.toFixed(2)} ms`;
  },
  onError: ({ message }) => {
    byId("time").textContent = message;
  },
});

/** Browsers that tell of tasks over 50 ms. */
if (globalThis.PerformanceObserver?.supportedEntryTypes.includes("longtask")) {
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) totals.longestTask = Math.max(totals.longestTask, duration);
  }).observe({ type: "longtask" });
}

const side = 28;

/** A digit moved by whole pixels. */
function moved(pixels, dx, dy) {
  const image = new Uint8Array(side * side);
  for (let index = 0; index < image.length; index++) {
    const [x, y] = [(index % side) - dx, Math.floor(index / side) - dy];
    if (x >= 0 && x < side && y >= 0 && y < side) image[index] = pixels[y * side + x];
  }
  return image;
}

function draw(pixels) {
  const image = new ImageData(side, side);
  pixels.forEach((pixel, index) => {
    image.data.set([0, 0, 0, pixel], 4 * index);
  });
  byId("digit").getContext("2d").putImageData(image, 0, 0);
}

const response = await fetch("digits.u8");
const digits = new Uint8Array(await response.arrayBuffer());

function frame(time) {
  const chosen = Math.floor(time / 2000) % (digits.length / 784);
  const pixels = digits.subarray(784 * chosen, 784 * (chosen + 1));
  const image = moved(pixels, Math.round(2 * Math.sin(time / 300)), Math.round(2 * Math.cos(time / 300)));
  draw(image);
  totals.shown++;
  push(image);
  if (totals.shown % 30 === 0) showTotals();
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
