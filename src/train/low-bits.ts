// Training for low-bit codes: adder layers see values and weights as codes of a few bits will have them, while the weights that learn stay
// float32. Gradients pass the rounding straight through.

import type { Values } from "./initialise.ts";
import {
  type FilterLayer,
  type GridOptions,
  type Layer,
  makeNetwork,
  type Network,
  type NormLayer,
} from "./network.ts";

export interface LowBits {
  readonly network: Network;
  readonly values: Map<string, Float32Array>;
}

/** Per filter of a layer: a factor on the scale behind its sums, and what is added to its bias. */
export interface Refit {
  readonly factor: readonly number[];
  readonly shift: readonly number[];
}

const gridName = (value: string): string => `${value}.grid`;

/** Every reader of a value that has a grid reads what its codes stand for; adder layers put their weights on the same grid. */
function onGrids(layer: Layer, grids: ReadonlyMap<string, GridOptions>): Layer {
  const source = (name: string): string => (grids.has(name) ? gridName(name) : name);
  const input = source(layer.input);
  if (layer.kind === "add") return { ...layer, input, other: source(layer.other) };
  const grid = layer.kind === "adder" ? grids.get(layer.input) : undefined;
  return grid === undefined ? { ...layer, input } : { ...(layer as FilterLayer), input, grid };
}

function gridLayer(value: string, grid: GridOptions): Layer {
  return { kind: "grid", name: gridName(value), input: value, output: gridName(value), ...grid };
}

/**
 * Weights moved into the range of their layer's input, where |x - w| = |x - clip(w)| + |w - clip(w)| for every x of the range; what is left
 * over is the same for all positions and goes into the mean of the norm behind.
 */
function clipWeights(
  values: Map<string, Float32Array>,
  layer: FilterLayer,
  grid: GridOptions,
  norm: NormLayer | undefined,
): void {
  const weights = values.get(layer.weight)!;
  const inside = clipped(weights, grid);
  values.set(layer.weight, inside);
  if (norm === undefined) return;
  const taps = weights.length / layer.filters;
  const mean = values.get(norm.mean)!.slice();
  for (let index = 0; index < weights.length; index++) {
    mean[Math.floor(index / taps)]! += Math.abs(weights[index]! - inside[index]!);
  }
  values.set(norm.mean, mean);
}

const clipped = (weights: Float32Array, { step, low, high }: GridOptions): Float32Array =>
  weights.map((weight) => Math.min(high * step, Math.max(low * step, weight)));

/** What a network on grids learned, its weights no farther out than their codes: the network has never seen the rest. */
export function valuesOnGrids({ layers }: Network, values: Values): Map<string, Float32Array> {
  const all = new Map(values);
  for (const layer of layers) {
    if (layer.kind !== "adder" || layer.grid === undefined) continue;
    all.set(layer.weight, clipped(values.get(layer.weight)!, layer.grid));
  }
  return all;
}

const normBehind = (layers: readonly Layer[], { output }: FilterLayer): NormLayer | undefined =>
  layers.find((layer): layer is NormLayer => layer.kind === "norm" && layer.input === output);

/** slope·(s - mean) + beta becomes factor·slope·s + (beta - slope·mean) + shift. */
function refit(values: Map<string, Float32Array>, norm: NormLayer, { factor, shift }: Refit): void {
  const { gamma, beta, mean, variance, epsilon } = norm;
  if (gamma === undefined || beta === undefined) return;
  const [scale, bias] = [values.get(gamma)!.slice(), values.get(beta)!.slice()];
  for (const [m, center] of values.get(mean)!.entries()) {
    const slope = scale[m]! / Math.sqrt(values.get(variance)![m]! + epsilon);
    bias[m]! += shift[m]! + (factor[m]! - 1) * slope * center;
    scale[m]! *= factor[m]!;
  }
  values.set(gamma, scale).set(beta, bias);
}

/**
 * The network with grids for values by name, and values that start where the given ones are: scales and biases as `refits` has them, by
 * layer.
 */
export function withGrids(
  network: Network,
  given: Values,
  grids: ReadonlyMap<string, GridOptions>,
  refits: ReadonlyMap<string, Refit> = new Map(),
): LowBits {
  const values = new Map(given);
  for (const layer of network.layers) {
    const grid = grids.get(layer.input);
    if (layer.kind !== "adder" || grid === undefined) continue;
    const norm = normBehind(network.layers, layer);
    clipWeights(values, layer, grid, norm);
    const own = refits.get(layer.name);
    if (norm !== undefined && own !== undefined) refit(values, norm, own);
  }
  const first = grids.get(network.input);
  const layers = network.layers.flatMap((layer) => {
    const grid = grids.get(layer.output);
    const own = onGrids(layer, grids);
    return grid === undefined ? [own] : [own, gridLayer(layer.output, grid)];
  });
  if (first !== undefined) layers.unshift(gridLayer(network.input, first));
  const { input, shape, output, parameters } = network;
  return { network: makeNetwork({ input, shape, output, layers }, parameters), values };
}
