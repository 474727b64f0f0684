// Writes an adder layer into a graph: the node, its constants, its name, and the entry in the report.

import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { freshName, makeNode, namesIn, replaceUses } from "../../src/core/ir/edit.ts";
import type { Attribute, Graph, Node } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import type { ImportContext, ImportedLayer } from "./importer.ts";
import type { Geometry } from "./tracing/match-layers.ts";

export function namesOf(graph: Graph): ImportContext["names"] {
  return { values: namesIn(graph), nodes: new Set(graph.nodes.map(({ name }) => name)) };
}

/** Name for a node: `wanted`, with a number where another node than `own` has that name; "adder_1" … where nothing is known. */
export function nodeName({ names }: ImportContext, wanted: string | undefined, own?: Node): string {
  if (wanted !== undefined) return wanted === own?.name ? wanted : freshName(names.nodes, wanted);
  let number = 1;
  while (names.nodes.has(`adder_${number}`)) number++;
  return freshName(names.nodes, `adder_${number}`);
}

function areSame(a: Tensor, b: Tensor): boolean {
  const sameKind = a.type === b.type && a.dims.join() === b.dims.join();
  return sameKind && Array.prototype.every.call(a.data, (value, at) => value === b.data[at]);
}

/** Puts a constant into the graph under `wanted`, or "wanted_1" … where another has the name; one that is there already is shared. */
export function placeConstant({ model, names }: ImportContext, wanted: string, tensor: Tensor): string {
  const { initializers } = model.graph;
  for (let number = 0; ; number++) {
    const name = number === 0 ? wanted : `${wanted}_${number}`;
    const present = initializers.get(name);
    if (present !== undefined && areSame(present, tensor)) return name;
    if (names.values.has(name)) continue;
    names.values.add(name);
    initializers.set(name, tensor);
    return name;
  }
}

/** Gives constants of adder nodes that are called "wanted_1" the name they should have, where it has become free. */
export function settleNames(graph: Graph, layers: readonly ImportedLayer[]): void {
  const taken = namesIn(graph);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  for (const { node, layer } of layers) {
    const [, weight, bias] = nodes.get(node)?.inputs ?? [];
    for (const [name, wanted] of [
      [weight, `${layer}.adder`],
      [bias, `${layer}.b`],
    ] as const) {
      const tensor = name ? graph.initializers.get(name) : undefined;
      if (!name?.startsWith(`${wanted}_`) || tensor === undefined || taken.has(wanted)) continue;
      graph.initializers.delete(name);
      graph.initializers.set(wanted, tensor);
      replaceUses(graph, name, wanted);
      taken.add(wanted);
    }
  }
}

/** Attributes of an adder node with nothing left to default. */
export function adderAttributes(weightDims: readonly number[], geometry: Geometry): [string, Attribute][] {
  return [
    ["kernel_shape", intsAttribute(weightDims.slice(2))],
    ["strides", intsAttribute(geometry.strides)],
    ["pads", intsAttribute(geometry.pads)],
    ["dilations", intsAttribute(geometry.dilations)],
    ["group", intAttribute(geometry.group)],
  ];
}

/** An `addernet::Adder2d` node; the model imports the domain. */
export function makeAdder(
  context: ImportContext,
  name: string,
  inputs: readonly string[],
  output: string,
  attributes: Iterable<readonly [string, Attribute]>,
): Node {
  context.model.opsetImports.set("addernet", 1);
  return makeNode("Adder2d", inputs, [output], attributes, { domain: "addernet", name });
}

/** "3x3, stride 2, padding 1": what evidence and messages say of a geometry. */
export function describeGeometry(
  weightDims: readonly number[],
  { strides, pads, dilations, group }: Geometry,
): string {
  const short = (values: readonly number[], between = "x"): string =>
    values.every((value) => value === values[0]) ? `${values[0]}` : values.join(between);
  const parts = [
    `${weightDims[2]}x${weightDims[3]}`,
    `stride ${short(strides)}`,
    `padding ${short(pads, ",")}`,
    dilations.some((dilation) => dilation > 1) ? `dilation ${short(dilations)}` : "",
    group > 1 ? `${group} groups` : "",
  ];
  return parts.filter(Boolean).join(", ");
}

export function reportLayer(
  context: ImportContext,
  layer: Omit<ImportedLayer, keyof Geometry | "weightShape">,
  weightDims: readonly number[],
  geometry: Geometry,
): void {
  context.layers.push({ ...layer, weightShape: weightDims, ...geometry });
}
