// A net in which adder layers alternate with ops that our kernels do not cover: what a partition has to cut most often.

import { attachFunctions } from "../dist/custom-ops/attach-functions.js";
import { newModel } from "../dist/src/core/ir/new-model.js";
import { encodeModel } from "../dist/src/core/onnx/index.js";
import { uniformFrom } from "./draws.mjs";

const [channels, size, blocks] = [32, 28, 8];
const type = { kind: "tensor", elemType: "float32", shape: [1, channels, size, size] };
const tensor = (dims, next) => ({
  type: "float32",
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, next),
  dims,
});

function makeNode(opType, inputs, outputs, domain = "", attributes = []) {
  return { opType, domain, name: outputs[0], inputs, outputs, attributes: new Map(attributes) };
}

/** Bytes of the model and the tensor it is fed. */
export function mixedNet() {
  const next = uniformFrom(5);
  const initializers = new Map([
    ["scale", tensor([channels], () => 0.02)],
    ["shift", tensor([channels], () => 3)],
    ["gain", tensor([size], () => 1)],
    ["zero", tensor([size], () => 0)],
  ]);
  const nodes = [];
  let value = "x";
  for (let block = 0; block < blocks; block++) {
    initializers.set(
      `w${block}`,
      tensor([channels, channels, 3, 3], () => next() * 2 - 1),
    );
    nodes.push(
      makeNode("Adder2d", [value, `w${block}`, "shift", "scale"], [`a${block}`], "addernet", [
        ["pads", { type: "INTS", value: [1n, 1n, 1n, 1n] }],
      ]),
      block % 2 === 0
        ? makeNode("Erf", [`a${block}`], [`e${block}`])
        : makeNode("LayerNormalization", [`a${block}`, "gain", "zero"], [`e${block}`]),
    );
    value = `e${block}`;
  }
  const model = newModel(
    {
      name: "mixed",
      inputs: [{ name: "x", type }],
      outputs: [{ name: value, type }],
      nodes,
      initializers,
    },
    { "": 17, addernet: 1 },
  );
  attachFunctions(model);
  return { bytes: encodeModel(model).bytes, feed: tensor(type.shape, () => next() * 2 - 1) };
}
