// Draw a digit: every change of the ink is classified in a worker; while one is, only the newest waits.

import { digitImage } from "./digit-image.js";
import { bar, byId, make } from "./elements.js";
import { startEngine } from "./engine.js";
import { fetchBytes } from "./fetch-bytes.js";
import { startPad } from "./pad.js";

function scoreRows() {
  return Array.from({ length: 10 }, (_, digit) => {
    const { element, set } = bar();
    const percent = make("span", { textContent: "0 %" });
    byId("scores").append(make("li", {}, [make("span", { textContent: digit }), element, percent]));
    return (share) => {
      set(share);
      percent.textContent = `${Math.round(100 * share)} %`;
    };
  });
}

function showAnswer(rows, { probabilities, milliseconds }) {
  const best = probabilities.indexOf(Math.max(...probabilities));
  byId("digit").textContent = best;
  byId("digit-note").textContent = `in ${milliseconds.toFixed(2)} ms`;
  rows.forEach((set, digit) => {
    set(probabilities[digit]);
  });
}

function showNothing(rows) {
  byId("digit").textContent = "–";
  byId("digit-note").textContent = "draw something";
  for (const set of rows) set(0);
}

function showFailure({ message }) {
  byId("digit").textContent = "!";
  byId("digit-note").textContent = message;
}

/** Answers what the first classification, of an empty image, tells about the runtime. */
export function startDrawing() {
  const engine = startEngine();
  const rows = scoreRows();
  let isBusy = false;
  let newest;
  async function classifyNewest() {
    if (isBusy || newest === undefined) return;
    const { ink, width } = newest;
    newest = undefined;
    const pixels = digitImage(ink, width);
    if (pixels === undefined) return showNothing(rows);
    isBusy = true;
    try {
      showAnswer(rows, await engine.call("classifyDigit", pixels));
    } catch (error) {
      showFailure(error);
    }
    isBusy = false;
    return classifyNewest();
  }
  const pad = startPad((ink, width) => {
    newest = { ink, width };
    classifyNewest();
  });
  byId("clear").addEventListener("click", pad.clear);
  byId("sample").addEventListener("click", async () => {
    const digits = await fetchBytes("digits.u8");
    const chosen = Math.floor(Math.random() * (digits.length / 784));
    pad.show(digits.subarray(784 * chosen, 784 * (chosen + 1)));
  });
  return engine.call("classifyDigit", new Uint8Array(784));
}
