// The op's reference and shape inference against the formula in float64.

import { describe, expect, test } from "vitest";
import { Adder2d, adder2dAttributes, adder2dTaps } from "../../custom-ops/index.ts";
import { AdderNetError, type ErrorCode } from "../../src/core/errors.ts";
import { intAttribute, intsAttribute, stringAttribute } from "../../src/core/ir/attributes.ts";
import type { Attribute, Dim } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import {
  type AdderCase,
  adderNode,
  chosenCases,
  outputDims,
  plainAdder2d,
  randomCase,
  tensorsOf,
} from "./adder-case.ts";

const context = { opset: 1, where: "adder" };
const cases = [...chosenCases, ...Array.from({ length: 40 }, (_, seed) => randomCase(seed))];

function inputsOf(adder: AdderCase): (Tensor | undefined)[] {
  const { x, w, b, scale, z } = tensorsOf(adder);
  return [x, w, b, scale, z];
}

describe("reference", () => {
  test.each(cases)("$name", (adder) => {
    const [y] = Adder2d.reference!(adderNode(adder), inputsOf(adder), context);
    expect(y!.dims).toEqual(outputDims(adder));
    const wanted = plainAdder2d(adder, tensorsOf(adder));
    const found = y!.data as Float32Array;
    wanted.forEach((value, index) => {
      expect(Math.abs(found[index]! - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -23);
    });
  });

  test("float64 stays float64", () => {
    const x = randomTensor([1, 2, 4, 4], 1, "float64");
    const w = randomTensor([3, 2, 3, 3], 2, "float64");
    const adder: AdderCase = { ...chosenCases[0]!, x: [1, 2, 4, 4], w: [3, 2, 3, 3] };
    const [y] = Adder2d.reference!(adderNode(adder), [x, w], context);
    const wanted = plainAdder2d(adder, { x, w });
    expect(y!.type).toBe("float64");
    wanted.forEach((value, index) => {
      expect((y!.data as Float64Array)[index]).toBeCloseTo(value, 12);
    });
  });

  test("SAME padding is what its explicit pads are", () => {
    const adder: AdderCase = { ...chosenCases[0]!, x: [1, 2, 7, 8], w: [3, 2, 2, 3], strides: [2, 1] };
    const node = adderNode(adder);
    node.attributes.delete("pads");
    for (const [mode, pads] of [
      ["SAME_UPPER", [0, 1, 1, 1]],
      ["SAME_LOWER", [1, 1, 0, 1]],
    ] as const) {
      node.attributes.set("auto_pad", stringAttribute(mode));
      const [y] = Adder2d.reference!(node, inputsOf(adder), context);
      const wanted = plainAdder2d({ ...adder, pads }, tensorsOf(adder));
      expect(y!.dims).toEqual([1, 3, 4, 8]);
      expect([...(y!.data as Float32Array)]).toEqual([...Float32Array.from(wanted)]);
    }
  });
});

function inferred(
  adder: AdderCase,
  x: readonly Dim[] | undefined,
  attributes: Record<string, Attribute> = {},
) {
  const node = adderNode(adder);
  for (const [name, attribute] of Object.entries(attributes)) node.attributes.set(name, attribute);
  const fact =
    x === undefined ? { elemType: "float32" as const } : { elemType: "float32" as const, shape: x };
  return Adder2d.infer(node, [fact, { elemType: "float32", shape: adder.w }], context)[0]?.shape;
}

describe("shape inference", () => {
  const padded: AdderCase = { ...chosenCases[0]!, pads: [1, 1, 1, 1] };

  test("symbols pass through, and where the window changes a length it is unknown", () => {
    expect(inferred(padded, ["N", 3, "H", "W"])).toEqual(["N", 4, "H", "W"]);
    expect(inferred(padded, ["N", 3, "H", 8], { strides: intsAttribute([2, 2]) })).toEqual(["N", 4, null, 4]);
    expect(inferred(padded, undefined)).toEqual([null, 4, null, null]);
    const same = { auto_pad: stringAttribute("SAME_UPPER"), strides: intsAttribute([2, 2]) };
    expect(inferred(padded, ["N", 3, "H", 9], same)).toEqual(["N", 4, null, 5]);
  });

  test("attributes cannot be resolved without the height that SAME padding depends on", () => {
    const node = adderNode(padded);
    node.attributes.set("auto_pad", stringAttribute("SAME_UPPER"));
    node.attributes.set("strides", intsAttribute([2, 2]));
    expect(() => adder2dAttributes(node, ["H", 8], [3, 3], "adder")).toThrow(/auto_pad needs a known height/);
    expect(adder2dAttributes(node, [7, 8], [3, 3], "adder").pads).toEqual([1, 0, 1, 1]);
  });
});

const [x, w] = [randomTensor([1, 4, 5, 5], 1), randomTensor([2, 4, 3, 3], 2)];
const plain = new Map<string, Attribute>();
const vector = (count: number) => randomTensor([count], 3);

const refused: readonly (readonly [
  string,
  Map<string, Attribute>,
  readonly (Tensor | undefined)[],
  ErrorCode,
])[] = [
  ["X of rank 3", plain, [randomTensor([4, 5, 5], 1), w], "ADN_SHAPE"],
  ["W of rank 2", plain, [x, randomTensor([2, 4], 1)], "ADN_SHAPE"],
  ["channels", plain, [x, randomTensor([2, 3, 3, 3], 1)], "ADN_SHAPE"],
  ["groups", new Map([["group", intAttribute(4)]]), [x, randomTensor([6, 1, 3, 3], 1)], "ADN_SHAPE"],
  ["group 0", new Map([["group", intAttribute(0)]]), [x, w], "ADN_ATTRIBUTE"],
  ["one stride", new Map([["strides", intsAttribute([2])]]), [x, w], "ADN_ATTRIBUTE"],
  ["kernel_shape", new Map([["kernel_shape", intsAttribute([5, 5])]]), [x, w], "ADN_ATTRIBUTE"],
  ["kernel too large", new Map([["dilations", intsAttribute([3, 3])]]), [x, w], "ADN_SHAPE"],
  ["length of B", plain, [x, w, vector(3)], "ADN_SHAPE"],
  ["length of scale", plain, [x, w, undefined, vector(3)], "ADN_SHAPE"],
  [
    "Z that does not broadcast",
    plain,
    [x, w, undefined, undefined, randomTensor([1, 2, 4, 4], 1)],
    "ADN_SHAPE",
  ],
  ["Z of rank 5", plain, [x, w, undefined, undefined, randomTensor([1, 1, 2, 3, 3], 1)], "ADN_SHAPE"],
  ["types", plain, [x, randomTensor([2, 4, 3, 3], 1, "float64")], "ADN_TYPE"],
  ["no W", plain, [x], "ADN_ONNX_MODEL"],
];

test.each(refused)("refused: %s", (_, attributes, inputs, code) => {
  const node = { ...adderNode(chosenCases[0]!), attributes };
  try {
    Adder2d.reference!(node, inputs, context);
  } catch (error) {
    expect(error).toBeInstanceOf(AdderNetError);
    expect((error as AdderNetError).code).toBe(code);
    return;
  }
  expect.unreachable("nothing was thrown");
});

test("taps of ResNet-20's first adder layer", () => {
  expect(adder2dTaps([1, 16, 32, 32], [16, 16, 3, 3])).toBe(16 * 32 * 32 * 16 * 9);
});
