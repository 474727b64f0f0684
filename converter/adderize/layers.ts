// Which layers of a CNN become adder layers, what each reads and makes, and in which order they are fitted.

import { ops } from "../../custom-ops/index.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { inferShapes } from "../../src/core/infer-shapes.ts";
import { getFloat, getInt } from "../../src/core/ir/attributes.ts";
import type { Graph, Model, Node } from "../../src/core/ir/model.ts";
import { type GraphIndex, indexGraph, topologicalOrder, valuesReadBy } from "../../src/core/ir/walk.ts";
import type { ValueFact } from "../../src/core/ops/define-op.ts";

/** A layer that multiplies and will add. */
export interface CnnLayer {
  /** Of the node, else of its output. */
  readonly name: string;
  readonly node: Node;
  readonly x: string;
  /** What a following Add puts on top of the layer's result: the layer is fitted to what is missing in the adder network. */
  readonly z?: string;
  readonly output: string;
  /** OIHW; a matrix product is a kernel of 1x1. */
  readonly weight: Float32Array;
  readonly dims: readonly [number, number, number, number];
  /** The result of a "product" has no height and width. */
  readonly kind: "convolution" | "product";
}

export interface KeptLayer {
  readonly name: string;
  readonly reason: string;
}

export interface LayerChoice {
  /** "inner" keeps layers that have no layer before or behind them, the usual in AdderNets; "all" takes those too. */
  readonly which: "inner" | "all";
  /** Names of layers that stay, by node or output. */
  readonly exclude: ReadonlySet<string>;
}

export interface CnnSubject {
  readonly model: Model;
  readonly facts: ReadonlyMap<string, ValueFact>;
  /** In an order in which they can be fitted: each after what it reads and after its residual. */
  readonly layers: readonly CnnLayer[];
  readonly kept: readonly KeptLayer[];
}

const multiplyingOps = ["Conv", "ConvTranspose", "Gemm", "MatMul"];
const multiplies = ({ domain, opType }: Node): boolean => domain === "" && multiplyingOps.includes(opType);
const nameOf = (node: Node): string => node.name || node.outputs[0]!;

function floatConstant(graph: Graph, name: string | undefined) {
  if (!name || graph.overridable.some((input) => input.name === name)) return undefined;
  const tensor = graph.initializers.get(name);
  return tensor?.type === "float32" ? (tensor as typeof tensor & { data: Float32Array }) : undefined;
}

/** Why a layer cannot become an adder layer; undefined when it can. */
function obstacle(node: Node, { graph }: Model, facts: ReadonlyMap<string, ValueFact>): string | undefined {
  const [x, w, b] = node.inputs;
  const weight = floatConstant(graph, w);
  const rank = facts.get(x!)?.shape?.length;
  if (node.opType === "ConvTranspose") return "a transposed convolution has no adder form";
  if (facts.get(x!)?.elemType !== "float32") return "its input is not float32";
  if (graph.initializers.has(x!)) return "its input is a constant";
  if (weight === undefined) return "its weights are not constant";
  if (!weight.data.every(Number.isFinite)) return "its weights are not finite";
  if (b && node.opType !== "MatMul" && floatConstant(graph, b) === undefined && node.opType === "Conv")
    return "its bias is not constant";
  if (node.opType === "Conv") return rank === 4 ? undefined : "it is no convolution over images";
  if (rank !== 2 || weight.dims.length !== 2) return "it is no product of a row by a constant matrix";
  return isPlainGemm(node, graph) ? undefined : "it scales or transposes its input";
}

function isPlainGemm(node: Node, graph: Graph): boolean {
  if (node.opType === "MatMul") return true;
  const bias = node.inputs[2];
  const factors = [getFloat(node, "alpha") ?? 1, getFloat(node, "beta") ?? 1];
  const isConstant = !bias || floatConstant(graph, bias) !== undefined;
  return isConstant && factors.every((factor) => factor === 1) && getInt(node, "transA") !== 1;
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  return data.map((_, index) => data[(index % rows) * columns + Math.floor(index / rows)]!);
}

function weightsOf(node: Node, graph: Graph): Pick<CnnLayer, "weight" | "dims" | "kind"> {
  const { data, dims } = floatConstant(graph, node.inputs[1])!;
  if (node.opType === "Conv") {
    return { weight: data, dims: dims as unknown as CnnLayer["dims"], kind: "convolution" };
  }
  const [rows, columns] = dims as [number, number];
  if (getInt(node, "transB") === 1) return { weight: data, dims: [rows, columns, 1, 1], kind: "product" };
  return { weight: transposed(data, rows, columns), dims: [columns, rows, 1, 1], kind: "product" };
}

type Ancestry = ReadonlyMap<string, ReadonlySet<Node>>;

/** For every value the multiplying nodes it depends on, its maker included. */
function ancestryOf(nodes: readonly Node[]): Ancestry {
  const found = new Map<string, ReadonlySet<Node>>();
  for (const node of nodes) {
    const all = new Set([...valuesReadBy(node)].flatMap((name) => [...(found.get(name) ?? [])]));
    if (multiplies(node)) all.add(node);
    for (const name of node.outputs) found.set(name, all);
  }
  return found;
}

/** "first" and "last" by position in the graph: no multiplying layer before it, or none that depends on it. */
function edgeOf(node: Node, nodes: readonly Node[], ancestry: Ancestry): string | undefined {
  const before = new Set([...valuesReadBy(node)].flatMap((name) => [...(ancestry.get(name) ?? [])]));
  if (before.size === 0) return "first layer";
  const isRead = nodes.some(
    (other) => other !== node && multiplies(other) && ancestry.get(other.outputs[0]!)!.has(node),
  );
  return isRead ? undefined : "last layer";
}

function sameShape(a: ValueFact | undefined, b: ValueFact | undefined): boolean {
  return a?.shape !== undefined && a.shape.join() === b?.shape?.join();
}

/** The other operand of the Add that alone reads a layer's result. */
function residualOf(
  node: Node,
  { graph }: Model,
  { consumers, outputs }: GraphIndex,
  facts: ReadonlyMap<string, ValueFact>,
  ancestry: Ancestry,
): string | undefined {
  const output = node.outputs[0]!;
  const readers = consumers.get(output) ?? [];
  const [add] = readers;
  if (readers.length !== 1 || add?.opType !== "Add" || add.domain !== "" || outputs.has(output))
    return undefined;
  const z = add.inputs.find((name) => name !== output);
  if (z === undefined || graph.initializers.has(z) || !sameShape(facts.get(z), facts.get(output)))
    return undefined;
  return ancestry.get(z)?.has(node) ? undefined : z;
}

const taps = ({ dims }: CnnLayer): number => dims[1] * dims[2] * dims[3];

/** Where an Add joins two layers, the one with more taps takes up what the other lost. */
function withoutMutualResiduals(layers: readonly CnnLayer[]): CnnLayer[] {
  const byOutput = new Map(layers.map((layer, index) => [layer.output, { layer, index }] as const));
  return layers.map((layer, index) => {
    const other = layer.z === undefined ? undefined : byOutput.get(layer.z);
    if (other?.layer.z !== layer.output) return layer;
    const isStronger =
      taps(layer) > taps(other.layer) || (taps(layer) === taps(other.layer) && index > other.index);
    if (isStronger) return layer;
    const { z: _, ...rest } = layer;
    return rest;
  });
}

/** Each layer after all that its input and its residual depend on. */
function inFittingOrder(layers: readonly CnnLayer[], ancestry: Ancestry): CnnLayer[] {
  const nodes = new Set(layers.map(({ node }) => node));
  const waiting = layers.map((layer) => {
    const needed = [layer.x, layer.z ?? ""].flatMap((name) => [...(ancestry.get(name) ?? [])]);
    return { layer, needed: new Set(needed.filter((node) => nodes.has(node))) };
  });
  const done = new Set<Node>();
  const order: CnnLayer[] = [];
  while (waiting.length > 0) {
    const next = waiting.findIndex(({ needed }) => [...needed].every((node) => done.has(node)));
    const [{ layer }] = waiting.splice(next, 1) as [(typeof waiting)[number]];
    done.add(layer.node);
    order.push(layer);
  }
  return order;
}

function requireKnown(candidates: readonly Node[], exclude: ReadonlySet<string>): void {
  const names = new Set(candidates.flatMap((node) => [node.name, node.outputs[0]!]));
  const unknown = [...exclude].filter((name) => !names.has(name));
  if (unknown.length === 0) return;
  throw new AdderNetError("ADN_USAGE", `no layer is called ${unknown.join(", ")}`, {
    where: "exclude",
    expected: [...new Set(candidates.map(nameOf))].join(", "),
  });
}

function requireSome(layers: readonly CnnLayer[], kept: readonly KeptLayer[]): void {
  if (layers.length > 0) return;
  const edges = kept.length > 0 && kept.every(({ reason }) => /^(first|last) layer$/.test(reason));
  throw new AdderNetError("ADN_USAGE", "the model has no layer that can become an adder layer", {
    ...(kept.length > 0 && { found: kept.map(({ name, reason }) => `${name}: ${reason}`).join(", ") }),
    ...(edges && { fix: "convert those too: --layers all" }),
  });
}

/** Layers of an optimised CNN. Errors: ADN_USAGE for unknown names, and when nothing is left to convert. */
export function cnnSubject(model: Model, { which, exclude }: LayerChoice): CnnSubject {
  const { graph, opsetImports, functions } = model;
  const facts = inferShapes(graph, opsetImports, ops, { functions });
  const nodes = topologicalOrder(graph.nodes);
  const [index, ancestry] = [indexGraph(graph), ancestryOf(nodes)];
  // A product of two values that both change is no layer.
  const candidates = nodes.filter(
    (node) => multiplies(node) && node.inputs.slice(0, 2).some((name) => graph.initializers.has(name)),
  );
  requireKnown(candidates, exclude);
  const kept: KeptLayer[] = [];
  const chosen = candidates.filter((node) => {
    const asked = exclude.has(node.name) || exclude.has(node.outputs[0]!) ? "excluded" : undefined;
    const edge = which === "inner" ? edgeOf(node, nodes, ancestry) : undefined;
    const reason = asked ?? edge ?? obstacle(node, model, facts);
    if (reason !== undefined) kept.push({ name: nameOf(node), reason });
    return reason === undefined;
  });
  const layers = chosen.map((node): CnnLayer => {
    const z = residualOf(node, model, index, facts, ancestry);
    return {
      name: nameOf(node),
      node,
      x: node.inputs[0]!,
      output: node.outputs[0]!,
      ...weightsOf(node, graph),
      ...(z !== undefined && { z }),
    };
  });
  requireSome(layers, kept);
  return { model, facts, layers: inFittingOrder(withoutMutualResiduals(layers), ancestry), kept };
}
