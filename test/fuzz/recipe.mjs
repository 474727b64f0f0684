// Random adder networks as data: a recipe names every choice, so that a failing one can be made smaller and kept.

import { makeRandom } from "./random.mjs";

const kinds = [
  "adder",
  "adder",
  "adder",
  "adder",
  "norm",
  "relu",
  "clip",
  "residual",
  "maxPool",
  "averagePool",
  "concat",
];

function adderStep(random) {
  const kernel = random.pick([
    [1, 1],
    [3, 3],
    [3, 3],
    [5, 5],
    [2, 3],
    [1, 4],
  ]);
  const most = (axis) => kernel[axis] - 1;
  const pad = (axis) => (random.chance(0.4) ? random.between(0, most(axis)) : most(axis) >> 1);
  const isSymmetric = random.chance(0.7);
  const [top, left] = [pad(0), pad(1)];
  return {
    kind: "adder",
    filters: random.pick([1, 2, 3, 4, 5, 8, 12, 16, 17]),
    kernel,
    strides: random.chance(0.7) ? [1, 1] : [random.between(1, 3), random.between(1, 3)],
    dilations: random.chance(0.85) ? [1, 1] : [random.between(1, 2), random.between(1, 2)],
    pads: isSymmetric ? [top, left, top, left] : [top, left, pad(0), pad(1)],
    grouping: random.pick(["one", "one", "one", "two", "depthwise"]),
    bias: random.chance(0.4),
    autoPad: random.chance(0.08) ? random.pick(["SAME_UPPER", "SAME_LOWER", "VALID"]) : "NOTSET",
  };
}

function poolStep(kind, random) {
  return {
    kind,
    kernel: random.between(2, 3),
    stride: random.between(1, 2),
    pad: random.between(0, 1),
    ceil: random.chance(0.2),
    countPads: random.chance(0.5),
  };
}

function stepOf(kind, random) {
  if (kind === "adder") return adderStep(random);
  if (kind.endsWith("Pool")) return poolStep(kind, random);
  return { kind, from: random.next() };
}

/** How the graph ends. */
const heads = ["none", "globalPool", "flatten", "adderHead", "gemm", "softmax"];

export function makeRecipe(seed) {
  const random = makeRandom(seed);
  const count = random.pick([1, 1, 2, 3, 4, 6, 9]);
  const steps = Array.from({ length: count }, () => stepOf(random.pick(kinds), random));
  if (!steps.some(({ kind }) => kind === "adder")) steps[0] = adderStep(random);
  return {
    seed,
    batch: random.pick([1, 1, 2, 3]),
    channels: random.pick([1, 2, 3, 4, 6, 8, 16]),
    height: random.between(1, 14),
    width: random.between(1, 14),
    freeBatch: random.chance(0.6),
    freeSize: random.chance(0.15),
    opset: random.between(9, 22),
    steps,
    head: random.pick(heads),
    form: random.pick(["custom", "standard", "standard"]),
    target: random.pick(["custom", "custom", "standard"]),
    bits: random.chance(0.3) ? random.between(3, 8) : 0,
    threads: random.chance(0.05) ? 2 : 1,
    manyImages: random.chance(0.05),
    names: random.chance(0.1) ? "ours" : "plain",
    strategy: random.pick(["none", "none", "none", "partition", "native"]),
  };
}
