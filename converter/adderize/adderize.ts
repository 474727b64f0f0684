// A CNN in, an AdderNet of the same topology out: fitted layer by layer on images without labels.

import { attachFunctions, detachFunctions } from "../../custom-ops/attach-functions.ts";
import { ops } from "../../custom-ops/index.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { checkOpset, decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import { seededUniform } from "../../src/core/sample-feeds.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { freeBatch } from "../free-batch.ts";
import { importAdders } from "../importers/index.ts";
import { optimise } from "../optimise.ts";
import { batchOf, type Samples } from "../quantize/observe.ts";
import type { RunningModel, StartModel } from "../quantize/parts.ts";
import { startReference } from "../quantize/quantize.ts";
import { bytesPerSample } from "../quantize/walk.ts";
import type { Feeds } from "../verify.ts";
import { compareOutputs, type OutputAgreement } from "./agreement.ts";
import type { FitSettings } from "./fit.ts";
import { type CnnSubject, cnnSubject, type KeptLayer, type LayerChoice } from "./layers.ts";
import { withAdders } from "./rewrite.ts";
import { type CnnWalk, type LayerReport, walkCnn } from "./walk.ts";

export interface AdderizeProgress {
  /** "read" counts samples, "fit" percents of the work, "compare" feeds. */
  readonly phase: "read" | "fit" | "compare";
  readonly done: number;
  /** 0 where the number of samples is not known. */
  readonly total: number;
}

export interface AdderizeOptions {
  /** Feeds for the model, one or more samples each, without labels. Read once, and only as many as fit into `memory`. */
  readonly samples: Samples;
  /** How many there will be, for progress. */
  readonly sampleCount?: number;
  /** What runs pieces of the models; by default the reference of every op, which is slow. */
  readonly start?: StartModel;
  /** "inner" (the usual) keeps the first and the last layers; "all" converts them too. */
  readonly layers?: LayerChoice["which"];
  /** Layers that stay, by node or output name. */
  readonly exclude?: readonly string[];
  /** Gradient steps per layer; 0 stops after slope matching. */
  readonly steps?: number;
  /** Output positions per step. */
  readonly positions?: number;
  readonly seed?: number;
  /** Keep batch norms as nodes of their own, as training wants them; by default they become part of their layers. */
  readonly keepBatchNorm?: boolean;
  /** Bytes that samples and values on their way may take. */
  readonly memory?: number;
  readonly onProgress?: (progress: AdderizeProgress) => void;
}

export interface AdderizeReport {
  readonly layers: readonly LayerReport[];
  /** Layers that go on multiplying. */
  readonly kept: readonly KeptLayer[];
  /** The written model against the CNN, on samples that no layer was fitted to where there are enough. */
  readonly outputs: readonly OutputAgreement[];
  readonly samples: { readonly fitted: number; readonly compared: number; readonly heldOut: boolean };
}

export interface Adderized {
  readonly model: Model;
  /** The model as one ONNX file: what the report is about. */
  readonly bytes: Uint8Array;
  readonly report: AdderizeReport;
}

const usualMemory = 1.2e9;
const usualSteps = 300;
const usualPositions = 1024;
const usualRate = 0.15;
/** One feed in so many is held out, once there are that many. */
const holdOutEvery = 10;
/** Difference between the walk and the written file, over the largest value of an output, that is put down to rounding. */
const rounding = 1e-2;

/**
 * A CNN as `adderize` works on it: constants folded, batch norms inside their convolutions. With `free` a batch that the export fixed
 * to 1 becomes free where shapes allow it; that rows do not mix is for the caller to check. The argument is left as it is.
 */
export function prepareCnn(model: Model, { free = false } = {}): Model {
  checkOpset(model);
  const own = cloneModel(model);
  detachFunctions(own);
  importAdders(own, { ops });
  optimise(own, { ops });
  if (free) freeBatch(own, ops);
  return own;
}

/** Fixes the inputs' shapes, batch aside, to those of a feed: all lengths inside the model are then known. */
function withShapesOf(model: Model, feeds: Feeds): Model {
  const copy = cloneModel(model);
  copy.graph.inputs = copy.graph.inputs.map((info) => {
    const tensor = feeds.get(info.name);
    if (tensor === undefined) {
      throw new AdderNetError("ADN_FEED", `the samples have no input "${info.name}"`, {
        expected: model.graph.inputs.map(({ name }) => name).join(", "),
        found: [...feeds.keys()].join(", "),
      });
    }
    const batch = info.type?.kind === "tensor" ? (info.type.shape?.[0] ?? null) : null;
    const shape = tensor.dims.length === 0 ? [] : [batch, ...tensor.dims.slice(1)];
    return { ...info, type: { kind: "tensor", elemType: tensor.type, shape } };
  });
  copy.graph.valueInfo.clear();
  return copy;
}

function subjectOf(
  model: Model,
  feeds: Feeds,
  options: Pick<AdderizeOptions, "layers" | "exclude">,
): CnnSubject {
  return cnnSubject(withShapesOf(model, feeds), {
    which: options.layers ?? "inner",
    exclude: new Set(options.exclude ?? []),
  });
}

/** How many samples like `feeds` the fit holds at once in `memory` bytes; `model` is one that `prepareCnn` answered. */
export function samplesThatFit(
  model: Model,
  feeds: Feeds,
  { memory = usualMemory, ...options }: Pick<AdderizeOptions, "layers" | "exclude" | "memory">,
): number {
  const perSample = bytesPerSample(subjectOf(model, feeds, options));
  return Math.max(1, Math.floor(memory / (perSample ?? memory / 64)));
}

function requireCount(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new AdderNetError("ADN_USAGE", `${name} is unusable`, {
    where: "adderize",
    expected: `an integer of at least ${least}`,
    found: `${value}`,
  });
}

function requireFinite(feeds: Feeds): void {
  for (const [name, { type, data }] of feeds) {
    if (type !== "float32" || (data as Float32Array).every(Number.isFinite)) continue;
    throw new AdderNetError("ADN_DATA", `a sample of input "${name}" is not finite`, { where: "adderize" });
  }
}

/** Feeds as long as they fit into memory. */
async function readSamples(
  model: Model,
  options: AdderizeOptions,
): Promise<{ feeds: Feeds[]; subject: CnnSubject }> {
  const feeds: Feeds[] = [];
  let [count, most] = [0, Number.POSITIVE_INFINITY];
  for await (const feed of options.samples) {
    if (feeds.length === 0) most = samplesThatFit(model, feed, options);
    const batch = batchOf(feed);
    if (feeds.length > 0 && count + batch > most) break;
    requireFinite(feed);
    feeds.push(feed);
    count += batch;
    options.onProgress?.({ phase: "read", done: count, total: options.sampleCount ?? 0 });
  }
  if (feeds.length === 0) throw new AdderNetError("ADN_DATA", "there are no samples to fit with");
  return { feeds, subject: subjectOf(model, feeds[0]!, options) };
}

/** Lets others have their turn: signals, a page's own work. */
function makePause(everyMs: number): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < everyMs) return;
    await new Promise((resolve) => setTimeout(resolve));
    last = performance.now();
  };
}

async function runFeeds(start: StartModel, model: Model, feeds: readonly Feeds[], onFeed: () => void) {
  const running: RunningModel = await start(model);
  try {
    const answers: ReadonlyMap<string, Tensor>[] = [];
    for (const feed of feeds) {
      answers.push(await running.run(feed));
      onFeed();
    }
    return answers;
  } finally {
    await running.dispose?.();
  }
}

/** Runs the written bytes and compares them with the CNN. ADN_VERIFY when they do not compute what was fitted. */
async function compareFile(
  bytes: Uint8Array,
  walk: CnnWalk,
  feeds: readonly Feeds[],
  judged: readonly number[],
  options: AdderizeOptions,
): Promise<OutputAgreement[]> {
  const start = options.start ?? startReference;
  let done = 0;
  const onFeed = () => options.onProgress?.({ phase: "compare", done: ++done, total: judged.length });
  const answers = await runFeeds(
    start,
    decodeModel(bytes),
    judged.map((feed) => feeds[feed]!),
    onFeed,
  );
  const agreements: OutputAgreement[] = [];
  for (const [name, lanes] of walk.outputs) {
    if (lanes.cnn[0]?.type !== "float32") continue;
    const [cnn, adder] = [judged.map((feed) => lanes.cnn[feed]!), judged.map((feed) => lanes.adder[feed]!)];
    const found = answers.map((values) => values.get(name)!);
    requireSame(name, adder, found);
    agreements.push(compareOutputs(name, cnn, found));
  }
  return agreements;
}

function requireSame(name: string, fitted: readonly Tensor[], found: readonly Tensor[]): void {
  let [difference, magnitude] = [0, 0];
  for (const [feed, { data }] of fitted.entries()) {
    const other = found[feed]!.data as Float32Array;
    for (const [index, value] of (data as Float32Array).entries()) {
      magnitude = Math.max(magnitude, Math.abs(value));
      const distance = Math.abs(value - other[index]!);
      difference = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(difference, distance);
    }
  }
  if (difference <= rounding * (magnitude + 1e-3)) return;
  throw new AdderNetError("ADN_VERIFY", `output ${name} of the written model is not what was fitted`, {
    expected: `at most ${(rounding * magnitude).toPrecision(3)}`,
    found: `${difference}`,
  });
}

function finish(model: Model, walk: CnnWalk, keepBatchNorm: boolean, samples: number): Model {
  const result = withAdders(model, walk.layers);
  if (!keepBatchNorm) optimise(result, { ops });
  result.metadata.set("addernet.adderized", `${walk.layers.length} layers, ${samples} samples`);
  attachFunctions(result);
  return result;
}

/**
 * Turns the convolutions and matrix products of a CNN into adder layers with batch norm. Weights start from slope matching; then each
 * layer, in order, is fitted by least squares to what the CNN's layer answers on the samples, from the inputs that the adder
 * network so far really gives it. The argument is left as it is; the result runs in any onnxruntime, by function bodies.
 * Errors: ADN_USAGE for options, unknown names and models without such a layer, ADN_DATA for samples that are none or not finite,
 * ADN_FEED for samples of other inputs, ADN_OPSET, ADN_WASM without SIMD, ADN_VERIFY, and those of `start`.
 */
export async function adderize(model: Model, options: AdderizeOptions): Promise<Adderized> {
  const { steps = usualSteps, positions = usualPositions, seed = 1, onProgress } = options;
  requireCount("steps", steps, 0);
  requireCount("positions", positions, 1);
  const cnn = prepareCnn(model);
  const { feeds, subject } = await readSamples(cnn, options);
  const fit: FitSettings = { steps, positions, rate: usualRate };
  const heldOut = feeds.length >= holdOutEvery;
  const isHeldOut = (feed: number): boolean => heldOut && feed % holdOutEvery === holdOutEvery - 1;
  const pause = makePause(50);
  const walk = await walkCnn(subject, feeds, {
    start: options.start ?? startReference,
    fit,
    uniform: seededUniform(seed),
    isHeldOut,
    onProgress: async (share) => {
      onProgress?.({ phase: "fit", done: Math.floor(100 * share), total: 100 });
      await pause();
    },
  });
  const samplesOf = (wanted: (feed: number) => boolean): number =>
    feeds.reduce((sum, feed, index) => sum + (wanted(index) ? batchOf(feed) : 0), 0);
  const fitted = samplesOf((feed) => !isHeldOut(feed));
  const result = finish(cnn, walk, options.keepBatchNorm === true, fitted);
  const { bytes } = encodeModel(result);
  const judged = [...feeds.keys()].filter((feed) => !heldOut || isHeldOut(feed));
  const outputs = await compareFile(bytes, walk, feeds, judged, options);
  return {
    model: result,
    bytes,
    report: {
      layers: walk.layers.map(({ report }) => report),
      kept: subject.kept,
      outputs,
      samples: { fitted, compared: samplesOf((feed) => judged.includes(feed)), heldOut },
    },
  };
}
