// Statistics that a fused file does not hold, taken again from data. What the network computes with running statistics stays the same.

import { elementCount } from "../core/tensor.ts";
import { type NormLayer, shapesOf } from "./network.ts";
import type { Trainer } from "./trainer.ts";

/** Sums over all positions of all images, by channel. */
interface Moments {
  readonly layer: NormLayer;
  readonly channels: number;
  readonly plane: number;
  readonly sum: Float64Array;
  readonly squares: Float64Array;
  count: number;
}

function startMoments({ network, values }: Trainer, names: ReadonlySet<string>): Moments[] {
  const shapes = shapesOf(network);
  return network.layers.flatMap((layer) => {
    if (layer.kind !== "norm" || !names.has(layer.name)) return [];
    const [channels, ...map] = shapes.get(layer.input)!;
    const zeros = (): Float64Array => new Float64Array(values.get(layer.mean)!.length);
    return [{ layer, channels, plane: elementCount(map), sum: zeros(), squares: zeros(), count: 0 }];
  });
}

function addValue({ channels, plane, sum, squares }: Moments, value: Float32Array): void {
  for (let row = 0; row < value.length / plane; row++) {
    const channel = row % channels;
    let [total, square] = [0, 0];
    for (let i = row * plane; i < (row + 1) * plane; i++) {
      total += value[i]!;
      square += value[i]! * value[i]!;
    }
    sum[channel]! += total;
    squares[channel]! += square;
  }
}

/**
 * Gives norms that were fused away (mean 0, variance 1 - epsilon) the statistics of images, a batch at a time, and gamma and beta that
 * keep gamma·(x - mean)/√(variance + epsilon) + beta what it was. Training moves on from these statistics to those of the images it
 * sees: measure on many, and changed at random as they will be.
 */
export function measureNorms(
  trainer: Trainer,
  names: readonly string[],
  images: Float32Array | Iterable<Float32Array>,
): void {
  const all = startMoments(trainer, new Set(names));
  for (const batch of images instanceof Float32Array ? [images] : images) {
    trainer.forward(batch, "inference");
    for (const moments of all) {
      addValue(moments, trainer.read(moments.layer.input));
      moments.count += trainer.batch * moments.plane;
    }
  }
  for (const moments of all) if (moments.count > 0) settle(trainer, moments);
}

function settle({ values }: Trainer, { layer, sum, squares, count }: Moments): void {
  const [gamma, beta, oldMean, oldVariance] = [layer.gamma!, layer.beta!, layer.mean, layer.variance].map(
    (name) => values.get(name)!,
  );
  for (let c = 0; c < gamma!.length; c++) {
    const mean = sum[c]! / count;
    const variance = Math.max(0, squares[c]! / count - mean * mean);
    const slope = gamma![c]! / Math.sqrt(oldVariance![c]! + layer.epsilon);
    beta![c] = beta![c]! + slope * (mean - oldMean![c]!);
    gamma![c] = slope * Math.sqrt(variance + layer.epsilon);
    oldMean![c] = mean;
    oldVariance![c] = variance;
  }
}
