// The AdderNet on 8-bit codes, by the converter's own quantization.

import { existsSync } from "node:fs";
import { createExecutor } from "../dist/runtime/index.js";

const library = new URL("../dist/converter/quantize/index.js", import.meta.url);

/** Runs the pieces of the model that quantization looks at. */
async function start(model) {
  const session = await createExecutor(model);
  return {
    run: async (feeds) => new Map(Object.entries(await session.run(Object.fromEntries(feeds)))),
    dispose: () => session.dispose(),
  };
}

/** The quantized file, or the reason why there is none. */
export async function quantizeAdder(model, images) {
  if (!existsSync(library)) return { "adder int8.skipped": "the converter does not quantize adder layers" };
  const { quantize } = await import(library);
  try {
    const { bytes } = await quantize(model, { samples: [new Map([["input", images]])], start });
    return { "adder int8.onnx": bytes };
  } catch (error) {
    return { "adder int8.skipped": `the converter failed to quantize it: ${error.message}` };
  }
}
