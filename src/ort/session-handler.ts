// One onnxruntime session made of segments: our kernels where they apply, inner onnxruntime sessions elsewhere.

import { ops } from "../../custom-ops/index.ts";
import {
  createExecutor,
  type SessionExplanation,
  supportsNode,
  unsupportedNodes,
} from "../../runtime/index.ts";
import type { DataType } from "../core/dtype.ts";
import { inferShapes } from "../core/infer-shapes.ts";
import type { Model, Node } from "../core/ir/model.ts";
import { valuesReadBy } from "../core/ir/walk.ts";
import { encodeModel } from "../core/onnx/index.ts";
import type { ValueFact } from "../core/ops/define-op.ts";
import type { Tensor } from "../core/tensor.ts";
import { fillFetch } from "./fill-fetch.ts";
import { inferTypes } from "./infer-types.ts";
import type { ExecutionProvider, OrtModule, OrtSessionHandler, OrtValueMetadata } from "./ort-module.ts";
import { partition, type Segment } from "./partition.ts";

interface SegmentRunner {
  readonly segment: Segment;
  run(feeds: ReadonlyMap<string, Tensor>): Promise<Readonly<Record<string, Tensor>>>;
  explain(): SegmentExplanation;
  dispose(): Promise<void>;
}

/** What runs a segment, and how. */
export type SegmentExplanation =
  | ({ readonly engine: "addernet"; readonly nodes: number } & SessionExplanation)
  | {
      readonly engine: "onnxruntime";
      readonly nodes: number;
      readonly providers: readonly string[];
      readonly ops: readonly string[];
    };

export interface HandlerOptions {
  /** Execution providers of the inner sessions. */
  readonly inner: readonly ExecutionProvider[];
  readonly threads?: number | "auto";
  /** The caller's other session options, for the inner sessions. */
  readonly sessionOptions: object;
}

interface Findings {
  readonly facts: ReadonlyMap<string, ValueFact>;
  /** Nodes that our ops refuse: types and attributes that onnxruntime may know, or will name itself. */
  readonly refused: ReadonlySet<Node>;
}

function findingsOf({ graph, opsetImports, functions }: Model): Findings {
  const refused = new Set<Node>();
  const facts = inferShapes(graph, opsetImports, ops, { functions, onRefusal: (node) => refused.add(node) });
  return { facts, refused };
}

/** What our kernels compute with; other types are shapes, or no concern of theirs. */
const dataOfOurs: readonly (DataType | undefined)[] = ["float32", "uint8"];

/**
 * Nodes our kernels take. They work on float32 and codes; integers (shapes, axes) must be known when planning, so they count only where they are
 * constants or come from nodes that are ours.
 */
export function chooseOurs(
  model: Model,
  types: ReadonlyMap<string, DataType>,
  { facts, refused }: Findings = findingsOf(model),
): Set<Node> {
  const ours = new Set<Node>();
  const known = new Set(model.graph.initializers.keys());
  const read = new Set(model.graph.nodes.flatMap((node) => [...valuesReadBy(node)]));
  for (const { name } of model.graph.outputs) read.add(name);
  const isReadable = (name: string): boolean =>
    name === "" || known.has(name) || dataOfOurs.includes(types.get(name));
  for (const node of model.graph.nodes) {
    const inputs = node.inputs.map((name) => facts.get(name));
    if (refused.has(node) || !node.inputs.every(isReadable)) continue;
    // An output that nothing reads, such as the mask of Dropout, is none that kernels would have to make.
    const outputs = node.outputs.map((name) => (read.has(name) ? name : ""));
    if (supportsNode({ ...node, outputs }, model.opsetImports, inputs) !== true) continue;
    ours.add(node);
    for (const output of node.outputs) known.add(output);
  }
  return ours;
}

async function ownRunner(segment: Segment, options: HandlerOptions): Promise<SegmentRunner> {
  const session = await createExecutor(segment.model, {
    ...(options.threads !== undefined && { threads: options.threads }),
  });
  return {
    segment,
    run: (feeds) => session.run(Object.fromEntries(feeds)),
    explain: () => ({ engine: "addernet", nodes: segment.model.graph.nodes.length, ...session.explain() }),
    dispose: () => session.dispose(),
  };
}

async function innerRunner(
  ort: OrtModule,
  segment: Segment,
  options: HandlerOptions,
): Promise<SegmentRunner> {
  const session = await ort.InferenceSession.create(encodeModel(segment.model).bytes, {
    ...options.sessionOptions,
    executionProviders: options.inner,
  });
  return {
    segment,
    async run(feeds) {
      const tensors = Object.fromEntries(
        [...feeds].map(([name, { type, data, dims }]) => [
          name,
          new ort.Tensor(type as never, data as never, dims),
        ]),
      );
      return (await session.run(tensors)) as Record<string, Tensor>;
    },
    explain: () => ({
      engine: "onnxruntime",
      nodes: segment.model.graph.nodes.length,
      providers: options.inner.map(providerName),
      ops: [...new Set(segment.model.graph.nodes.map(({ opType }) => opType))],
    }),
    dispose: () => session.release(),
  };
}

function providerName(provider: ExecutionProvider): string {
  return typeof provider === "string" ? provider : provider.name;
}

function withInputTypes(segment: Segment, types: ReadonlyMap<string, DataType>): Segment {
  const { graph } = segment.model;
  const inputs = graph.inputs.map((info) => {
    const elemType = types.get(info.name);
    if (info.type !== undefined || elemType === undefined) return info;
    return { ...info, type: { kind: "tensor", elemType } as const };
  });
  return { ...segment, model: { ...segment.model, graph: { ...graph, inputs } } };
}

const isUntyped = ({ engine, model }: Segment): boolean =>
  engine === "onnxruntime" && model.graph.inputs.some(({ type }) => type === undefined);

/**
 * The segments of a model. What a segment of ours cannot run once it stands alone (a parameter computed by another segment) goes to
 * onnxruntime; so does everything where a value between segments has no known type.
 */
export function segmentsOf(model: Model): Segment[] {
  const findings = findingsOf(model);
  const types = inferTypes(model, findings.facts);
  const ours = chooseOurs(model, types, findings);
  for (;;) {
    const segments = partition(model, (node) => ours.has(node)).map((segment) =>
      withInputTypes(segment, types),
    );
    const own = segments.filter(({ engine }) => engine === "addernet");
    const refused = own.flatMap((segment) => unsupportedNodes(segment.model).map(({ node }) => node));
    if (own.length > 0 && segments.some(isUntyped)) ours.clear();
    else if (refused.length === 0) return segments;
    for (const node of refused) ours.delete(node);
  }
}

async function createRunners(
  ort: OrtModule,
  model: Model,
  options: HandlerOptions,
): Promise<SegmentRunner[]> {
  const runners: SegmentRunner[] = [];
  try {
    for (const segment of segmentsOf(model)) {
      const make =
        segment.engine === "addernet" ? ownRunner(segment, options) : innerRunner(ort, segment, options);
      runners.push(await make);
    }
  } catch (error) {
    await Promise.all(runners.map((runner) => runner.dispose()));
    throw error;
  }
  return runners;
}

function metadataOf(
  infos: Model["graph"]["inputs"],
  types: ReadonlyMap<string, DataType>,
): OrtValueMetadata[] {
  return infos.map(({ name, type }) => {
    const elemType = type?.kind === "tensor" ? type.elemType : types.get(name);
    const shape = type?.kind === "tensor" ? (type.shape ?? []) : [];
    if (elemType === undefined) return { name, isTensor: false };
    return { name, isTensor: true, type: elemType, shape: shape.map((dim) => dim ?? "") };
  });
}

export interface ExplainableHandler extends OrtSessionHandler {
  /** The segments in the order in which they run. */
  explain(): readonly SegmentExplanation[];
}

async function runSegments(
  runners: readonly SegmentRunner[],
  feeds: Map<string, Tensor>,
): Promise<Map<string, Tensor>> {
  for (const runner of runners) {
    const inputs = new Map(runner.segment.inputs.map((name) => [name, feeds.get(name)!]));
    const results = await runner.run(inputs);
    for (const name of runner.segment.outputs) feeds.set(name, results[name]!);
  }
  return feeds;
}

/** The handler onnxruntime calls for a session of ours. `model` has no external data left and no function bodies of our ops. */
export async function createHandler(
  ort: OrtModule,
  model: Model,
  options: HandlerOptions,
): Promise<ExplainableHandler> {
  const runners = await createRunners(ort, model, options);
  const types = inferTypes(model);
  const { graph } = model;
  const passed = new Map(
    [...graph.initializers].filter(([name]) => graph.outputs.some((output) => output.name === name)),
  );
  return {
    inputNames: graph.inputs.map(({ name }) => name),
    outputNames: graph.outputs.map(({ name }) => name),
    inputMetadata: metadataOf(graph.inputs, types),
    outputMetadata: metadataOf(graph.outputs, types),
    async run(feeds, fetches) {
      const given = Object.entries(feeds as Record<string, Tensor>);
      const values = await runSegments(runners, new Map([...passed, ...given]));
      const wanted = Object.entries(fetches);
      return Object.fromEntries(wanted.map(([name, fetch]) => [name, fillFetch(fetch, values.get(name)!)]));
    },
    explain: () => runners.map((runner) => runner.explain()),
    async dispose() {
      await Promise.all(runners.map((runner) => runner.dispose()));
    },
    startProfiling() {},
    endProfiling() {},
  };
}
