// Statistics that a fused file does not hold, taken again from data. What the network computes with running statistics stays the same.

import type { NormLayer } from "./network.ts";
import type { Trainer } from "./trainer.ts";

/** Mean and variance of every channel of a value [batch, C, H·W]. */
function statistics(
  value: Float32Array,
  batch: number,
  channels: number,
): { mean: Float64Array; variance: Float64Array } {
  const plane = value.length / batch / channels;
  const count = batch * plane;
  const [mean, variance] = [new Float64Array(channels), new Float64Array(channels)];
  const visit = (add: (channel: number, x: number) => void): void => {
    for (let i = 0; i < value.length; i++) add(Math.floor(i / plane) % channels, value[i]!);
  };
  visit((c, x) => {
    mean[c]! += x / count;
  });
  visit((c, x) => {
    variance[c]! += (x - mean[c]!) ** 2 / count;
  });
  return { mean, variance };
}

/**
 * Gives norms that were fused away (mean 0, variance 1 - epsilon) the statistics of a batch of images, and gamma and beta that keep
 * gamma·(x - mean)/√(variance + epsilon) + beta what it was.
 */
export function measureNorms(trainer: Trainer, names: readonly string[], images: Float32Array): void {
  trainer.forward(images, "inference");
  const wanted = new Set(names);
  for (const layer of trainer.network.layers) {
    if (layer.kind === "norm" && wanted.has(layer.name)) measure(trainer, layer);
  }
}

function measure({ values, batch, read }: Trainer, layer: NormLayer): void {
  const [gamma, beta, oldMean, oldVariance] = [layer.gamma!, layer.beta!, layer.mean, layer.variance].map(
    (name) => values.get(name)!,
  );
  const { mean, variance } = statistics(read(layer.input), batch, gamma!.length);
  for (let c = 0; c < gamma!.length; c++) {
    const slope = gamma![c]! / Math.sqrt(oldVariance![c]! + layer.epsilon);
    beta![c] = beta![c]! + slope * (mean[c]! - oldMean![c]!);
    gamma![c] = slope * Math.sqrt(variance[c]! + layer.epsilon);
    oldMean![c] = mean[c]!;
    oldVariance![c] = variance[c]!;
  }
}
