// Parameters of a network that was never trained, spread as PyTorch and the AdderNet code spread them.

import { elementCount } from "../core/tensor.ts";
import type { Network, Parameter } from "./network.ts";
import { normals, type Random, randomStream } from "./random.ts";

export type Values = ReadonlyMap<string, Float32Array>;

function filled(count: number, value: number): Float32Array {
  return new Float32Array(count).fill(value);
}

/** Adder weights: normal with variance 1. Convolutions and biases: uniform within ±1/√taps. Norms: 1, 0, 0, 1. Slopes: 1/4. */
function initialValue({ role, dims }: Parameter, taps: number, random: Random): Float32Array {
  const count = elementCount(dims);
  const bound = 1 / Math.sqrt(taps);
  switch (role) {
    case "adder": {
      const normal = normals(random);
      return Float32Array.from({ length: count }, normal);
    }
    case "conv":
    case "bias":
      return Float32Array.from({ length: count }, () => (2 * random.next() - 1) * bound);
    case "gamma":
    case "variance":
      return filled(count, 1);
    case "beta":
    case "mean":
      return filled(count, 0);
    case "slope":
      return filled(count, 0.25);
    default:
      return role satisfies never;
  }
}

/** Values for every parameter. The same seed gives the same values. */
export function initialise({ parameters }: Network, seed: number): Map<string, Float32Array> {
  const values = new Map<string, Float32Array>();
  let taps = 1;
  let index = 0;
  for (const parameter of parameters.values()) {
    if (parameter.role === "adder" || parameter.role === "conv") taps = elementCount(parameter.dims.slice(1));
    values.set(parameter.name, initialValue(parameter, taps, randomStream(seed, 1, index++)));
  }
  return values;
}
