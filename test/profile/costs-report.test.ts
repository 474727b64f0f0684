// Counts and models against the figures that are published, and against counts by hand.

import { describe, expect, it } from "vitest";
import { buildModel, randomCheckpoint } from "../../converter/index.ts";
import { costsReport } from "../../runtime/profile/costs-report.ts";
import { processors } from "../../runtime/profile/models-of-cost.ts";

function costsOf(network: string, kind: "adder" | "conv", dims: readonly number[]) {
  return costsReport(buildModel(network, randomCheckpoint(network, { kind })), new Map([["input", dims]]));
}

describe("LeNet-5-BN", () => {
  const costs = costsOf("lenet5-bn", "adder", [1, 1, 28, 28]);
  /** 6 5x5 on 28x28; 16 5x5x6 on 10x10; 120 5x5x16; 84x120; 10x84. */
  const products = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 120 * 400 + 84 * 120 + 10 * 84;

  it("counts its filters as by hand", () => {
    expect(products).toBe(416_520);
    expect(costs.cnn).toMatchObject({ multiplications: products, additions: products });
    expect(costs.adder).toMatchObject({ multiplications: 0, additions: 2 * products });
  });

  it("makes the published 435K, 870K, 2.6M and 1.7M cycles with normalisation and pooling", () => {
    const { cnn, adder } = costs.withNormalisation;
    expect(Math.floor(cnn.multiplications / 1000)).toBe(435);
    expect(Math.floor(cnn.additions / 1000)).toBe(435);
    expect(adder.multiplications).toBe(0);
    expect(adder.additions / 870_000).toBeCloseTo(1, 2);
    expect((cnn.cycles["VIA Nano 2000"]! / 1e6).toFixed(1)).toBe("2.6");
    expect((adder.cycles["VIA Nano 2000"]! / 1e6).toFixed(1)).toBe("1.7");
  });

  it("stands beside what the paper prints", () => {
    expect(costs.published).toMatchObject({
      cnn: { multiplications: 435_000, additions: 435_000 },
      adder: { multiplications: 0, additions: 870_000 },
      vianano: { cnn: 2_600_000, adder: 1_700_000 },
    });
  });

  it("gives energy by the 45 nm table: 4.6 pJ a product tap, 1.8 pJ an adder tap", () => {
    expect(costs.cnn.energyMicrojoules).toBeCloseTo((products * 4.6) / 1e6, 9);
    expect(costs.adder.energyMicrojoules).toBeCloseTo((products * 1.8) / 1e6, 9);
  });

  it("gives cycles for every processor", () => {
    expect(Object.keys(costs.cnn.cycles)).toEqual(processors.map(({ name }) => name));
  });
});

describe("published networks", () => {
  // biome-ignore format: a table
  it.each([
    ["resnet20", [1, 3, 32, 32], 41.17e6, 0.01],
    ["resnet32", [1, 3, 32, 32], 69.12e6, 0.0002],
    ["vgg-small", [1, 3, 32, 32], 0.65e9, 0.07],
    ["resnet18", [1, 3, 224, 224], 1.8e9, 0.01],
    ["resnet50", [1, 3, 224, 224], 3.9e9, 0.05],
  ])("%s is known, and our count is as near as its difference says", (network, dims, figure, within) => {
    const { cnn, adder, published } = costsOf(network, "adder", dims as number[]);
    expect(published?.cnn.multiplications).toBe(figure);
    expect(published?.difference).not.toBe("");
    expect(Math.abs(cnn.multiplications / (figure as number) - 1)).toBeLessThan(within as number);
    expect(adder.additions + adder.multiplications).toBeLessThanOrEqual(cnn.additions + cnn.multiplications);
  });

  it("a batch is counted per image", () => {
    const [one, four] = [
      costsOf("resnet20", "adder", [1, 3, 32, 32]),
      costsOf("resnet20", "adder", [4, 3, 32, 32]),
    ];
    expect(four).toEqual(one);
  });

  it("other sizes have no published figures", () => {
    expect(costsOf("resnet20", "adder", [1, 3, 64, 64]).published).toBeNull();
  });
});
