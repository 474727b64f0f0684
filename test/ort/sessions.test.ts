// Sessions of onnxruntime with our backend against onnxruntime alone running the function bodies.

import * as ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { attachFunctions } from "../../custom-ops/attach-functions.ts";
import { createSession } from "../../runtime/index.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { adderNetEp, explain, registerAdderNet } from "../../src/ort.ts";
import { parseModel, randomTensor } from "../passes/parse-model.ts";
import { type MixedGraph, mixedGraphs } from "./suites.ts";

const engines = [
  { engine: "onnxruntime-node", ort: ortNode },
  { engine: "onnxruntime-web", ort: ortWeb as unknown as typeof ortNode },
];

function bytesOf({ text, opset = 17 }: MixedGraph): Uint8Array {
  const model = parseModel(text, opset);
  attachFunctions(model);
  return encodeModel(model).bytes;
}

const feedsOf = ({ feeds }: MixedGraph): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, dims]) => [name, randomTensor(name, "float32", dims)]),
  );

type Ort = typeof ortNode;
type Options = ortNode.InferenceSession.SessionOptions;

async function runIn(ort: Ort, bytes: Uint8Array, feeds: Record<string, Tensor>, options: Options = {}) {
  const session = await ort.InferenceSession.create(bytes, options);
  const tensors = Object.entries(feeds).map(([name, { type, data, dims }]) => [
    name,
    new ort.Tensor(type as "float32", data as Float32Array, dims),
  ]);
  const outputs = await session.run(Object.fromEntries(tensors));
  return { session, outputs };
}

const useAdderNet = (): Options => ({ executionProviders: [adderNetEp()] });

function expectClose(
  found: { data: unknown; dims: readonly number[] },
  expected: { data: unknown; dims: readonly number[] },
) {
  expect(found.dims).toEqual(expected.dims);
  const [a, b] = [found.data, expected.data] as [ArrayLike<number>, ArrayLike<number>];
  expect(a.length).toBe(b.length);
  for (let index = 0; index < a.length; index++) {
    expect(Math.abs(Number(a[index]) - Number(b[index]))).toBeLessThan(
      1e-4 * (1 + Math.abs(Number(b[index]))),
    );
  }
}

describe.each(engines)("sessions of $engine with adderNetEp()", ({ ort }) => {
  registerAdderNet(ort);

  it.each(mixedGraphs)("$name", async (graph) => {
    const [bytes, feeds] = [bytesOf(graph), feedsOf(graph)];
    const alone = await runIn(ort, bytes, feeds);
    const { session, outputs } = await runIn(ort, bytes, feeds, useAdderNet());
    expect(Object.keys(outputs)).toEqual(Object.keys(alone.outputs));
    for (const [name, expected] of Object.entries(alone.outputs)) {
      expect(outputs[name]).toBeInstanceOf(ort.Tensor);
      expect(outputs[name]!.type).toBe(expected.type);
      expectClose(outputs[name]!, expected);
    }
    expect(session.inputNames).toEqual(alone.session.inputNames);
    expect(explain(session)?.map(({ engine }) => engine)).toEqual(graph.engines);
    expect(explain(alone.session)).toBeUndefined();
    await session.release();
  });

  it("can be registered twice, and leaves sessions that do not name it alone", async () => {
    registerAdderNet(ort);
    const graph = mixedGraphs[0]!;
    const { session } = await runIn(ort, bytesOf(graph), feedsOf(graph));
    expect(explain(session)).toBeUndefined();
  });

  it("answers metadata as onnxruntime does", async () => {
    const session = await ort.InferenceSession.create(bytesOf(mixedGraphs[0]!), useAdderNet());
    expect(session.inputMetadata).toEqual([
      { name: "x", isTensor: true, type: "float32", shape: ["N", 3, 6, 6] },
    ]);
    expect(session.outputMetadata[0]).toMatchObject({ name: "y", isTensor: true, type: "float32" });
  });

  it("fills pre-allocated outputs and refuses those of the wrong shape", async () => {
    const graph = mixedGraphs[0]!;
    const { session, outputs } = await runIn(ort, bytesOf(graph), feedsOf(graph), useAdderNet());
    const feeds = { x: new ort.Tensor("float32", feedsOf(graph).x!.data as Float32Array, [2, 3, 6, 6]) };
    const target = new ort.Tensor("float32", new Float32Array(2 * 4 * 6 * 6), [2, 4, 6, 6]);
    await session.run(feeds, { y: target });
    expect(target.data).toEqual(outputs.y!.data);
    const wrong = new ort.Tensor("float32", new Float32Array(4), [4]);
    await expect(session.run(feeds, { y: wrong })).rejects.toMatchObject({ code: "ADN_FEED" });
  });

  it("mixes up no concurrent runs", async () => {
    const graph = mixedGraphs[2]!;
    const { session } = await runIn(ort, bytesOf(graph), feedsOf(graph), useAdderNet());
    const run = async (fill: number) => {
      const x = new ort.Tensor("float32", new Float32Array(3 * 36).fill(fill), [1, 3, 6, 6]);
      return (await session.run({ x })).y!.data as Float32Array;
    };
    const alone = [await run(0.1), await run(0.7), await run(-0.4)];
    const together = await Promise.all([run(0.1), run(0.7), run(-0.4)]);
    expect(together).toEqual(alone);
  });

  it("reports bytes that are no model with a code", async () => {
    const bytes = new TextEncoder().encode("<!doctype html>");
    await expect(ort.InferenceSession.create(bytes, useAdderNet())).rejects.toThrow(/HTML/i);
  });
});

it("addernet/runtime alone refuses what it has no kernel for, all at once", async () => {
  const bytes = bytesOf(mixedGraphs[2]!);
  await expect(createSession(bytes)).rejects.toMatchObject({
    code: "ADN_OP_UNSUPPORTED",
    message: expect.stringMatching(/Resize[\s\S]*LayerNormalization|LayerNormalization[\s\S]*Resize/),
  });
});
