// The float network and the quantized one side by side on the same samples: what each holds of a value.

import type { Tensor } from "../../src/core/tensor.ts";
import { decode, encode, type Grid } from "./grid.ts";

/** Tensors of one value, one per feed. */
export interface LiveValue {
  readonly reference: readonly Tensor[];
  /** What the quantized network holds; the same array as `reference` as long as nothing differs. Absent where it holds codes. */
  readonly quantized?: readonly Tensor[];
  readonly codes?: readonly Uint8Array[];
  readonly grid?: Grid;
}

export const floatsOf = ({ data }: Tensor): Float32Array => data as Float32Array;

export function isSame({ reference, quantized }: LiveValue): boolean {
  return quantized === reference;
}

/** What the quantized network holds of feed `index`, as a tensor that the float ops can take. */
export function quantizedTensor(value: LiveValue, index: number): Tensor {
  if (value.quantized) return value.quantized[index]!;
  return { ...value.reference[index]!, data: decode(value.codes![index]!, value.grid!) };
}

/** Codes of feed `index` on `grid`. */
export function codesOf(value: LiveValue, index: number, grid: Grid): Uint8Array {
  return value.codes?.[index] ?? encode(floatsOf(value.quantized![index]!), grid);
}

/** Signal, noise and count between what a value is and what it became. */
export interface NoiseMeter {
  add(signal: Float32Array, found: Float32Array): void;
  /** 10·log10 of the signal's variance over the mean squared difference; null without a difference. */
  decibel(): number | null;
  /** The same as a plain ratio, noise over signal. */
  relative(): number;
}

export function makeNoiseMeter(): NoiseMeter {
  let [count, sum, squares, noise] = [0, 0, 0, 0];
  const variance = () => Math.max(0, squares / count - (sum / count) ** 2);
  return {
    add(signal, found) {
      for (let index = 0; index < signal.length; index++) {
        const value = signal[index]!;
        const difference = value - found[index]!;
        sum += value;
        squares += value * value;
        noise += difference * difference;
      }
      count += signal.length;
    },
    decibel: () => (noise === 0 ? null : 10 * Math.log10(variance() / (noise / count))),
    relative: () => (noise === 0 ? 0 : noise / count / Math.max(variance(), Number.MIN_VALUE)),
  };
}
