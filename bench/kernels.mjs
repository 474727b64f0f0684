// The roofline of this machine in this Node, and what single adder layers reach of it: prints a JSON object.

import { createExecutor } from "../dist/runtime/index.js";
import { intsAttribute } from "../dist/src/core/ir/attributes.js";
import { makeNode } from "../dist/src/core/ir/edit.js";
import { newModel } from "../dist/src/core/ir/new-model.js";
import { adderWeight, naturalImages, uniformFrom } from "./draws.mjs";
import { measureRoofline } from "./roofline.mjs";
import { quantile } from "./statistics.mjs";

const { threads } = JSON.parse(process.argv[2]);

/**
 * Layers of ResNets: channels, filters, kernel, size of the map, and how many weights are above 0: as trained, or all of them, which
 * leaves lists nothing to leave out.
 */
const layers = [
  [64, 64, 3, 56],
  [64, 64, 3, 56, "all live"],
  [16, 16, 3, 32],
  [32, 32, 3, 16],
  [64, 64, 3, 8],
  [128, 128, 3, 28],
  [256, 64, 1, 56],
];

const info = (name, elemType, shape) => ({ name, type: { kind: "tensor", elemType, shape } });

/** Weights as trained ones are spread, or the same without their signs. */
function weightsOf([channels, filters, kernel, , kind]) {
  const uniform = uniformFrom(3);
  const sign = kind === "all live" ? Math.abs : (weight) => weight;
  return Float32Array.from({ length: filters * channels * kernel ** 2 }, () => sign(adderWeight(uniform)));
}

function modelOf(layer, type, nodes, constants) {
  const [channels, filters, , size] = layer;
  return newModel(
    {
      name: "layer",
      inputs: [info("x", type, [1, channels, size, size])],
      outputs: [info("y", type, [1, filters, size, size])],
      nodes,
      initializers: new Map(Object.entries(constants)),
    },
    { "": 17, addernet: 1 },
  );
}

const padsOf = (kernel) => [["pads", intsAttribute(new Array(4).fill((kernel - 1) / 2))]];

/** x -> ReLU -> adder layer -> y, so that the layer's input is known not to be negative, as in a network. */
function floatLayer(layer) {
  const [channels, filters, kernel, size] = layer;
  const dims = [filters, channels, kernel, kernel];
  const nodes = [
    makeNode("Relu", ["x"], ["positive"]),
    makeNode("Adder2d", ["positive", "w"], ["y"], padsOf(kernel), { domain: "addernet" }),
  ];
  const model = modelOf(layer, "float32", nodes, { w: { type: "float32", data: weightsOf(layer), dims } });
  return { model, x: naturalImages([1, channels, size], 5) };
}

/** The largest values that have a code, of weights and of x. */
const largest = 6;

const codesOf = ({ data, dims }, least) => ({
  type: "uint8",
  data: Uint8Array.from(data, (value) => Math.min(255, Math.max(least, Math.round((value / largest) * 255)))),
  dims,
});

/** x -> adder layer -> y on 8-bit codes. */
function codeLayer(layer) {
  const [channels, filters, kernel, size, kind] = layer;
  const dims = [filters, channels, kernel, kernel];
  const inputs = ["x", "zero", "w", "scale", "bias", "zero"];
  const perFilter = (value) => ({
    type: "float32",
    data: new Float32Array(filters).fill(value),
    dims: [filters],
  });
  const model = modelOf(
    layer,
    "uint8",
    [makeNode("QLinearAdder2d", inputs, ["y"], padsOf(kernel), { domain: "addernet" })],
    {
      zero: { type: "uint8", data: Uint8Array.of(0), dims: [] },
      w: codesOf({ data: weightsOf(layer), dims }, kind === "all live" ? 1 : 0),
      ...{ scale: perFilter(1 / 256), bias: perFilter(100) },
    },
  );
  return { model, x: codesOf(naturalImages([1, channels, size], 5), 0) };
}

const makers = { "adder float32": floatLayer, "adder codes": codeLayer };

async function measureLayer(layer, kind) {
  const [channels, filters, kernel, size, weights = "as trained"] = layer;
  const { model, x } = makers[kind](layer);
  const session = await createExecutor(model, { threads });
  const feeds = { x };
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
  return { layer: name, weights, kind, taps, live, milliseconds, kernels, why };
}

const roofline = await measureRoofline();
const rates = [];
for (const kind of Object.keys(makers)) {
  for (const layer of layers) rates.push(await measureLayer(layer, kind));
}
process.stdout.write(JSON.stringify({ roofline, layers: rates }));
process.exit(0);
