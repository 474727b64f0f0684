// quantize on small networks: the written files in onnxruntime, bit for bit with the references, close to the float networks.

import * as native from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import {
  type CalibrateOptions,
  type Calibration,
  forecast,
  formatCalibration,
  parseCalibration,
  type Quantized,
  quantize,
  rangeMethods,
  startReference,
} from "../../converter/index.ts";
import { attachFunctions } from "../../custom-ops/attach-functions.ts";
import { ops } from "../../custom-ops/index.ts";
import { interpret } from "../../src/core/interpret.ts";
import { intsAttribute } from "../../src/core/ir/attributes.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import { float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { type Ort, onnxruntimes } from "../ort/both.ts";
import {
  allAdderNet,
  type Feed,
  feedsFor,
  finish,
  mixedNet,
  type NetBuilder,
  pooledNet,
  residualNet,
  startNet,
} from "./small-nets.ts";

const nets: readonly (readonly [string, (opset?: number) => NetBuilder])[] = [
  ["residual", residualNet],
  ["all adders", allAdderNet],
  ["mixed", mixedNet],
  ["pooled", pooledNet],
];

function calibrate(net: NetBuilder, options: Partial<CalibrateOptions> = {}): Promise<Quantized> {
  return quantize(net.model, { samples: feedsFor(net.input, 24, 4), ...options });
}

/** Every value that holds codes or sums, and the graph's own outputs. */
function watched(model: Model): string[] {
  const coded = model.graph.nodes
    .filter(({ opType }) =>
      ["QLinearAdder2d", "AdderInteger2d", "QuantizeLinear", "MaxPool"].includes(opType),
    )
    .flatMap(({ outputs }) => outputs);
  return [...new Set([...coded, ...model.graph.outputs.map(({ name }) => name)])];
}

async function runOrt(ort: Ort, model: Model, feed: Feed, outputs: readonly string[]) {
  const shown = cloneModel(model);
  shown.graph.outputs = outputs.map((name) => ({ name }));
  const session = await ort.InferenceSession.create(encodeModel(shown).bytes, { logSeverityLevel: 3 });
  const feeds = [...feed].map(
    ([name, { data, dims }]) => [name, new ort.Tensor("float32", data as Float32Array, dims)] as const,
  );
  const results = (await session.run(Object.fromEntries(feeds))) as Record<string, native.Tensor>;
  await session.release();
  return results;
}

function runReference({ graph, opsetImports, functions }: Model, feed: Feed, keep: readonly string[] = []) {
  return interpret(graph, opsetImports, ops, feed, { functions, keep: new Set(keep) });
}

/** Signal over noise between two tensors, in dB. */
function decibel(wanted: Tensor, found: Tensor): number {
  const [a, b] = [wanted.data as Float32Array, found.data as Float32Array];
  const mean = a.reduce((sum, value) => sum + value, 0) / a.length;
  const signal = a.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return 10 * Math.log10(signal / a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));
}

describe.each(onnxruntimes)("%s", (_, ort) => {
  test.each(nets.flatMap(([name, make]) => [8, 5, 3].map((bits) => [name, bits, make] as const)))(
    "%s, %i bits: every code and sum is that of the references",
    async (_name, bits, make) => {
      const net = make();
      const { bytes } = await calibrate(net, { bits, samples: feedsFor(net.input, 8, 4) });
      const model = decodeModel(bytes);
      const names = watched(model);
      const [feed] = feedsFor(net.input, 40, 2).slice(-1);
      const found = await runOrt(ort, model, feed!, names);
      const wanted = runReference(model, feed!, names);
      for (const name of names) {
        const [mine, theirs] = [wanted.get(name)!, found[name]!];
        expect(theirs.dims, name).toEqual(mine.dims);
        if (mine.type === "float32") expect(decibel(mine, theirs as unknown as Tensor)).toBeGreaterThan(100);
        else expect(Array.from(theirs.data as Uint8Array), name).toEqual(Array.from(mine.data as Uint8Array));
      }
    },
  );
});

describe("closeness to the float network", () => {
  /** 6 dB for every bit, from what is reached at 8. */
  const least: Readonly<Record<number, number>> = { 8: 28, 6: 17, 4: 6 };

  test.each(nets.flatMap(([name, make]) => [8, 6, 4].map((bits) => [name, bits, make] as const)))(
    "%s, %i bits",
    async (_name, bits, make) => {
      const net = make();
      const { model, report } = await calibrate(net, { bits });
      for (const feed of feedsFor(net.input, 160, 4).slice(-3)) {
        const [wanted, found] = [runReference(net.model, feed), runReference(model, feed)];
        for (const { name } of net.model.graph.outputs) {
          const reached = decibel(wanted.get(name)!, found.get(name)!);
          expect(reached).toBeGreaterThan(least[bits]!);
          expect(reached).toBeGreaterThan(report.outputs[name]! - 8);
        }
      }
    },
  );

  /** One weight of every filter so large that int8 leaves little for the others. */
  function withCoarseStem(net: NetBuilder): NetBuilder {
    const { initializers } = net.model.graph;
    const weight = initializers.get("stem.w");
    if (weight === undefined) return net;
    const perFilter = weight.data.length / weight.dims[0]!;
    const data = (weight.data as Float32Array).map((value, index) => value * (index % perFilter ? 1 : 20));
    initializers.set("stem.w", float32Tensor(data, weight.dims));
    return net;
  }

  const foreseen: readonly Partial<CalibrateOptions>[] = [
    { edges: "int8" },
    { edges: "float" },
    { bits: 3 },
    { bits: 4, biasCorrection: "none", method: "percentile", percentile: 99 },
  ];

  test.each(
    nets.flatMap(([name, make]) =>
      [11, 17].flatMap((opset) => foreseen.map((options) => [name, opset, options, make] as const)),
    ),
  )("%s, opset %i, %j: calibration foresees the noise of the file", async (_name, opset, options, make) => {
    const net = withCoarseStem(make(opset));
    const { bytes, report } = await calibrate(net, options);
    const file = decodeModel(bytes);
    const feeds = feedsFor(net.input, 24, 4);
    for (const { name } of net.model.graph.outputs) {
      const valuesOf = (model: Model) =>
        feeds.flatMap((feed) => [...(runReference(model, feed).get(name)!.data as Float32Array)]);
      const reached = decibel(float32Tensor(valuesOf(net.model)), float32Tensor(valuesOf(file)));
      expect(Math.abs(reached - report.outputs[name]!), name).toBeLessThan(0.1);
    }
  });

  test.each(rangeMethods)("method %s", async (method) => {
    const net = residualNet();
    const { report, calibration, model } = await calibrate(net, { bits: 6, method });
    expect([calibration.method, model.metadata.get("addernet.bits")]).toEqual([method, "6"]);
    expect(report.outputs.y).toBeGreaterThan(8);
    for (const { sqnr } of report.layers) expect(sqnr).toBeGreaterThan(5);
  });

  test("measured ranges and refitted affines are better than the plain ones", async () => {
    const net = residualNet();
    const reached = async (options: Partial<CalibrateOptions>) =>
      (await calibrate(net, { bits: 4, ...options })).report.outputs.y!;
    const plain = await reached({ method: "minmax", biasCorrection: "none" });
    const refitted = await reached({ method: "minmax" });
    const measured = await reached({});
    expect(refitted).toBeGreaterThan(plain);
    expect(measured).toBeGreaterThan(plain + 3);
  });
});

describe("the written model", () => {
  test("layers, borders and pooling on codes, each once", async () => {
    const { model } = await calibrate(residualNet());
    const count = (op: string) => model.graph.nodes.filter(({ opType }) => opType === op).length;
    expect(count("QLinearAdder2d")).toBe(5);
    // The stem's result goes in, the average's operand comes out, and the weights of Conv and Gemm.
    expect([count("QuantizeLinear"), count("DequantizeLinear")]).toEqual([1, 3]);
    expect(count("Adder2d") + count("AdderInteger2d")).toBe(0);
    const all = await calibrate(allAdderNet());
    const names = all.model.graph.nodes.map(({ opType }) => opType);
    expect(names).toEqual([
      "QuantizeLinear",
      "QLinearAdder2d",
      "MaxPool",
      "QLinearAdder2d",
      "MaxPool",
      "QLinearAdder2d",
      "AdderInteger2d",
      "Cast",
      "Mul",
      "Add",
      "Clip",
      "Flatten",
    ]);
  });

  test("a value that may be negative has a zero point, others have none", async () => {
    const { calibration } = await calibrate(allAdderNet());
    expect(calibration.values.x!.zeroPoint).toBeGreaterThan(100);
    expect(calibration.values.c1!.zeroPoint).toBeGreaterThan(10);
    expect(calibration.values.c2!.zeroPoint).toBe(0);
  });

  test("bits bound the codes that adders read, others keep 8", async () => {
    const { calibration, model, report } = await calibrate(residualNet(), { bits: 3 });
    const most = Object.fromEntries(
      Object.entries(calibration.values).map(([name, { maxCode }]) => [name, maxCode]),
    );
    expect(most).toEqual({ stem: 7, a1: 7, a2: 7, b1: 7, b2: 255, b3: 255 });
    expect(report.layers.map(({ bits }) => bits)).toEqual([3, 3, 3, 3, 3]);
    const weights = [...model.graph.initializers.values()].filter(
      ({ type, dims }) => type === "uint8" && dims.length === 4,
    );
    expect(weights).toHaveLength(5);
    for (const { data } of weights) expect(Math.max(...(data as Uint8Array))).toBeLessThanOrEqual(7);
  });

  test("a bound above becomes y_max", async () => {
    const { model, calibration } = await calibrate(allAdderNet());
    const node = model.graph.nodes.find(({ outputs }) => outputs[0] === "c2.codes")!;
    const { step } = calibration.values.c2!;
    expect(Number((node.attributes.get("y_max") as { value: bigint }).value)).toBe(
      Math.min(255, Math.round(1.5 / step)),
    );
  });

  test("float edges stay as they are", async () => {
    const net = residualNet();
    const { model } = await calibrate(net, { edges: "float" });
    for (const name of ["stem.w", "fc.w"]) {
      expect(model.graph.initializers.get(name)).toBe(net.model.graph.initializers.get(name));
    }
  });

  test("excluded layers stay float and are told", async () => {
    const { model, report } = await calibrate(residualNet(), { exclude: ["a2.layer", "b2"] });
    expect(report.skipped).toEqual([
      { name: "a2.layer", reason: "excluded" },
      { name: "b2.layer", reason: "excluded" },
    ]);
    // What only a float layer reads stays float: a1.
    expect(model.functions.map(({ name }) => name)).toEqual(["Adder2d", "QLinearAdder2d", "AdderInteger2d"]);
    expect(report.outputs.y).toBeGreaterThan(20);
  });

  test("the argument is left as it is", async () => {
    const net = mixedNet();
    const before = encodeModel(net.model).bytes;
    await calibrate(net);
    expect(encodeModel(net.model).bytes).toEqual(before);
  });

  test.each([11, 12, 13, 21])("opset %i", async (opset) => {
    for (const [, make] of nets) {
      const net = make(opset);
      const { model, bytes } = await calibrate(net);
      const [feed] = feedsFor(net.input, 8, 2).slice(-1);
      const outputs = model.graph.outputs.map(({ name }) => name);
      const found = await runOrt(native, decodeModel(bytes), feed!, outputs);
      const wanted = runReference(net.model, feed!);
      for (const name of outputs) {
        expect(decibel(wanted.get(name)!, found[name] as unknown as Tensor)).toBeGreaterThan(20);
      }
      const pools = model.graph.nodes.filter(({ opType }) => opType === "MaxPool");
      const onCodes = pools.filter(({ inputs }) => inputs[0]!.endsWith(".codes"));
      expect(onCodes.length > 0).toBe(opset >= 12 && pools.length > 0);
    }
  });
});

describe("calibration", () => {
  test("written and read, it gives the same file without samples", async () => {
    for (const [, make] of nets) {
      const net = make();
      const { calibration, bytes } = await calibrate(net, { bits: 7 });
      const table = parseCalibration(formatCalibration(calibration));
      expect(table).toEqual(calibration);
      expect((await quantize(net.model, { calibration: table })).bytes).toEqual(bytes);
    }
  });

  test("one value or layer per line", async () => {
    const { calibration } = await calibrate(residualNet());
    const lines = formatCalibration(calibration).split("\n");
    for (const name of ["stem", "a2", "a2.layer", "b3.layer"]) {
      expect(lines.filter((line) => line.startsWith(`    "${name}": {`))).toHaveLength(1);
    }
  });

  test("a step changed by hand is used", async () => {
    const net = residualNet();
    const { calibration } = await calibrate(net);
    const values = { ...calibration.values, a1: { ...calibration.values.a1!, step: 0.125 } };
    const { model } = await quantize(net.model, { calibration: { ...calibration, values } });
    const { data } = model.graph.initializers.get("a2.w.codes")!;
    const [weights] = [net.model.graph.initializers.get("a2.w")!.data as Float32Array];
    const wanted = Array.from(weights, (weight) => Math.min(255, Math.max(0, Math.round(weight / 0.125))));
    expect(Array.from(data as Uint8Array)).toEqual(wanted);
  });

  const refusals: readonly (readonly [string, (table: Calibration) => unknown])[] = [
    ["no table", () => ({})],
    ["another version", (table) => ({ ...table, version: 2 })],
    ["bits", (table) => ({ ...table, bits: 9 })],
    ["method", (table) => ({ ...table, method: "guess" })],
    ["no values", (table) => ({ ...table, values: undefined })],
    [
      "a step of 0",
      (table) => ({ ...table, values: { ...table.values, a1: { ...table.values.a1, step: 0 } } }),
    ],
    [
      "a zero point beyond the codes",
      (table) => ({ ...table, values: { ...table.values, a1: { ...table.values.a1, zeroPoint: 256 } } }),
    ],
    [
      "a factor that is no number",
      (table) => ({
        ...table,
        layers: { ...table.layers, "a1.layer": { factor: ["1"], shift: [0], sqnr: 1 } },
      }),
    ],
    ["lists", () => []],
  ];

  test("tables that are none, or of another model, are refused", async () => {
    const { calibration } = await calibrate(residualNet());
    const error = expect.objectContaining({ code: "ADN_DATA" });
    for (const [name, change] of refusals) {
      expect(() => parseCalibration(JSON.stringify(change(calibration))), name).toThrow(error);
    }
    expect(() => parseCalibration("{")).toThrow(error);
    await expect(quantize(allAdderNet().model, { calibration })).rejects.toThrow(/another model/);
    const layers = { ...calibration.layers, "a1.layer": { factor: [1], shift: [0], sqnr: null } };
    await expect(quantize(residualNet().model, { calibration: { ...calibration, layers } })).rejects.toThrow(
      /8 filters/,
    );
    const values = { ...calibration.values, a1: { ...calibration.values.a1!, maxCode: 255 } };
    await expect(
      quantize(residualNet().model, { calibration: { ...calibration, bits: 4, values } }),
    ).rejects.toThrow(/more codes than its bits/);
  });
});

describe("samples", () => {
  test("are read once, whatever holds them, and counted", async () => {
    const net = allAdderNet();
    async function* stream() {
      yield* feedsFor(net.input, 12, 4);
    }
    const seen: string[] = [];
    const { calibration } = await calibrate(net, {
      samples: stream(),
      sampleCount: 12,
      onProgress: ({ phase, done, total }) => seen.push(`${phase} ${done}/${total}`),
    });
    expect(calibration.samples).toBe(12);
    expect(seen).toEqual([
      "observe 4/12",
      "observe 8/12",
      "observe 12/12",
      "fit 1/4",
      "fit 2/4",
      "fit 3/4",
      "fit 4/4",
    ]);
  });

  test("only as many are kept as memory allows; all are observed", async () => {
    const net = residualNet();
    const fed: number[] = [];
    const { calibration } = await calibrate(net, {
      samples: feedsFor(net.input, 40, 1),
      memory: 60_000,
      start: async (model) => {
        const running = await startReference(model);
        const isPart = model.graph.name === "part";
        let count = 0;
        return {
          run: (feeds) => {
            count++;
            return running.run(feeds);
          },
          dispose: () => isPart && fed.push(count),
        };
      },
    });
    expect(calibration.samples).toBe(40);
    expect(Math.max(...fed)).toBeLessThan(12);
    expect(Math.min(...fed)).toBeGreaterThan(0);
  });

  test("every model that is started is let go, and can run on onnxruntime", async () => {
    const net = mixedNet();
    let [open, started] = [0, 0];
    const { report } = await calibrate(net, {
      start: async (model) => {
        open++;
        started++;
        const session = await native.InferenceSession.create(encodeModel(model).bytes, {
          logSeverityLevel: 3,
        });
        return {
          run: async (feeds) => {
            const given = [...feeds].map(([name, { data, dims }]) => [
              name,
              new native.Tensor("float32", data as Float32Array, dims),
            ]);
            return new Map(Object.entries(await session.run(Object.fromEntries(given)))) as never;
          },
          dispose: () => {
            open--;
            return session.release();
          },
        };
      },
    });
    expect([open, started > 10]).toEqual([0, true]);
    expect(report.outputs.averaged).toBeGreaterThan(20);
  });

  test("none, or values that are not finite, are refused", async () => {
    const net = residualNet();
    await expect(calibrate(net, { samples: [] })).rejects.toMatchObject({ code: "ADN_DATA" });
    const [feed] = feedsFor(net.input, 1);
    (feed!.get("x")!.data as Float32Array)[5] = Number.NaN;
    await expect(calibrate(net, { samples: [feed!] })).rejects.toThrow(/"stem" is not finite/);
  });
});

describe("refuses", () => {
  const options: readonly (readonly [string, Partial<CalibrateOptions>])[] = [
    ["9 bits", { bits: 9 }],
    ["2 bits", { bits: 2 }],
    ["half a bit", { bits: 4.5 }],
    ["an unknown method", { method: "guess" as never }],
    ["a percentile of 0", { percentile: 0 }],
    ["an unknown correction", { biasCorrection: "all" as never }],
    ["a layer that is none", { exclude: ["c9"] }],
    ["all layers excluded", { exclude: ["a1", "a2", "b1", "b2", "b3"] }],
  ];

  test.each(options)("%s", async (_, given) => {
    await expect(calibrate(residualNet(), given)).rejects.toMatchObject({ code: "ADN_USAGE" });
  });

  test("opsets without Round", async () => {
    await expect(calibrate(residualNet(10))).rejects.toMatchObject({ code: "ADN_OPSET" });
  });

  test("layers whose weights are fed are skipped, with the reason", async () => {
    const net = residualNet();
    const { graph } = net.model;
    graph.overridable.push({
      name: "a2.w",
      type: { kind: "tensor", elemType: "float32", shape: [8, 8, 3, 3] },
    });
    const { report } = await calibrate(net);
    expect(report.skipped).toEqual([{ name: "a2.layer", reason: "its weights are not constant" }]);
  });
});

describe("forecast", () => {
  test("taps, bytes and layers, before anything runs", async () => {
    const net = residualNet();
    const { layers, taps, floatTaps, weightBytes, expectedFileBytes } = forecast(net.model, ["b2"]);
    const tapsOf = (m: number, c: number, k: number, size: number) => m * c * k * k * size * size;
    expect(layers).toBe(4);
    expect(taps).toBe(tapsOf(8, 8, 3, 8) * 2 + tapsOf(16, 8, 3, 4) + tapsOf(16, 8, 1, 4));
    expect(floatTaps).toBe(tapsOf(16, 16, 3, 4));
    expect(weightBytes).toBe(4 * (2 * 8 * 8 * 9 + 16 * 8 * 9 + 16 * 8));
    const attached = cloneModel(net.model);
    attachFunctions(attached);
    expect(expectedFileBytes).toBeCloseTo(encodeModel(net.model).bytes.length - 0.75 * weightBytes, 5);
    expect(forecast(attached, ["b2"]).taps).toBe(taps);
  });
});

describe("a Clip whose bounds round to the ends of its codes", () => {
  /** A Clip after a pool, between two layers. Values outside the bounds make the codes end there. */
  function clippedNet([least, most]: readonly [number, number]): NetBuilder {
    const net = startNet([3, 12, 12], 17);
    net.adder(net.adder("x", "a", 6, 3, { pad: 1 }), "b", 6, 3, { pad: 1 });
    net.add("AveragePool", ["b"], "pooled", [
      ["kernel_shape", intsAttribute([2, 2])],
      ["strides", intsAttribute([2, 2])],
    ]);
    const bounds = Object.entries({ least, most }).map(([name, bound]) =>
      net.constant(name, float32Tensor([bound], [])),
    );
    net.add("Clip", ["pooled", ...bounds], "c");
    net.adder(net.adder("c", "scale", 6, 3, { pad: 1 }), "y", 6, 3, { pad: 1 });
    return finish(net, "y");
  }
  const opTypes = ({ graph }: Model) => graph.nodes.map(({ opType }) => opType);

  test("is left out, and the file runs in onnxruntime at its usual settings", async () => {
    const net = clippedNet([-0.2, 0.2]);
    expect(opTypes(net.model)).toContain("Clip");
    const { bytes, model } = await calibrate(net, { method: "minmax" });
    expect(opTypes(model)).not.toContain("Clip");
    const [feed] = feedsFor(net.input, 1) as [Feed];
    const found = await runOrt(native, decodeModel(bytes), feed, ["y"]);
    const wanted = runReference(model, feed).get("y")!;
    expect(decibel(wanted, found.y as unknown as Tensor)).toBeGreaterThan(30);
  });

  test("stays where it does more", async () => {
    const net = clippedNet([-0.2, 0.2]);
    const { calibration } = await calibrate(net, { method: "minmax" });
    const widened = structuredClone(calibration) as unknown as { values: Record<string, { step: number }> };
    widened.values.c!.step *= 2;
    const { model } = await quantize(net.model, { calibration: widened as unknown as Calibration });
    expect(opTypes(model)).toContain("Clip");
  });
});

test("values called as layers are make no two nodes of one name", async () => {
  const net = startNet([3, 8, 8], 17);
  net.adder(net.adder(net.add("Relu", ["x"], "r"), "second.layer", 4, 3), "second", 4, 3);
  const { bytes, model } = await calibrate(finish(net, "second", "second.layer"));
  const names = model.graph.nodes.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const [feed] = feedsFor(net.input, 1) as [Feed];
  await expect(runOrt(native, decodeModel(bytes), feed, ["second"])).resolves.toHaveProperty("second");
});
