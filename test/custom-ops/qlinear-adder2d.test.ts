// The ops on codes against the formula: reference and shape inference, and their function bodies in onnxruntime, bit for bit.

import type { Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { attachFunctions, detachFunctions, inlineFunctions } from "../../custom-ops/attach-functions.ts";
import { AdderInteger2d, ops, QLinearAdder2d } from "../../custom-ops/index.ts";
import type { ErrorCode } from "../../src/core/errors.ts";
import { interpret } from "../../src/core/interpret.ts";
import { intAttribute } from "../../src/core/ir/attributes.ts";
import type { Attribute, Model } from "../../src/core/ir/model.ts";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import { float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { type Ort, onnxruntimes } from "../ort/both.ts";
import { chosenCases, outputDims, plain as plainWindow } from "./adder-case.ts";
import {
  type CodeCase,
  code,
  codeCase,
  codeCases,
  codeFeeds,
  codeModel,
  constantsOf,
  integerNode,
  plainCodeSums,
  plainCodes,
  qlinearNode,
  tensorsOf,
} from "./qlinear-case.ts";

const context = { opset: 1, where: "adder" };
const named = codeCases.map((given, index) => [`${index}: ${given.adder.name}`, given] as const);

function inputsOf(given: CodeCase): (Tensor | undefined)[] {
  const constants = constantsOf(given);
  const { x, z } = tensorsOf(given);
  const { xz, w, scale, b, yz, zs, zz } = constants;
  return [x, xz, w, scale, b, yz, z, zs, zz];
}

describe("reference", () => {
  test.each(named)("%s", (_, given) => {
    const inputs = inputsOf(given);
    const [y] = QLinearAdder2d.reference!(qlinearNode(given), inputs, context);
    expect([y!.type, y!.dims]).toEqual(["uint8", outputDims(given.adder)]);
    expect(y!.data).toEqual(plainCodes(given, tensorsOf(given)));
    const [sum] = AdderInteger2d.reference!(integerNode(given), [inputs[0], inputs[2], inputs[1]], context);
    expect([sum!.type, sum!.dims]).toEqual(["int32", outputDims(given.adder)]);
    expect(sum!.data).toEqual(plainCodeSums(given, tensorsOf(given)));
  });

  test("the cases reach many codes, and bounds on both sides", () => {
    const found = codeCases.map((given) => plainCodes(given, tensorsOf(given)));
    const all = new Set(found.flatMap((codes) => [...codes]));
    expect(all.size).toBeGreaterThan(250);
    expect(found.filter((codes) => new Set(codes).size > 20).length).toBeGreaterThan(30);
  });

  test("in float64 the steps are still those of float32", () => {
    const model = codeModel(codeCases);
    const found = interpret(model.graph, model.opsetImports, ops, codeFeeds(codeCases), { float64: true });
    codeCases.forEach((given, index) => {
      expect(found.get(`y${index}`)!.data).toEqual(plainCodes(given, tensorsOf(given)));
    });
  });
});

async function run(ort: Ort, model: Model, cases: readonly CodeCase[]) {
  const session = await ort.InferenceSession.create(encodeModel(model).bytes, { logSeverityLevel: 3 });
  const feeds = [...codeFeeds(cases)].map(
    ([name, { data, dims }]) => [name, new ort.Tensor("uint8", data as Uint8Array, dims)] as const,
  );
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return results as Record<string, OrtTensor>;
}

function requireSameCodes(results: Record<string, OrtTensor>, cases: readonly CodeCase[]): void {
  cases.forEach((given, index) => {
    const [y, sum] = [results[`y${index}`]!, results[`sum${index}`]!];
    expect(y.dims, given.adder.name).toEqual(outputDims(given.adder));
    expect(Array.from(sum.data as Int32Array), given.adder.name).toEqual(
      Array.from(plainCodeSums(given, tensorsOf(given))),
    );
    expect(Array.from(y.data as Uint8Array), given.adder.name).toEqual(
      Array.from(plainCodes(given, tensorsOf(given))),
    );
  });
}

/** 102,400 taps of 255 codes are beyond the integers of float32. */
const manyTaps: CodeCase = {
  adder: {
    name: "102,400 taps",
    x: [1, 2048, 10, 5],
    w: [3, 2048, 10, 5],
    ...plainWindow,
  },
  xZeroPoint: 0,
  yZeroPoint: 128,
  levels: 255,
};
const opposites: Record<string, Tensor> = {
  x: { type: "uint8", data: new Uint8Array(102_400).fill(255), dims: [1, 2048, 10, 5] },
  w: {
    type: "uint8",
    data: Uint8Array.from({ length: 3 * 102_400 }, (_, index) => (index % 12_799 === 0 ? 1 : 0)),
    dims: [3, 2048, 10, 5],
  },
};

describe.each(onnxruntimes)("%s, nothing registered", (_, ort) => {
  test.each([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])(
    "bit for bit at opset %i",
    async (opset) => {
      const cases = opset === 17 ? codeCases : codeCases.slice(0, 24);
      const model = codeModel(cases, opset, opset > 20 ? 10 : 8);
      attachFunctions(model);
      expect(model.functions.map(({ name }) => name)).toEqual(["QLinearAdder2d", "AdderInteger2d"]);
      requireSameCodes(await run(ort, model, cases), cases);
    },
  );

  test.each([11, 17])("inlined at opset %i", async (opset) => {
    const cases = codeCases.slice(0, 16);
    const model = codeModel(cases, opset);
    inlineFunctions(model);
    expect(model.graph.nodes.filter(({ domain }) => domain !== "")).toEqual([]);
    requireSameCodes(await run(ort, model, cases), cases);
  });

  test("nodes without a residual only", async () => {
    const cases = codeCases.filter(({ z }) => z === undefined).slice(0, 6);
    const model = codeModel(cases);
    attachFunctions(model);
    expect(model.functions[0]!.inputs).toHaveLength(6);
    requireSameCodes(await run(ort, model, cases), cases);
  });

  test("sums beyond the integers of float32", async () => {
    const model = codeModel([manyTaps]);
    model.graph.nodes = model.graph.nodes.filter(({ opType }) => opType === "AdderInteger2d");
    model.graph.outputs = model.graph.outputs.filter(({ name }) => name === "sum0");
    model.graph.initializers.set("w0", opposites.w!);
    attachFunctions(model);
    const session = await ort.InferenceSession.create(encodeModel(model).bytes, { logSeverityLevel: 3 });
    const x = new ort.Tensor("uint8", opposites.x!.data as Uint8Array, opposites.x!.dims);
    const found = Array.from((await session.run({ x0: x })).sum0!.data as Int32Array);
    await session.release();
    const wanted = [0, 1, 2].map((m) => {
      const row = (opposites.w!.data as Uint8Array).subarray(m * 102_400, (m + 1) * 102_400);
      return -(102_400 * 255 - row.reduce((sum, value) => sum + value, 0));
    });
    expect(found).toEqual(wanted);
    expect(wanted.some((sum) => Math.fround(sum) !== sum)).toBe(true);
  });
});

const plain = codeCase(chosenCases[0]!, 1);
const withZ = codeCases.find(({ z }) => z !== undefined)!;
const [x, w] = [tensorsOf(plain).x, tensorsOf(plain).w];
const floats = (...dims: number[]) => float32Tensor(new Array(dims.reduce((a, b) => a * b, 1)).fill(0), dims);

function change(inputs: readonly (Tensor | undefined)[], changes: Record<number, Tensor | undefined>) {
  return inputs.map((tensor, index) => (index in changes ? changes[index] : tensor));
}

const refused: readonly (readonly [string, CodeCase, Record<number, Tensor | undefined>, ErrorCode])[] = [
  ["X of floats", plain, { 0: floats(...x.dims) }, "ADN_TYPE"],
  ["W of floats", plain, { 2: floats(...w.dims) }, "ADN_TYPE"],
  ["x_zero_point of many", plain, { 1: { type: "uint8", data: new Uint8Array(2), dims: [2] } }, "ADN_SHAPE"],
  ["x_zero_point a float", plain, { 1: floats() }, "ADN_TYPE"],
  ["scale too short", plain, { 3: floats(3) }, "ADN_SHAPE"],
  ["scale of codes", plain, { 3: { type: "uint8", data: new Uint8Array(4), dims: [4] } }, "ADN_TYPE"],
  ["B missing", plain, { 4: undefined }, "ADN_ONNX_MODEL"],
  ["y_zero_point missing", plain, { 5: undefined }, "ADN_ONNX_MODEL"],
  ["Z of another shape", withZ, { 6: { type: "uint8", data: new Uint8Array(7), dims: [7] } }, "ADN_SHAPE"],
];

const bounds: readonly (readonly [number, number])[] = [
  [-1, 255],
  [0, 256],
  [9, 8],
];

describe("refuses", () => {
  test.each(refused)("%s", (_, given, changes, errorCode) => {
    const inputs = change(inputsOf(given), changes);
    expect(() => QLinearAdder2d.reference!(qlinearNode(given), inputs, context)).toThrow(
      expect.objectContaining({ code: errorCode }),
    );
  });

  test.each(bounds)("y_min %i, y_max %i", (yMin, yMax) => {
    const node = qlinearNode(plain);
    const attributes: [string, Attribute][] = [
      ["y_min", intAttribute(yMin)],
      ["y_max", intAttribute(yMax)],
    ];
    for (const [name, attribute] of attributes) node.attributes.set(name, attribute);
    expect(() => QLinearAdder2d.infer(node, [], context)).toThrow(
      expect.objectContaining({ code: "ADN_ATTRIBUTE" }),
    );
  });

  test("Z without its scale", () => {
    const node = qlinearNode(withZ);
    node.inputs = node.inputs.slice(0, 7);
    expect(() => QLinearAdder2d.infer(node, [], context)).toThrow(/Z needs z_scale/);
  });

  test("opsets without Round", () => {
    expect(() => attachFunctions(codeModel([plain], 10))).toThrow(
      expect.objectContaining({ code: "ADN_OPSET" }),
    );
  });
});

describe("attaching", () => {
  test("twice changes nothing, and detaching takes it back", () => {
    const model = codeModel(codeCases);
    attachFunctions(model);
    const once = decodeModel(encodeModel(model).bytes);
    attachFunctions(model);
    expect(decodeModel(encodeModel(model).bytes)).toEqual(once);
    detachFunctions(model);
    const before = codeModel(codeCases);
    expect(model.functions).toEqual([]);
    expect(model.graph.nodes.map(({ inputs }) => inputs)).toEqual(
      before.graph.nodes.map(({ inputs }) => inputs),
    );
    expect([...model.graph.initializers.keys()]).toEqual([...before.graph.initializers.keys()]);
  });

  test("a residual whose scale and zero point are neutral stays", () => {
    const model = codeModel([{ ...withZ, z: { ...withZ.z!, scale: 1, zeroPoint: 0 } }]);
    attachFunctions(model);
    detachFunctions(model);
    expect(model.graph.nodes[0]!.inputs).toHaveLength(9);
    expect(model.graph.initializers.get("zz0")).toEqual(code(0));
  });
});
