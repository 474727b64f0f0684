// The function body against the formula in float64, in onnxruntime with nothing registered.

import type { Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { attachFunctions, inlineFunctions } from "../../custom-ops/attach-functions.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import { type Ort, onnxruntimes } from "../ort/both.ts";
import {
  type AdderCase,
  adderFeeds,
  adderModel,
  chosenCases,
  type ModelOptions,
  outputDims,
  plainAdder2d,
  randomCase,
  tensorsOf,
} from "./adder-case.ts";

async function run(ort: Ort, model: Model, adders: readonly AdderCase[]): Promise<Record<string, OrtTensor>> {
  const session = await ort.InferenceSession.create(encodeModel(model).bytes, { logSeverityLevel: 3 });
  const feeds = [...adderFeeds(adders)].map(
    ([name, { data, dims }]) => [name, new ort.Tensor("float32", data as Float32Array, dims)] as const,
  );
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return results as Record<string, OrtTensor>;
}

function checkResults(results: Record<string, OrtTensor>, adders: readonly AdderCase[]): void {
  adders.forEach((adder, index) => {
    const wanted = plainAdder2d(adder, tensorsOf(adder));
    const found = results[`y${index}`]!;
    expect(found.dims, adder.name).toEqual(outputDims(adder));
    const largest = wanted.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - Number(found.data[at]))),
      0,
    );
    expect(largest, adder.name).toBeLessThan(1e-4);
  });
}

const randomCases = Array.from({ length: 40 }, (_, seed) => randomCase(seed));
const versions: readonly ModelOptions[] = [
  { irVersion: 8, opset: 13 },
  { irVersion: 10, opset: 20 },
];
const opsets = [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];

describe.each(onnxruntimes)("%s, nothing registered", (_, ort) => {
  test.each(versions)("all configurations in one model, IR $irVersion, opset $opset", async (options) => {
    const adders = [...chosenCases, ...randomCases];
    const model = adderModel(adders, options);
    attachFunctions(model);
    checkResults(await run(ort, model, adders), adders);
  });

  test.each(versions)("symbolic batch, height and width, IR $irVersion, opset $opset", async (options) => {
    for (const adder of [...chosenCases, ...randomCases.slice(0, 8)]) {
      const model = adderModel([adder], { ...options, symbolic: true });
      attachFunctions(model);
      checkResults(await run(ort, model, [adder]), [adder]);
    }
  });

  test.each(opsets)("every variant at opset %i", async (opset) => {
    for (const adder of chosenCases) {
      const model = adderModel([adder], { opset, irVersion: 8 });
      attachFunctions(model);
      checkResults(await run(ort, model, [adder]), [adder]);
    }
  });

  test.each(opsets)("inlined at opset %i", async (opset) => {
    const model = adderModel(chosenCases, { opset });
    inlineFunctions(model);
    expect(model.graph.nodes.filter(({ domain }) => domain !== "")).toEqual([]);
    expect([model.functions, [...model.opsetImports.keys()]]).toEqual([[], [""]]);
    checkResults(await run(ort, model, chosenCases), chosenCases);
  });
});
