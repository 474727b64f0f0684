// The CNN twin: the same topology and counts, products in the place of distances, run by onnxruntime alone.

import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { cnnTwin } from "../../converter/cnn-twin.ts";
import { buildModel, convert, randomCheckpoint } from "../../converter/index.ts";
import { countCosts } from "../../runtime/profile/costs.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import { chosenCases } from "../custom-ops/adder-case.ts";
import { codeCase, codeFeeds, codeModel } from "../custom-ops/qlinear-case.ts";

const opsOf = ({ graph }: Model): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { opType } of graph.nodes) counts[opType] = (counts[opType] ?? 0) + 1;
  return counts;
};

async function runPeer(model: Model, feeds: Record<string, ort.Tensor>) {
  const session = await ort.InferenceSession.create(encodeModel(model).bytes, { logSeverityLevel: 3 });
  const outputs = await session.run(feeds);
  await session.release();
  return outputs;
}

describe.each([
  ["lenet5-bn", [1, 1, 28, 28]],
  ["resnet20", [1, 3, 32, 32]],
] as const)("of %s", (network, dims) => {
  const original = buildModel(network, randomCheckpoint(network, { kind: "adder" }));

  it("has a product for every distance, and what a CNN of this topology has around them", async () => {
    const { model } = await convert(original, { check: false });
    const [adder, twin] = [countCosts(model, new Map()), countCosts(cnnTwin(model), new Map())];
    const taps = adder.adders.reduce((sum, layer) => sum + layer.taps!, 0);
    const reference = countCosts(buildModel(network, randomCheckpoint(network, { kind: "conv" })), new Map());
    expect(twin.adders).toEqual([]);
    expect(twin.multiplications).toBe(taps + adder.multiplications);
    expect(twin.multiplications).toBe(reference.multiplications);
    const { model: cnn } = await convert(buildModel(network, randomCheckpoint(network, { kind: "conv" })), {
      check: false,
    });
    const { Conv, Relu, Add } = opsOf(cnnTwin(model));
    const { Conv: convs, Relu: relus, Add: adds } = opsOf(cnn);
    expect({ Conv, Relu, Add }).toEqual({ Conv: convs, Relu: relus, Add: adds });
  });

  it("runs on onnxruntime alone, and its values stay finite and alive", async () => {
    const { model } = await convert(original, { check: false });
    const data = Float32Array.from(
      { length: (dims as readonly number[]).reduce((a, b) => a * b) },
      (_, index) => Math.sin(index),
    );
    const { output } = await runPeer(cnnTwin(model), { input: new ort.Tensor("float32", data, [...dims]) });
    const values = [...(output!.data as Float32Array)];
    expect(values.length).toBe(10);
    for (const value of values) expect(Math.abs(value)).toBeLessThan(1e6);
    expect(new Set(values).size).toBeGreaterThan(5);
  });
});

describe("of layers of codes", () => {
  const cases = chosenCases.slice(0, 6).map((adder, seed) => codeCase(adder, seed + 3));

  it("runs on onnxruntime's integer operators, in the same shapes and types", async () => {
    const model = codeModel(cases);
    const twin = cnnTwin(model);
    expect(twin.graph.nodes.some(({ domain }) => domain === "addernet")).toBe(false);
    expect(Object.keys(opsOf(twin))).toEqual(expect.arrayContaining(["QLinearConv", "ConvInteger"]));
    const feeds = [...codeFeeds(cases)].map(
      ([name, { data, dims }]) => [name, new ort.Tensor("uint8", data as Uint8Array, [...dims])] as const,
    );
    const wanted = Object.fromEntries(feeds);
    const found = await runPeer(
      twin,
      Object.fromEntries(twin.graph.inputs.map(({ name }) => [name, wanted[name]!])),
    );
    for (const { name, type } of model.graph.outputs) {
      const { elemType } = type as { elemType?: string };
      if (elemType !== undefined) expect(found[name]!.type).toBe(elemType);
    }
  });
});
