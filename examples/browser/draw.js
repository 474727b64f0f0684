// Draw a digit: every change of the ink is classified in a worker; while one is, only the newest waits.

import { digitImage } from "./digit-image.js";
import { byId } from "./elements.js";
import { startEngine } from "./engine.js";
import { fetchBytes } from "./fetch-bytes.js";
import { startPad } from "./pad.js";
import { scoreRows } from "./score-rows.js";

function showAnswer(showShares, { probabilities, milliseconds }) {
  const best = probabilities.indexOf(Math.max(...probabilities));
  byId("digit").textContent = best;
  byId("digit-note").textContent = `in ${milliseconds.toFixed(2)} ms`;
  showShares(probabilities);
}

function showNothing(showShares) {
  byId("digit").textContent = "–";
  byId("digit-note").textContent = "draw something";
  showShares([]);
}

function showFailure({ message }) {
  byId("digit").textContent = "!";
  byId("digit-note").textContent = message;
}

/** Answers what the first classification, of an empty image, tells about the runtime. */
export function startDrawing() {
  const engine = startEngine();
  const showShares = scoreRows(byId("scores"), [...Array(10).keys()]);
  let isBusy = false;
  let newest;
  async function classifyNewest() {
    if (isBusy || newest === undefined) return;
    const { ink, width } = newest;
    newest = undefined;
    const pixels = digitImage(ink, width);
    if (pixels === undefined) return showNothing(showShares);
    isBusy = true;
    try {
      showAnswer(showShares, await engine.call("classify", { network: "digits", pixels }));
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
  return engine.call("classify", { network: "digits", pixels: new Uint8Array(784) });
}
