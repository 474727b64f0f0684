// Writes an adder layer into a graph: the node, its constants, its name, and the entry in the report.

import { intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { addInitializer, makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Graph, Node } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import type { ImportContext, ImportedLayer } from "./importer.ts";
import type { Geometry } from "./tracing/match-layers.ts";

/** Name for a node: `wanted`, with a number where another node has that name; "adder_1" … where nothing is known. */
export function nodeName(graph: Graph, wanted: string | undefined, except?: Node): string {
  const taken = new Set(graph.nodes.filter((node) => node !== except).map(({ name }) => name));
  if (wanted !== undefined && !taken.has(wanted)) return wanted;
  for (let number = 1; ; number++) {
    const name = `${wanted ?? "adder"}_${number}`;
    if (!taken.has(name)) return name;
  }
}

/** The name of a constant equal to `tensor` that already is called `wanted`, or of one added under a name close to it. */
export function placeConstant(graph: Graph, wanted: string, tensor: Tensor): string {
  const present = graph.initializers.get(wanted);
  const isSame =
    present !== undefined &&
    present.type === tensor.type &&
    present.dims.join() === tensor.dims.join() &&
    Array.prototype.every.call(present.data, (value, at) => value === tensor.data[at]);
  return isSame ? wanted : addInitializer(graph, wanted, tensor);
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
