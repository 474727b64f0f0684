// Adder layers that an exporter wrote out in standard ops: found by what the ops compute, not by which ops they are.

import type { DataType } from "../../src/core/dtype.ts";
import { intsAttribute } from "../../src/core/ir/attributes.ts";
import { addInitializer, freshName, makeNode, removeDead, sortNodes } from "../../src/core/ir/edit.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { allocate, int64Tensor, type NumberArray, type Tensor } from "../../src/core/tensor.ts";
import type { ImportContext } from "./importer.ts";
import { layerOfNode, layerOfWeight } from "./layer-names.ts";
import {
  adderAttributes,
  describeGeometry,
  makeAdder,
  nodeName,
  placeConstant,
  reportLayer,
  settleNames,
} from "./place-adder.ts";
import { type BindingPair, bindingPairs } from "./tracing/bindings.ts";
import { type ConcreteFacts, concreteFacts } from "./tracing/concrete-facts.ts";
import { fromCanonical, isCanonical, type Layout, toCanonical } from "./tracing/layouts.ts";
import { type LayerMatch, matchLayers, summedDistances } from "./tracing/match-layers.ts";
import { distancesIn, partsOf, type Sum } from "./tracing/sums.ts";

/** What a graph holds, as its best readings show it. */
interface Tracing {
  readonly pair: BindingPair;
  readonly facts: ConcreteFacts;
  readonly layers: readonly LayerMatch[];
  /** Values of sums of distances that belong to no layer. */
  readonly left: readonly Sum[];
}

/** Values a layer stands for: its sum and all it is made of, those made last first. */
function valuesIn(sum: Sum): Set<string> {
  const parts = new Set([sum]);
  for (const part of parts) for (const inner of partsOf(part)) parts.add(inner);
  return new Set([...parts].map(({ value }) => value));
}

/** The two readings of a graph under a pair of bindings. */
interface Readings {
  readonly pair: BindingPair;
  readonly facts: ConcreteFacts;
  readonly other?: ConcreteFacts;
  /** Values whose shape stays unknown. */
  readonly unknown: number;
}

function readUnder({ model, options }: ImportContext, pair: BindingPair): Readings {
  const facts = concreteFacts(model, options.ops, pair.first);
  const other = pair.second && concreteFacts(model, options.ops, pair.second);
  const values = model.graph.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ""));
  const unknown = values.filter((name) => !facts.dims(name) || (other && !other.dims(name))).length;
  return { pair, facts, ...(other && { other }), unknown };
}

/** The readings that leave the fewest shapes unknown: under a binding that a graph cannot take, its shape rules fail. */
function bestReadings(context: ImportContext): Readings {
  let best: Readings | undefined;
  for (const pair of bindingPairs(context.model.graph)) {
    const readings = readUnder(context, pair);
    if (best === undefined || readings.unknown < best.unknown) best = readings;
    if (best.unknown === 0) break;
  }
  return best!;
}

function trace(context: ImportContext): Tracing {
  const { graph } = context.model;
  const { pair, facts, other } = bestReadings(context);
  const layers = matchLayers(graph, facts, other);
  const covered = new Set(layers.flatMap(({ sum }) => distancesIn(sum).map(({ value }) => value)));
  const left = summedDistances(graph, facts).filter(
    (sum) => !distancesIn(sum).every(({ value }) => covered.has(value)),
  );
  return { pair, facts, layers, left };
}

function floatTensor(type: DataType, values: Float64Array, dims: readonly number[]): Tensor {
  const data = allocate(type, values.length) as NumberArray;
  data.set(values);
  return { type, data, dims };
}

/** Nodes that made the layer, the one of the distances first. */
function nodesOf(match: LayerMatch, producer: ReadonlyMap<string, Node>): Node[] {
  const values = [...valuesIn(match.sum)].reverse();
  return values.flatMap((value) => producer.get(value) ?? []);
}

/** The module's name: from the weight where it kept its own, else from the nodes. */
function layerName(match: LayerMatch, nodes: readonly Node[], facts: ConcreteFacts): string | undefined {
  const origins = match.constants.map((constant) => facts.origin(constant));
  const fromWeight = origins.map(layerOfWeight).find((name) => name !== undefined);
  return fromWeight ?? nodes.map(layerOfNode).find((name) => name !== undefined);
}

function formOf(context: ImportContext, match: LayerMatch, nodes: readonly Node[]): string {
  const marked = nodes.map((node) => context.forms.get(node)).find((form) => form !== undefined);
  if (marked !== undefined) return marked;
  if (match.valueLayout === "nc" && match.sourceLayout === "nc") return "linear";
  if (nodes.some((node) => node.opType === "ReduceL1")) return "ReduceL1";
  if (nodes.some((node) => [...(node.metadata?.keys() ?? [])].some((key) => key.startsWith("pkg.torch"))))
    return "dynamo";
  if (distancesIn(match.sum).length > 1) return "sum over taps";
  return context.model.producerName === "pytorch" ? "im2col TorchScript" : "im2col";
}

function evidenceOf(match: LayerMatch, label: string): string {
  const { fit, geometry, value, source } = match;
  const sign = fit.factor < 0 ? "-" : "";
  const terms = distancesIn(match.sum).length;
  const sums = terms > 1 ? `${terms} sums of` : "the sum of";
  return (
    `"${value}" is ${sign}${sums} |x - w| over windows of "${source}": every output reads the places of a convolution ` +
    `${describeGeometry(fit.weightDims, geometry)}; checked for all outputs ${label}`
  );
}

/** Values of layers that are not laid out as [N, C, H, W], and the value before it was rearranged. */
type Rearranged = Map<string, { readonly layout: Layout; readonly maps: string }>;

/** A Reshape; 0 in the target copies a length. */
function reshapeNode(
  graph: Graph,
  taken: Set<string>,
  from: string,
  to: string,
  target: readonly number[],
): Node {
  const shape = freshName(taken, `${to}_shape`);
  graph.initializers.set(shape, int64Tensor(target));
  return makeNode("Reshape", [from, shape], [to]);
}

function transposeNode(from: string, to: string, order: readonly number[]): Node {
  return makeNode("Transpose", [from], [to], [["perm", intsAttribute(order)]]);
}

/** Nodes that bring a value of some layout to [N, C, H, W], and the name of the result. */
function toMaps(
  graph: Graph,
  taken: Set<string>,
  from: string,
  layout: Layout,
): { x: string; nodes: Node[] } {
  const nodes: Node[] = [];
  let x = from;
  if (!isCanonical(layout)) {
    const to = freshName(taken, `${from}_channels_first`);
    nodes.push(transposeNode(x, to, toCanonical(layout)));
    x = to;
  }
  if (layout.length < 4) {
    const to = freshName(taken, `${from}_maps`);
    const target = [0, 0, 0, 0].map((copied, axis) => (axis < layout.length ? copied : 1));
    nodes.push(reshapeNode(graph, taken, x, to, target));
    x = to;
  }
  return { x, nodes };
}

/** Nodes that bring [N, M, OH, OW] into a layout. */
function fromMaps(
  graph: Graph,
  taken: Set<string>,
  from: string,
  to: string,
  layout: Layout,
  filters: number,
): Node[] {
  const nodes: Node[] = [];
  let value = from;
  if (layout.length < 4) {
    value = isCanonical(layout) ? to : freshName(taken, `${to}_channels_first`);
    nodes.push(reshapeNode(graph, taken, from, value, layout.length === 2 ? [0, filters] : [0, filters, -1]));
  }
  if (!isCanonical(layout)) nodes.push(transposeNode(value, to, fromCanonical(layout)));
  return nodes;
}

/** -f · Adder2d is the sum for a factor f other than -1. */
function factorNode(graph: Graph, from: string, to: string, factor: number, type: DataType): Node {
  if (factor === 1) return makeNode("Neg", [from], [to]);
  const scale = addInitializer(graph, `${to}_scale`, floatTensor(type, Float64Array.of(-factor), []));
  return makeNode("Mul", [from, scale], [to]);
}

/** The nodes that compute the layer's value from its source, the one that makes the value last. */
function layerNodes(
  context: ImportContext,
  match: LayerMatch,
  names: { readonly node: string; readonly layer: string },
  type: DataType,
  rearranged: Rearranged,
): Node[] {
  const { graph } = context.model;
  const { fit, source, sourceLayout, value, valueLayout } = match;
  const taken = context.names.values;
  const known = rearranged.get(source);
  const { x, nodes } =
    known?.layout === sourceLayout
      ? { x: known.maps, nodes: [] }
      : toMaps(graph, taken, source, sourceLayout);
  const weight = placeConstant(
    context,
    `${names.layer}.adder`,
    floatTensor(type, fit.weight, fit.weightDims),
  );
  const bias =
    fit.bias && placeConstant(context, `${names.layer}.b`, floatTensor(type, fit.bias, [fit.weightDims[0]]));
  const inputs = [x, weight, ...(bias === undefined ? [] : [bias])];
  const isPlain = valueLayout === "nchw";
  const y = isPlain && fit.factor === -1 ? value : freshName(taken, `${names.node}_output`);
  nodes.push(makeAdder(context, names.node, inputs, y, adderAttributes(fit.weightDims, match.geometry)));
  let maps = y;
  if (fit.factor !== -1) {
    maps = isPlain ? value : freshName(taken, `${names.node}_scaled`);
    nodes.push(factorNode(graph, y, maps, fit.factor, type));
  }
  if (isPlain) return nodes;
  rearranged.set(value, { layout: valueLayout, maps });
  return [...nodes, ...fromMaps(graph, taken, maps, value, valueLayout, fit.weightDims[0])];
}

function replaceProducer(graph: Graph, value: string, nodes: readonly Node[]): void {
  const at = graph.nodes.findIndex((node) => node.outputs.includes(value));
  const producer = graph.nodes[at]!;
  const others = producer.outputs.filter((name) => name !== value && name !== "");
  if (others.length > 0) producer.outputs = producer.outputs.map((name) => (name === value ? "" : name));
  graph.nodes.splice(at, others.length > 0 ? 0 : 1, ...nodes);
}

function placeLayer(
  context: ImportContext,
  match: LayerMatch,
  tracing: Tracing,
  producer: ReadonlyMap<string, Node>,
  rearranged: Rearranged,
): void {
  const { graph } = context.model;
  const nodes = nodesOf(match, producer);
  const type = tracing.facts.type(match.source)!;
  const layer = layerName(match, nodes, tracing.facts);
  const name = nodeName(context, layer);
  const names = { node: name, layer: layer ?? name };
  replaceProducer(graph, match.value, layerNodes(context, match, names, type, rearranged));
  const report = {
    node: name,
    layer: layer ?? name,
    form: formOf(context, match, nodes),
    evidence: evidenceOf(match, tracing.pair.label),
  };
  reportLayer(context, report, match.fit.weightDims, match.geometry);
}

function warnOfLeft(
  context: ImportContext,
  { left, facts }: Tracing,
  producer: ReadonlyMap<string, Node>,
): void {
  for (const sum of left) {
    const node = producer.get(sum.value);
    const distance = distancesIn(sum)[0]!;
    const weight = facts.dims(distance.weight)?.join("x");
    context.warnings.push({
      code: "ADN_ADDER_UNRECOGNISED",
      node: node?.name || sum.value,
      message:
        `"${sum.value}" sums distances between "${distance.data}" and the constant "${distance.weight}" [${weight}], ` +
        "but what it reads is no convolution of one value; it stays as it is",
      fix: "nothing, if this is no adder layer; else export with a symbolic() that writes addernet::Adder2d",
    });
  }
}

const rearrangingOps = new Set(["Reshape", "Unsqueeze", "Squeeze", "Transpose", "Expand", "Tile", "Cast"]);

/** Whether a value is an initialiser, rearranged by lengths that need not be known. */
function isRearrangedConstant(graph: Graph, producer: ReadonlyMap<string, Node>, value: string): boolean {
  const names = new Set([value]);
  for (const name of names) {
    const node = producer.get(name);
    if (node === undefined) return graph.initializers.has(name);
    if (rearrangingOps.has(node.opType) && node.domain === "") names.add(node.inputs[0]!);
  }
  return false;
}

/** Absolute differences from a constant whose shape is unknown: no trace can tell what they belong to. */
function warnOfUnknownShapes(
  context: ImportContext,
  { facts }: Tracing,
  producer: ReadonlyMap<string, Node>,
): void {
  const { graph } = context.model;
  for (const node of graph.nodes) {
    const difference = node.opType === "Abs" ? producer.get(node.inputs[0]!) : undefined;
    const constants = difference?.inputs.filter(
      (name) => facts.constant(name) !== undefined || isRearrangedConstant(graph, producer, name),
    );
    if (difference?.opType !== "Sub" || constants?.length !== 1 || facts.dims(node.outputs[0]!)) continue;
    context.warnings.push({
      code: "ADN_ADDER_UNRECOGNISED",
      node: node.name || node.outputs[0]!,
      message:
        "this may be part of an adder layer, but its shape does not follow from the file; it stays as it is",
      fix: "give the shape of the input, for example --input-shape x:1,3,32,32",
    });
  }
}

function warnOfFixedBatch(context: ImportContext, { pair, layers }: Tracing): void {
  if (!pair.fixesBatch || layers.length === 0) return;
  context.warnings.push({
    code: "ADN_BATCH_FIXED",
    node: context.model.graph.inputs[0]?.name ?? "",
    message:
      "the file declares a free batch, but its nodes fit batch 1 only; the layers were read with batch 1",
    fix: "export with dynamic_axes and a forward() that takes sizes from x.shape, if you need other batches",
  });
}

/** Puts adder nodes in place of the standard ops that compute adder layers. */
export function importInlined(context: ImportContext): void {
  const { graph } = context.model;
  const tracing = trace(context);
  const producer = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const rearranged: Rearranged = new Map();
  for (const match of tracing.layers) placeLayer(context, match, tracing, producer, rearranged);
  warnOfLeft(context, tracing, producer);
  warnOfUnknownShapes(context, tracing, producer);
  warnOfFixedBatch(context, tracing);
  if (tracing.layers.length === 0) return;
  sortNodes(graph);
  removeDead(graph);
  settleNames(graph, context.layers);
}
