// The second pass: layer by layer through both networks at once, so that each layer is fitted to the inputs it will really get.

import type { Tensor } from "../../src/core/tensor.ts";
import type { Feeds } from "../verify.ts";
import { type ChannelAffine, type Correction, makeFit } from "./correction.ts";
import { decode, encode, encodeWeights, type Grid } from "./grid.ts";
import type { Histogram } from "./histogram.ts";
import { codesOf, floatsOf, isSame, type LiveValue, makeNoiseMeter, quantizedTensor } from "./lanes.ts";

import { withRoundedWeights } from "./ordinary-weights.ts";

import {
  type Cut,
  type CutLayer,
  makesOf,
  readsOf,
  runAll,
  type Segment,
  type StartModel,
  segmentModel,
  stepsOf,
} from "./parts.ts";

import { bestCandidate, gridByHistogram, type RangeMethod } from "./ranges.ts";
import { baseAffine, floatResults, makeErrorOf, sumsOfCodes } from "./search.ts";
import type { CodedValue, Layer, Subject } from "./subject.ts";

export interface WalkSettings {
  readonly bits: number;
  readonly method: RangeMethod;
  readonly percentile?: number;
  readonly correction: Correction;
  /** Whether the ordinary layers of the quantized network have int8 weights. */
  readonly roundsOrdinaryWeights: boolean;
  readonly start: StartModel;
  readonly onLayer: (done: number, total: number) => void;
}

export interface FittedLayer {
  readonly base: ChannelAffine;
  readonly fitted: ChannelAffine;
  readonly sqnr: number | null;
}

export interface WalkResult {
  readonly grids: ReadonlyMap<string, Grid>;
  readonly layers: ReadonlyMap<string, FittedLayer>;
  readonly outputs: ReadonlyMap<string, number | null>;
}

/** Samples that candidates are measured on; fitting takes all that were kept. */
const searchSamples = 128;

interface Walk {
  readonly subject: Subject;
  readonly settings: WalkSettings;
  readonly histograms: ReadonlyMap<string, Histogram>;
  readonly live: Map<string, LiveValue>;
  readonly feedCount: number;
  readonly valueByName: ReadonlyMap<string, CodedValue>;
  readonly grids: Map<string, Grid>;
  readonly layers: Map<string, FittedLayer>;
}

/** The first feeds that hold the samples to search with. */
function searchPart(tensors: readonly Tensor[]): readonly Tensor[] {
  const part: Tensor[] = [];
  let count = 0;
  for (const tensor of tensors) {
    if (count >= searchSamples) break;
    part.push(tensor);
    count += tensor.dims[0] ?? 1;
  }
  return part;
}

/** Chooses the grid of a value both networks have just computed. */
async function chooseGrid(
  { subject, settings, histograms }: Walk,
  value: CodedValue,
  reference: readonly Tensor[],
  quantized: readonly Tensor[],
): Promise<Grid> {
  const { bits, method, percentile, correction, start } = settings;
  const maxCode = value.readers.length > 0 ? 2 ** bits - 1 : 255;
  const histogram = histograms.get(value.name)!;
  if (method !== "auto") return gridByHistogram(method, histogram, maxCode, percentile);
  const [wanted, found] = [searchPart(reference), searchPart(quantized)];
  const errorOf = await makeErrorOf(subject, value, wanted, found, correction, start);
  return (await bestCandidate(histogram, maxCode, errorOf)).grid;
}

/** Puts a value among the live ones; one that has a grid of its own gets it now. */
async function settle(
  walk: Walk,
  name: string,
  reference: readonly Tensor[],
  quantized: readonly Tensor[],
): Promise<void> {
  const value = walk.valueByName.get(name);
  if (value === undefined || value.name !== name) {
    walk.live.set(name, { reference, quantized });
    return;
  }
  const grid = await chooseGrid(walk, value, reference, quantized);
  for (const member of value.members) walk.grids.set(member, grid);
  const codes = quantized.map((tensor) => encode(floatsOf(tensor), grid));
  // Float readers of a value that no layer makes go on reading it as it is.
  walk.live.set(name, value.madeByLayer ? { reference, codes, grid } : { reference, quantized, codes, grid });
}

async function runSegment(walk: Walk, segment: Segment): Promise<void> {
  const { subject, live, settings, feedCount } = walk;
  const inputs = segment.inputs.map((name) => [name, live.get(name)!] as const);
  const feedsOf = (pick: (value: LiveValue, index: number) => Tensor): Feeds[] =>
    Array.from(
      { length: feedCount },
      (_, index) => new Map(inputs.map(([name, value]) => [name, pick(value, index)])),
    );
  const references = feedsOf((value, index) => value.reference[index]!);
  const model = segmentModel(subject, segment, references[0]!);
  const answers = await runAll(settings.start, model, references);
  const rounded = settings.roundsOrdinaryWeights ? withRoundedWeights(model) : undefined;
  const isUntouched = rounded === undefined && inputs.every(([, value]) => isSame(value));
  const others = isUntouched
    ? answers
    : await runAll(settings.start, rounded ?? model, feedsOf(quantizedTensor));
  for (const name of segment.outputs) {
    const reference = answers.map((tensors) => tensors.get(name)!);
    const quantized = isUntouched ? reference : others.map((tensors) => tensors.get(name)!);
    await settle(walk, name, reference, quantized);
  }
}

function* codedTensors(value: LiveValue, grid: Grid) {
  for (const [index, { dims }] of value.reference.entries()) {
    yield { type: "uint8", dims, data: codesOf(value, index, grid) } as const;
  }
}

/** values += other, for a residual of the same shape or one that broadcasts over the batch's rows. */
function addResidual(values: Float32Array, residual: Tensor, dims: readonly number[]): void {
  const data = floatsOf(residual);
  if (data.length === values.length) {
    for (let index = 0; index < values.length; index++) values[index]! += data[index]!;
    return;
  }
  const strides = new Array<number>(4).fill(0);
  let stride = 1;
  for (let axis = 3; axis >= 0; axis--) {
    const length = residual.dims[axis - 4 + residual.dims.length] ?? 1;
    strides[axis] = length === 1 ? 0 : stride;
    stride *= length;
  }
  const [n, m, y, x] = strides as [number, number, number, number];
  let index = 0;
  for (let row = 0; row < dims[0]!; row++)
    for (let channel = 0; channel < dims[1]!; channel++)
      for (let line = 0; line < dims[2]!; line++)
        for (let column = 0; column < dims[3]!; column++)
          values[index++]! += data[row * n + channel * m + line * y + column * x]!;
}

function clip(values: Float32Array, { least, most }: Layer): void {
  if (least === Number.NEGATIVE_INFINITY && most === Number.POSITIVE_INFINITY) return;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    values[index] = value < least ? least : value > most ? most : value;
  }
}

function applyAffine(sums: Float32Array, { scale, bias }: ChannelAffine, batch: number): void {
  const plane = sums.length / batch / scale.length;
  for (let row = 0; row < batch * scale.length; row++) {
    const [factor, shift] = [scale[row % scale.length]!, bias[row % scale.length]!];
    for (let index = row * plane; index < (row + 1) * plane; index++)
      sums[index] = factor * sums[index]! + shift;
  }
}

/** The residual as the quantized layer reads it: codes make codes; sums that end as floats are added to floats. */
function residualOf({ result }: Layer, z: LiveValue, index: number): Tensor {
  if (result === "float" || z.codes === undefined) return quantizedTensor(z, index);
  return { ...z.reference[index]!, data: decode(z.codes[index]!, z.grid!) };
}

/** What the sums should become: the float result, with what the residual lost on the way added to it. */
function targetOf(layer: Layer, result: Tensor, z: LiveValue | undefined, index: number): Float32Array {
  if (z === undefined) return floatsOf(result);
  const [wanted, found] = [z.reference[index]!, residualOf(layer, z, index)];
  if (found === wanted) return floatsOf(result);
  const target = Float32Array.from(floatsOf(result));
  const lost = floatsOf(wanted).map((value, at) => value - floatsOf(found)[at]!);
  addResidual(target, { ...wanted, data: lost }, result.dims);
  return target;
}

async function runLayer(walk: Walk, layer: Layer): Promise<void> {
  const { subject, settings, live, grids } = walk;
  const { start, correction } = settings;
  const [x, z] = [live.get(layer.x)!, layer.z === undefined ? undefined : live.get(layer.z)!];
  const grid = grids.get(layer.x)!;
  const results = await floatResults(subject, layer, x.reference, start);
  const { codes, excess } = encodeWeights(layer.weight.data, layer.filters, grid);
  const fit = makeFit(layer.filters);
  const quantized: Tensor[] = [];
  await sumsOfCodes(subject, layer, codes, grid, codedTensors(x, grid), start, (sums, index) => {
    fit.add(floatsOf(sums), targetOf(layer, results[index]!, z, index), sums.dims[0]!);
    quantized.push(sums);
  });
  const base = baseAffine(layer, grid, excess);
  const fitted = fit.solve(base, correction);
  for (const [index, result] of results.entries()) {
    const [wanted, found] = [floatsOf(result), floatsOf(quantized[index]!)];
    applyAffine(found, fitted, result.dims[0]!);
    if (z !== undefined) {
      addResidual(wanted, z.reference[index]!, result.dims);
      addResidual(found, residualOf(layer, z, index), result.dims);
    }
    clip(wanted, layer);
    clip(found, layer);
  }
  await settle(walk, layer.output, results, quantized);
  walk.layers.set(layer.name, { base, fitted, sqnr: noiseOf(live.get(layer.output)!) });
}

function noiseOf(value: LiveValue): number | null {
  const meter = makeNoiseMeter();
  for (const [index, tensor] of value.reference.entries()) {
    meter.add(floatsOf(tensor), floatsOf(quantizedTensor(value, index)));
  }
  return meter.decibel();
}

function outputNoise({ subject, live }: Walk): Map<string, number | null> {
  const names = subject.model.graph.outputs.map(({ name }) => name);
  const floats = names.filter((name) => live.get(name)?.reference[0]?.type === "float32");
  return new Map(floats.map((name) => [name, noiseOf(live.get(name)!)]));
}

/** Runs both networks over the kept feeds, settling every grid and affine on the way. */
export async function walkLayers(
  subject: Subject,
  histograms: ReadonlyMap<string, Histogram>,
  feeds: readonly Feeds[],
  settings: WalkSettings,
): Promise<WalkResult> {
  const members = subject.values.flatMap((value) => value.members.map((name) => [name, value] as const));
  const walk: Walk = {
    subject,
    settings,
    histograms,
    live: new Map(),
    feedCount: feeds.length,
    valueByName: new Map(members),
    grids: new Map(),
    layers: new Map(),
  };
  const steps = stepsOf(subject);
  const lastUse = new Map(
    steps.flatMap((step, index) => readsOf(step).map((name) => [name, index] as const)),
  );
  for (const { name } of subject.model.graph.outputs) lastUse.set(name, steps.length);
  for (const { name } of subject.model.graph.inputs) {
    const tensors = feeds.map((feed) => feed.get(name)!);
    await settle(walk, name, tensors, tensors);
  }
  for (const [index, step] of steps.entries()) {
    if (step.kind === "segment") await runSegment(walk, step);
    else await runLayer(walk, step.layer);
    for (const name of [...readsOf(step), ...makesOf(step)]) {
      if ((lastUse.get(name) ?? -1) <= index) walk.live.delete(name);
    }
    if (step.kind === "layer") settings.onLayer(walk.layers.size, subject.layers.length);
  }
  return { grids: walk.grids, layers: walk.layers, outputs: outputNoise(walk) };
}

/** Largest number of bytes per sample that the walk holds at once; undefined where a length is not known. */
export function bytesPerSample<L extends CutLayer>(
  subject: Cut<L> & Pick<Subject, "facts">,
): number | undefined {
  const steps = stepsOf(subject);
  const sizeOf = (name: string): number => {
    const shape = subject.facts.get(name)?.shape?.slice(1);
    return (
      shape?.reduce<number>((size, dim) => size * (typeof dim === "number" ? dim : Number.NaN), 1) ??
      Number.NaN
    );
  };
  const lastUse = new Map(
    steps.flatMap((step, index) => readsOf(step).map((name) => [name, index] as const)),
  );
  const inputs = subject.model.graph.inputs.map(({ name }) => name);
  const live = new Set(inputs);
  let most = 0;
  for (const [index, step] of steps.entries()) {
    for (const name of makesOf(step)) live.add(name);
    // Two float networks at most, and as much again for what a step makes while it runs.
    const held = [...live].reduce((sum, name) => sum + 8 * sizeOf(name), 0);
    const working = makesOf(step).reduce((sum, name) => sum + 8 * sizeOf(name), 0);
    most = Math.max(most, held + working);
    for (const name of readsOf(step))
      if ((lastUse.get(name) ?? -1) <= index && !inputs.includes(name)) live.delete(name);
  }
  return Number.isFinite(most) ? most : undefined;
}
