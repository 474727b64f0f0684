// What of a model is quantized: its adder layers, and the values between them that become codes.

import { adder2dAttributes, ops } from "../../custom-ops/index.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { inferShapes } from "../../src/core/infer-shapes.ts";
import { nodeLabel } from "../../src/core/ir/attributes.ts";
import type { Graph, Model, Node } from "../../src/core/ir/model.ts";
import { type GraphIndex, indexGraph, topologicalOrder } from "../../src/core/ir/walk.ts";
import type { ValueFact } from "../../src/core/ops/define-op.ts";
import type { Tensor } from "../../src/core/tensor.ts";

/** An adder layer that will run on codes. */
export interface Layer {
  /** Of the node, else of its first output. */
  readonly name: string;
  readonly node: Node;
  readonly x: string;
  readonly z: string | undefined;
  readonly output: string;
  readonly weight: Tensor & { readonly data: Float32Array };
  readonly filters: number;
  /** The affine behind the sums, 1 and 0 where the node has none. */
  readonly scale: Float64Array;
  readonly bias: Float64Array;
  readonly least: number;
  readonly most: number;
  /** "codes" ends in codes of the output's grid; "float" keeps the sums and scales them in float32, as logits want it. */
  readonly result: "codes" | "float";
}

/** A layer that reads a value as X, and the pooling nodes between the two. */
export interface CodeReader {
  readonly layer: Layer;
  readonly path: readonly Node[];
}

/** A value with a grid of its own. Pooled copies of it share the grid. */
export interface CodedValue {
  readonly name: string;
  /** The value and what pooling makes of it. */
  readonly members: readonly string[];
  readonly readers: readonly CodeReader[];
  /** Layers that add the value or a pooled copy to their result. */
  readonly residualReaders: readonly Layer[];
  /** Whether a layer makes it; else it is rounded to codes where it is first needed. */
  readonly madeByLayer: boolean;
}

export interface SkippedLayer {
  readonly name: string;
  readonly reason: string;
}

export interface Subject {
  readonly model: Model;
  readonly facts: ReadonlyMap<string, ValueFact>;
  /** In the order of execution. */
  readonly layers: readonly Layer[];
  readonly values: readonly CodedValue[];
  /** Pooling nodes that run on codes. */
  readonly carriers: ReadonlySet<Node>;
  readonly skipped: readonly SkippedLayer[];
}

const isAdder = ({ domain, opType }: Node): boolean => domain === "addernet" && opType === "Adder2d";
export const layerName = (node: Node): string => node.name || node.outputs[0]!;

function floatConstant(graph: Graph, name: string | undefined): Float32Array | undefined {
  if (!name || graph.overridable.some((input) => input.name === name)) return undefined;
  const tensor = graph.initializers.get(name);
  return tensor?.type === "float32" ? (tensor.data as Float32Array) : undefined;
}

/** Why a layer cannot run on codes; undefined when it can. */
function obstacle(node: Node, { graph }: Model, facts: ReadonlyMap<string, ValueFact>): string | undefined {
  const [x, w, b, scale, z] = node.inputs;
  if (facts.get(x!)?.elemType !== "float32") return "its input is not float32";
  if (graph.initializers.has(x!)) return "its input is a constant";
  if (floatConstant(graph, w) === undefined) return "its weights are not constant";
  if (b && floatConstant(graph, b) === undefined) return "B is not constant";
  if (scale && floatConstant(graph, scale) === undefined) return "scale is not constant";
  if (z && graph.initializers.has(z)) return "Z is a constant";
  if (!floatConstant(graph, w)!.every(Number.isFinite)) return "its weights are not finite";
  return undefined;
}

function constantOrElse(graph: Graph, name: string | undefined, count: number, other: number): Float64Array {
  const data = floatConstant(graph, name);
  return data ? Float64Array.from(data) : new Float64Array(count).fill(other);
}

function makeLayer(node: Node, model: Model, facts: Subject["facts"], result: Layer["result"]): Layer {
  const { graph } = model;
  const weight = graph.initializers.get(node.inputs[1]!)! as Layer["weight"];
  const filters = weight.dims[0]!;
  const size = facts.get(node.inputs[0]!)?.shape?.slice(2) ?? [null, null];
  const attributes = adder2dAttributes(node, size, weight.dims.slice(2), nodeLabel(node));
  return {
    name: layerName(node),
    node,
    x: node.inputs[0]!,
    z: node.inputs[4] || undefined,
    output: node.outputs[0]!,
    weight,
    filters,
    scale: constantOrElse(graph, node.inputs[3], filters, 1),
    bias: constantOrElse(graph, node.inputs[2], filters, 0),
    least: attributes.activationMin,
    most: attributes.activationMax,
    result,
  };
}

const isStandard = ({ domain }: Node): boolean => domain === "";

/** A MaxPool that can take codes: it only compares, so it may come before or after the rounding. */
function isCarrier(node: Node, opset: number): boolean {
  return isStandard(node) && node.opType === "MaxPool" && opset >= 12 && !node.outputs[1];
}

/** Float ops after which the resolution of 256 codes is enough: they average or sum over many values. */
const summingOps = ["GlobalAveragePool", "AveragePool", "ReduceMean", "Conv", "Gemm", "MatMul"];

interface Wiring {
  readonly index: GraphIndex;
  readonly opset: number;
  readonly quantized: ReadonlySet<Node>;
}

/** Whether the output of a quantized node is worth codes: somebody takes codes, or sums over many values. */
function takesCodes(name: string, { index, opset, quantized }: Wiring): boolean {
  const readers = index.consumers.get(name) ?? [];
  if (readers.some((reader) => quantized.has(reader))) return true;
  if (index.outputs.has(name) || readers.length === 0) return false;
  return readers.every(
    (reader) => isCarrier(reader, opset) || (isStandard(reader) && summingOps.includes(reader.opType)),
  );
}

/** A value and everything that pooling on codes makes of it, with the path to each. */
function spread(name: string, wiring: Wiring, path: readonly Node[] = []): [string, readonly Node[]][] {
  const pooled = (wiring.index.consumers.get(name) ?? []).filter((reader) => isCarrier(reader, wiring.opset));
  return [[name, path], ...pooled.flatMap((node) => spread(node.outputs[0]!, wiring, [...path, node]))];
}

function makeValue(name: string, layers: readonly Layer[], wiring: Wiring, madeByLayer: boolean): CodedValue {
  const members = madeByLayer ? spread(name, wiring) : [[name, []] as [string, readonly Node[]]];
  const names = members.map(([member]) => member);
  return {
    name,
    members: names,
    readers: members.flatMap(([member, path]) =>
      layers.filter(({ x }) => x === member).map((layer) => ({ layer, path })),
    ),
    residualReaders: layers.filter(({ z }) => z !== undefined && names.includes(z)),
    madeByLayer,
  };
}

function codedValues(layers: readonly Layer[], wiring: Wiring): CodedValue[] {
  const made = layers.filter(({ result }) => result === "codes").map(({ output }) => output);
  const values = made.map((name) => makeValue(name, layers, wiring, true));
  const known = new Set(values.flatMap(({ members }) => members));
  const needed = layers.flatMap(({ x, z, result }) => [x, ...(z && result === "codes" ? [z] : [])]);
  const rounded = [...new Set(needed)].filter((name) => !known.has(name));
  return [...rounded.map((name) => makeValue(name, layers, wiring, false)), ...values];
}

function requireAdders(model: Model, names: ReadonlySet<string>): void {
  const adders = new Set(model.graph.nodes.filter(isAdder).flatMap((node) => [node.name, node.outputs[0]!]));
  const unknown = [...names].filter((name) => !adders.has(name));
  if (unknown.length === 0) return;
  throw new AdderNetError("ADN_USAGE", `no adder layer is called ${unknown.join(", ")}`, {
    where: "exclude",
    fix: "addernet inspect lists the layers",
  });
}

/**
 * Layers, values and obstacles of a converted model without function bodies of ours. `exclude` names layers that stay float.
 * ADN_USAGE when it names none, or when nothing can be quantized.
 */
export function quantizationSubject(model: Model, exclude: ReadonlySet<string>): Subject {
  const { graph, opsetImports, functions } = model;
  requireAdders(model, exclude);
  const facts = inferShapes(graph, opsetImports, ops, { functions });
  const adders = topologicalOrder(graph.nodes).filter(isAdder);
  const skipped: SkippedLayer[] = [];
  const chosen = adders.filter((node) => {
    const asked = exclude.has(layerName(node)) || exclude.has(node.outputs[0]!);
    const reason = asked ? "excluded" : obstacle(node, model, facts);
    if (reason !== undefined) skipped.push({ name: layerName(node), reason });
    return reason === undefined;
  });
  if (chosen.length === 0) {
    throw new AdderNetError("ADN_USAGE", "the model has no adder layer that can be quantized", {
      ...(skipped.length > 0 && {
        found: skipped.map(({ name, reason }) => `${name}: ${reason}`).join(", "),
      }),
      fix: "convert the export first: addernet convert",
    });
  }
  const wiring: Wiring = {
    index: indexGraph(graph),
    opset: opsetImports.get("") ?? 0,
    quantized: new Set(chosen),
  };
  const layers = chosen.map((node) =>
    makeLayer(node, model, facts, resultOf(node, wiring) ? "codes" : "float"),
  );
  const values = codedValues(layers, wiring);
  // A value's first member is made by a layer or rounded as it is, also where it is a pool that makes it.
  const pooled = new Set(values.flatMap(({ members }) => members.slice(1)));
  const carriers = new Set(
    graph.nodes.filter((node) => isCarrier(node, wiring.opset) && pooled.has(node.outputs[0]!)),
  );
  return { model, facts, layers, values, carriers, skipped };
}

function resultOf(node: Node, wiring: Wiring): boolean {
  return takesCodes(node.outputs[0]!, wiring);
}
