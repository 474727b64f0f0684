// Training for low-bit codes: adder layers see values and weights as codes of a few bits will have them, while the weights that learn stay
// float32. Gradients pass the rounding straight through.

import type { Values } from "./initialise.ts";
import { type FilterLayer, type GridOptions, type Layer, makeNetwork, type Network } from "./network.ts";

export interface LowBits {
  readonly network: Network;
  readonly values: Map<string, Float32Array>;
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
  layers: readonly Layer[],
): void {
  const [low, high] = [grid.low * grid.step, grid.high * grid.step];
  const weights = values.get(layer.weight)!;
  const clipped = weights.map((weight) => Math.min(high, Math.max(low, weight)));
  values.set(layer.weight, clipped);
  const norm = layers.find((other) => other.kind === "norm" && other.input === layer.output);
  if (norm?.kind !== "norm") return;
  const taps = weights.length / layer.filters;
  const mean = values.get(norm.mean)!.slice();
  for (let index = 0; index < weights.length; index++) {
    mean[Math.floor(index / taps)]! += Math.abs(weights[index]! - clipped[index]!);
  }
  values.set(norm.mean, mean);
}

/** The network with grids for values by name, and values that start where the given ones are. */
export function withGrids(network: Network, given: Values, grids: ReadonlyMap<string, GridOptions>): LowBits {
  const values = new Map(given);
  for (const layer of network.layers) {
    const grid = grids.get(layer.input);
    if (layer.kind === "adder" && grid !== undefined) clipWeights(values, layer, grid, network.layers);
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
