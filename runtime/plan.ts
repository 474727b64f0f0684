// The plan of one set of input shapes: steps in order, and for every buffer an offset in the arena such that buffers needed at
// the same time never overlap.

import { AdderNetError } from "../src/core/errors.ts";
import type { BoundGraph, BoundNode, BoundValue } from "./bind.ts";
import {
  bytesOf,
  type ConstantSources,
  type Draft,
  draftNode,
  type RaceTrack,
  type Step,
  type ValueRanges,
} from "./builder.ts";
import type { Images } from "./images.ts";
import { loweringOf } from "./lowerings.ts";
import { rangesOf } from "./ranges.ts";

export interface PlannedBuffer {
  readonly label: string;
  readonly bytes: number;
  readonly offset: number;
  /** First and last step that need it: -1 is before the first step, `steps.length` after the last. */
  readonly first: number;
  readonly last: number;
}

/** Where a fed or answered tensor is. A constant output has no buffer; an output that is an input is that feed. */
export interface PlannedValue {
  readonly value: BoundValue;
  readonly buffer?: number;
  readonly feed?: number;
}

/** First steps that are for one image of a batch, and gone through for each. */
export interface PlannedImages {
  readonly count: number;
  readonly steps: number;
  /** Bytes from image to image, by buffer; other buffers of these steps hold one image. */
  readonly strides: ReadonlyMap<number, number>;
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly buffers: readonly PlannedBuffer[];
  readonly inputs: readonly PlannedValue[];
  readonly outputs: readonly PlannedValue[];
  readonly arenaBytes: number;
  readonly images?: PlannedImages;
}

const alignment = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;
/** wasm32 addresses end at 4 GiB. */
const largestArena = 2 ** 32 - 2 ** 16;

interface Interval {
  first: number;
  last: number;
}

/** When each buffer is needed, in steps; one with all images as long as there are steps for single ones. */
function lifetimes(
  draft: Draft,
  inputs: readonly PlannedValue[],
  outputs: readonly PlannedValue[],
  images: PlannedImages | undefined,
): Interval[] {
  const intervals = draft.buffers.map((): Interval => ({ first: Number.POSITIVE_INFINITY, last: -1 }));
  const touch = (buffer: number | undefined, step: number) => {
    if (buffer === undefined) return;
    const interval = intervals[buffer]!;
    interval.first = Math.min(interval.first, step);
    interval.last = Math.max(interval.last, step);
  };
  for (const { buffer } of inputs) touch(buffer, -1);
  for (const [index, { reads, writes }] of draft.steps.entries()) {
    for (const buffer of [...reads, ...writes]) touch(buffer, index);
  }
  for (const { buffer } of outputs) touch(buffer, draft.steps.length);
  for (const buffer of images?.strides.keys() ?? []) {
    touch(buffer, 0);
    touch(buffer, images!.steps - 1);
  }
  return intervals;
}

/** For each buffer the one whose place it takes: outputs written over an input that ends in the same step. */
function sharedPlaces(draft: Draft, intervals: Interval[]): number[] {
  const place = draft.buffers.map((_, index) => index);
  for (const [index, { reads, replaces }] of draft.steps.entries()) {
    for (const { output, input } of replaces) {
      const owner = place[input]!;
      const isReadOnce = reads.filter((buffer) => place[buffer] === owner).length === 1;
      const fits = draft.buffers[output]!.bytes === draft.buffers[owner]!.bytes;
      if (!isReadOnce || !fits || intervals[owner]!.last !== index) continue;
      place[output] = owner;
      intervals[owner]!.last = intervals[output]!.last;
      break;
    }
  }
  return place;
}

interface Placed extends Interval {
  readonly offset: number;
  readonly end: number;
}

/** The lowest gap of `bytes` among buffers alive at the same time. */
function lowestGap(bytes: number, interval: Interval, placed: readonly Placed[]): number {
  const rivals = placed
    .filter((other) => other.first <= interval.last && interval.first <= other.last)
    .sort((a, b) => a.offset - b.offset);
  let offset = 0;
  for (const rival of rivals) {
    if (rival.offset - offset >= bytes) break;
    offset = Math.max(offset, rival.end);
  }
  return offset;
}

/** Offsets by size, largest first: big buffers find big gaps while there are any. */
function arrange(
  draft: Draft,
  inputs: readonly PlannedValue[],
  outputs: readonly PlannedValue[],
  images: PlannedImages | undefined,
): PlannedBuffer[] {
  const intervals = lifetimes(draft, inputs, outputs, images);
  const place = sharedPlaces(draft, intervals);
  const owners = [...draft.buffers.keys()].filter((index) => place[index] === index);
  owners.sort((a, b) => draft.buffers[b]!.bytes - draft.buffers[a]!.bytes);
  const placed: Placed[] = [];
  const offsets = new Map<number, number>();
  for (const index of owners) {
    const bytes = aligned(draft.buffers[index]!.bytes);
    const offset = lowestGap(bytes, intervals[index]!, placed);
    placed.push({ ...intervals[index]!, offset, end: offset + bytes });
    offsets.set(index, offset);
  }
  return draft.buffers.map((need, index) => ({
    ...need,
    offset: offsets.get(place[index]!)!,
    first: intervals[index]!.first,
    last: intervals[index]!.last,
  }));
}

function requireRoom(label: string, bytes: number): void {
  if (bytes <= largestArena) return;
  throw new AdderNetError("ADN_LIMIT", `"${label}" would take ${bytes} bytes`, {
    expected: `at most ${largestArena}`,
    fix: "use a smaller batch or input",
  });
}

/** Buffers that both steps for one image and others need, or the caller: they get room for all images. */
function widenBuffers(
  draft: Draft,
  { count }: Images,
  steps: number,
  { inputs, outputs }: Pick<Plan, "inputs" | "outputs">,
): PlannedImages {
  const touched = (some: readonly Step[]) => some.flatMap(({ reads, writes }) => [...reads, ...writes]);
  const given = new Set(inputs.map(({ buffer }) => buffer));
  const others = new Set<number | undefined>([...given, ...outputs.map(({ buffer }) => buffer)]);
  for (const buffer of touched(draft.steps.slice(steps))) others.add(buffer);
  const strides = new Map<number, number>();
  for (const buffer of new Set(touched(draft.steps.slice(0, steps)))) {
    if (!others.has(buffer)) continue;
    const need = draft.buffers[buffer]!;
    if (!given.has(buffer)) draft.buffers[buffer] = { ...need, bytes: need.bytes * count };
    strides.set(buffer, draft.buffers[buffer]!.bytes / count);
  }
  return { count, steps, strides };
}

/**
 * Lowers every node and gives every buffer its place. With a track, kernels that are nearly as fast race. `ranges` is what holds for the
 * values: what follows from the graph, unless the caller knows more. With `images` the first nodes are planned for one of them. Throws
 * ADN_LIMIT for what cannot fit a WebAssembly memory.
 */
export function planGraph(
  graph: BoundGraph,
  sources: ConstantSources,
  track?: RaceTrack,
  ranges: ValueRanges = rangesOf(graph),
  images?: Images,
): Plan {
  const draft: Draft = { steps: [], buffers: [], bufferOf: new Map() };
  for (const value of graph.inputs) {
    const bytes = bytesOf(value);
    requireRoom(value.name, bytes);
    draft.bufferOf.set(value.name, draft.buffers.push({ bytes, label: value.name }) - 1);
  }
  const lower = (bound: BoundNode): void => {
    for (const value of bound.outputs) if (value) requireRoom(value.name, bytesOf(value));
    draftNode(bound, draft, sources, ranges, loweringOf(bound.node)!.lower, track);
  };
  images?.one.nodes.slice(0, images.nodes).forEach(lower);
  const steps = draft.steps.length;
  graph.nodes.slice(images?.nodes).forEach(lower);
  const planned = (value: BoundValue): PlannedValue => {
    const buffer = value.constant ? undefined : draft.bufferOf.get(value.name);
    return buffer === undefined ? { value } : { value, buffer };
  };
  const inputs = graph.inputs.map(planned);
  const outputs = graph.outputs.map((value) => {
    const feed = graph.inputs.findIndex(({ name }) => name === value.name);
    return feed < 0 ? planned(value) : { value, feed };
  });
  const byImage = images && widenBuffers(draft, images, steps, { inputs, outputs });
  const buffers = arrange(draft, inputs, outputs, byImage);
  const arenaBytes = buffers.reduce((most, { offset, bytes }) => Math.max(most, offset + aligned(bytes)), 0);
  requireRoom("the arena", arenaBytes);
  return { steps: draft.steps, buffers, inputs, outputs, arenaBytes, ...(byImage && { images: byImage }) };
}
