// Small models from text in the notation of printModel, with constants that need not be written out.

import { type DataType, dataTypes } from "../../src/core/dtype.ts";
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
} from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Dim, Model, Node, ValueInfo } from "../../src/core/ir/model.ts";
import { printModel } from "../../src/core/ir/print.ts";
import { allocate, elementCount, type Tensor, type TensorData } from "../../src/core/tensor.ts";

const floats = ["epsilon", "alpha", "beta", "activation_min", "activation_max", "min", "max"];
const lists = ["pads", "strides", "kernel_shape", "dilations", "perm", "axes"];

function attributeOf(name: string, text: string): Attribute {
  if (text.startsWith('"')) return stringAttribute(JSON.parse(text));
  const values = text.split(",").map(Number);
  if (floats.includes(name)) return floatAttribute(values[0]!);
  return lists.includes(name) ? intsAttribute(values) : intAttribute(values[0]!);
}

/** A stream of numbers in [0, 1), the same for the same seed. */
export function randomNumbers(seed: string): () => number {
  let state = 2166136261;
  for (const letter of seed) state = Math.imul(state ^ letter.charCodeAt(0), 16777619);
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    state = (Math.imul(state ^ (state >>> 12), 0x297a2d39) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Numbers in [-1, 1); in [0.5, 1.5) for names that start with "var", as variances are positive. */
export function randomTensor(name: string, type: DataType, dims: readonly number[]): Tensor {
  const next = randomNumbers(name);
  const data = allocate(type, elementCount(dims)) as Float64Array;
  for (let index = 0; index < data.length; index++) {
    data[index] = name.startsWith("var") ? next() + 0.5 : next() * 2 - 1;
  }
  return { type, data, dims };
}

/** `{1,2,3}` gives each element, `{1}` all of them. */
function givenTensor(type: DataType, dims: readonly number[], text: string): Tensor {
  const values = text.split(",");
  const data: TensorData = allocate(type, elementCount(dims));
  for (let index = 0; index < data.length; index++) {
    const value = values.length === 1 ? values[0]! : values[index]!;
    if (data instanceof BigInt64Array) data[index] = BigInt(value);
    else (data as Float64Array)[index] = Number(value);
  }
  return { type, data, dims };
}

const dimsOf = (text: string): number[] => (text === "" ? [] : text.split(",").map(Number));
const namesOf = (text: string): string[] =>
  text === "" ? [] : text.split(", ").map((name) => (name === "_" ? "" : name.replace(/^%/, "")));

function valueInfo(text: string): ValueInfo {
  const match = /^%(\S+?)(?:: (\w+)\[(.*)\])?$/.exec(text)!;
  if (match[2] === undefined) return { name: match[1]! };
  const dims = match[3] === "" ? [] : match[3]!.split(",");
  const shape = dims.map((dim): Dim => (dim === "?" ? null : /^\d+$/.test(dim) ? Number(dim) : dim));
  return { name: match[1]!, type: { kind: "tensor", elemType: match[2] as DataType, shape } };
}

function nodeOf(line: string): Node {
  const match = /^(.*?) = (?:(\w+)::)?(\w+)(?:\[(.*?)\])?\((.*)\)$/.exec(line);
  if (match === null) throw new Error(`not a node: ${line}`);
  const [, outputs, domain, opType, attributes, inputs] = match;
  const pairs = (attributes ? attributes.split(" ") : []).map((pair): [string, Attribute] => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), attributeOf(pair.slice(0, at), pair.slice(at + 1))];
  });
  return makeNode(opType!, namesOf(inputs!), namesOf(outputs!), pairs, domain ? { domain } : {});
}

/** Lines: `input %x: float64[N,3,8,8]`, `%w = float64[4,3,3,3]`, `%t = int64[2]{0,-1}`, nodes, `output %y`. */
export function parseModel(text: string, opset = 17): Model {
  const model: Model = {
    irVersion: 8,
    producerName: "",
    producerVersion: "",
    domain: "",
    modelVersion: 0n,
    docString: "",
    opsetImports: new Map([["", opset]]),
    graph: {
      name: "graph",
      inputs: [],
      outputs: [],
      nodes: [],
      initializers: new Map(),
      overridable: [],
      valueInfo: new Map(),
    },
    functions: [],
    metadata: new Map(),
  };
  const lines = text.split("\n").map((line) => line.trim());
  for (const line of lines.filter((candidate) => candidate !== "")) addLine(model, line);
  for (const { domain } of model.graph.nodes) if (domain !== "") model.opsetImports.set(domain, 1);
  return model;
}

function addLine({ graph }: Model, line: string): void {
  const constant = /^%(\S+) = (\w+)\[([\d,]*)\](?:\{(.*)\})?$/.exec(line);
  if (line.startsWith("input ")) graph.inputs.push(valueInfo(line.slice(6)));
  else if (line.startsWith("output ")) graph.outputs.push(valueInfo(line.slice(7)));
  else if (constant !== null && constant[2]! in dataTypes) {
    const [, name, type, dims, values] = constant as unknown as [string, string, DataType, string, string?];
    graph.initializers.set(
      name,
      values === undefined ? randomTensor(name, type, dimsOf(dims)) : givenTensor(type, dimsOf(dims), values),
    );
  } else graph.nodes.push(nodeOf(line));
}

/** The nodes of a model, one a line, without their names. */
export function nodesText(model: Model): string {
  return printModel({
    ...model,
    graph: { ...model.graph, inputs: [], outputs: [], initializers: new Map() },
    functions: [],
  })
    .split("\n")
    .map((line) => line.replace(/ {2}# .*$/, ""))
    .join("\n");
}

/** Text as written in a suite, without its indentation. */
export const trimmed = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("\n");
