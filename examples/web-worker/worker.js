// The network lives here: every message holds 28x28 bytes, ink bright, and is answered with ten logits and the time they took.

import { createSession } from "addernet/runtime";

async function open() {
  const response = await fetch(new URL("digits.onnx", globalThis.location.href));
  return createSession(new Uint8Array(await response.arrayBuffer()));
}

const opening = open();

globalThis.addEventListener("message", async ({ data: { id, pixels } }) => {
  try {
    const session = await opening;
    const data = Float32Array.from(pixels, (pixel) => (pixel / 255 - 0.1307) / 0.3081);
    const begin = performance.now();
    const { output } = await session.run({ input: { type: "float32", data, dims: [1, 1, 28, 28] } });
    globalThis.postMessage({ id, logits: output.data, milliseconds: performance.now() - begin });
  } catch ({ message }) {
    globalThis.postMessage({ id, failure: message });
  }
});
