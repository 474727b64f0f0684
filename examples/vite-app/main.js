// A PyTorch export becomes a fast model in a worker, and classifies two hundred digits on the page.

import { createSession } from "addernet/runtime";
import digits from "../../test/fixtures/lenet5bn/digits.npy?url";
import answers from "../../test/fixtures/lenet5bn/labels.npy?url";
import exported from "../../test/fixtures/lenet5bn/lenet5bn.inlined.onnx?url";

const bytesOf = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());

function convertInWorker(bytes) {
  const worker = new Worker(new URL("./convert-worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(bytes);
  }).finally(() => worker.terminate());
}

async function classifyDigits() {
  const { bytes, layers } = await convertInWorker(await bytesOf(exported));
  const session = await createSession(bytes, { threads: "auto" });
  // 28x28 bytes each, behind the 128 bytes of NumPy's header.
  const pixels = (await bytesOf(digits)).subarray(128);
  const labels = (await bytesOf(answers)).subarray(128);
  const data = Float32Array.from(pixels, (pixel) => (pixel / 255 - 0.1307) / 0.3081);
  const { output } = await session.run({
    input: { type: "float32", data, dims: [labels.length, 1, 28, 28] },
  });
  const right = labels.filter((label, image) => {
    const scores = output.data.subarray(10 * image, 10 * image + 10);
    return scores.indexOf(Math.max(...scores)) === label;
  });
  await session.dispose();
  return `${layers} adder layers found; ${right.length} of ${labels.length} digits right`;
}

const show = (text) => {
  document.querySelector("output").textContent = text;
};
classifyDigits().then(show, ({ message }) => show(message));
