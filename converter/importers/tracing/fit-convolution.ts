// Which convolution geometry a sum of distances has, if it has one: derived from labels and checked for every output.

import { elementCount } from "../../../src/core/tensor.ts";
import type { ConstantViews } from "./constant-views.ts";
import { type LabelView, reshape, tableOver, variesAlong } from "./label-view.ts";
import { decodeLabel, type LabelCode } from "./source-labels.ts";
import { mapSum, type Offset, type Reading, type SumLabels, type Term } from "./sum-labels.ts";
import { commonFactor } from "./sums.ts";

/** Trailing padding that gives the output length: any from `least` to `most` reads the same elements. */
export interface PadRange {
  readonly least: number;
  readonly most: number;
}

export interface AxisFit {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly begin: number;
  readonly end: PadRange;
  /** Whether more than one output shows the stride. */
  readonly strideIsShown: boolean;
}

export interface ConvolutionFit {
  readonly height: AxisFit;
  readonly width: AxisFit;
  readonly group: number;
  /** [M, C/group, KH, KW]. */
  readonly weightDims: readonly [number, number, number, number];
  readonly weight: Float64Array;
  /** Per filter; absent when no constant is added. */
  readonly bias?: Float64Array;
  /** The sum is factor · Σ|x - w|: -1 for an adder layer. */
  readonly factor: number;
}

/** One term with each axis of the result [N, M, OH, OW] apart. */
interface TermTables {
  readonly stepY: number | undefined;
  readonly stepX: number | undefined;
  /** First channel read by each filter, from that of filter 0. */
  readonly channels: readonly number[];
  readonly taps: readonly Tap[];
  weightLabel(tap: number, filter: number): number;
}

interface Tap {
  readonly c: number;
  readonly h: number;
  readonly w: number;
}

/** k when values are 0, k·unit, 2k·unit …; "none" when there is one value; undefined otherwise. */
function arithmeticStep(values: Float64Array | undefined, unit: number): number | "none" | undefined {
  if (values === undefined) return undefined;
  if (values.length === 1) return "none";
  const step = values[1]! / unit;
  if (!Number.isInteger(step) || step < 1) return undefined;
  return values.every((value, at) => value === at * step * unit) ? step : undefined;
}

function channelOffsets(values: Float64Array | undefined, unit: number): number[] | undefined {
  if (values === undefined) return undefined;
  const offsets = Array.from(values, (value) => value / unit);
  return offsets.every(Number.isInteger) ? offsets : undefined;
}

/** How to find the label of a weight by tap and filter: as a sum where it is one, else from a table over both. */
function weightLabels(view: LabelView, hidden: readonly number[], filters: number) {
  const [perTap, perFilter] = [tableOver(view, hidden), tableOver(view, [hidden.length + 1])];
  if (perTap && perFilter) {
    return (tap: number, filter: number) => view.base + perTap[tap]! + perFilter[filter]!;
  }
  const both = tableOver(view, [...hidden, hidden.length + 1]);
  return both && ((tap: number, filter: number) => view.base + both[tap * filters + filter]!);
}

/** More taps per output than any layer has. */
const mostTaps = 1 << 22;

/** Takes a term apart by axes; undefined when places or weights depend on several axes at once in a way no convolution has. */
function termTables({ data, weight, lead }: Term, code: LabelCode): TermTables | undefined {
  const { steps } = code;
  const hidden = Array.from({ length: lead }, (_, axis) => axis);
  if (elementCount(data.dims.slice(0, lead)) > mostTaps) return undefined;
  const [n, m, y, x] = [lead, lead + 1, lead + 2, lead + 3] as const;
  const batch = arithmeticStep(tableOver(data, [n]), steps.n);
  const [stepY, stepX] = [
    arithmeticStep(tableOver(data, [y]), steps.h),
    arithmeticStep(tableOver(data, [x]), steps.w),
  ];
  const channels = channelOffsets(tableOver(data, [m]), steps.c);
  const places = tableOver(data, hidden);
  if ((batch !== 1 && batch !== "none") || stepY === undefined || stepX === undefined) return undefined;
  if (channels === undefined || places === undefined || variesAlong(weight, [n, y, x])) return undefined;
  const weightLabel = weightLabels(weight, hidden, data.dims[m]!);
  const taps = Array.from(places, (place) => decodeLabel(code, data.base + place));
  if (weightLabel === undefined || taps.some((tap) => tap.n !== 0)) return undefined;
  const shown = (step: number | "none") => (step === "none" ? undefined : step);
  return { stepY: shown(stepY), stepX: shown(stepX), channels, taps, weightLabel };
}

/** Distinct values in order when they are evenly spaced. */
function evenlySpaced(values: Iterable<number>): { first: number; count: number; step: number } | undefined {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const step = sorted.length > 1 ? sorted[1]! - sorted[0]! : 1;
  if (sorted.some((value, at) => value !== sorted[0]! + at * step)) return undefined;
  return { first: sorted[0]!, count: sorted.length, step };
}

interface AxisPlaces {
  /** Places of the kernel's taps for the first output. */
  readonly taps: { readonly first: number; readonly count: number; readonly step: number };
  /** Undefined when there is a single output. */
  readonly stride: number | undefined;
  readonly size: number;
  /** How far beyond an edge labels tell places of this axis from others. */
  readonly reach: number;
  readonly outputs: number;
  /** How far the graph pads beyond the end. */
  readonly padEnd: number;
}

const extentOf = ({ taps }: AxisPlaces): number => (taps.count - 1) * taps.step + 1;

/** The least stride that leaves a single output as the graph pads: a smaller one would make room for a second. */
function leastStride(axis: AxisPlaces): number {
  const room = axis.size - axis.taps.first + axis.padEnd - extentOf(axis);
  return Math.max(1, room + 1);
}

/** Strides of height and width; axes with a single output take the least that leaves it single, one for both. */
function stridesOf(height: AxisPlaces, width: AxisPlaces): [number, number] {
  const hidden = [height, width].filter(({ stride }) => stride === undefined).map(leastStride);
  return [height.stride ?? Math.max(...hidden), width.stride ?? Math.max(...hidden)];
}

function fitAxis(axis: AxisPlaces, stride: number): AxisFit | undefined {
  const { taps, size, outputs, reach } = axis;
  const begin = 0 - taps.first;
  // A step further than labels reach is one along another axis: of rows, where this axis is the columns.
  if (taps.first + (outputs - 1) * stride + extentOf(axis) > size + reach) return undefined;
  const least = (outputs - 1) * stride + extentOf(axis) - size - begin;
  const end = { least: Math.max(0, least), most: least + stride - 1 };
  if (begin < 0 || end.most < end.least) return undefined;
  return {
    kernel: taps.count,
    stride,
    dilation: taps.step,
    begin,
    end,
    strideIsShown: axis.stride !== undefined,
  };
}

/** Group g of filters reads channels from g·C/group on, for every filter. */
function groupCount(channels: number, perGroup: number, offsets: readonly number[]): number | undefined {
  const group = channels / perGroup;
  if (!Number.isInteger(group) || offsets.length % group !== 0) return undefined;
  const filtersPerGroup = offsets.length / group;
  return offsets.every((offset, m) => offset === Math.floor(m / filtersPerGroup) * perGroup)
    ? group
    : undefined;
}

interface TapSlot {
  readonly term: TermTables;
  readonly tap: number;
}

/** The tap of each place (c, i, j) of the kernel; every place must be read exactly once. */
function kernelSlots(
  terms: readonly TermTables[],
  rows: { first: number; count: number; step: number },
  columns: { first: number; count: number; step: number },
  perGroup: number,
): TapSlot[] | undefined {
  const slots = new Array<TapSlot | undefined>(perGroup * rows.count * columns.count);
  let filled = 0;
  for (const term of terms) {
    for (let tap = 0; tap < term.taps.length; tap++) {
      const { c, h, w } = term.taps[tap]!;
      const [i, j] = [(h - rows.first) / rows.step, (w - columns.first) / columns.step];
      const slot = (c * rows.count + i) * columns.count + j;
      if (slots[slot] !== undefined) return undefined;
      slots[slot] = { term, tap };
      filled++;
    }
  }
  return filled === slots.length ? (slots as TapSlot[]) : undefined;
}

function gatherWeights(slots: readonly TapSlot[], filters: number, constants: ConstantViews): Float64Array {
  const weight = new Float64Array(filters * slots.length);
  let at = 0;
  for (let m = 0; m < filters; m++) {
    for (const { term, tap } of slots) weight[at++] = constants.at(term.weightLabel(tap, m));
  }
  return weight;
}

/** Constants added, per filter; undefined when one differs between places of an output map. */
function gatherBias(
  offsets: readonly Offset[],
  filters: number,
  constants: ConstantViews,
): Float64Array | undefined {
  const bias = new Float64Array(filters);
  for (const { factor, value } of offsets) {
    const perFilter = tableOver(value, [1]);
    if (perFilter === undefined || variesAlong(value, [0, 2, 3])) return undefined;
    for (let m = 0; m < filters; m++) bias[m] = bias[m]! + factor * constants.at(value.base + perFilter[m]!);
  }
  return bias;
}

const same = (values: readonly unknown[]): boolean => values.every((value) => value === values[0]);

/** The sum's views with `dims` in place of its own dims, hidden axes kept. */
function withDims(sum: SumLabels, dims: readonly number[]): SumLabels | undefined {
  return mapSum(sum, dims, (view, lead) => reshape(view, [...view.dims.slice(0, lead), ...dims]));
}

/**
 * The convolution that `sum` is when its value is read as [N, M, OH, OW] = `dims`: one kernel, stride, padding, dilation and group for all
 * outputs, each place of the kernel read exactly once. Undefined when there is none.
 */
export function fitConvolution(
  sum: SumLabels,
  dims: readonly [number, number, number, number],
  { code, constants, padEnd }: Pick<Reading, "code" | "constants" | "padEnd">,
): ConvolutionFit | undefined {
  if (elementCount(dims) !== elementCount(sum.dims) || dims[0] !== code.size[0]) return undefined;
  const factor = commonFactor(sum.terms.map((term) => term.factor));
  const arranged = factor === undefined ? undefined : withDims(sum, dims);
  if (factor === undefined || arranged === undefined) return undefined;
  const tables = arranged.terms.map((term) => termTables(term, code));
  if (tables.includes(undefined)) return undefined;
  const terms = tables as TermTables[];
  const first = terms[0]!;
  const agree = [
    terms.map(({ stepY }) => stepY),
    terms.map(({ stepX }) => stepX),
    terms.map(({ channels }) => channels.join()),
  ];
  if (!agree.every(same)) return undefined;
  const taps = terms.flatMap((term) => term.taps);
  const [depth, rows, columns] = (["c", "h", "w"] as const).map((axis) =>
    evenlySpaced(taps.map((tap) => tap[axis])),
  );
  if (!depth || !rows || !columns || depth.first !== 0 || depth.step !== 1) return undefined;
  const group = groupCount(code.size[1], depth.count, first.channels);
  const slots = kernelSlots(terms, rows, columns, depth.count);
  const axis = (at: 0 | 1, found: Pick<AxisPlaces, "taps" | "stride" | "padEnd">): AxisPlaces => ({
    ...found,
    size: code.size[at + 2]!,
    reach: code.reach[at],
    outputs: dims[at + 2]!,
  });
  const y = axis(0, { taps: rows, stride: first.stepY, padEnd: padEnd.h });
  const x = axis(1, { taps: columns, stride: first.stepX, padEnd: padEnd.w });
  const strides = stridesOf(y, x);
  const [height, width] = [fitAxis(y, strides[0]), fitAxis(x, strides[1])];
  if (group === undefined || !slots || !height || !width) return undefined;
  const bias = arranged.offsets.length > 0 ? gatherBias(arranged.offsets, dims[1], constants) : undefined;
  if (arranged.offsets.length > 0 && bias === undefined) return undefined;
  return {
    height,
    width,
    group,
    factor,
    weightDims: [dims[1], depth.count, rows.count, columns.count],
    weight: gatherWeights(slots, dims[1], constants),
    ...(bias && { bias }),
  };
}
