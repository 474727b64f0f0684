// Pieces of a model as models of their own, for somebody else to run.

import { attachFunctions } from "../../custom-ops/attach-functions.ts";
import { cloneNode } from "../../src/core/ir/clone.ts";
import type { Dim, Model, Node, ValueInfo } from "../../src/core/ir/model.ts";
import { indexGraph, topologicalOrder, valuesReadBy } from "../../src/core/ir/walk.ts";
import { float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import type { Feeds } from "../verify.ts";
import type { Layer, Subject } from "./subject.ts";

/** A model on its way: feeds in, outputs by name out. */
export interface RunningModel {
  run(feeds: Feeds): Promise<ReadonlyMap<string, Tensor>>;
  dispose?(): unknown;
}

/** Starts a model, complete with function bodies: a session of `addernet/runtime`, of onnxruntime, or anything else. */
export type StartModel = (model: Model) => Promise<RunningModel>;

/** Nodes of the float network that run together between two layers. */
export interface Segment {
  readonly kind: "segment";
  readonly nodes: readonly Node[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** A layer as cutting sees it: a node, what it reads and what must be there before it runs. */
export interface CutLayer {
  readonly node: Node;
  readonly x: string;
  readonly z?: string | undefined;
  readonly output: string;
}

/** A model and the layers to cut out of it, each after those it depends on. */
export interface Cut<L extends CutLayer = Layer> {
  readonly model: Model;
  readonly layers: readonly L[];
}

export interface LayerStep<L extends CutLayer = Layer> {
  readonly kind: "layer";
  readonly layer: L;
}

export type Step<L extends CutLayer = Layer> = Segment | LayerStep<L>;

/** Nodes that `names` depend on and that `isWanted`, in the order of `nodes`. */
function ancestors(
  names: readonly string[],
  nodes: readonly Node[],
  producer: ReadonlyMap<string, Node>,
  isWanted: (node: Node) => boolean,
): Node[] {
  const found = new Set<Node>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = producer.get(name);
    if (node === undefined || found.has(node) || !isWanted(node)) continue;
    found.add(node);
    open.push(...valuesReadBy(node));
  }
  return nodes.filter((node) => found.has(node));
}

/** What a group of nodes reads from outside, constants left out, and what others read of it. */
function makeSegment(nodes: readonly Node[], { model }: Pick<Subject, "model">): Segment {
  const { graph } = model;
  const { consumers, outputs } = indexGraph(graph);
  const inside = new Set(nodes);
  const made = new Set(nodes.flatMap((node) => node.outputs.filter((name) => name !== "")));
  const read = new Set(nodes.flatMap((node) => [...valuesReadBy(node)]));
  const isRead = (name: string) => (consumers.get(name) ?? []).some((reader) => !inside.has(reader));
  return {
    kind: "segment",
    nodes,
    inputs: [...read].filter((name) => !made.has(name) && !graph.initializers.has(name)),
    outputs: [...made].filter((name) => outputs.has(name) || isRead(name)),
  };
}

/** The model as layers and the segments between them, each after all it depends on. */
export function stepsOf<L extends CutLayer>(subject: Cut<L>): Step<L>[] {
  const { graph } = subject.model;
  const nodes = topologicalOrder(graph.nodes);
  const { producer } = indexGraph(graph);
  const layerNodes = new Set(subject.layers.map(({ node }) => node));
  const done = new Set<Node>();
  const isWaiting = (node: Node) => !done.has(node) && !layerNodes.has(node);
  const steps: Step<L>[] = [];
  const addSegment = (group: readonly Node[]) => {
    for (const node of group) done.add(node);
    if (group.length > 0) steps.push(makeSegment(group, subject));
  };
  for (const layer of subject.layers) {
    addSegment(ancestors([layer.x, layer.z ?? ""], nodes, producer, isWaiting));
    steps.push({ kind: "layer", layer });
  }
  addSegment(nodes.filter(isWaiting));
  return steps;
}

/** What a step reads of the values that change from sample to sample. */
export function readsOf(step: Step<CutLayer>): readonly string[] {
  if (step.kind === "segment") return step.inputs;
  return [step.layer.x, ...(step.layer.z ? [step.layer.z] : [])];
}

export function makesOf(step: Step<CutLayer>): readonly string[] {
  return step.kind === "segment" ? step.outputs : [step.layer.output];
}

export function declared(name: string, { type, dims }: Tensor): ValueInfo {
  const shape: readonly Dim[] = [null, ...dims.slice(1)];
  return { name, type: { kind: "tensor", elemType: type, shape: dims.length === 0 ? [] : shape } };
}

/** Nodes of a model as a model of their own. */
export function modelOf(
  { model }: Pick<Subject, "model">,
  nodes: readonly Node[],
  inputs: readonly ValueInfo[],
  outputs: readonly string[],
  constants: ReadonlyMap<string, Tensor>,
): Model {
  const part: Model = {
    ...model,
    opsetImports: new Map(model.opsetImports),
    functions: [...model.functions],
    metadata: new Map(),
    graph: {
      name: "part",
      nodes: nodes.map(cloneNode),
      inputs: [...inputs],
      outputs: outputs.map((name) => ({ name })),
      initializers: new Map(constants),
      overridable: [],
      valueInfo: new Map(),
    },
  };
  attachFunctions(part);
  return part;
}

/** The nodes of a segment. `examples` are tensors like those that will be fed. */
export function segmentModel(
  subject: Pick<Subject, "model">,
  { nodes, inputs, outputs }: Pick<Segment, "nodes" | "inputs" | "outputs">,
  examples: ReadonlyMap<string, Tensor>,
): Model {
  const read = new Set(nodes.flatMap((node) => [...valuesReadBy(node)]));
  const constants = new Map([...subject.model.graph.initializers].filter(([name]) => read.has(name)));
  const infos = inputs.map((name) => declared(name, examples.get(name)!));
  return modelOf(subject, nodes, infos, outputs, constants);
}

/** One adder layer alone, "x" to "y", without residual and activation: scale·sums + bias of its own weights, or sums of `weights`. */
export function layerModel(subject: Subject, layer: Layer, x: Tensor, weights?: Float32Array): Model {
  const { node, weight, filters } = layer;
  const attributes = new Map(node.attributes);
  for (const name of ["activation_min", "activation_max"]) attributes.delete(name);
  const affine = weights === undefined;
  const constants = new Map<string, Tensor>([["w", float32Tensor(weights ?? weight.data, weight.dims)]]);
  if (affine) {
    constants.set("b", float32Tensor(layer.bias, [filters]));
    constants.set("scale", float32Tensor(layer.scale, [filters]));
  }
  const alone: Node = {
    ...node,
    attributes,
    inputs: ["x", "w", ...(affine ? ["b", "scale"] : [])],
    outputs: ["y"],
  };
  return modelOf(subject, [alone], [declared("x", x)], ["y"], constants);
}

/** Runs `model` on every feed and lets go of it. */
export async function runAll(
  start: StartModel,
  model: Model,
  feeds: readonly Feeds[],
): Promise<ReadonlyMap<string, Tensor>[]> {
  const running = await start(model);
  try {
    const answers: ReadonlyMap<string, Tensor>[] = [];
    for (const feed of feeds) answers.push(await running.run(feed));
    return answers;
  } finally {
    await running.dispose?.();
  }
}
