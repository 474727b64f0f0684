// Static int8 quantization of the CNN twin as onnxruntime's own tool does it: ranges from calibration images, 8-bit activations with
// one scale per tensor, symmetric int8 weights with one scale per filter, 32-bit biases; as quantize/dequantize pairs or as
// quantized operators.

import { floatAttribute, intAttribute } from "../dist/src/core/ir/attributes.js";
import { cloneModel } from "../dist/src/core/ir/clone.js";
import { makeNode } from "../dist/src/core/ir/edit.js";
import { walkModel } from "./walk.mjs";

/** Forms a quantized CNN can take; the fastest on onnxruntime-web is the one compared with. */
export const forms = ["QDQ uint8", "QDQ int8", "QOperator uint8", "QOperator int8"];

const float32 = (values, dims = [values.length]) => ({
  type: "float32",
  data: Float32Array.from(values),
  dims,
});

/** Smallest and largest element of every value, 0 included. */
async function observeRanges(model, images) {
  const ranges = new Map();
  const note = (name, { data }) => {
    let [low, high] = [0, 0];
    for (const element of data) {
      low = Math.min(low, element);
      high = Math.max(high, element);
    }
    ranges.set(name, { low, high });
  };
  note("input", images);
  await walkModel(
    model,
    { input: images },
    {
      after: (_node, outputs) => {
        for (const [name, tensor] of Object.entries(outputs)) note(name, tensor);
      },
    },
  );
  return ranges;
}

/** Ops that give their input's elements, so that scale and zero point stay. */
const keepsScale = ["MaxPool", "Flatten", "Reshape"];
const filters = ["Conv", "Gemm"];
const known = [...keepsScale, ...filters, "Add", "GlobalAveragePool"];

/** Drops each Relu behind a node that can clip when it quantizes: its output takes the place of the node's. */
function absorbRelus(graph) {
  const readers = (name) => graph.nodes.filter((node) => node.inputs.includes(name));
  for (const relu of graph.nodes.filter(({ opType }) => opType === "Relu")) {
    const maker = graph.nodes.find(({ outputs }) => outputs[0] === relu.inputs[0]);
    if (readers(relu.inputs[0]).length !== 1) throw new Error(`${relu.name}: its input has other readers`);
    maker.outputs[0] = relu.outputs[0];
  }
  graph.nodes = graph.nodes.filter(({ opType }) => opType !== "Relu");
  const missing = graph.nodes.find(({ opType }) => !known.includes(opType));
  if (missing) throw new Error(`no quantized form of ${missing.opType}`);
}

function activationParameters({ low, high }, type) {
  const scale = Math.max(high - low, 1e-6) / 255;
  const zero = Math.round(-low / scale) - (type === "int8" ? 128 : 0);
  return { scale, zero };
}

/** Largest magnitude of every filter as 127. */
function quantizeWeights({ data, dims }) {
  const taps = data.length / dims[0];
  const scales = Array.from({ length: dims[0] }, (_, filter) => {
    let most = 1e-9;
    for (let index = filter * taps; index < (filter + 1) * taps; index++)
      most = Math.max(most, Math.abs(data[index]));
    return most / 127;
  });
  const codes = Int8Array.from(data, (weight, index) =>
    Math.round(weight / scales[Math.floor(index / taps)]),
  );
  return { scales, tensor: { type: "int8", data: codes, dims } };
}

/** What both forms share: scales, zero points and integer weights as initialisers. */
function makeQuantizer(graph, ranges, type) {
  const parameters = new Map();
  const add = (name, tensor) => {
    graph.initializers.set(name, tensor);
    return name;
  };
  const zeroTensor = (value) => ({
    type,
    data: (type === "int8" ? Int8Array : Uint8Array).of(value),
    dims: [],
  });
  /** Names of scale and zero point of a value. */
  const parametersOf = (name) => {
    const { scale, zero } = parameters.get(name);
    return [add(`${name}.scale`, float32([scale], [])), add(`${name}.zero`, zeroTensor(zero))];
  };
  for (const [name, range] of ranges) parameters.set(name, activationParameters(range, type));
  for (const { opType, inputs, outputs } of graph.nodes) {
    if (keepsScale.includes(opType)) parameters.set(outputs[0], parameters.get(inputs[0]));
  }
  const filterOf = ({ inputs: [x, w, b] }) => {
    const weights = graph.initializers.get(w);
    const { scales, tensor } = quantizeWeights(weights);
    const biasScales = scales.map((scale) => scale * parameters.get(x).scale);
    const bias = graph.initializers.get(b)?.data ?? new Float32Array(scales.length);
    const codes = Int32Array.from(bias, (value, filter) => Math.round(value / biasScales[filter]));
    graph.initializers.delete(w);
    graph.initializers.delete(b);
    return {
      codes: add(`${w}.codes`, tensor),
      scale: add(`${w}.scale`, float32(scales)),
      zero: add(`${w}.zero`, { type: "int8", data: new Int8Array(scales.length), dims: [scales.length] }),
      bias: add(`${w}.bias`, { type: "int32", data: codes, dims: [scales.length] }),
      biasScale: add(`${w}.bias.scale`, float32(biasScales)),
      biasZero: add(`${w}.bias.zero`, {
        type: "int32",
        data: new Int32Array(scales.length),
        dims: [scales.length],
      }),
    };
  };
  return { parametersOf, filterOf };
}

const perFilter = [["axis", intAttribute(0)]];

/** Float ops between quantize/dequantize pairs, for the engine to fuse. */
function withPairs(graph, quantizer) {
  const pair = (name) => {
    const parameters = quantizer.parametersOf(name);
    return [
      makeNode("QuantizeLinear", [name, ...parameters], [`${name}.q`]),
      makeNode("DequantizeLinear", [`${name}.q`, ...parameters], [`${name}.dq`]),
    ];
  };
  const dequantized = (name) => `${name}.dq`;
  const nodes = graph.nodes.flatMap((node) => {
    const [x, ...others] = node.inputs;
    const outputs = pair(node.outputs[0]);
    if (!filters.includes(node.opType)) {
      const inputs = node.opType === "Add" ? node.inputs.map(dequantized) : [dequantized(x), ...others];
      return [{ ...node, inputs }, ...outputs];
    }
    const { codes, scale, zero, bias, biasScale, biasZero } = quantizer.filterOf(node);
    return [
      makeNode("DequantizeLinear", [codes, scale, zero], [`${codes}.dq`], perFilter),
      makeNode("DequantizeLinear", [bias, biasScale, biasZero], [`${bias}.dq`], perFilter),
      { ...node, inputs: [dequantized(x), `${codes}.dq`, `${bias}.dq`] },
      ...outputs,
    ];
  });
  graph.nodes = [...pair("input"), ...nodes];
  graph.outputs = graph.outputs.map((info) => ({ ...info, name: dequantized(info.name) }));
}

const microsoft = { domain: "com.microsoft" };

/** Integer operators throughout, float at the borders. */
function withOperators(graph, quantizer) {
  const coded = (name) => `${name}.q`;
  const operands = (name) => [coded(name), ...quantizer.parametersOf(name)];
  const operator = (node) => {
    const [x, ...others] = node.inputs;
    const [y] = node.outputs;
    if (keepsScale.includes(node.opType))
      return { ...node, inputs: [coded(x), ...others], outputs: [coded(y)] };
    const result = quantizer.parametersOf(y);
    if (node.opType === "Add") {
      return makeNode("QLinearAdd", [...node.inputs.flatMap(operands), ...result], [coded(y)], [], microsoft);
    }
    if (node.opType === "GlobalAveragePool") {
      const inputs = [...operands(x), ...result];
      return makeNode(
        "QLinearGlobalAveragePool",
        inputs,
        [coded(y)],
        [["channels_last", intAttribute(0)]],
        microsoft,
      );
    }
    const { codes, scale, zero, bias } = quantizer.filterOf(node);
    const inputs = [...operands(x), codes, scale, zero];
    if (node.opType === "Conv") {
      return makeNode("QLinearConv", [...inputs, ...result, bias], [coded(y)], node.attributes);
    }
    const attributes = [
      ["alpha", floatAttribute(1)],
      ["transB", intAttribute(1)],
    ];
    return makeNode("QGemm", [...inputs, bias, ...result], [coded(y)], attributes, microsoft);
  };
  const input = makeNode("QuantizeLinear", ["input", ...quantizer.parametersOf("input")], [coded("input")]);
  const outputs = graph.outputs.map(({ name }) => makeNode("DequantizeLinear", operands(name), [name]));
  graph.nodes = [input, ...graph.nodes.map(operator), ...outputs];
}

/** Quantized forms of an optimised CNN (batch normalisation folded), by name. */
export async function quantizeCnn(model, images) {
  const ranges = await observeRanges(model, images);
  return forms.map((form) => {
    const [format, type] = form.split(" ");
    const quantized = cloneModel(model);
    const { graph, opsetImports } = quantized;
    opsetImports.set("com.microsoft", 1);
    absorbRelus(graph);
    const quantizer = makeQuantizer(graph, ranges, type);
    (format === "QDQ" ? withPairs : withOperators)(graph, quantizer);
    graph.nodes = graph.nodes.map((node) => ({ ...node, name: node.outputs[0] }));
    graph.valueInfo.clear();
    return { form, model: quantized };
  });
}
