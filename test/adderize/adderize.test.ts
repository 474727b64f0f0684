// adderize on small CNNs: the written files and the CNNs in onnxruntime, compared by arithmetic of the test's own.

import * as ort from "onnxruntime-node";
import { describe, expect, it, test } from "vitest";
import {
  type Adderized,
  type AdderizeOptions,
  adderize,
  type OutputAgreement,
  type StartModel,
} from "../../converter/index.ts";
import { createSession } from "../../runtime/index.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import type { Model, Node } from "../../src/core/ir/model.ts";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import {
  type Cnn,
  cnns,
  denseCnn,
  type Feed,
  feedsFor,
  mobileCnn,
  plainCnn,
  residualCnn,
} from "./small-cnns.ts";

/** The runtime where it knows every op; these nets have none that it lacks. */
const start: StartModel = async (model) => {
  const session = await createSession(model);
  return {
    run: async (feeds) => new Map(Object.entries(await session.run(Object.fromEntries(feeds)))),
    dispose: () => session.dispose(),
  };
};

function convert({ model, input }: Cnn, options: Partial<AdderizeOptions> = {}): Promise<Adderized> {
  return adderize(model, { samples: feedsFor(input, 80), start, steps: 60, positions: 128, ...options });
}

async function runOrt(
  bytes: Uint8Array,
  feeds: readonly Feed[],
  outputs?: readonly string[],
): Promise<Map<string, Float32Array>[]> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const answers: Map<string, Float32Array>[] = [];
  for (const feed of feeds) {
    const given = [...feed].map(
      ([name, { data, dims }]) => [name, new ort.Tensor("float32", data as Float32Array, dims)] as const,
    );
    const found = await session.run(Object.fromEntries(given), outputs ?? session.outputNames);
    answers.push(new Map(Object.entries(found).map(([name, { data }]) => [name, data as Float32Array])));
  }
  await session.release();
  return answers;
}

const joined = (answers: readonly Map<string, Float32Array>[], name: string): number[] =>
  answers.flatMap((values) => [...values.get(name)!]);

function decibel(signal: readonly number[], found: readonly number[]): number {
  const mean = signal.reduce((a, b) => a + b, 0) / signal.length;
  const variance = signal.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return 10 * Math.log10(variance / signal.reduce((sum, v, at) => sum + (v - found[at]!) ** 2, 0));
}

const adders = ({ graph }: Model): Node[] => graph.nodes.filter(({ opType }) => opType === "Adder2d");
const opCounts = (model: Model, ...ops: readonly string[]): number[] =>
  ops.map((op) => model.graph.nodes.filter(({ opType }) => opType === op).length);

describe.each(Object.entries(cnns))("the %s CNN", (_, make) => {
  const cnn = make();
  const converted = convert(cnn, { layers: "all" });
  // What is held out: every tenth feed.
  const judged = feedsFor(cnn.input, 80).filter((_, feed) => feed % 10 === 9);

  it("becomes a file that answers in onnxruntime what the report says", async () => {
    const { bytes, report } = await converted;
    const [wanted, found] = [await runOrt(encodeModel(cnn.model).bytes, judged), await runOrt(bytes, judged)];
    expect(report.outputs.map(({ output }) => output)).toEqual(
      cnn.model.graph.outputs.map(({ name }) => name),
    );
    for (const { output, sqnr } of report.outputs as readonly OutputAgreement[]) {
      const own = decibel(joined(wanted, output), joined(found, output));
      expect(Math.abs(own - sqnr!)).toBeLessThan(0.05);
      expect(own).toBeGreaterThan(3);
    }
    expect(report.samples).toEqual({ fitted: 72, compared: 8, heldOut: true });
  });

  it("has an adder layer in place of every layer, and nothing else is new", async () => {
    const { model, bytes, report } = await converted;
    expect(report.kept).toEqual([]);
    expect(opCounts(model, "Conv", "Gemm", "MatMul", "BatchNormalization").slice(0, 3)).toEqual([0, 0, 0]);
    expect(adders(model)).toHaveLength(report.layers.length);
    expect(decodeModel(bytes).graph.nodes).toHaveLength(model.graph.nodes.length);
    const names = (graph: Model["graph"]) => graph.outputs.map(({ name }) => name);
    expect(names(model.graph)).toEqual(names(cnn.model.graph));
    for (const { r2, r2Start, weight } of report.layers) {
      expect(weight).toHaveLength(4);
      expect(r2Start).toBeLessThanOrEqual(1);
      expect(r2).toBeGreaterThan(0.15);
    }
  });

  it("keeps its argument, and makes the same file again", async () => {
    const before = encodeModel(make().model).bytes;
    const again = await convert(cnn, { layers: "all" });
    expect(encodeModel(cnn.model).bytes).toEqual(before);
    expect(again.bytes).toEqual((await converted).bytes);
    expect((await convert(cnn, { layers: "all", seed: 2 })).bytes).not.toEqual(again.bytes);
  });
});

describe("the layers that are converted", () => {
  it("are all but first and last unless asked otherwise, and none that is excluded", async () => {
    const { report, model } = await convert(residualCnn(), { steps: 2, exclude: ["short", "b1.node"] });
    expect(report.layers.map(({ name }) => name)).toEqual(["a1.node", "a2.node", "b2.node"]);
    expect(report.kept).toEqual([
      { name: "c0.node", reason: "first layer" },
      { name: "short.node", reason: "excluded" },
      { name: "b1.node", reason: "excluded" },
      { name: "y.node", reason: "last layer" },
    ]);
    expect(opCounts(model, "Conv", "Gemm", "Adder2d")).toEqual([3, 1, 3]);
  });
  it("take residual and activation in, where these follow", async () => {
    const { model } = await convert(residualCnn(), { steps: 2 });
    expect(opCounts(model, "Add", "Relu", "BatchNormalization")).toEqual([0, 1, 0]);
  });
  it("keep strides, pads, dilations and groups", async () => {
    const { model } = await convert(mobileCnn(), { steps: 2, layers: "all" });
    const groups = adders(model).map(({ attributes }) => attributes.get("group"));
    expect(groups.map((attribute) => (attribute?.type === "INT" ? Number(attribute.value) : 1))).toEqual([
      1, 8, 1, 4, 1, 1,
    ]);
  });
});

describe("the fit", () => {
  const cnn = residualCnn();
  it("gains on slope matching in every layer, and end to end", async () => {
    const slopes = (await convert(cnn, { steps: 0 })).report;
    const fitted = (await convert(cnn, { steps: 200 })).report;
    for (const [index, { r2, r2Start }] of fitted.layers.entries()) {
      expect(r2).toBeGreaterThan(r2Start);
      if (index === 0) expect(r2).toBeGreaterThan(slopes.layers[0]!.r2 + 0.1);
    }
    expect(fitted.outputs[0]!.sqnr).toBeGreaterThan(slopes.outputs[0]!.sqnr! + 3);
  });

  it("leaves nothing that scale and bias could mend: results have the CNN's mean on the samples", async () => {
    const watched = (model: Model, names: readonly string[]): Uint8Array => {
      const shown = cloneModel(model);
      shown.graph.outputs = names.map((name) => ({ name }));
      return encodeModel(shown).bytes;
    };
    const { model } = await convert(cnn, { steps: 40, keepBatchNorm: true });
    const feeds = feedsFor(cnn.input, 80).filter((_, feed) => feed % 10 !== 9);
    const names = ["a1", "as", "bs"];
    const wanted = await runOrt(watched(cnn.model, names), feeds);
    const found = await runOrt(watched(model, names), feeds);
    for (const name of names) {
      const [a, b] = [joined(wanted, name), joined(found, name)];
      const bias = a.reduce((sum, value, at) => sum + value - b[at]!, 0) / a.length;
      expect(Math.abs(bias)).toBeLessThan(1e-4);
    }
  });

  it("re-estimates the statistics: batch norms hold mean and variance of the sums", async () => {
    const { model, bytes } = await convert(cnn, { steps: 10, keepBatchNorm: true });
    const norms = model.graph.nodes.filter(({ opType }) => opType === "BatchNormalization");
    expect(norms).toHaveLength(5);
    const feeds = feedsFor(cnn.input, 80).filter((_, feed) => feed % 10 !== 9);
    const shown = decodeModel(bytes);
    shown.graph.outputs = norms.map(({ inputs }) => ({ name: inputs[0]! }));
    const answers = await runOrt(encodeModel(shown).bytes, feeds);
    for (const { inputs } of norms) {
      const [mean, variance] = inputs
        .slice(3)
        .map((name) => model.graph.initializers.get(name)!.data as Float32Array);
      for (let m = 0; m < mean!.length; m++) {
        const values = answers.flatMap((found) => {
          const sums = found.get(inputs[0]!)!;
          const plane = sums.length / 4 / mean!.length;
          return [0, 1, 2, 3].flatMap((row) => {
            const from = (row * mean!.length + m) * plane;
            return [...sums.subarray(from, from + plane)];
          });
        });
        const average = values.reduce((a, b) => a + b) / values.length;
        const spread = values.reduce((sum, v) => sum + (v - average) ** 2, 0) / values.length;
        expect(mean![m]).toBeCloseTo(average, 2);
        expect(Math.abs(variance![m]! / spread - 1)).toBeLessThan(1e-3);
      }
    }
  });

  it("makes up for a layer that went wrong before it, through the residual", async () => {
    // The first block's layers stay slopes only in one run: what they lose, the next layer sees in its own input and target.
    const { report } = await convert(cnn, { steps: 120 });
    const [, second] = report.layers;
    expect(second!.name).toBe("a2.node");
    expect(second!.sqnr).toBeGreaterThan(6);
  });

  it("reports on the samples themselves where there are few", async () => {
    const { report } = await convert(plainCnn(), { samples: feedsFor([3, 12, 12], 8), steps: 3 });
    expect(report.samples).toEqual({ fitted: 8, compared: 8, heldOut: false });
  });

  it("reads only as many samples as memory holds", async () => {
    const read: number[] = [];
    async function* samples() {
      for (const [index, feed] of feedsFor([3, 12, 12], 400).entries()) {
        read.push(index);
        yield feed;
      }
    }
    const { report } = await convert(plainCnn(), { samples: samples(), steps: 2, memory: 1e6 });
    expect(report.samples.fitted + 4).toBeLessThan(200);
    expect(read.length).toBeLessThan(60);
  });

  it("tells how far it is, never back, to the end", async () => {
    const shares: number[] = [];
    await convert(plainCnn(), {
      steps: 5,
      onProgress: ({ phase, done }) => phase === "fit" && shares.push(done),
    });
    expect(shares.at(-1)).toBe(100);
    expect(shares.every((share, index) => index === 0 || share >= shares[index - 1]!)).toBe(true);
  });
});

describe("dead channels", () => {
  it("stay constant, and everything stays finite", async () => {
    const cnn = plainCnn();
    const weights = cnn.model.graph.initializers.get("c1.w")!;
    const data = Float32Array.from(weights.data as Float32Array).fill(0, 0, 72);
    cnn.model.graph.initializers.set("c1.w", { ...weights, data });
    const { bytes, report } = await convert(cnn, { steps: 20 });
    const [found] = await runOrt(bytes, feedsFor(cnn.input, 4));
    expect(joined([found!], "y").every(Number.isFinite)).toBe(true);
    for (const { r2 } of report.layers) expect(Number.isFinite(r2)).toBe(true);
  });
});

describe("refusals", () => {
  const tensorOf = (value: number): Tensor => ({
    type: "float32",
    data: new Float32Array(4 * 3 * 12 * 12).fill(value),
    dims: [4, 3, 12, 12],
  });
  const onlyEdges = (): Cnn => {
    const cnn = denseCnn();
    const { graph } = cnn.model;
    graph.nodes = graph.nodes.filter(({ outputs }) => outputs[0] === "g0");
    graph.outputs = [{ name: "g0" }];
    return cnn;
  };
  const withoutLayers = (): Cnn => {
    const cnn = onlyEdges();
    cnn.model.graph.nodes[0]!.opType = "Relu";
    cnn.model.graph.nodes[0]!.inputs = ["x"];
    cnn.model.graph.nodes[0]!.attributes.clear();
    return cnn;
  };
  test.each([
    ["an unknown layer", plainCnn(), { exclude: ["c9"] }, "ADN_USAGE", /no layer is called c9.*c1\.node/],
    ["a net of edges", onlyEdges(), {}, "ADN_USAGE", /--layers all/],
    ["a net without layers", withoutLayers(), {}, "ADN_USAGE", /no layer that can become an adder/],
    ["no samples", plainCnn(), { samples: [] }, "ADN_DATA", /no samples/],
    [
      "samples that are not finite",
      plainCnn(),
      { samples: [new Map([["x", tensorOf(Number.NaN)]])] },
      "ADN_DATA",
      /"x"/,
    ],
    ["samples of another input", plainCnn(), { samples: [new Map([["z", tensorOf(1)]])] }, "ADN_FEED", /"x"/],
    ["half a step", plainCnn(), { steps: 0.5 }, "ADN_USAGE", /steps/],
    ["no positions", plainCnn(), { positions: 0 }, "ADN_USAGE", /positions/],
  ] as const)("%s", async (_, cnn, options, code, message) => {
    const refused = convert(cnn, options as Partial<AdderizeOptions>);
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });
});
