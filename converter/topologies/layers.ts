// The layers of a checkpoint: parameters that belong together, by the path they share.

import type { Tensor } from "../../src/core/tensor.ts";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";

interface LayerBase {
  readonly path: string;
  /** The checkpoint's keys that the layer is made of. */
  readonly keys: readonly string[];
}

export interface FilterLayer extends LayerBase {
  readonly kind: "filter";
  /** [O,I,KH,KW], or [O,I] of a fully connected layer. */
  readonly weight: Tensor;
  readonly bias?: Tensor | undefined;
  /** Its weights are called `adder`. */
  readonly isAdder: boolean;
}

/** Batch normalisation at inference; scale and shift are absent where it was trained without. */
export interface NormLayer extends LayerBase {
  readonly kind: "norm";
  readonly scale?: Tensor | undefined;
  readonly shift?: Tensor | undefined;
  readonly mean?: Tensor | undefined;
  readonly variance?: Tensor | undefined;
}

/** The slopes of a PReLU. */
export interface SlopeLayer extends LayerBase {
  readonly kind: "slope";
  readonly slope: Tensor;
}

export type Layer = FilterLayer | NormLayer | SlopeLayer;

function makeLayer(path: string, parameters: ReadonlyMap<string, Tensor>): Layer | undefined {
  const [adder, weight, bias] = ["adder", "weight", "bias"].map((suffix) => parameters.get(suffix));
  const [mean, variance] = ["running_mean", "running_var"].map((suffix) => parameters.get(suffix));
  const keysOf = (...suffixes: string[]): string[] =>
    suffixes
      .filter((suffix) => parameters.has(suffix))
      .map((suffix) => (path === "" ? suffix : `${path}.${suffix}`));
  if (adder !== undefined) {
    return { kind: "filter", path, keys: keysOf("adder", "bias"), weight: adder, bias, isAdder: true };
  }
  if (mean !== undefined || variance !== undefined) {
    const keys = keysOf("weight", "bias", "running_mean", "running_var");
    return { kind: "norm", path, keys, scale: weight, shift: bias, mean, variance };
  }
  if (weight === undefined) return undefined;
  if (weight.dims.length >= 2) {
    return { kind: "filter", path, keys: keysOf("weight", "bias"), weight, bias, isAdder: false };
  }
  return bias === undefined ? { kind: "slope", path, keys: keysOf("weight"), slope: weight } : undefined;
}

/** The layers of a checkpoint whose names are normalised, in its order. */
export function layersOf({ tensors }: Checkpoint): Map<string, Layer> {
  const byPath = new Map<string, Map<string, Tensor>>();
  for (const [key, tensor] of tensors) {
    const dot = key.lastIndexOf(".");
    const path = dot < 0 ? "" : key.slice(0, dot);
    const parameters = byPath.get(path) ?? new Map<string, Tensor>();
    byPath.set(path, parameters.set(key.slice(dot + 1), tensor));
  }
  const layers = new Map<string, Layer>();
  for (const [path, parameters] of byPath) {
    const layer = makeLayer(path, parameters);
    if (layer !== undefined) layers.set(path, layer);
  }
  return layers;
}
