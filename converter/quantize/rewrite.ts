// The quantized model: layers on codes, and one border per value where floats meet codes.

import { adderWindow, QLinearAdder2d } from "../../custom-ops/index.ts";
import { intAttribute, intsAttribute, nodeLabel } from "../../src/core/ir/attributes.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import { freshName, makeNode, namesIn, removeDead, sortNodes } from "../../src/core/ir/edit.ts";
import type { Attribute, Graph, Model, Node } from "../../src/core/ir/model.ts";
import { indexGraph } from "../../src/core/ir/walk.ts";
import { float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { boundsOf } from "../passes/clip-bounds.ts";
import type { Calibration } from "./calibration.ts";
import type { ChannelAffine } from "./correction.ts";
import { encode, encodeWeights, type Grid } from "./grid.ts";
import { encodeOrdinaryWeight, hasOrdinaryCodes, ordinaryWeight } from "./ordinary-weights.ts";
import { baseAffine } from "./search.ts";
import type { CodedValue, Layer, Subject } from "./subject.ts";

const code = (value: number): Tensor => ({ type: "uint8", data: Uint8Array.of(value), dims: [] });
const number = (value: number): Tensor => float32Tensor([value], []);

interface Rewrite {
  readonly subject: Subject;
  readonly calibration: Calibration;
  readonly graph: Graph;
  readonly taken: Set<string>;
  /** Names of the codes by value, pooled ones included. */
  readonly codes: ReadonlyMap<string, string>;
  readonly valueByName: ReadonlyMap<string, CodedValue>;
  /** Constants that nodes share, by what they hold. */
  readonly constants: Map<string, string>;
}

/** A small constant under one name for all who need it. */
function shared({ graph, taken, constants }: Rewrite, wanted: string, tensor: Tensor): string {
  const key = `${tensor.type} ${tensor.data[0]}`;
  const known = constants.get(key);
  if (known !== undefined) return known;
  const name = freshName(taken, wanted);
  graph.initializers.set(name, tensor);
  constants.set(key, name);
  return name;
}

function gridOf({ calibration, valueByName }: Rewrite, name: string): Grid {
  const { step, zeroPoint, maxCode } = calibration.values[valueByName.get(name)!.name]!;
  return { step: Math.fround(step), zeroPoint, maxCode };
}

const zeroPointOf = (rewrite: Rewrite, { zeroPoint }: Grid): string =>
  shared(rewrite, `zero_point_${zeroPoint}`, code(zeroPoint));

function constant({ graph, taken }: Rewrite, wanted: string, tensor: Tensor): string {
  const name = freshName(taken, wanted);
  graph.initializers.set(name, tensor);
  return name;
}

/** The affine behind the sums of a layer, in units of its output: that of the float layer, and what calibration changed. */
function affineOf({ calibration }: Rewrite, layer: Layer, grid: Grid, excess: Float64Array): ChannelAffine {
  const base = baseAffine(layer, grid, excess);
  const { factor, shift } = calibration.layers[layer.name]!;
  return {
    scale: base.scale.map((scale, m) => scale * factor[m]!),
    bias: base.bias.map((bias, m) => bias + shift[m]!),
  };
}

/** Attributes of the window, all written out: the codes of a value have no declared shape to resolve `auto_pad` with. */
function windowAttributes({ subject }: Rewrite, { node, x, weight }: Layer): [string, Attribute][] {
  const size = subject.facts.get(x)?.shape?.slice(2) ?? [null, null];
  const kernel = weight.dims.slice(2);
  const { strides, pads, dilations, group } = adderWindow(node, size, kernel, nodeLabel(node));
  return [
    ["kernel_shape", intsAttribute(kernel)],
    ["strides", intsAttribute(strides)],
    ["pads", intsAttribute(pads)],
    ["dilations", intsAttribute(dilations)],
    ["group", intAttribute(group)],
  ];
}

/** A bound of the activation as a code of the output's grid. */
function boundCode(bound: number, { step, zeroPoint, maxCode }: Grid): number {
  return Math.min(Math.max(Math.round(bound / step) + zeroPoint, 0), maxCode);
}

interface CodedLayer {
  readonly layer: Layer;
  readonly weights: string;
  readonly xGrid: Grid;
  readonly affine: ChannelAffine;
  readonly attributes: readonly [string, Attribute][];
}

function codedLayer(rewrite: Rewrite, layer: Layer): CodedLayer {
  const xGrid = gridOf(rewrite, layer.x);
  const { codes, excess } = encodeWeights(layer.weight.data, layer.filters, xGrid);
  const weights = constant(rewrite, `${layer.node.inputs[1]}.codes`, {
    type: "uint8",
    data: codes,
    dims: layer.weight.dims,
  });
  const affine = affineOf(rewrite, layer, xGrid, excess);
  return { layer, weights, xGrid, affine, attributes: windowAttributes(rewrite, layer) };
}

/** Inputs Z, z_scale and z_zero_point, or none. */
function residualInputs(rewrite: Rewrite, { z, output }: Layer): string[] {
  if (z === undefined) return [];
  const [zGrid, yGrid] = [gridOf(rewrite, z), gridOf(rewrite, output)];
  const scale = shared(rewrite, `${output}.residual_scale`, number(zGrid.step / yGrid.step));
  return [rewrite.codes.get(z)!, scale, zeroPointOf(rewrite, zGrid)];
}

/** Codes to codes. */
function qlinearNodes(rewrite: Rewrite, { layer, weights, xGrid, affine, attributes }: CodedLayer): Node[] {
  const grid = gridOf(rewrite, layer.output);
  const perStep = (values: Float64Array) =>
    float32Tensor(
      values.map((value) => value / grid.step),
      [layer.filters],
    );
  const inputs = [
    rewrite.codes.get(layer.x)!,
    zeroPointOf(rewrite, xGrid),
    weights,
    constant(rewrite, `${layer.output}.scale`, perStep(affine.scale)),
    constant(rewrite, `${layer.output}.bias`, perStep(affine.bias)),
    zeroPointOf(rewrite, grid),
    ...residualInputs(rewrite, layer),
  ];
  const bounds: [string, Attribute][] = [
    ["y_min", intAttribute(boundCode(layer.least, grid))],
    ["y_max", intAttribute(boundCode(layer.most, grid))],
  ];
  const { domain, opType } = QLinearAdder2d;
  const output = rewrite.codes.get(layer.output)!;
  return [makeNode(opType, inputs, [output], [...attributes, ...bounds], { domain, name: layer.name })];
}

/** min(max(input, least), most) as far as the layer has bounds. */
function activationNodes(rewrite: Rewrite, { least, most, output }: Layer, input: string): Node[] {
  if (least === 0 && most === Number.POSITIVE_INFINITY) return [makeNode("Relu", [input], [output])];
  const low = Number.isFinite(least) ? shared(rewrite, `${output}.least`, number(least)) : "";
  const high = Number.isFinite(most) ? shared(rewrite, `${output}.most`, number(most)) : "";
  return [makeNode("Clip", [input, low, ...(high ? [high] : [])], [output])];
}

/** Codes to sums, scaled in float32 under the name the layer's output always had. */
function floatNodes(rewrite: Rewrite, { layer, weights, xGrid, affine, attributes }: CodedLayer): Node[] {
  const { output, z, least, most, filters } = layer;
  const isClipped = Number.isFinite(least) || Number.isFinite(most);
  const stage = (suffix: string) => freshName(rewrite.taken, `${output}.${suffix}`);
  const dims = [filters, 1, 1];
  const steps: readonly (readonly [string, string, string[], [string, Attribute][]])[] = [
    ["sums", "Cast", [], [["to", intAttribute(1)]]],
    ["scaled", "Mul", [constant(rewrite, `${output}.scale`, float32Tensor(affine.scale, dims))], []],
    ["biased", "Add", [constant(rewrite, `${output}.bias`, float32Tensor(affine.bias, dims))], []],
    ...(z === undefined ? [] : [["added", "Add", [z], []] as const]).map(
      ([suffix, op, inputs]) =>
        [suffix, op, [...inputs], []] as [string, string, string[], [string, Attribute][]],
    ),
  ];
  let last = stage("integers");
  const inputs = [rewrite.codes.get(layer.x)!, weights, zeroPointOf(rewrite, xGrid)];
  const nodes = [
    makeNode("AdderInteger2d", inputs, [last], attributes, { domain: "addernet", name: layer.name }),
  ];
  for (const [index, [suffix, opType, others, given]] of steps.entries()) {
    const next = index === steps.length - 1 && !isClipped ? output : stage(suffix);
    nodes.push(makeNode(opType, [last, ...others], [next], given));
    last = next;
  }
  return isClipped ? [...nodes, ...activationNodes(rewrite, layer, last)] : nodes;
}

/** Nodes that read the floats of a value in the rewritten graph. */
function hasFloatReader({ graph }: Rewrite, name: string): boolean {
  const { consumers, outputs } = indexGraph(graph);
  return outputs.has(name) || (consumers.get(name)?.length ?? 0) > 0;
}

function borderNode(rewrite: Rewrite, opType: string, input: string, output: string, grid: Grid): Node {
  const scale = shared(rewrite, `${output}.step`, number(grid.step));
  return makeNode(opType, [input, scale, zeroPointOf(rewrite, grid)], [output]);
}

/** The float that a code stands for. */
const valueOfCode = (code: number, { zeroPoint, step }: Grid): number =>
  Math.fround((code - zeroPoint) * step);

/**
 * The value before a Relu or Clip whose bounds round to the ends of the grid, where rounding stops anyway. onnxruntime drops such a Clip by
 * itself, and after a pool (seen in 1.30) makes two nodes of one name on the way and refuses the graph.
 */
function valueToRound({ graph, subject }: Rewrite, value: string, grid: Grid): string {
  const opset = subject.model.opsetImports.get("") ?? 1;
  const makers = new Map(graph.nodes.map((node) => [node.outputs[0]!, node]));
  let name = value;
  for (let maker = makers.get(name); maker !== undefined; maker = makers.get(name)) {
    if (maker.domain !== "" || !["Relu", "Clip"].includes(maker.opType)) break;
    const [least, most] = encode(Float32Array.from(boundsOf(graph, maker, opset) ?? []), grid);
    if (least !== 0 || most !== grid.maxCode) break;
    name = maker.inputs[0]!;
  }
  return name;
}

/** Rounds a value that no layer makes. Where its codes end below 255, QuantizeLinear would not stop at their end: the value does. */
function roundingNodes(rewrite: Rewrite, value: string): Node[] {
  const grid = gridOf(rewrite, value);
  const codes = rewrite.codes.get(value)!;
  const name = valueToRound(rewrite, value, grid);
  if (grid.maxCode === 255) return [borderNode(rewrite, "QuantizeLinear", name, codes, grid)];
  const clipped = freshName(rewrite.taken, `${name}.clipped`);
  const inputs = [
    name,
    shared(rewrite, `${name}.least`, number(valueOfCode(0, grid))),
    shared(rewrite, `${name}.most`, number(valueOfCode(grid.maxCode, grid))),
  ];
  return [makeNode("Clip", inputs, [clipped]), borderNode(rewrite, "QuantizeLinear", clipped, codes, grid)];
}

/** Rounds every value that no layer makes, and gives float readers of codes their floats back: each once. */
function addBorders(rewrite: Rewrite): void {
  const { subject, graph, codes } = rewrite;
  for (const { name, members, madeByLayer } of subject.values) {
    if (!madeByLayer) {
      graph.nodes.push(...roundingNodes(rewrite, name));
      continue;
    }
    for (const member of members) {
      if (!hasFloatReader(rewrite, member)) continue;
      graph.nodes.push(
        borderNode(rewrite, "DequantizeLinear", codes.get(member)!, member, gridOf(rewrite, member)),
      );
    }
  }
}

/** A pooling node that reads and makes codes. */
function onCodes({ codes }: Rewrite, node: Node): Node {
  return {
    ...node,
    inputs: node.inputs.map((name) => codes.get(name) ?? name),
    outputs: node.outputs.map((name) => codes.get(name) ?? name),
  };
}

function rewriteNode(rewrite: Rewrite, layers: ReadonlyMap<Node, Layer>, node: Node): Node[] {
  const layer = layers.get(node);
  if (layer !== undefined) {
    const coded = codedLayer(rewrite, layer);
    return layer.result === "codes" ? qlinearNodes(rewrite, coded) : floatNodes(rewrite, coded);
  }
  return [rewrite.subject.carriers.has(node) ? onCodes(rewrite, node) : node];
}

/** Weights of ordinary convolutions and matrix products as int8 with a scale per filter. */
function quantizeOrdinaryWeights(rewrite: Rewrite): void {
  const { graph, taken } = rewrite;
  for (const node of [...graph.nodes]) {
    const weight = ordinaryWeight(node, graph);
    if (weight === undefined) continue;
    const { axis, scales, codes } = encodeOrdinaryWeight(weight);
    const name = node.inputs[1]!;
    const inputs = [
      constant(rewrite, `${name}.codes`, { type: "int8", data: codes, dims: weight.tensor.dims }),
      constant(rewrite, `${name}.scale`, float32Tensor(scales)),
    ];
    const floats = freshName(taken, `${name}.floats`);
    graph.nodes.push(makeNode("DequantizeLinear", inputs, [floats], [["axis", intAttribute(axis)]]));
    node.inputs[1] = floats;
  }
}

/** Nodes made here are named after their outputs, which may be the name of a layer: layers keep theirs, others get new ones. */
function separateNames({ graph, subject, taken }: Rewrite): void {
  const used = new Set(subject.layers.map(({ name }) => name));
  for (const node of graph.nodes) {
    if (node.domain === "addernet" || node.name === "") continue;
    if (used.has(node.name)) node.name = freshName(taken, `${node.name}.${node.opType}`);
    used.add(node.name);
  }
}

function startRewrite(
  subject: Subject,
  calibration: Calibration,
): { readonly model: Model; readonly rewrite: Rewrite } {
  const { graph } = subject.model;
  const taken = namesIn(graph);
  const members = subject.values.flatMap((value) => value.members.map((name) => [name, value] as const));
  const codes = new Map(members.map(([name]) => [name, freshName(taken, `${name}.codes`)] as const));
  // Nodes are shared with the subject until they are replaced, so that its layers are found; then all are cloned.
  const model: Model = { ...subject.model, graph: { ...graph, initializers: new Map(graph.initializers) } };
  const rewrite: Rewrite = {
    subject,
    calibration,
    graph: model.graph,
    taken,
    codes,
    valueByName: new Map(members),
    constants: new Map(),
  };
  return { model, rewrite };
}

/**
 * The model of `subject` with its layers on codes as `calibration` says. `edges` "int8" stores the weights of ordinary
 * convolutions and matrix products as int8 too, where the opset has DequantizeLinear per axis. Function bodies are not attached.
 */
export function rewriteModel(subject: Subject, calibration: Calibration, edges: "float" | "int8"): Model {
  const { model: shallow, rewrite: first } = startRewrite(subject, calibration);
  const layers = new Map(subject.layers.map((layer) => [layer.node, layer]));
  shallow.graph.nodes = shallow.graph.nodes.flatMap((node) => rewriteNode(first, layers, node));
  const model = cloneModel(shallow);
  const rewrite: Rewrite = { ...first, graph: model.graph };
  addBorders(rewrite);
  if (edges === "int8" && hasOrdinaryCodes(model)) quantizeOrdinaryWeights(rewrite);
  removeDead(model.graph);
  sortNodes(model.graph);
  separateNames(rewrite);
  return model;
}
