// Function bodies in models: added so that any engine runs the file, dropped where our kernels do, or written out in place.

import { AdderNetError } from "../src/core/errors.ts";
import {
  floatAttribute,
  getFloat,
  intAttribute,
  intsAttribute,
  nodeLabel,
  tensorAttribute,
} from "../src/core/ir/attributes.ts";
import { addInitializer, freshName, namesIn, replaceNode, subgraphsOf } from "../src/core/ir/edit.ts";
import type { Attribute, Dim, FunctionBody, Graph, Model, Node } from "../src/core/ir/model.ts";
import { indexGraph } from "../src/core/ir/walk.ts";
import { float32Tensor } from "../src/core/tensor.ts";
import { Adder2d, adder2dAttributes } from "./adder2d.ts";
import { type Adder2dVariant, adder2dFunction } from "./function-body.ts";

/** The largest float32: where nothing clips, bounds are this, because an infinite attribute is not portable. */
const largestFloat = 3.4028234663852886e38;

function isAdder2d(node: Node): boolean {
  return node.domain === Adder2d.domain && node.opType === Adder2d.opType;
}

function isOwnFunction({ domain, name }: FunctionBody): boolean {
  return domain === Adder2d.domain && name === Adder2d.opType;
}

interface PlacedNode {
  readonly node: Node;
  readonly graph: Graph;
}

/** Every adder node with the graph it stands in; those of branches and loops included. */
function adderNodes(graph: Graph): PlacedNode[] {
  return graph.nodes.flatMap((node) => [
    ...(isAdder2d(node) ? [{ node, graph }] : []),
    ...subgraphsOf(node).flatMap(adderNodes),
  ]);
}

function hasInput(node: Node, index: number): boolean {
  return (node.inputs[index] ?? "") !== "";
}

const bounds: readonly { name: string; isOpen: (bound: number) => boolean }[] = [
  { name: "activation_min", isOpen: (bound) => bound <= -largestFloat },
  { name: "activation_max", isOpen: (bound) => bound >= largestFloat },
];

/** Bounds of the activation that a node names but that clip nothing. */
function openBounds(node: Node): string[] {
  return bounds.flatMap(({ name, isOpen }) => {
    const bound = getFloat(node, name);
    return bound !== undefined && isOpen(bound) ? [name] : [];
  });
}

/** The least variant that every node fits, once open bounds are gone. */
function variantFor(nodes: readonly Node[]): Adder2dVariant {
  const takes = (index: number) => nodes.some((node) => hasInput(node, index));
  const inputs = takes(3) || takes(4) ? 5 : takes(2) ? 3 : 2;
  const clips = nodes.some((node) => bounds.some(({ name }) => node.attributes.has(name)));
  return { inputs, clips };
}

/** The shape of a value as far as the graph, or else the whole model, states it. */
function shapeOf(model: Model, graph: Graph, name: string): readonly Dim[] | undefined {
  for (const part of [graph, model.graph]) {
    const tensor = part.initializers.get(name);
    if (tensor !== undefined) return tensor.dims;
    const info =
      part.valueInfo.get(name) ?? [...part.inputs, ...part.overridable].find((input) => input.name === name);
    if (info?.type?.kind === "tensor" && info.type.shape !== undefined) return info.type.shape;
  }
  return undefined;
}

/** Writes out every attribute that the function body refers to. */
function makeExplicit(model: Model, { node, graph }: PlacedNode, bounded: boolean): void {
  const [x, w] = [shapeOf(model, graph, node.inputs[0]!), shapeOf(model, graph, node.inputs[1]!)];
  const unknown = [null, null, null, null];
  const attributes = adder2dAttributes(
    node,
    (x ?? unknown).slice(2),
    (w ?? unknown).slice(2),
    nodeLabel(node),
  );
  node.attributes.delete("auto_pad");
  node.attributes.set("strides", intsAttribute(attributes.strides));
  node.attributes.set("pads", intsAttribute(attributes.pads));
  node.attributes.set("dilations", intsAttribute(attributes.dilations));
  node.attributes.set("group", intAttribute(attributes.group));
  if (!bounded) return;
  node.attributes.set("activation_min", floatAttribute(Math.max(attributes.activationMin, -largestFloat)));
  node.attributes.set("activation_max", floatAttribute(Math.min(attributes.activationMax, largestFloat)));
}

function filtersOf(model: Model, { node, graph }: PlacedNode): number {
  const lengths = [1, 2, 3].map((index) => shapeOf(model, graph, node.inputs[index] ?? "")?.[0]);
  const filters = lengths.find((length) => typeof length === "number");
  if (filters !== undefined) return filters as number;
  throw new AdderNetError("ADN_SHAPE", "the number of filters is unknown", {
    where: nodeLabel(node),
    expected: "W with a known shape",
  });
}

/** Inputs that change nothing: B = 0, scale = 1, Z = 0. */
const neutralInputs: readonly { index: number; value: number; perFilter: boolean }[] = [
  { index: 2, value: 0, perFilter: true },
  { index: 3, value: 1, perFilter: true },
  { index: 4, value: 0, perFilter: false },
];

/** Gives a node the inputs it lacks; nodes share the constants for that. */
function fillInputs(model: Model, placed: PlacedNode, count: number, shared: Map<string, string>): void {
  const { node } = placed;
  while (node.inputs.length < count) node.inputs.push("");
  for (const { index, value, perFilter } of neutralInputs) {
    if (index >= count || hasInput(node, index)) continue;
    const dims = perFilter ? [filtersOf(model, placed)] : [];
    const wanted = [value === 0 ? "addernet_zeros" : "addernet_ones", ...dims].join("_");
    const tensor = float32Tensor(new Array<number>(dims[0] ?? 1).fill(value), dims);
    const name = shared.get(wanted) ?? addInitializer(model.graph, wanted, tensor);
    shared.set(wanted, name);
    node.inputs[index] = name;
  }
}

/**
 * Takes back what `makeExplicit` and `fillInputs` add: bounds that never clip and inputs that change nothing. Answers the
 * names of those inputs.
 */
function dropNeutral({ node, graph }: PlacedNode, root: Graph): string[] {
  for (const name of openBounds(node)) node.attributes.delete(name);
  const dropped: string[] = [];
  for (const { index, value } of neutralInputs) {
    const name = node.inputs[index] ?? "";
    const tensor = graph.initializers.get(name) ?? root.initializers.get(name);
    if (tensor?.type !== "float32" || root.overridable.some((input) => input.name === name)) continue;
    if (!(tensor.data as Float32Array).every((element) => element === value)) continue;
    node.inputs[index] = "";
    dropped.push(name);
  }
  while (node.inputs.at(-1) === "") node.inputs.pop();
  return dropped;
}

/** Drops the function bodies of our own ops, and the inputs that only a body needs: for a reader with kernels. */
export function detachFunctions(model: Model): void {
  model.functions = model.functions.filter((body) => !isOwnFunction(body));
  const dropped = adderNodes(model.graph).flatMap((placed) => dropNeutral(placed, model.graph));
  const { consumers, outputs } = indexGraph(model.graph);
  for (const name of dropped) {
    if (!consumers.has(name) && !outputs.has(name)) model.graph.initializers.delete(name);
  }
}

/** The version of the standard ops that bodies are written in: the model's, or one of our choice where it has none. */
function standardOpset(model: Model): number {
  const opset = model.opsetImports.get("") ?? 17;
  model.opsetImports.set("", opset);
  return opset;
}

/**
 * Makes the model run on any ONNX engine: all Adder2d nodes get the same inputs and explicit attributes, and the model a
 * function body for them. Replaces what an earlier call did; calling it twice changes nothing. ADN_SHAPE where a node has
 * auto_pad and its input no known height and width.
 */
export function attachFunctions(model: Model): void {
  detachFunctions(model);
  const placed = adderNodes(model.graph);
  if (placed.length === 0) {
    model.opsetImports.delete(Adder2d.domain);
    return;
  }
  const variant = variantFor(placed.map(({ node }) => node));
  const shared = new Map<string, string>();
  for (const place of placed) {
    makeExplicit(model, place, variant.clips);
    fillInputs(model, place, variant.inputs, shared);
  }
  model.functions.push(adder2dFunction(variant, standardOpset(model)));
  model.opsetImports.set(Adder2d.domain, Adder2d.first);
}

/** A body's attribute in the place of a call: references become what the call gives, and vanish where it gives nothing. */
function boundAttributes(node: Node, call: Node): Map<string, Attribute> {
  const entries = [...node.attributes].flatMap(([name, attribute]): [string, Attribute][] => {
    const value = attribute.type === "REF" ? call.attributes.get(attribute.name) : attribute;
    if (value === undefined) return [];
    if (name !== "value_float" || value.type !== "FLOAT") return [[name, value]];
    return [["value", tensorAttribute(float32Tensor([value.value], []))]];
  });
  return new Map(entries);
}

/** The nodes of a body under names of the calling graph. */
function bodyNodes(body: FunctionBody, call: Node, taken: Set<string>): Node[] {
  const names = new Map<string, string>([["", ""]]);
  body.inputs.forEach((name, index) => {
    names.set(name, call.inputs[index] ?? "");
  });
  body.outputs.forEach((name, index) => {
    names.set(name, call.outputs[index] ?? "");
  });
  const label = call.name || call.outputs[0]!;
  const renamed = (name: string): string => {
    const known = names.get(name) ?? freshName(taken, `${label}/${name}`);
    names.set(name, known);
    return known;
  };
  return body.nodes.map((node) => ({
    ...node,
    name: `${label}/${node.name}`,
    inputs: node.inputs.map(renamed),
    outputs: node.outputs.map(renamed),
    attributes: boundAttributes(node, call),
  }));
}

/** Replaces every Adder2d node by standard ops. No trace of the addernet domain is left. */
export function inlineFunctions(model: Model): void {
  detachFunctions(model);
  const opset = standardOpset(model);
  const taken = namesIn(model.graph);
  for (const place of adderNodes(model.graph)) {
    const variant = variantFor([place.node]);
    makeExplicit(model, place, variant.clips);
    fillInputs(model, place, variant.inputs, new Map());
    const nodes = bodyNodes(adder2dFunction(variant, opset), place.node, taken);
    replaceNode(place.graph, place.node, ...nodes);
  }
  model.opsetImports.delete(Adder2d.domain);
}
