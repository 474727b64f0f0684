// Weights that were never trained, held against what is known of trained AdderNets: spreads, statistics, and activations that neither die nor grow.

import { describe, expect, it } from "vitest";
import {
  buildModel,
  guessArchitectures,
  listArchitectures,
  randomCheckpoint,
} from "../../converter/topologies/index.ts";
import { ops } from "../../custom-ops/index.ts";
import { interpret } from "../../src/core/interpret.ts";
import { float32Tensor, type Tensor } from "../../src/core/tensor.ts";

const numbers = (tensor: Tensor | undefined): Float32Array => tensor!.data as Float32Array;
const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
const spread = (values: ArrayLike<number>): number => {
  const centre = mean(values);
  return Math.sqrt(mean(Array.from(values, (value) => (value - centre) ** 2)));
};

describe("random checkpoints", () => {
  it.each(listArchitectures())("of %s fit it, with adders and without", (arch) => {
    for (const kind of ["adder", "conv"] as const) {
      const checkpoint = randomCheckpoint(arch, { kind, classes: 5 });
      expect(guessArchitectures(checkpoint)).toEqual([arch]);
      const { graph } = buildModel(arch, checkpoint, { classes: 5 });
      expect(graph.nodes.some(({ opType }) => opType === "Adder2d")).toBe(kind === "adder");
    }
  });

  it.each(["lenet5-bn", "lenet-plus-plus", "vgg-small", "resnet20"])(
    "of %s with half the filters fit it",
    (arch) => {
      const checkpoint = randomCheckpoint(arch, { kind: "adder", classes: 5, width: 0.5 });
      expect(guessArchitectures(checkpoint)).toEqual([arch]);
      const dims = (width: number): (readonly number[])[] =>
        [...randomCheckpoint(arch, { kind: "adder", classes: 5, width }).tensors]
          .filter(([key]) => /(adder|weight)$/.test(key) && !/bn|norm|prelu/.test(key))
          .map(([, tensor]) => tensor.dims);
      const [whole, half] = [dims(1), dims(0.5)];
      for (const [index, [filters]] of whole.entries()) {
        expect(half[index]![0]).toBe(filters === 2 || filters === 5 ? filters : filters! / 2);
      }
    },
  );

  it("of lenet-plus-plus have norms behind the two features and the scores only where these are distances", () => {
    const norms = (kind: "adder" | "conv"): string[] =>
      [...randomCheckpoint("lenet-plus-plus", { kind }).tensors.keys()].filter((key) =>
        /^bn_fc\d\.weight$/.test(key),
      );
    expect(norms("adder")).toEqual(["bn_fc1.weight", "bn_fc2.weight"]);
    expect(norms("conv")).toEqual([]);
  });

  it("are the same for the same seed", () => {
    const [a, b, c] = [1, 1, 2].map((seed) => randomCheckpoint("lenet5-bn", { kind: "adder", seed }));
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
  });

  it("have weights and statistics as the official ResNet-20 has", () => {
    const { tensors } = randomCheckpoint("resnet20", { kind: "adder" });
    for (const [key, tensor] of tensors) {
      if (!key.endsWith(".adder")) continue;
      expect(spread(numbers(tensor))).toBeGreaterThan(5);
      expect(spread(numbers(tensor))).toBeLessThan(10.5);
    }
    for (const name of ["layer1.2.bn1", "layer2.2.bn2", "layer3.2.bn2"]) {
      const average = mean(numbers(tensors.get(`${name}.running_mean`)));
      expect(average).toBeLessThan(-400);
      expect(average).toBeGreaterThan(-3300);
    }
  });

  it("keep activations alive through every layer", () => {
    for (const kind of ["adder", "conv"] as const) {
      const { graph, opsetImports } = buildModel("resnet20", randomCheckpoint("resnet20", { kind }), {
        inputShape: [3, 16, 16],
      });
      const image = float32Tensor(
        Array.from({ length: 3 * 256 }, (_, at) => 2 * Math.sin(at * 1.7)),
        [1, 3, 16, 16],
      );
      const seen: number[] = [];
      interpret(graph, opsetImports, ops, new Map([["input", image]]), {
        onNode: ({ opType }, [output]) => {
          if (opType === "BatchNormalization") seen.push(spread(numbers(output)));
        },
      });
      expect(seen).toHaveLength(22);
      expect(Math.min(...seen)).toBeGreaterThan(0.1);
      expect(Math.max(...seen)).toBeLessThan(30);
    }
  });

  it("exist for known architectures only", () => {
    expect(() => randomCheckpoint("resnet19", { kind: "adder" })).toThrow(
      expect.objectContaining({ code: "ADN_USAGE", message: expect.stringContaining("resnet20") }),
    );
  });
});
