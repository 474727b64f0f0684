// The published data sets, as fetched by `addernet data fetch`: skipped where they are not in the cache.

import { describe, expect, it } from "vitest";
import { cacheFolder, isFetched } from "../../src/cli/data-sets/cache.ts";
import type { DataSetName } from "../../src/cli/data-sets/catalogue.ts";
import { openSamples } from "../../src/cli/data-sets/open.ts";
import type { Samples } from "../../src/cli/data-sets/samples.ts";

const cache = cacheFolder(process.env);
const isAbsent = (name: DataSetName): boolean => !isFetched(name, cache);

function histogram(samples: Samples): number[] {
  const counts = new Array<number>(10).fill(0);
  for (let index = 0; index < samples.count; index++) counts[samples.label(index)]!++;
  return counts;
}

/** Mean and standard deviation per channel of all pixels divided by 255. */
function statistics(samples: Samples): { mean: number[]; std: number[] } {
  const [channels, height, width] = samples.shape;
  const plane = height * width;
  const sums = Array.from({ length: channels }, () => [0, 0]);
  const image = new Float32Array(channels * plane);
  for (let index = 0; index < samples.count; index++) {
    samples.read(index, image, 0);
    image.forEach((value, at) => {
      const sum = sums[Math.floor(at / plane)]!;
      sum[0]! += value / 255;
      sum[1]! += (value / 255) ** 2;
    });
  }
  const total = samples.count * plane;
  const mean = sums.map(([first]) => first! / total);
  return { mean, std: sums.map(([, second], c) => Math.sqrt(second! / total - mean[c]! ** 2)) };
}

function expectClose(found: readonly number[], expected: readonly number[]): void {
  for (const [index, value] of expected.entries()) expect(found[index]).toBeCloseTo(value, 3);
}

describe.skipIf(isAbsent("mnist"))("MNIST (fetched)", () => {
  it("has the published histogram and statistics", () => {
    const train = openSamples("mnist:train", cache);
    expect(histogram(train)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    const { mean, std } = statistics(train);
    expectClose(mean, train.mean!);
    expectClose(std, train.std!);
    expect(openSamples("mnist", cache)).toMatchObject({
      name: "mnist:test",
      count: 10_000,
      shape: [1, 28, 28],
    });
  });
});

describe.skipIf(isAbsent("fashion-mnist"))("Fashion-MNIST (fetched)", () => {
  it("has equal classes and the usual statistics", () => {
    const train = openSamples("fashion-mnist:train", cache);
    expect(histogram(train)).toEqual(new Array(10).fill(6000));
    const { mean, std } = statistics(train);
    expectClose(mean, train.mean!);
    expectClose(std, train.std!);
  });
});

describe.skipIf(isAbsent("cifar10"))("CIFAR-10 (fetched)", () => {
  it("begins with a cat whose first pixel is 158, 112, 49", () => {
    const test = openSamples("cifar10", cache);
    const image = new Float32Array(3 * 32 * 32);
    test.read(0, image, 0);
    expect(test).toMatchObject({ count: 10_000, shape: [3, 32, 32] });
    expect([image[0], image[1024], image[2048]]).toEqual([158, 112, 49]);
    expect(test.classes?.[test.label(0)]).toBe("cat");
    expect(histogram(test)).toEqual(new Array(10).fill(1000));
  });

  it("has the published mean over the five parts of the training split", () => {
    const train = openSamples("cifar10:train", cache);
    expect(histogram(train)).toEqual(new Array(10).fill(5000));
    expectClose(statistics(train).mean, [0.4914, 0.4822, 0.4465]);
  });
});
