// The whole conversion on the bundled exports of one trained net, with PyTorch's float64 outputs as the oracle.

import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { type Converted, type ConvertOptions, convert, runReference } from "../../converter/index.ts";
import { createSession } from "../../runtime/index.ts";
import { decodeNpy } from "../../src/cli/npy.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { decodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { parseModel } from "../passes/parse-model.ts";

const folder = new URL("../fixtures/lenet5bn/", import.meta.url);
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));
const input = decodeNpy(read("input.npy"), "input.npy");
const expected = decodeNpy(read("output64.npy"), "output64.npy");

const exports = [
  { name: "lenet5bn.inlined.onnx", nodes: 487 },
  { name: "lenet5bn.torchscript.onnx", nodes: 293 },
  { name: "lenet5bn.inlined.dynamo.onnx", nodes: 140 },
  { name: "lenet5bn.symbolic.torchscript.onnx", nodes: undefined },
  { name: "lenet5bn.symbolic.dynamo.onnx", nodes: undefined },
];

const layers = [
  { layer: "conv1", weightShape: [6, 1, 5, 5], strides: [1, 1], pads: [2, 2, 2, 2] },
  { layer: "conv2", weightShape: [16, 6, 5, 5], strides: [1, 1], pads: [0, 0, 0, 0] },
  { layer: "conv3", weightShape: [120, 16, 5, 5], strides: [1, 1], pads: [0, 0, 0, 0] },
  { layer: "fc1", weightShape: [84, 120, 1, 1], strides: [1, 1], pads: [0, 0, 0, 0] },
  { layer: "fc2", weightShape: [10, 84, 1, 1], strides: [1, 1], pads: [0, 0, 0, 0] },
];

const convertFile = (name: string, options: ConvertOptions = {}): Promise<Converted> =>
  convert(read(name), { externalData: read, ...options });

function largestDifference(found: { data: unknown }, oracle: Tensor): number {
  const values = found.data as Float32Array;
  return (oracle.data as Float64Array).reduce(
    (largest, value, index) => Math.max(largest, Math.abs(value - values[index]!)),
    0,
  );
}

describe.each(exports)("$name", ({ name, nodes }) => {
  it("becomes eight nodes that answer as PyTorch does, in our runtime and in onnxruntime alone", async () => {
    const { bytes, report } = await convertFile(name);
    if (nodes !== undefined) expect(report.nodesBefore).toBe(nodes);
    expect(report.layers).toMatchObject(layers);
    expect(report.warnings).toEqual([]);
    expect(decodeModel(bytes).graph.nodes.map(({ opType }) => opType)).toEqual([
      "Adder2d",
      "MaxPool",
      "Adder2d",
      "MaxPool",
      "Adder2d",
      "Adder2d",
      "Adder2d",
      expect.stringMatching(/Flatten|Reshape/),
    ]);
    const session = await createSession(bytes);
    expect(largestDifference((await session.run({ input })).output!, expected)).toBeLessThan(1e-3);
    const alone = await ort.InferenceSession.create(bytes);
    const feeds = { input: new ort.Tensor("float32", input.data as Float32Array, input.dims) };
    expect(largestDifference((await alone.run(feeds)).output!, expected)).toBeLessThan(1e-3);
  });

  it("becomes standard ops alone on request", async () => {
    const { model, bytes } = await convertFile(name, { target: "standard" });
    expect(model.functions).toEqual([]);
    expect([...model.opsetImports.keys()]).not.toContain("addernet");
    const alone = await ort.InferenceSession.create(bytes);
    const feeds = { input: new ort.Tensor("float32", input.data as Float32Array, input.dims) };
    expect(largestDifference((await alone.run(feeds)).output!, expected)).toBeLessThan(1e-3);
    const again = await convert(bytes, { check: false });
    expect(again.report.layers.map(({ weightShape }) => weightShape)).toEqual(
      layers.map(({ weightShape }) => weightShape),
    );
  });
});

describe("a conversion's check", () => {
  it("reports how far the file is from the meaning of the original", async () => {
    const { report } = await convertFile("lenet5bn.inlined.onnx", {
      check: { samples: 3, rtol: 1e-3, atol: 1e-3 },
    });
    expect(report.verification).toMatchObject({ samples: 3, output: "output" });
    expect(report.verification!.maxDifference).toBeGreaterThan(0);
    expect(report.verification!.maxDifference).toBeLessThan(1e-3);
  });

  it("refuses a file that computes something else", async () => {
    const run: ConvertOptions["run"] = async (bytes, feeds) => {
      const results = new Map(await runReference(bytes, feeds));
      const { type, data, dims } = results.get("output")!;
      return results.set("output", { type, dims, data: (data as Float32Array).map((value) => value + 0.5) });
    };
    await expect(convertFile("lenet5bn.inlined.onnx", { run })).rejects.toMatchObject({ code: "ADN_VERIFY" });
  });

  it("refuses a file that answers NaN", async () => {
    const run: ConvertOptions["run"] = async (bytes, feeds) => {
      const results = new Map(await runReference(bytes, feeds));
      const { type, data, dims } = results.get("output")!;
      return results.set("output", { type, dims, data: (data as Float32Array).map(() => Number.NaN) });
    };
    await expect(convertFile("lenet5bn.inlined.onnx", { run })).rejects.toMatchObject({ code: "ADN_VERIFY" });
  });

  it("leaves the model it was given as it was", async () => {
    const original = decodeModel(read("lenet5bn.inlined.onnx"));
    const before = decodeModel(read("lenet5bn.inlined.onnx"));
    await convert(original);
    expect(original).toEqual(before);
  });
});

const fixedBatch = (middle: string): Model =>
  parseModel(`input %x: float32[1,2,4,4]
    %a.adder = float32[3,2,3,3]
    %a = addernet::Adder2d[pads=1,1,1,1](%x, %a.adder)
    ${middle}
    output %y: float32[1,3,4,4]`);

const batchOf = ({ graph }: Model): unknown =>
  [...graph.inputs, ...graph.outputs].map(({ type }) =>
    type?.kind === "tensor" ? type.shape?.[0] : undefined,
  );

describe("a batch fixed to 1", () => {
  it("becomes free where rows do not mix", async () => {
    const { model, report } = await convert(fixedBatch("%y = Relu(%a)"));
    expect(batchOf(model)).toEqual(["batch", "batch"]);
    expect(report.batchFreed).toBe(true);
  });
  it("stays where rows mix, although every shape would fit", async () => {
    const { model, report } = await convert(fixedBatch("%y = Softmax[axis=0](%a)"));
    expect(batchOf(model)).toEqual([1, 1]);
    expect(report.batchFreed).toBe(false);
  });
  it.each([
    { why: "asked for", options: { keepBatch: true } },
    { why: "the shape is given", options: { inputShapes: new Map([["x", [1, 2, 4, 4]]]) } },
    { why: "nothing checks it", options: { check: false as const } },
  ])("stays where $why", async ({ options }) => {
    const { model } = await convert(fixedBatch("%y = Relu(%a)"), options);
    expect(batchOf(model)).toEqual([1, 1]);
  });
});

it("names an input shape for an input that is not there", async () => {
  const inputShapes = new Map([["z", [1, 2, 4, 4]]]);
  await expect(convert(fixedBatch("%y = Relu(%a)"), { inputShapes })).rejects.toMatchObject({
    code: "ADN_USAGE",
    message: expect.stringContaining('no input "z"'),
  });
});
