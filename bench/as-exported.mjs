// The AdderNet as PyTorch exports it: every adder layer in standard ops, the input unfolded to columns and all differences written out.

import { ops } from "../dist/custom-ops/index.js";
import { inferShapes } from "../dist/src/core/infer-shapes.js";
import { intAttribute, intsAttribute } from "../dist/src/core/ir/attributes.js";
import { cloneModel } from "../dist/src/core/ir/clone.js";
import { makeNode } from "../dist/src/core/ir/edit.js";
import { int64Tensor } from "../dist/src/core/tensor.js";

const ints = (node, name) => node.attributes.get(name).value.map(Number);

/** Positions along one axis that each tap of each output reads: [kernel, outputs]. */
function tapPositions(kernel, outputs, stride) {
  const positions = Array.from({ length: kernel * outputs }, (_, index) => {
    const [tap, output] = [Math.floor(index / outputs), index % outputs];
    return tap + output * stride;
  });
  return int64Tensor(positions, [kernel, outputs]);
}

/** Pad, two gathers and a transpose make columns [1, 1, K, L]; then -Σ|x - w| over K. */
function unfoldedLayer(node, weights, [, filters, height, width], initializers) {
  const [x, w] = node.inputs;
  const [y] = node.outputs;
  const [kernelHeight, kernelWidth] = weights.dims.slice(2);
  const [top, left, bottom, right] = ints(node, "pads");
  const strides = ints(node, "strides");
  const taps = weights.data.length / filters;
  const constant = (name, tensor) => {
    initializers.set(`${y}.${name}`, tensor);
    return `${y}.${name}`;
  };
  initializers.set(w, { ...weights, dims: [1, filters, taps, 1] });
  const step = (opType, name, inputs, attributes = []) =>
    makeNode(opType, inputs, [`${y}.${name}`], attributes);
  return [
    step("Pad", "padded", [x, constant("pads", int64Tensor([0, 0, top, left, 0, 0, bottom, right]))]),
    step(
      "Gather",
      "rows",
      [`${y}.padded`, constant("row", tapPositions(kernelHeight, height, strides[0]))],
      [["axis", intAttribute(2)]],
    ),
    step(
      "Gather",
      "windows",
      [`${y}.rows`, constant("column", tapPositions(kernelWidth, width, strides[1]))],
      [["axis", intAttribute(4)]],
    ),
    step("Transpose", "taps", [`${y}.windows`], [["perm", intsAttribute([0, 1, 2, 4, 3, 5])]]),
    step("Reshape", "columns", [`${y}.taps`, constant("flat", int64Tensor([1, 1, taps, height * width]))]),
    step("Sub", "differences", [`${y}.columns`, w]),
    step("Abs", "distances", [`${y}.differences`]),
    step(
      "ReduceSum",
      "sums",
      [`${y}.distances`, constant("axes", int64Tensor([2]))],
      [["keepdims", intAttribute(0)]],
    ),
    step("Reshape", "maps", [`${y}.sums`, constant("shape", int64Tensor([-1, filters, height, width]))]),
    makeNode("Neg", [`${y}.maps`], [y]),
  ];
}

/** `model`, unfused and for one image, with its adder layers in standard ops. */
export function asExported(model, image) {
  const exported = cloneModel(model);
  const { graph, opsetImports } = exported;
  const facts = inferShapes(graph, opsetImports, ops, { inputs: new Map([["input", image.dims]]) });
  graph.nodes = graph.nodes.flatMap((node) => {
    if (node.opType !== "Adder2d") return [node];
    const weights = model.graph.initializers.get(node.inputs[1]);
    return unfoldedLayer(node, weights, facts.get(node.outputs[0]).shape, graph.initializers);
  });
  const fixed = (info, shape) => ({ ...info, type: { ...info.type, shape } });
  graph.inputs = graph.inputs.map((info) => fixed(info, image.dims));
  graph.outputs = graph.outputs.map((info) => fixed(info, facts.get(info.name).shape));
  opsetImports.delete("addernet");
  return exported;
}
