// Which sums of distances in a graph are adder layers: from which source, up to which value, with which geometry.

import { isFloat } from "../../../src/core/dtype.ts";
import type { Graph, Node } from "../../../src/core/ir/model.ts";
import { elementCount } from "../../../src/core/tensor.ts";
import type { ConcreteFacts } from "./concrete-facts.ts";
import { type AxisFit, type ConvolutionFit, fitConvolution } from "./fit-convolution.ts";
import { type Layout, type LayoutPair, layoutPairs, lengthOf, toCanonical } from "./layouts.ts";
import { longestAxis, movedInputs } from "./movement.ts";
import { arrangeSum, type Reading, readFrom } from "./sum-labels.ts";
import { distancesIn, factorOf, findSums, partsOf, type Sum } from "./sums.ts";

export interface Geometry {
  readonly strides: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly group: number;
}

export interface LayerMatch {
  /** The value that is the layer's X, in its layout. */
  readonly source: string;
  readonly sourceLayout: Layout;
  /** The value that is the layer's Y, in its layout. */
  readonly value: string;
  readonly valueLayout: Layout;
  readonly geometry: Geometry;
  readonly fit: ConvolutionFit;
  readonly sum: Sum;
  /** Constants the weights came from, as the graph names them. */
  readonly constants: readonly string[];
}

/** A sum over distances that is no adder layer as far as can be told. */
export interface UnmatchedSum {
  readonly value: string;
  readonly sum: Sum;
}

/** One graph under one binding. */
interface Scene {
  readonly graph: Graph;
  readonly facts: ConcreteFacts;
  readonly producer: ReadonlyMap<string, Node>;
  readonly sums: ReadonlyMap<string, Sum>;
  /** Position of each value's node in the graph. */
  readonly order: ReadonlyMap<string, number>;
  /** How many nodes read the elements of a value, graph outputs included. */
  readonly readers: ReadonlyMap<string, number>;
  /** Values of layers already found: no trace goes past them. */
  readonly barriers: Set<string>;
}

/** A sum read from a source, when it fits. */
interface Fitted {
  readonly sum: Sum;
  readonly source: string;
  readonly sourceLayout: Layout;
  readonly valueLayout: Layout;
  readonly fit: ConvolutionFit;
  readonly reading: Reading;
}

function countReaders(graph: Graph): Map<string, number> {
  const readers = new Map<string, number>();
  const count = (name: string) => readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const node of graph.nodes) if (node.opType !== "Shape") new Set(node.inputs).forEach(count);
  for (const { name } of graph.outputs) count(name);
  return readers;
}

function sceneOf(graph: Graph, facts: ConcreteFacts): Scene {
  const made = graph.nodes.flatMap((node, at) => node.outputs.map((name) => ({ name, node, at })));
  return {
    graph,
    facts,
    producer: new Map(made.map(({ name, node }) => [name, node])),
    sums: findSums(graph, facts),
    order: new Map(made.map(({ name, at }) => [name, at])),
    readers: countReaders(graph),
    barriers: new Set(),
  };
}

/** Values that `name` was moved from, itself included. */
function movedFrom(name: string, { producer, facts, barriers }: Scene): Set<string> {
  const found = new Set([name]);
  for (const value of found) {
    const node = barriers.has(value) ? undefined : producer.get(value);
    for (const input of node ? movedInputs(node) : [])
      if (facts.constant(input) === undefined) found.add(input);
  }
  return found;
}

/** X and Y of a layer are float tensors of one type; lengths beyond all feature maps are not followed. */
function canBeSource(name: string, { value }: Sum, { facts }: Scene): boolean {
  const [dims, type] = [facts.dims(name), facts.type(name)];
  const isBounded = dims?.every((length) => length > 0 && length <= longestAxis) ?? false;
  return isBounded && type !== undefined && isFloat(type) && type === facts.type(value);
}

/** Of longer runs of movement only the first and last values are tried. */
const mostSources = 24;

/** Values that every distance in `sum` can be read from, those furthest back first. */
function possibleSources(sum: Sum, scene: Scene): string[] {
  let common: Set<string> | undefined;
  for (const data of new Set(distancesIn(sum).map((distance) => distance.data))) {
    const reached = movedFrom(data, scene);
    common = common === undefined ? reached : new Set([...common].filter((name) => reached.has(name)));
  }
  const possible = [...(common ?? [])].filter((name) => canBeSource(name, sum, scene));
  possible.sort((a, b) => (scene.order.get(a) ?? -1) - (scene.order.get(b) ?? -1));
  return possible.length <= 2 * mostSources
    ? possible
    : [...possible.slice(0, mostSources), ...possible.slice(-mostSources)];
}

type MapDims = readonly [n: number, m: number, oh: number, ow: number];

/** The shapes [N, M, OH, OW] that a value of this layout may stand for; all ways to part l where it has one. */
function resultDims(dims: readonly number[], layout: Layout): MapDims[] {
  const [n, m, y, x] = (["n", "c", "h", "w"] as const).map((letter) =>
    lengthOf(layout, dims, letter),
  ) as number[];
  const places = dims[layout.indexOf("l")];
  if (places === undefined) return [[n!, m!, y!, x!]];
  const heights = Array.from({ length: places }, (_, at) => at + 1).filter((height) => places % height === 0);
  return heights.map((height) => [n!, m!, height, places / height] as const);
}

function fitSum(sum: Sum, layout: Layout, reading: Reading): ConvolutionFit | undefined {
  const [size, labels] = [lengthOf(layout, sum.dims, "n"), reading.labels(sum)];
  if (labels === undefined || size !== reading.code.size[0]) return undefined;
  const arranged = arrangeSum(labels, toCanonical(layout));
  for (const dims of resultDims(sum.dims, layout)) {
    const fit = fitConvolution(arranged, dims, reading);
    if (fit !== undefined) return fit;
  }
  return undefined;
}

/** The sum and those it was made from by steps with one operand, the first made first. */
function chainOf(end: Sum): Sum[] {
  const chain = [end];
  for (let sum = end; sum.kind === "moved" || sum.kind === "scaled" || sum.kind === "shifted"; ) {
    sum = sum.of;
    chain.push(sum);
  }
  return chain.reverse();
}

function isSummed(sum: Sum): boolean {
  const parts = new Set([sum]);
  for (const part of parts) {
    if (part.kind === "reduced" || part.kind === "added") return true;
    for (const inner of partsOf(part)) parts.add(inner);
  }
  return false;
}

/** The first of a chain that fits: an adder layer (factor -1) before a sum of another factor, usual layouts before others. */
function firstFit(chain: readonly Sum[], scene: Scene): Fitted | undefined {
  const sources = possibleSources(chain[0]!, scene);
  const read = memoised((source: string, layout: Layout) => readFrom({ ...scene, source, layout }));
  const fitOf = memoised((at: number, valueLayout: Layout, source: string, sourceLayout: Layout) =>
    fitSum(chain[at]!, valueLayout, read(source, sourceLayout)),
  );
  const rank = (source: string): number => scene.facts.dims(source)!.length;
  const count = (source: string): number => elementCount(scene.facts.dims(source)!);
  const whole = sources.filter((source) => count(source) === count(sources[0]!));
  const known = new Map<Sum, number | undefined>();
  const factors = chain.map((sum) => factorOf(sum, known));
  const firstIn = (pair: LayoutPair, isWanted: (factor: number) => boolean): Fitted | undefined => {
    const tried = (pair.isUnusual ? whole : sources).filter((each) => rank(each) === pair.source.length);
    for (const [at, sum] of chain.entries()) {
      const factor = factors[at];
      if (factor === undefined || !isWanted(factor) || sum.dims.length !== pair.value.length) continue;
      for (const source of tried) {
        const fit = fitOf(at, pair.value, source, pair.source);
        if (fit === undefined) continue;
        const reading = read(source, pair.source);
        return { sum, source, valueLayout: pair.value, sourceLayout: pair.source, fit, reading };
      }
    }
    return undefined;
  };
  for (const isWanted of [(factor: number) => factor === -1, (factor: number) => factor !== -1]) {
    for (const pair of layoutPairs) {
      const found = firstIn(pair, isWanted);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** The function with its answers kept by arguments. */
function memoised<A extends readonly (string | number)[], R>(answer: (...args: A) => R): (...args: A) => R {
  const known = new Map<string, R>();
  return (...args) => {
    const key = JSON.stringify(args);
    if (!known.has(key)) known.set(key, answer(...args));
    return known.get(key)!;
  };
}

/** A constant per filter added right after the layer belongs to it. */
function withBias(fitted: Fitted, chain: readonly Sum[], scene: Scene): Fitted {
  const next = chain[chain.indexOf(fitted.sum) + 1];
  if (next?.kind !== "shifted" || fitted.fit.factor !== -1) return fitted;
  if (scene.readers.get(fitted.sum.value) !== 1 || next.dims.join() !== fitted.sum.dims.join()) return fitted;
  const fit = fitSum(next, fitted.valueLayout, fitted.reading);
  return fit === undefined ? fitted : { ...fitted, sum: next, fit };
}

/** Operands of nested additions, in one list. */
function addends(sum: Sum): readonly Sum[] {
  const parts = new Set([sum]);
  for (const part of parts) {
    if (part.kind === "added" || part.kind === "scaled") for (const inner of partsOf(part)) parts.add(inner);
  }
  return [...parts].filter(({ kind }) => kind !== "added" && kind !== "scaled");
}

/** More addends than this are the places of a kernel; fewer may be layers that are added. */
const mostLayersAdded = 4;

/** Layers in the sum that ends in `end`: itself, or else those among its parts. */
function fitEnd(end: Sum, scene: Scene, found: Fitted[]): void {
  const chain = chainOf(end);
  if (chain.some(({ value }) => scene.barriers.has(value))) return;
  if (!isSummed(chain[0]!)) return;
  const fitted = firstFit(chain, scene);
  if (fitted === undefined) {
    if (addends(chain[0]!).length > mostLayersAdded) return;
    for (const part of partsOf(chain[0]!)) fitEnd(part, scene, found);
    return;
  }
  const layer = withBias(fitted, chain, scene);
  scene.barriers.add(layer.sum.value);
  found.push(layer);
}

/** Sums that no other sum is made of. */
function endsOf(sums: ReadonlyMap<string, Sum>): Sum[] {
  const used = new Set<string>();
  for (const sum of sums.values()) for (const part of partsOf(sum)) used.add(part.value);
  return [...sums.values()].filter(({ value }) => !used.has(value));
}

function equalNumbers(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && Array.prototype.every.call(a, (value, at) => value === b[at]);
}

/** Both fits as one, or undefined when they are not the same layer. */
function agreedAxis(a: AxisFit, b: AxisFit): AxisFit | undefined {
  const shown = a.strideIsShown || !b.strideIsShown ? a : b;
  const end = { least: Math.max(a.end.least, b.end.least), most: Math.min(a.end.most, b.end.most) };
  const sameStride = a.stride === b.stride || a.strideIsShown !== b.strideIsShown;
  const same = a.kernel === b.kernel && a.dilation === b.dilation && a.begin === b.begin;
  return same && sameStride && end.least <= end.most ? { ...shown, end } : undefined;
}

function agreedFit(a: ConvolutionFit, b: ConvolutionFit): ConvolutionFit | undefined {
  const [height, width] = [agreedAxis(a.height, b.height), agreedAxis(a.width, b.width)];
  const same = a.group === b.group && a.factor === b.factor && a.weightDims.join() === b.weightDims.join();
  if (!same || !height || !width || !equalNumbers(a.weight, b.weight)) return undefined;
  if (!equalNumbers(a.bias ?? [], b.bias ?? [])) return undefined;
  return { ...a, height, width };
}

/** What the graph pads by when that is among the possible lengths, else as much as at the beginning, else the least. */
function trailingPad({ end, begin }: AxisFit, padded: number): number {
  return [padded, begin].find((length) => length >= end.least && length <= end.most) ?? end.least;
}

function geometryOf({ height, width, group }: ConvolutionFit, padEnd: { h: number; w: number }): Geometry {
  return {
    strides: [height.stride, width.stride],
    pads: [height.begin, width.begin, trailingPad(height, padEnd.h), trailingPad(width, padEnd.w)],
    dilations: [height.dilation, width.dilation],
    group,
  };
}

/** The layer as the other binding shows it. */
function refit(fitted: Fitted, scene: Scene): ConvolutionFit | undefined {
  const sum = scene.sums.get(fitted.sum.value);
  if (sum === undefined || scene.facts.dims(fitted.source) === undefined) return undefined;
  const { source, sourceLayout, valueLayout } = fitted;
  return fitSum(sum, valueLayout, readFrom({ ...scene, source, layout: sourceLayout }));
}

/**
 * Adder layers among the standard ops of `graph`. With two readings of the facts (two bindings of the free lengths) a layer counts when
 * both show the same one. Layers come in the order of the graph.
 */
export function matchLayers(graph: Graph, facts: ConcreteFacts, otherFacts?: ConcreteFacts): LayerMatch[] {
  const scene = sceneOf(graph, facts);
  const found: Fitted[] = [];
  for (const end of endsOf(scene.sums)) fitEnd(end, scene, found);
  const other = otherFacts && sceneOf(graph, otherFacts);
  for (const { sum } of found) other?.barriers.add(sum.value);
  return found.flatMap((fitted) => {
    const { sum, source, sourceLayout, valueLayout, reading } = fitted;
    const second = other ? refit(fitted, other) : fitted.fit;
    const fit = second && (second === fitted.fit ? second : agreedFit(fitted.fit, second));
    if (fit === undefined) return [];
    const geometry = geometryOf(fit, reading.padEnd);
    const constants = reading.constants.names;
    return [{ source, sourceLayout, value: sum.value, valueLayout, geometry, fit, sum, constants }];
  });
}

/** Reductions of distances, whether or not they are adder layers: what a reader of the graph would take for one. */
export function summedDistances(graph: Graph, facts: ConcreteFacts): Sum[] {
  return endsOf(findSums(graph, facts)).filter(isSummed);
}
