// A recipe as a model, with inputs to run it on. Steps that do not fit where they stand are left out.

import { inlineFunctions } from "../../dist/custom-ops/attach-functions.js";
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
} from "../../dist/src/core/ir/attributes.js";
import { makeNode } from "../../dist/src/core/ir/edit.js";
import { float32Tensor, int64Tensor } from "../../dist/src/core/tensor.js";
import { makeRandom } from "./random.mjs";

const elements = (dims) => dims.reduce((product, dim) => product * dim, 1);

function randomTensor(random, dims, spread = 1, middle = 0) {
  return float32Tensor(
    Array.from({ length: elements(dims) }, () => middle + spread * random.normal()),
    dims,
  );
}

function outputLength(length, kernel, stride, dilation, before, after, ceil = false) {
  const span = (length + before + after - dilation * (kernel - 1) - 1) / stride;
  return (ceil ? Math.ceil(span) : Math.floor(span)) + 1;
}

/** What else a graph of free size must take: values that only happen to be of one size at the recipe's own are not joined. */
const otherSizes = [
  [64, 71],
  [97, 109],
  [40, 33],
];

/** Names that the product makes up for itself, in an order that gives them to constants and results alike. */
const ourNames = [
  ...["w", "y", "b", "scale", "bias", "sums", "X", "W", "B", "Y", "Z", "zero", "adder_1", "adder_1.adder"],
  ...["adder_1.bias", "x.codes", "adder_2", "adder_1.scale", "y.codes", "w.codes", "x_0", "input", "output"],
];

const isFreeSize = ({ freeSize, head }) => freeSize && head === "none";

class Net {
  constructor(recipe) {
    this.recipe = recipe;
    this.random = makeRandom(recipe.seed ^ 0x5eed);
    this.nodes = [];
    this.initializers = new Map();
    const sizes = [[recipe.height, recipe.width], ...(isFreeSize(recipe) ? otherSizes : [])];
    this.values = [{ name: "x", channels: recipe.channels, sizes }];
    this.count = 0;
  }
  name(prefix) {
    const count = this.count++;
    return (this.recipe.names === "ours" && ourNames[count]) || `${prefix}${count}`;
  }
  get last() {
    return this.values.at(-1);
  }
  constant(prefix, tensor) {
    const name = this.name(prefix);
    this.initializers.set(name, tensor);
    return name;
  }
  node(opType, inputs, attributes = {}, domain = "") {
    const output = this.name(opType.toLowerCase());
    const node = makeNode(opType, inputs, [output], Object.entries(attributes), {
      domain,
      name: `${output}.node`,
    });
    this.nodes.push(node);
    return output;
  }
  push(name, shape = {}) {
    this.values.push({ ...this.last, ...shape, name });
  }
}

function groupsFor(grouping, channels) {
  if (grouping === "two" && channels % 2 === 0) return 2;
  return grouping === "depthwise" ? channels : 1;
}

function sizeOf({ kernel, strides, dilations, pads, autoPad }, lengths) {
  if (autoPad.startsWith("SAME")) return lengths.map((length, axis) => Math.ceil(length / strides[axis]));
  const given = autoPad === "VALID" ? [0, 0, 0, 0] : pads;
  return lengths.map((length, axis) =>
    outputLength(length, kernel[axis], strides[axis], dilations[axis], given[axis], given[axis + 2]),
  );
}

function addAdder(net, step) {
  const { last, random } = net;
  if (net.recipe.freeSize && step.autoPad !== "NOTSET") return;
  const group = groupsFor(step.grouping, last.channels);
  const filters = group * Math.max(1, Math.round(step.filters / group));
  const sizes = last.sizes.map((size) => sizeOf(step, size));
  if (sizes.flat().some((length) => length < 1)) return;
  const inputs = last.channels / group;
  const taps = inputs * step.kernel[0] * step.kernel[1];
  const w = net.constant("w", randomTensor(random, [filters, inputs, ...step.kernel]));
  const b = step.bias ? [net.constant("b", randomTensor(random, [filters]))] : [];
  const isConv = net.recipe.layers === "conv";
  const y = net.node(
    isConv ? "Conv" : "Adder2d",
    [last.name, w, ...b],
    {
      kernel_shape: intsAttribute(step.kernel),
      strides: intsAttribute(step.strides),
      dilations: intsAttribute(step.autoPad === "NOTSET" ? step.dilations : [1, 1]),
      group: intAttribute(group),
      ...(step.autoPad === "NOTSET"
        ? { pads: intsAttribute(step.pads) }
        : { auto_pad: stringAttribute(step.autoPad) }),
    },
    isConv ? "" : "addernet",
  );
  net.push(y, { channels: filters, sizes });
  // As in trained nets a norm follows, which brings sums of `taps` differences, or products, back to about 1.
  if (!step.bare) addNorm(net, isConv ? 0 : 1.13 * taps, 0.9 * Math.sqrt(taps));
}

function addNorm(net, mean = 0, spread = 1) {
  const { last, random } = net;
  const parts = [
    randomTensor(random, [last.channels], 0.2, 1),
    randomTensor(random, [last.channels], 0.3),
    randomTensor(random, [last.channels], 0.2 * spread, -mean),
    float32Tensor(
      Array.from({ length: last.channels }, () => (spread * (0.8 + 0.4 * random.next())) ** 2),
      [last.channels],
    ),
  ].map((tensor) => net.constant("bn", tensor));
  net.push(net.node("BatchNormalization", [last.name, ...parts], { epsilon: floatAttribute(1e-5) }));
}

const sameSize = (a, b) => String(a.sizes) === String(b.sizes);
const sameShape = (a, b) => a.channels === b.channels && sameSize(a, b);

function addPool(net, step) {
  const { last } = net;
  const { kernel, stride, pad, ceil } = step;
  // Symbolic lengths of rounded-up pools differ between engines in corner cases that no exporter writes.
  const mode = ceil && !net.recipe.freeSize && pad === 0 && net.recipe.opset >= 10;
  const sizes = last.sizes.map((size) =>
    size.map((length) => outputLength(length, kernel, stride, 1, pad, pad, mode)),
  );
  const fits = Math.min(...last.sizes.flat()) + 2 * pad >= kernel;
  if (!fits || sizes.flat().some((length) => length < 1) || (mode && stride > kernel)) return;
  const isAverage = step.kind === "averagePool";
  const y = net.node(isAverage ? "AveragePool" : "MaxPool", [last.name], {
    kernel_shape: intsAttribute([kernel, kernel]),
    strides: intsAttribute([stride, stride]),
    pads: intsAttribute([pad, pad, pad, pad]),
    ...(mode && { ceil_mode: intAttribute(1) }),
    ...(isAverage && !mode && { count_include_pad: intAttribute(step.countPads ? 1 : 0) }),
  });
  net.push(y, { sizes });
}

const grow = {
  adder: addAdder,
  maxPool: addPool,
  averagePool: addPool,
  norm: (net) => addNorm(net),
  relu: (net) => net.push(net.node("Relu", [net.last.name])),
  clip: (net) => {
    const [min, max] = [-0.5, 1.5];
    // Bounds were attributes before opset 11.
    const asAttributes = { min: floatAttribute(min), max: floatAttribute(max) };
    const isOld = net.recipe.opset < 11;
    const bounds = isOld ? [] : [min, max].map((value) => net.constant("bound", float32Tensor([value], [])));
    net.push(net.node("Clip", [net.last.name, ...bounds], isOld ? asAttributes : {}));
  },
  residual: (net, { from }) => {
    const others = net.values.slice(0, -1).filter((value) => sameShape(value, net.last));
    if (others.length === 0) return;
    net.push(net.node("Add", [net.last.name, others[Math.floor(from * others.length)].name]));
  },
  concat: (net, { from }) => {
    const others = net.values.slice(0, -1).filter((value) => sameSize(value, net.last));
    if (others.length === 0 || net.last.channels > 40) return;
    const other = others[Math.floor(from * others.length)];
    const y = net.node("Concat", [net.last.name, other.name], { axis: intAttribute(1) });
    net.push(y, { channels: net.last.channels + other.channels });
  },
};

const finish = {
  none: (net) => net.last.name,
  globalPool: (net) =>
    net.node("Flatten", [net.node("GlobalAveragePool", [net.last.name])], { axis: intAttribute(1) }),
  flatten: (net) => {
    const target = net.constant("shape", int64Tensor([0, -1]));
    return net.node("Reshape", [net.last.name, target]);
  },
  adderHead: (net) => {
    const { last, random } = net;
    const pooled = net.node("GlobalAveragePool", [last.name]);
    const w = net.constant("w", randomTensor(random, [5, last.channels, 1, 1]));
    const y = net.node("Adder2d", [pooled, w], { kernel_shape: intsAttribute([1, 1]) }, "addernet");
    return net.node("Flatten", [y], { axis: intAttribute(1) });
  },
  gemm: (net) => net.node("Softmax", [matrixOf(net)], { axis: intAttribute(1) }),
  softmax: (net) => net.node("LogSoftmax", [matrixOf(net)], { axis: intAttribute(1) }),
};

function matrixOf(net) {
  const { last, random } = net;
  const flat = finish.globalPool(net);
  const b = net.constant("w", randomTensor(random, [7, last.channels], 0.3));
  const c = net.constant("b", randomTensor(random, [7]));
  return net.node("Gemm", [flat, b, c], { transB: intAttribute(1) });
}

/** The model a recipe means. */
export function buildModel(recipe) {
  const net = new Net(recipe);
  for (const step of recipe.steps) grow[step.kind](net, step);
  const output = finish[recipe.head](net);
  const batch = recipe.freeBatch ? "N" : recipe.batch;
  const size = isFreeSize(recipe) ? ["H", "W"] : [recipe.height, recipe.width];
  const shape = [batch, recipe.channels, ...size];
  const model = {
    irVersion: 8,
    producerName: "addernet fuzz",
    producerVersion: "",
    domain: "",
    modelVersion: 0n,
    docString: "",
    opsetImports: new Map([
      ["", recipe.opset],
      ["addernet", 1],
    ]),
    graph: {
      name: "fuzz",
      inputs: [{ name: "x", type: { kind: "tensor", elemType: "float32", shape } }],
      outputs: [{ name: output, type: { kind: "tensor", elemType: "float32" } }],
      nodes: net.nodes,
      initializers: net.initializers,
      overridable: [],
      valueInfo: new Map(),
    },
    functions: [],
    metadata: new Map(),
  };
  if (recipe.form === "standard") inlineFunctions(model);
  return model;
}

/** Inputs for a recipe, `count` of them. */
export function feedsFor(recipe, count = 1) {
  const random = makeRandom(recipe.seed ^ 0xfeed);
  return Array.from({ length: count }, () => ({
    x: randomTensor(random, [recipe.batch, recipe.channels, recipe.height, recipe.width]),
  }));
}
