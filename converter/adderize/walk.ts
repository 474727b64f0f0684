// Layer by layer through the CNN and the adder network at once, so that each adder layer is fitted to the inputs it will really get
// and makes up for what the layers before it lost.

import { type AdderWindow, adderWindow } from "../../custom-ops/adder-window.ts";
import { nodeLabel } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Model, Node } from "../../src/core/ir/model.ts";
import { float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { floatsOf, makeNoiseMeter } from "../quantize/lanes.ts";
import {
  declared,
  makesOf,
  modelOf,
  readsOf,
  runAll,
  type Segment,
  type StartModel,
  segmentModel,
  stepsOf,
} from "../quantize/parts.ts";
import type { Feeds } from "../verify.ts";
import type { LayerData, Maps } from "./columns.ts";
import { type FitSettings, type Fitter, startFitter } from "./fit.ts";
import type { CnnLayer, CnnSubject } from "./layers.ts";
import { addPairs, type Moments, solveLine, startMoments, statisticsOf } from "./least-squares.ts";

/** What stands in for a layer: sums over the weights, then batch norm with these statistics, scale and bias. */
export interface AdderLayer {
  readonly layer: CnnLayer;
  readonly window: AdderWindow;
  /** OIHW */
  readonly weight: Float32Array;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  /** y = scale·sum + bias */
  readonly scale: Float64Array;
  readonly bias: Float64Array;
  readonly report: LayerReport;
}

export interface LayerReport {
  readonly name: string;
  readonly weight: readonly number[];
  readonly group: number;
  /** Share of the target's variance that the layer explains: by slope matching alone, and fitted. */
  readonly r2Start: number;
  readonly r2: number;
  /** The layer's result, residual included, against the CNN's, in dB; null without a difference. */
  readonly sqnr: number | null;
}

/** Tensors of one value in both networks, one per feed; the same array as long as nothing differs. */
interface Lanes {
  readonly cnn: readonly Tensor[];
  readonly adder: readonly Tensor[];
}

export interface WalkSettings {
  readonly start: StartModel;
  readonly fit: FitSettings;
  readonly uniform: () => number;
  /** Feeds that layers are not fitted to: reports are about these. */
  readonly isHeldOut: (feed: number) => boolean;
  /** Share of the whole work that is done. */
  readonly onProgress: (share: number) => Promise<void>;
}

export interface CnnWalk {
  readonly layers: readonly AdderLayer[];
  /** By output: what the adder network and the CNN answer, one tensor per feed. */
  readonly outputs: ReadonlyMap<string, Lanes>;
}

interface Walk {
  readonly subject: CnnSubject;
  readonly settings: WalkSettings;
  readonly live: Map<string, Lanes>;
  readonly feedCount: number;
  readonly fitter: Fitter;
}

async function runSegment({ subject, settings, live, feedCount }: Walk, segment: Segment): Promise<void> {
  const inputs = segment.inputs.map((name) => [name, live.get(name)!] as const);
  const feedsOf = (lane: keyof Lanes): Feeds[] =>
    Array.from(
      { length: feedCount },
      (_, feed) => new Map(inputs.map(([name, lanes]) => [name, lanes[lane][feed]!])),
    );
  const given = feedsOf("cnn");
  const model = segmentModel(subject, segment, given[0]!);
  const cnn = await runAll(settings.start, model, given);
  const isSame = inputs.every(([, lanes]) => lanes.cnn === lanes.adder);
  const adder = isSame ? cnn : await runAll(settings.start, model, feedsOf("adder"));
  for (const name of segment.outputs) {
    const tensors = cnn.map((values) => values.get(name)!);
    live.set(name, { cnn: tensors, adder: isSame ? tensors : adder.map((values) => values.get(name)!) });
  }
}

/** A row of features as an image of one pixel. */
function asMaps({ data, dims }: Tensor): Maps {
  const [N, C, H = 1, W = 1] = dims as [number, number, number?, number?];
  return { data: data as Float32Array, dims: [N, C, H, W] };
}

const asTensor = ({ data, dims }: Maps): Tensor => ({ type: "float32", data, dims });

function cnnLayerModel(subject: CnnSubject, { node, x, output }: CnnLayer, example: Tensor): Model {
  const nodes = [node];
  return segmentModel(subject, { nodes, inputs: [x], outputs: [output] }, new Map([[x, example]]));
}

/** The attributes of a layer that an Adder2d has too. */
export function adderNode({ node, kind, dims }: CnnLayer, inputs: readonly string[], output: string): Node {
  const attributes = kind === "convolution" ? node.attributes : [];
  const made = makeNode("Adder2d", inputs, [output], attributes, {
    domain: "addernet",
    name: node.name || output,
  });
  made.attributes.set("kernel_shape", { type: "INTS", value: [BigInt(dims[2]), BigInt(dims[3])] });
  return made;
}

function sumsModel(subject: CnnSubject, layer: CnnLayer, weight: Float32Array, example: Tensor): Model {
  const { model } = subject;
  const withDomain = { ...model, opsetImports: new Map([...model.opsetImports, ["addernet", 1]]) };
  const constants = new Map([["w", float32Tensor(weight, layer.dims)]]);
  const node = adderNode(layer, ["x", "w"], "sums");
  return modelOf({ model: withDomain }, [node], [declared("x", example)], ["sums"], constants);
}

/** What the adder layer should answer: the CNN's result, and what its residual lost on the way. */
function targetsOf(results: readonly Tensor[], z: Lanes | undefined): Maps[] {
  return results.map((result, feed) => {
    const maps = asMaps(result);
    if (z === undefined || z.cnn === z.adder) return maps;
    const [wanted, found] = [floatsOf(z.cnn[feed]!), floatsOf(z.adder[feed]!)];
    return { ...maps, data: maps.data.map((value, index) => value + wanted[index]! - found[index]!) };
  });
}

function momentsOf(
  sums: readonly Maps[],
  targets: readonly Maps[],
  isWanted: (feed: number) => boolean,
): Moments[] {
  const filters = sums[0]!.dims[1];
  const moments = Array.from({ length: filters }, startMoments);
  for (const [feed, { data, dims }] of sums.entries()) {
    if (!isWanted(feed)) continue;
    const plane = dims[2] * dims[3];
    for (let row = 0; row < dims[0] * filters; row++) {
      addPairs(moments[row % filters]!, data, targets[feed]!.data, row * plane, plane);
    }
  }
  return moments;
}

/** Puts scale and bias on the sums, in place. */
function applyAffine({ data, dims }: Maps, scale: Float64Array, bias: Float64Array): void {
  const [N, M, height, width] = dims;
  const plane = height * width;
  for (let row = 0; row < N * M; row++) {
    const [factor, shift] = [scale[row % M]!, bias[row % M]!];
    for (let index = row * plane; index < (row + 1) * plane; index++)
      data[index] = factor * data[index]! + shift;
  }
}

/** Share of the variance of `targets`, counted from each filter's mean, that `found` explains. */
function explained(
  found: readonly Maps[],
  targets: readonly Maps[],
  isWanted: (feed: number) => boolean,
): number {
  let [lost, whole] = [0, 0];
  for (const moments of momentsOf(targets, targets, isWanted)) {
    whole += moments.count * statisticsOf(moments).variance;
  }
  for (const [feed, { data }] of found.entries()) {
    if (!isWanted(feed)) continue;
    const wanted = targets[feed]!.data;
    for (let index = 0; index < data.length; index++) lost += (data[index]! - wanted[index]!) ** 2;
  }
  return whole > 0 ? 1 - lost / whole : 1;
}

/** Signal to noise of y + z against the CNN's, in dB. */
function noiseOf(
  results: readonly Tensor[],
  found: readonly Maps[],
  z: Lanes | undefined,
  isWanted: (feed: number) => boolean,
): number | null {
  const meter = makeNoiseMeter();
  for (const [feed, result] of results.entries()) {
    if (!isWanted(feed)) continue;
    const [wanted, own] = [floatsOf(result), found[feed]!.data];
    if (z === undefined) {
      meter.add(wanted, own);
      continue;
    }
    const [before, now] = [floatsOf(z.cnn[feed]!), floatsOf(z.adder[feed]!)];
    meter.add(
      wanted.map((value, index) => value + before[index]!),
      own.map((value, index) => value + now[index]!),
    );
  }
  return meter.decibel();
}

function layerData(
  x: readonly Tensor[],
  target: readonly Maps[],
  window: AdderWindow,
  layer: CnnLayer,
): LayerData {
  return { x: x.map(asMaps), target, window, kernel: [layer.dims[2], layer.dims[3]] };
}

async function fitLayer(
  walk: Walk,
  layer: CnnLayer,
  onProgress: (share: number) => Promise<void>,
): Promise<AdderLayer> {
  const { subject, settings, live, fitter } = walk;
  const { start, isHeldOut, fit, uniform } = settings;
  const [x, z] = [live.get(layer.x)!, layer.z === undefined ? undefined : live.get(layer.z)!];
  const feeds = (lane: readonly Tensor[], name: string): Feeds[] =>
    lane.map((tensor) => new Map([[name, tensor]]));
  const answers = await runAll(start, cnnLayerModel(subject, layer, x.cnn[0]!), feeds(x.cnn, layer.x));
  const results = answers.map((values) => values.get(layer.output)!);
  const targets = targetsOf(results, z);
  const inputs = x.adder.map((tensor) => asTensor(asMaps(tensor)));
  const window = adderWindow(
    adderNode(layer, ["x", "w"], layer.output),
    inputs[0]!.dims.slice(2),
    layer.dims.slice(2),
    nodeLabel(layer.node),
  );
  const isFitted = (feed: number) => !isHeldOut(feed);
  const data = layerData(
    inputs.filter((_, feed) => isFitted(feed)),
    targets.filter((_, feed) => isFitted(feed)),
    window,
    layer,
  );
  const { weight, r2Start } = await fitter.fit(data, layer.weight, layer.dims, fit, uniform, onProgress);
  const ran = await runAll(start, sumsModel(subject, layer, weight, inputs[0]!), feeds(inputs, "x"));
  const found = ran.map((values) => asMaps(values.get("sums")!));
  const moments = momentsOf(found, targets, isFitted);
  const lines = moments.map(solveLine);
  const [scale, bias] = [
    Float64Array.from(lines, (line) => line.scale),
    Float64Array.from(lines, (line) => line.bias),
  ];
  for (const maps of found) applyAffine(maps, scale, bias);
  const isJudged = (feed: number): boolean =>
    isHeldOut(feed) || !results.some((_, other) => isHeldOut(other));
  live.set(layer.output, {
    cnn: results,
    adder: found.map(({ data }, feed) => ({ type: "float32", data, dims: results[feed]!.dims })),
  });
  const statistics = moments.map(statisticsOf);
  return {
    layer,
    window,
    weight,
    mean: Float64Array.from(statistics, ({ mean }) => mean),
    variance: Float64Array.from(statistics, ({ variance }) => variance),
    scale,
    bias,
    report: {
      name: layer.name,
      weight: layer.dims,
      group: window.group,
      r2Start,
      r2: explained(found, targets, isJudged),
      sqnr: noiseOf(results, found, z, isJudged),
    },
  };
}

/** Taps that a step over the layer costs, and something for running it. */
const weightOf = ({ dims, weight }: CnnLayer): number => weight.length + 8 * dims[0] + 512;

/** Fits every layer of `subject` on the feeds. Errors: ADN_WASM, and those of `start`. */
export async function walkCnn(
  subject: CnnSubject,
  feeds: readonly Feeds[],
  settings: WalkSettings,
): Promise<CnnWalk> {
  const walk: Walk = {
    subject,
    settings,
    live: new Map(),
    feedCount: feeds.length,
    fitter: await startFitter(),
  };
  const steps = stepsOf(subject);
  const lastUse = new Map(
    steps.flatMap((step, index) => readsOf(step).map((name) => [name, index] as const)),
  );
  const outputs = subject.model.graph.outputs.map(({ name }) => name);
  for (const name of outputs) lastUse.set(name, steps.length);
  for (const { name } of subject.model.graph.inputs) {
    const tensors = feeds.map((feed) => feed.get(name)!);
    walk.live.set(name, { cnn: tensors, adder: tensors });
  }
  const whole = subject.layers.reduce((sum, layer) => sum + weightOf(layer), 0);
  let done = 0;
  const layers: AdderLayer[] = [];
  for (const [index, step] of steps.entries()) {
    if (step.kind === "segment") await runSegment(walk, step);
    else {
      const own = weightOf(step.layer);
      layers.push(
        await fitLayer(walk, step.layer, (share) => settings.onProgress((done + own * share) / whole)),
      );
      done += own;
      await settings.onProgress(done / whole);
    }
    for (const name of [...readsOf(step), ...makesOf(step)]) {
      if ((lastUse.get(name) ?? -1) <= index) walk.live.delete(name);
    }
  }
  return { layers, outputs: new Map(outputs.map((name) => [name, walk.live.get(name)!])) };
}
