// From an architecture's name and a checkpoint to a model: the topology that the checkpoint fits, with its weights.

import { isFloat } from "../../src/core/dtype.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import type { Dim, Model } from "../../src/core/ir/model.ts";
import { newModel } from "../../src/core/ir/new-model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { type Checkpoint, checkpointError } from "../checkpoints/checkpoint.ts";
import { asFloat32, normaliseNames } from "../checkpoints/normalise-names.ts";
import { architectures, listArchitectures } from "./architectures.ts";
import { buildGraph, type DraftGraph } from "./build-graph.ts";
import type { LayerKind } from "./draft.ts";
import { type FilterLayer, type Layer, layersOf } from "./layers.ts";
import { type Binding, bindings } from "./match-layers.ts";
import { type FilterStep, type Slot, slotsOf, type Topology } from "./topology.ts";

export interface BuildOptions {
  /** The number of classes the checkpoint must have. */
  readonly classes?: number;
  /** [C,H,W], or [N,C,H,W] with a number or a symbol for N; otherwise the topology's size with any batch. */
  readonly inputShape?: readonly Dim[];
  /** Which layers add: those the checkpoint calls so (the default), all but the reference's ordinary ones, none, or the ones named here by path. */
  readonly layers?: "from-checkpoint" | LayerKind | ReadonlyMap<string, LayerKind>;
  /** How messages name the checkpoint. */
  readonly where?: string;
}

interface Source {
  readonly checkpoint: Checkpoint;
  readonly layers: ReadonlyMap<string, Layer>;
  readonly options: BuildOptions;
  readonly where: string;
}

interface Candidate {
  readonly topology: Topology;
  readonly graph: DraftGraph;
  readonly inputDims: readonly Dim[];
  /** Problems of the graph and keys that it does not use. */
  readonly faults: number;
}

const inputName = "input";
const outputName = "output";
const mostProblemsTold = 100;
const longestNameTold = 200;

function chooseKind({ options }: Source): (layer: FilterLayer, step: FilterStep) => LayerKind {
  const { layers = "from-checkpoint" } = options;
  return ({ path, isAdder }, step) => {
    const named = typeof layers === "string" ? undefined : layers.get(path);
    if (named !== undefined) return named;
    if (layers === "conv") return "conv";
    return isAdder || (layers === "adder" && !step.isOrdinary) ? "adder" : "conv";
  };
}

/** [N,C,H,W]: as the caller says, else the topology's size with the channels that the first layer's weights have. */
function inputDimsFor(topology: Topology, binding: Binding, { options }: Source): readonly Dim[] {
  const given = options.inputShape;
  if (given !== undefined) return given.length === 3 ? ["batch", ...given] : given;
  const first = topology.steps.find((step) => step.kind === "filter");
  const layer = first === undefined ? undefined : binding.get(first.name);
  const channels = layer?.kind === "filter" ? layer.weight.dims[1] : undefined;
  return ["batch", channels ?? topology.inputChannels, topology.size, topology.size];
}

function surplus(source: Source, used: ReadonlySet<string>): string[] {
  return [...source.checkpoint.tensors]
    .filter(([key]) => !used.has(key))
    .map(([key, { dims }]) => `surplus ${key.slice(0, longestNameTold)} [${dims.join(", ")}]`);
}

/** Batch normalisation can be folded into convolutions, which then have a bias each; an adder layer cannot do without. */
function isFolded(layers: readonly Layer[]): boolean {
  return layers.every((layer) => {
    if (layer.kind !== "filter") return layer.kind !== "norm";
    return !layer.isAdder && (layer.bias !== undefined || layer.weight.dims.length === 2);
  });
}

function tryTopology(
  topology: Topology,
  slots: readonly Slot[],
  binding: Binding,
  source: Source,
): Candidate {
  const inputDims = inputDimsFor(topology, binding, source);
  const [channels, height, width] = inputDims.slice(1) as number[];
  const graph = buildGraph(topology, inputName, outputName, {
    where: source.where,
    binding,
    reference: new Map(slots.map(({ name, dims }) => [name, dims])),
    hasNorms: !isFolded([...source.layers.values()]),
    modules: source.checkpoint.modules,
    classes: source.options.classes,
    channels: channels!,
    height: height!,
    width: width!,
    kindOf: chooseKind(source),
  });
  const faults = graph.problems.length + source.checkpoint.tensors.size - graph.used.size;
  return { topology, graph, inputDims, faults };
}

/** The reading with the fewest faults; among equals one that leaves nothing to be averaged, then the first. */
function bestCandidate(topologies: readonly Topology[], source: Source): Candidate {
  const candidates = topologies.flatMap((topology) => {
    const slots = slotsOf(topology);
    return bindings(slots, source.layers).map((binding) => tryTopology(topology, slots, binding, source));
  });
  const rank = ({ faults, graph }: Candidate): number => faults + graph.leftovers / 1000;
  return candidates.reduce((best, next) => (rank(next) < rank(best) ? next : best));
}

function topologiesOf(arch: string): readonly Topology[] {
  const found = architectures.get(arch);
  if (found !== undefined) return found;
  throw new AdderNetError("ADN_USAGE", `there is no architecture "${arch}"`, {
    expected: listArchitectures().join(", "),
  });
}

function checkInputShape(shape: readonly Dim[] | undefined): void {
  const lengths = shape?.slice(-3) ?? [];
  const isFit = lengths.every((dim) => typeof dim === "number" && Number.isSafeInteger(dim) && dim > 0);
  if (shape === undefined || ((shape.length === 3 || shape.length === 4) && isFit)) return;
  throw new AdderNetError("ADN_USAGE", "the input shape is none of an image", {
    expected: "channels, height and width, with or without the batch before them",
    found: shape.join(","),
  });
}

function checkNamedLayers(source: Source): void {
  const { layers } = source.options;
  if (layers === undefined || typeof layers === "string") return;
  const unknown = [...layers.keys()].filter((path) => source.layers.get(path)?.kind !== "filter");
  if (unknown.length === 0) return;
  throw new AdderNetError("ADN_USAGE", `the checkpoint has no filters under ${unknown.join(", ")}`, {
    expected: [...source.layers.values()]
      .flatMap(({ kind, path }) => (kind === "filter" ? [path] : []))
      .join(", "),
  });
}

/** Floats become float32 once, before the checkpoint is tried in several ways; what is no float stays for its place to refuse. */
function widenFloats(checkpoint: Checkpoint): Checkpoint {
  const widen = (tensor: Tensor): Tensor => (isFloat(tensor.type) ? asFloat32(tensor, "") : tensor);
  const tensors = new Map([...checkpoint.tensors].map(([key, tensor]) => [key, widen(tensor)]));
  return { ...checkpoint, tensors };
}

function prepare(checkpoint: Checkpoint, options: BuildOptions): Source {
  const where = options.where ?? "checkpoint";
  const normalised = widenFloats(normaliseNames(checkpoint, where));
  const source = { checkpoint: normalised, layers: layersOf(normalised), options, where };
  checkInputShape(options.inputShape);
  checkNamedLayers(source);
  return source;
}

function fits(arch: string, source: Source): boolean {
  return bestCandidate(topologiesOf(arch), source).faults === 0;
}

/** The architectures that a checkpoint fits without a missing, surplus or misshapen key. */
export function guessArchitectures(checkpoint: Checkpoint, options: BuildOptions = {}): string[] {
  const source = prepare(checkpoint, options);
  return listArchitectures().filter((arch) => fits(arch, source));
}

function misfit(arch: string, { graph }: Candidate, source: Source): Error {
  const problems = [...graph.problems, ...surplus(source, graph.used)];
  const others = listArchitectures().filter((name) => name !== arch && fits(name, source));
  const rest = problems.length - mostProblemsTold;
  const told = [...problems.slice(0, mostProblemsTold), ...(rest > 0 ? [`and ${rest} more`] : [])].join("; ");
  return checkpointError(source.where, `the checkpoint does not fit ${arch}: ${told}`, {
    fix:
      others.length > 0
        ? `it fits ${others.join(", ")}`
        : `known architectures: ${listArchitectures().join(", ")}`,
  });
}

function toModel(arch: string, { graph, inputDims }: Candidate): Model {
  const output: readonly Dim[] = [inputDims[0]!, graph.classes];
  return newModel(
    {
      name: arch,
      inputs: [{ name: inputName, type: { kind: "tensor", elemType: "float32", shape: inputDims } }],
      outputs: [{ name: outputName, type: { kind: "tensor", elemType: "float32", shape: output } }],
      nodes: [...graph.nodes],
      initializers: new Map(graph.initializers),
    },
    { "": 17, addernet: 1 },
  );
}

/**
 * Builds a model from an architecture's name and a checkpoint: input [batch,C,H,W], output [batch,classes], float32, opset 17. Adder layers
 * are `addernet::Adder2d`, others Conv or Gemm; nothing is fused. Which layers add, widths, classes and input channels are read from the
 * checkpoint, and so are stride and padding compared where it holds the modules.
 * Errors: ADN_CHECKPOINT naming every missing, surplus and misshapen key; ADN_USAGE for an unknown architecture or an impossible option.
 */
export function buildModel(arch: string, checkpoint: Checkpoint, options: BuildOptions = {}): Model {
  const topologies = topologiesOf(arch);
  const source = prepare(checkpoint, options);
  const best = bestCandidate(topologies, source);
  if (best.faults > 0) throw misfit(arch, best, source);
  return toModel(arch, best);
}
