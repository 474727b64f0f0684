// Which sums of distances in a graph are adder layers: from which source, up to which value, with which geometry.

import type { Graph, Node } from "../../../src/core/ir/model.ts";
import type { ConcreteFacts } from "./concrete-facts.ts";
import { type AxisFit, type ConvolutionFit, fitConvolution } from "./fit-convolution.ts";
import { isMovement } from "./movement.ts";
import { type Reading, readFrom } from "./sum-labels.ts";
import { distancesIn, findSums, partsOf, type Sum } from "./sums.ts";

/** How the value of a layer is laid out: [N, M, OH, OW], [N, M] (one place) or [N, M, OH·OW]. */
export type Layout = "maps" | "vector" | "sequence";

export interface Geometry {
  readonly strides: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly group: number;
}

export interface LayerMatch {
  /** The value that is the layer's X, and its rank. */
  readonly source: string;
  readonly sourceRank: number;
  /** The value that is the layer's Y. */
  readonly value: string;
  readonly layout: Layout;
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
  readonly layout: Layout;
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
    const node = producer.get(value);
    if (node === undefined || !isMovement(node) || barriers.has(value)) continue;
    const inputs = node.opType === "Concat" ? node.inputs : node.inputs.slice(0, 1);
    for (const input of inputs) if (facts.constant(input) === undefined) found.add(input);
  }
  return found;
}

/** Values that every distance in `sum` can be read from, those furthest back first. */
function possibleSources(sum: Sum, scene: Scene): string[] {
  let common: Set<string> | undefined;
  for (const data of new Set(distancesIn(sum).map((distance) => distance.data))) {
    const reached = movedFrom(data, scene);
    common = common === undefined ? reached : new Set([...common].filter((name) => reached.has(name)));
  }
  const known = [...(common ?? [])].filter((name) => scene.facts.dims(name) !== undefined);
  return known.sort((a, b) => (scene.order.get(a) ?? -1) - (scene.order.get(b) ?? -1));
}

type MapDims = readonly [n: number, m: number, oh: number, ow: number];

/** The shapes [N, M, OH, OW] that a value of this layout may stand for. */
function resultDims(dims: readonly number[], layout: Layout): MapDims[] {
  const [n, m, y, x] = dims as [number, number, number, number];
  if (layout === "maps") return [[n, m, y, x]];
  if (layout === "vector") return [[n, m, 1, 1]];
  const heights = Array.from({ length: y }, (_, at) => at + 1).filter((height) => y % height === 0);
  return heights.map((height) => [n, m, height, y / height] as const);
}

function fitSum(sum: Sum, layout: Layout, reading: Reading): ConvolutionFit | undefined {
  const labels = reading.labels(sum);
  if (labels === undefined) return undefined;
  for (const dims of resultDims(sum.dims, layout)) {
    const fit = fitConvolution(labels, dims, reading.code, reading.pool);
    if (fit !== undefined) return fit;
  }
  return undefined;
}

const layoutOfRank: Readonly<Record<number, Layout>> = { 4: "maps", 2: "vector", 3: "sequence" };

/** Ranks of value and source in the order in which they are tried. */
const rankPairs: readonly (readonly [value: number, source: number])[] = [
  [4, 4],
  [2, 2],
  [4, 2],
  [2, 4],
  [3, 4],
];

/** The sum and those it was made from by steps with one operand, the first made first. */
function chainOf(end: Sum): Sum[] {
  const chain = [end];
  for (let sum = end; sum.kind === "moved" || sum.kind === "scaled" || sum.kind === "shifted"; ) {
    sum = sum.of;
    chain.unshift(sum);
  }
  return chain;
}

function isSummed(sum: Sum): boolean {
  return sum.kind === "reduced" || sum.kind === "added" || partsOf(sum).some(isSummed);
}

/** The first of a chain that fits: an adder layer (factor -1) before a sum of another factor, usual ranks before others. */
function firstFit(chain: readonly Sum[], scene: Scene): Fitted | undefined {
  const sources = possibleSources(chain[0]!, scene);
  const readings = new Map<string, Reading>();
  const fits = new Map<string, ConvolutionFit | undefined>();
  const read = (source: string): Reading => {
    const reading = readings.get(source) ?? readFrom({ ...scene, source });
    readings.set(source, reading);
    return reading;
  };
  for (const wanted of [(factor: number) => factor === -1, () => true]) {
    for (const [valueRank, sourceRank] of rankPairs) {
      for (const sum of chain.filter(({ dims }) => dims.length === valueRank)) {
        for (const source of sources) {
          if (scene.facts.dims(source)!.length !== sourceRank) continue;
          const key = JSON.stringify([chain.indexOf(sum), source]);
          const layout = layoutOfRank[valueRank]!;
          if (!fits.has(key)) fits.set(key, fitSum(sum, layout, read(source)));
          const fit = fits.get(key);
          if (fit && wanted(fit.factor)) return { sum, source, layout, fit, reading: read(source) };
        }
      }
    }
  }
  return undefined;
}

/** A constant per filter added right after the layer belongs to it. */
function withBias(fitted: Fitted, chain: readonly Sum[], scene: Scene): Fitted {
  const next = chain[chain.indexOf(fitted.sum) + 1];
  if (next?.kind !== "shifted" || fitted.fit.factor !== -1 || fitted.layout !== "maps") return fitted;
  if (scene.readers.get(fitted.sum.value) !== 1) return fitted;
  const fit = fitSum(next, fitted.layout, fitted.reading);
  return fit === undefined ? fitted : { ...fitted, sum: next, fit };
}

/** Layers in the sum that ends in `end`: itself, or else those among its parts. */
function fitEnd(end: Sum, scene: Scene, found: Fitted[]): void {
  const chain = chainOf(end);
  if (chain.some(({ value }) => scene.barriers.has(value))) return;
  const fitted = firstFit(chain.filter(isSummed), scene);
  if (fitted === undefined) {
    for (const part of partsOf(chain[0]!)) if (isSummed(part)) fitEnd(part, scene, found);
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
  return fitSum(sum, fitted.layout, readFrom({ ...scene, source: fitted.source }));
}

/**
 * Adder layers among the standard ops of `graph`. With two readings of the facts (two bindings of the free lengths) a layer counts when
 * both show the same one. Layers come in the order of the graph.
 */
export function matchLayers(graph: Graph, facts: ConcreteFacts, otherFacts?: ConcreteFacts): LayerMatch[] {
  const scene = sceneOf(graph, facts);
  const found: Fitted[] = [];
  for (const end of endsOf(scene.sums)) if (isSummed(end)) fitEnd(end, scene, found);
  const other = otherFacts && sceneOf(graph, otherFacts);
  for (const { sum } of found) other?.barriers.add(sum.value);
  return found.flatMap((fitted) => {
    const { sum, source, layout, reading } = fitted;
    const second = other ? refit(fitted, other) : fitted.fit;
    const fit = second && agreedFit(fitted.fit, second);
    if (fit === undefined) return [];
    const sourceRank = facts.dims(source)!.length;
    const geometry = geometryOf(fit, reading.padEnd);
    return [{ source, sourceRank, value: sum.value, layout, geometry, fit, sum, constants: reading.pool.names }];
  });
}

/** Reductions of distances, whether or not they are adder layers: what a reader of the graph would take for one. */
export function summedDistances(graph: Graph, facts: ConcreteFacts): Sum[] {
  return endsOf(findSums(graph, facts)).filter(isSummed);
}
