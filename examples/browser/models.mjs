// The demo's networks: LeNet-5-BN converted and on 8-bit codes, and the quantized CNN that the AdderNet races against.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { convert, optimise, quantize } from "addernet/converter";
import { ops } from "addernet/ops";
import { createExecutor } from "addernet/runtime";
import { samplesFor } from "../../bench/networks.mjs";
import { quantizeCnn } from "../../bench/quantize-cnn.mjs";
import { buildTwins } from "../../bench/twins.mjs";
import { encodeModel } from "../../dist/src/core/onnx/index.js";
import { readNpy } from "../node/npy.mjs";

const lenet = new URL("../../test/fixtures/lenet5bn/", import.meta.url);

/** What runs the pieces of a model that quantization looks at. */
async function start(model) {
  const session = await createExecutor(model);
  return {
    run: async (feeds) => new Map(Object.entries(await session.run(Object.fromEntries(feeds)))),
    dispose: () => session.dispose(),
  };
}

/** The digits on 8-bit codes, whose ranges are those of the bundled digits. */
async function quantizeDigits(bytes, pixels) {
  const data = Float32Array.from(pixels, (pixel) => (pixel / 255 - 0.1307) / 0.3081);
  const sample = new Map([["input", { type: "float32", data, dims: [pixels.length / 784, 1, 28, 28] }]]);
  const { model } = await convert(bytes, { check: false });
  return (await quantize(model, { samples: [sample], start })).bytes;
}

async function digitFiles() {
  const exported = new Uint8Array(await readFile(new URL("lenet5bn.inlined.onnx", lenet)));
  const { data: pixels } = await readNpy(new URL("digits.npy", lenet));
  const { bytes } = await convert(exported);
  return {
    "lenet5bn.onnx": exported,
    "digits.float.onnx": bytes,
    "digits.onnx": await quantizeDigits(bytes, pixels),
    "digits.u8": pixels,
  };
}

/** The form that runs fastest on onnxruntime-web. */
const fastestForm = "QDQ uint8";

/** Made-up weights with the activations of trained ones: time does not depend on what a CNN has learnt. */
async function cnnFile() {
  const { model } = (await buildTwins("resnet20")).cnn;
  optimise(model, { ops });
  const quantized = await quantizeCnn(model, samplesFor("resnet20"));
  return encodeModel(quantized.find(({ form }) => form === fastestForm).model).bytes;
}

/** Writes the model files and the digits. */
export async function writeModels(folder) {
  const files = { ...(await digitFiles()), "cnn.int8.onnx": await cnnFile() };
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
}
