// Fitting one adder layer to targets: weights by gradient steps on random positions, scale and bias of every filter in closed
// form at each step.

import {
  channelValues,
  drawPositions,
  gatherColumns,
  gatherTargets,
  type LayerData,
  type Pixels,
  type Positions,
  pixelsOf,
} from "./columns.ts";
import { type FitKernels, loadFitKernels } from "./kernels/load.ts";
import { addPairs, solveLine, startMoments } from "./least-squares.ts";
import { matchSlopes, type SlopeCurve, slopeCurve } from "./slope.ts";

export interface FitSettings {
  /** Gradient steps per layer; 0 leaves what slope matching gives. */
  readonly steps: number;
  /** Output positions per step. */
  readonly positions: number;
  /** First step of Adam, in standard deviations of the layer's input; it falls to 0 along a cosine. */
  readonly rate: number;
}

export interface LayerFit {
  /** OIHW */
  readonly weight: Float32Array;
  /** Share of the targets' variance explained on a random draw of positions: by slope matching alone, and at the end. */
  readonly r2Start: number;
  readonly r2: number;
}

/** Values of an input channel that slope matching looks at, and positions of the draw that fits are judged on. */
const curveSamples = 4096;
const judgedPositions = 4096;

/** Kernels over a memory that grows with the largest layer. */
export interface Fitter {
  fit(
    data: LayerData,
    weight: Float32Array,
    dims: readonly [number, number, number, number],
    settings: FitSettings,
    uniform: () => number,
    onStep: (share: number) => Promise<void>,
  ): Promise<LayerFit>;
}

/** Where the arrays of one group of filters lie, as views and as addresses. */
interface Workspace {
  readonly columns: Float32Array;
  readonly sums: Float32Array;
  readonly targets: Float32Array;
  readonly weight: Float32Array;
  readonly gradient: Float32Array;
}

interface Group {
  readonly filters: number;
  readonly taps: number;
  readonly firstFilter: number;
  readonly channels: number;
  readonly firstChannel: number;
}

/** The kernels read and write whole vectors. */
const rowOf = (count: number): number => Math.ceil(count / 4) * 4;

function place(memory: WebAssembly.Memory, { filters, taps }: Group, positions: number): Workspace {
  const row = rowOf(positions);
  const lengths = [taps * row, filters * row, filters * row, filters * taps, filters * taps];
  // The kernels may read up to a tile beyond the last row.
  const starts = lengths.map(
    (_, index) =>
      16 * Math.ceil((64 + 4 * lengths.slice(0, index).reduce((a, b) => a + b, 0)) / 16) + 64 * index,
  );
  const end = starts.at(-1)! + 4 * lengths.at(-1)! + 64;
  const missing = Math.ceil((end - memory.buffer.byteLength) / 65536);
  if (missing > 0) memory.grow(missing);
  const view = (index: number) => new Float32Array(memory.buffer, starts[index]!, lengths[index]!);
  return { columns: view(0), sums: view(1), targets: view(2), weight: view(3), gradient: view(4) };
}

function gather(
  { data, pixels }: FitData,
  positions: Positions,
  group: Group,
  work: Workspace,
  row: number,
): void {
  work.columns.fill(0);
  gatherColumns(data, pixels, positions, group.firstChannel, group.channels, work.columns, row);
  gatherTargets(data, positions, group.firstFilter, group.filters, work.targets, row);
}

function runSums(kernels: FitKernels, { filters, taps }: Group, work: Workspace, count: number, row: number) {
  const { columns, weight, sums } = work;
  kernels.adder(
    columns.byteOffset,
    weight.byteOffset,
    0,
    sums.byteOffset,
    filters,
    taps,
    count,
    4 * row,
    4 * row,
  );
}

/** Explained and whole variance of the targets, summed over the filters. */
interface Share {
  explained: number;
  whole: number;
}

/** Turns the sums into the gradient of ½Σ(scale·a + bias - t)² by a, each filter's line being the best for these positions. */
function turnIntoGradient(work: Workspace, filters: number, count: number, row: number): void {
  const { sums, targets } = work;
  for (let m = 0; m < filters; m++) {
    const moments = startMoments();
    addPairs(moments, sums, targets, m * row, count);
    const { scale, bias } = solveLine(moments);
    for (let index = m * row; index < m * row + count; index++) {
      sums[index] = scale * (scale * sums[index]! + bias - targets[index]!);
    }
    sums.fill(0, m * row + count, (m + 1) * row);
  }
}

function addShares(work: Workspace, filters: number, count: number, row: number, share: Share): void {
  for (let m = 0; m < filters; m++) {
    const moments = startMoments();
    addPairs(moments, work.sums, work.targets, m * row, count);
    const variance = Math.max(0, moments.tt / count - (moments.t / count) ** 2);
    share.whole += variance;
    share.explained += variance * solveLine(moments).r2;
  }
}

const shareOf = ({ explained, whole }: Share): number => (whole > 0 ? explained / whole : 1);

const momentum = 0.9;
const squareMomentum = 0.99;

/** One step of Adam down the gradient. `rate` is the length of a step whose gradient never changes. */
function descend(
  { weight, gradient }: Workspace,
  first: Float32Array,
  second: Float32Array,
  step: number,
  rate: number,
): void {
  const [correct1, correct2] = [1 - momentum ** (step + 1), 1 - squareMomentum ** (step + 1)];
  for (let index = 0; index < weight.length; index++) {
    const g = gradient[index]!;
    const mean = momentum * first[index]! + (1 - momentum) * g;
    const square = squareMomentum * second[index]! + (1 - squareMomentum) * g * g;
    first[index] = mean;
    second[index] = square;
    if (square > 0) weight[index]! -= (rate * mean) / correct1 / Math.sqrt(square / correct2);
  }
}

function spreadOf(values: readonly Float32Array[]): number {
  let [count, sum, squares] = [0, 0, 0];
  for (const part of values) {
    for (const value of part) {
      sum += value;
      squares += value * value;
    }
    count += part.length;
  }
  return Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
}

interface FitData {
  readonly data: LayerData;
  readonly pixels: Pixels;
}

interface GroupFit {
  readonly weight: Float32Array;
  readonly start: Share;
  readonly end: Share;
}

async function fitGroup(
  kernels: FitKernels,
  memory: WebAssembly.Memory,
  layer: FitData,
  initial: Float32Array,
  group: Group,
  rate: number,
  settings: FitSettings,
  uniform: () => number,
  onStep: (done: number) => Promise<void>,
): Promise<GroupFit> {
  const { filters, taps } = group;
  const { data } = layer;
  const { steps, positions } = settings;
  const [judged, row] = [Math.max(judgedPositions, positions), rowOf(positions)];
  const judgedRow = rowOf(judged);
  const work = place(memory, group, judged);
  const draw = drawPositions(data, judged, uniform);
  const judge = (): Share => {
    const share = { explained: 0, whole: 0 };
    gather(layer, draw, group, work, judgedRow);
    runSums(kernels, group, work, judged, judgedRow);
    addShares(work, filters, judged, judgedRow, share);
    return share;
  };
  work.weight.set(initial);
  const start = judge();
  const [first, second] = [new Float32Array(filters * taps), new Float32Array(filters * taps)];
  for (let step = 0; step < steps; step++) {
    gather(layer, drawPositions(data, positions, uniform), group, work, row);
    runSums(kernels, group, work, positions, row);
    turnIntoGradient(work, filters, positions, row);
    work.gradient.fill(0);
    kernels.signWeightGradient(
      work.columns.byteOffset,
      work.sums.byteOffset,
      work.weight.byteOffset,
      work.gradient.byteOffset,
      filters,
      taps,
      positions,
      4 * row,
      4 * row,
    );
    descend(work, first, second, step, (rate * (1 + Math.cos((Math.PI * step) / steps))) / 2);
    await onStep(step + 1);
  }
  const fitted = work.weight.slice();
  const end = steps > 0 ? judge() : start;
  // A fit that lost ground, as on very few positions, is not taken.
  return shareOf(end) >= shareOf(start)
    ? { weight: fitted, start, end }
    : { weight: initial, start, end: start };
}

function initialWeights(
  data: LayerData,
  weight: Float32Array,
  { filters, taps, channels, firstFilter, firstChannel }: Group,
  values: readonly Float32Array[],
): Float32Array {
  const own = values.slice(firstChannel, firstChannel + channels);
  const curves: (SlopeCurve | undefined)[] = own.map((part) => slopeCurve(part));
  const perChannel = data.kernel[0] * data.kernel[1];
  const initial = new Float32Array(filters * taps);
  for (let m = 0; m < filters; m++) {
    const filter = weight.subarray((firstFilter + m) * taps, (firstFilter + m + 1) * taps);
    const matched = matchSlopes(
      filter,
      (tap) => Math.floor(tap / perChannel),
      curves,
      (channel) => own[channel]![0] ?? 0,
    );
    initial.set(matched, m * taps);
  }
  return initial;
}

/** Errors: ADN_WASM. */
export async function startFitter(): Promise<Fitter> {
  const memory = new WebAssembly.Memory({ initial: 16 });
  const kernels = await loadFitKernels(memory);
  return {
    async fit(data, weight, dims, settings, uniform, onStep) {
      const groups = data.window.group;
      const taps = dims[1] * dims[2] * dims[3];
      const channels = data.x[0]!.dims[1];
      const values = Array.from({ length: channels }, (_, channel) =>
        channelValues(data, channel, curveSamples),
      );
      const rate = settings.rate * spreadOf(values);
      const fitted = new Float32Array(weight.length);
      const pixels = pixelsOf(data);
      const [start, end]: [Share, Share] = [
        { explained: 0, whole: 0 },
        { explained: 0, whole: 0 },
      ];
      const filters = dims[0] / groups;
      for (let index = 0; index < groups; index++) {
        const group: Group = {
          filters,
          taps,
          firstFilter: index * filters,
          channels: dims[1],
          firstChannel: index * dims[1],
        };
        const initial = initialWeights(data, weight, group, values);
        const part = await fitGroup(
          kernels,
          memory,
          { data, pixels },
          initial,
          group,
          rate,
          settings,
          uniform,
          (done) => onStep((index + done / settings.steps) / groups),
        );
        fitted.set(part.weight, index * filters * taps);
        for (const [sum, share] of [
          [start, part.start],
          [end, part.end],
        ] as const) {
          sum.explained += share.explained;
          sum.whole += share.whole;
        }
      }
      return { weight: fitted, r2Start: shareOf(start), r2: shareOf(end) };
    },
  };
}
