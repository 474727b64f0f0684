// A model as text: one line per value and node, the same text for the same model.

import { elementCount, type Tensor } from "../tensor.ts";
import type { Attribute, FunctionBody, Graph, Model, Node, ValueInfo } from "./model.ts";

/** Values of a tensor shown before "…". */
const shownValues = 8;

const printName = (name: string): string => (name === "" ? "_" : `%${name}`);

function printShape(shape: readonly (number | string | null)[] | undefined): string {
  return shape === undefined ? "[…]" : `[${shape.map((dim) => dim ?? "?").join(",")}]`;
}

function printValueInfo({ name, type }: ValueInfo): string {
  if (type === undefined) return printName(name);
  return `${printName(name)}: ${type.kind === "tensor" ? type.elemType + printShape(type.shape) : type.kind}`;
}

function printFloat(value: number): string {
  return Object.is(value, -0) ? "-0" : `${Number.isFinite(value) ? Number(value.toPrecision(7)) : value}`;
}

function printElement(value: number | bigint | string): string {
  return typeof value === "number"
    ? printFloat(value)
    : typeof value === "string"
      ? JSON.stringify(value)
      : `${value}`;
}

/** `float32[2]{1,2.5}`; long tensors end in "…". */
function printTensor({ type, dims, data }: Tensor): string {
  const shown = Array.from(data.slice(0, shownValues) as ArrayLike<number | bigint | string>, printElement);
  if (elementCount(dims) > shownValues) shown.push("…");
  return `${type}${printShape(dims)}{${shown.join(",")}}`;
}

function printBytes(bytes: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(bytes));
}

function printAttribute(attribute: Attribute, indent: string): string {
  switch (attribute.type) {
    case "FLOAT":
      return printFloat(attribute.value);
    case "INT":
      return `${attribute.value}`;
    case "STRING":
      return printBytes(attribute.value);
    case "TENSOR":
      return printTensor(attribute.value);
    case "GRAPH":
      return printBlock(attribute.value, indent);
    case "FLOATS":
      return attribute.value.map(printFloat).join(",");
    case "INTS":
      return attribute.value.join(",");
    case "STRINGS":
      return attribute.value.map(printBytes).join(",");
    case "TENSORS":
      return attribute.value.map(printTensor).join(",");
    case "GRAPHS":
      return attribute.value.map((graph) => printBlock(graph, indent)).join(",");
    case "OPAQUE":
      return "<opaque>";
    case "REF":
      return `@${attribute.name}`;
  }
  attribute satisfies never;
}

/** `%y = addernet::Adder2d[strides=2,2](%x, %w)  # name`; a name that is also the first output is left out. */
function printNode(node: Node, indent: string): string {
  const op =
    [...(node.domain ? [node.domain] : []), node.opType].join("::") +
    (node.overload ? `:${node.overload}` : "");
  const sorted = [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  const attributes = sorted
    .map(([name, attribute]) => `${name}=${printAttribute(attribute, indent)}`)
    .join(" ");
  const call = `${op}${attributes && `[${attributes}]`}(${node.inputs.map(printName).join(", ")})`;
  const name = node.name && node.name !== node.outputs[0] ? `  # ${node.name}` : "";
  return `${indent}${node.outputs.map(printName).join(", ")} = ${call}${name}`;
}

function printBody(graph: Graph, indent: string): string[] {
  return [
    ...graph.inputs.map((value) => `${indent}input ${printValueInfo(value)}`),
    ...[...graph.initializers].map(
      ([name, tensor]) => `${indent}${printName(name)} = ${printTensor(tensor)}`,
    ),
    ...graph.nodes.map((node) => printNode(node, indent)),
    ...graph.outputs.map((value) => `${indent}output ${printValueInfo(value)}`),
  ];
}

function printBlock(graph: Graph, indent: string): string {
  return ["{", ...printBody(graph, `${indent}  `), `${indent}}`].join("\n");
}

function printFunction(body: FunctionBody): string[] {
  const parameters = [...body.attributes, ...body.attributeDefaults.keys()];
  const head = `${body.domain}::${body.name}${parameters.length > 0 ? `[${parameters.join(" ")}]` : ""}`;
  return [
    `function ${head}(${body.inputs.map(printName).join(", ")}) {`,
    ...body.nodes.map((node) => printNode(node, "  ")),
    `  output ${body.outputs.map(printName).join(", ")}`,
    "}",
  ];
}

/** The graph and the functions, for reading and for comparing; weights are cut short. */
export function printModel(model: Model): string {
  return [...printBody(model.graph, ""), ...model.functions.flatMap(printFunction)].join("\n");
}
