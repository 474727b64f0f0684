// Costs per image against counts done by hand, and what happens to batches and open lengths.

import { describe, expect, it } from "vitest";
import { countCosts } from "../../runtime/profile/costs.ts";
import { intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Dim, Model } from "../../src/core/ir/model.ts";
import { elementCount, float32Tensor, type Tensor } from "../../src/core/tensor.ts";

const zeros = (...dims: number[]): Tensor => float32Tensor(new Float32Array(elementCount(dims)), dims);

/**
 * x [N,3,H,8] -> Conv 3x3, 4 filters, pad 1 -> Adder2d 1x1, 5 filters, stride 2, scaled -> Conv depthwise 3x3 -> Mul
 * -> GlobalAveragePool -> Flatten -> Gemm to 6.
 */
function network(batch: Dim, height: Dim): Model {
  const pads = [["pads", intsAttribute([1, 1, 1, 1])]] as const;
  const nodes = [
    makeNode("Conv", ["x", "w1"], ["c1"], pads),
    makeNode("Adder2d", ["c1", "w2", "b2", "s2"], ["a"], [["strides", intsAttribute([2, 2])]], {
      domain: "addernet",
      name: "adder",
    }),
    makeNode("Conv", ["a", "w3"], ["c3"], [...pads, ["group", { type: "INT", value: 5n }]]),
    makeNode("Mul", ["c3", "s2x"], ["m"]),
    makeNode("GlobalAveragePool", ["m"], ["p"]),
    makeNode("Flatten", ["p"], ["f"]),
    makeNode("Gemm", ["f", "w4"], ["y"]),
  ];
  const initializers = new Map(
    Object.entries({
      w1: zeros(4, 3, 3, 3),
      w2: zeros(5, 4, 1, 1),
      b2: zeros(5),
      s2: zeros(5),
      w3: zeros(5, 1, 3, 3),
      s2x: zeros(1),
      w4: zeros(5, 6),
    }),
  );
  return {
    irVersion: 8,
    producerName: "",
    producerVersion: "",
    domain: "",
    modelVersion: 0n,
    docString: "",
    opsetImports: new Map([
      ["", 13],
      ["addernet", 1],
    ]),
    graph: {
      name: "g",
      inputs: [{ name: "x", type: { kind: "tensor", elemType: "float32", shape: [batch, 3, height, 8] } }],
      outputs: [{ name: "y" }],
      nodes,
      initializers,
      overridable: [],
      valueInfo: new Map(),
    },
    functions: [],
    metadata: new Map(),
  };
}

/** Height 6: c1 is 4x6x8, a is 5x3x4. */
const byHand = {
  taps: 5 * 3 * 4 * 4,
  multiplications: 4 * 6 * 8 * (3 * 9) + 5 * 3 * 4 * 9 + 5 * 6,
  scalings: 5 * 3 * 4 + 5 * 3 * 4,
};

describe("costs per image", () => {
  // biome-ignore format: a table
  it.each<[string, Dim, Dim, [string, Dim[]][]]>([
    ["batch 1", 1, 6, []],
    ["batch 4, divided out", 4, 6, []],
    ["a symbolic batch, one image", "batch", 6, []],
    ["an unknown batch", null, 6, []],
    ["lengths that are given", "batch", "height", [["x", [1, 3, 6, 8]]]],
    ["a batch that is given", "batch", "height", [["x", [7, 3, 6, 8]]]],
  ])("%s", (_name, batch, height, shapes) => {
    const { adders, multiplications, scalings, unknown } = countCosts(network(batch, height), new Map(shapes));
    expect(adders).toEqual([{ node: "adder", weight: [5, 4, 1, 1], taps: byHand.taps }]);
    expect({ multiplications, scalings, unknown }).toEqual({ multiplications: byHand.multiplications, scalings: byHand.scalings, unknown: [] });
  });

  it("open lengths leave their nodes uncounted, by name", () => {
    const { adders, unknown } = countCosts(network(1, "height"), new Map());
    expect(adders).toEqual([{ node: "adder", weight: [5, 4, 1, 1], taps: null }]);
    expect(unknown.length).toBe(4);
  });
});
