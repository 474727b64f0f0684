// The roofline of this machine in this Node, and what single adder layers reach of it: prints a JSON object.

import { createExecutor } from "../dist/runtime/index.js";
import { intsAttribute } from "../dist/src/core/ir/attributes.js";
import { makeNode } from "../dist/src/core/ir/edit.js";
import { newModel } from "../dist/src/core/ir/new-model.js";
import { adderWeight, naturalImages, uniformFrom } from "./draws.mjs";
import { measureRoofline } from "./roofline.mjs";
import { quantile } from "./statistics.mjs";

const { threads } = JSON.parse(process.argv[2]);

/** Layers of ResNets: channels, filters, kernel, size of the map. */
const layers = [
  [64, 64, 3, 56],
  [16, 16, 3, 32],
  [32, 32, 3, 16],
  [64, 64, 3, 8],
  [128, 128, 3, 28],
  [256, 64, 1, 56],
];

/** x -> ReLU -> adder layer -> y, so that the layer's input is known not to be negative, as in a network. */
function layerModel([channels, filters, kernel, size]) {
  const uniform = uniformFrom(3);
  const dims = [filters, channels, kernel, kernel];
  const weights = Float32Array.from({ length: filters * channels * kernel ** 2 }, () => adderWeight(uniform));
  const pads = intsAttribute(new Array(4).fill((kernel - 1) / 2));
  const info = (name, shape) => ({ name, type: { kind: "tensor", elemType: "float32", shape } });
  return newModel(
    {
      name: "layer",
      inputs: [info("x", [1, channels, size, size])],
      outputs: [info("y", [1, filters, size, size])],
      nodes: [
        makeNode("Relu", ["x"], ["positive"]),
        makeNode("Adder2d", ["positive", "w"], ["y"], [["pads", pads]], { domain: "addernet" }),
      ],
      initializers: new Map([["w", { type: "float32", data: weights, dims }]]),
    },
    { "": 17, addernet: 1 },
  );
}

async function measureLayer(layer) {
  const [channels, filters, kernel, size] = layer;
  const session = await createExecutor(layerModel(layer), { threads });
  const feeds = { x: naturalImages([1, channels, size], 5) };
  const times = [];
  const start = performance.now();
  while (times.length < 20 || performance.now() - start < 700) {
    const step = (await session.profile(feeds)).find(({ node }) => node.includes("Adder2d"));
    times.push(step.milliseconds);
  }
  const { kernels, why, live } = session.explain().plans[0].steps.at(-1);
  await session.dispose();
  const taps = filters * channels * kernel ** 2 * size ** 2;
  // As for the roofline, the undisturbed runs: the first ones, still being compiled, are not among them.
  const milliseconds = quantile(times, 0.1);
  const name = `${channels}->${filters} ${kernel}x${kernel} at ${size}x${size}`;
  return { layer: name, taps, live, milliseconds, kernels, why };
}

const roofline = await measureRoofline();
const rates = [];
for (const layer of layers) rates.push(await measureLayer(layer));
process.stdout.write(JSON.stringify({ roofline, layers: rates }));
process.exit(0);
