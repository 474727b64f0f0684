// What shape inference says where lengths are symbols or unknown, and how ops refuse what they cannot take.

import { describe, expect, test } from "vitest";
import { AdderNetError, type ErrorCode } from "../../src/core/errors.ts";
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
} from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Dim } from "../../src/core/ir/model.ts";
import type { OpDefinition, ValueFact } from "../../src/core/ops/define-op.ts";
import { standardOps } from "../../src/core/ops/index.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../src/core/tensor.ts";
import { randomTensor } from "./suites/op-case.ts";

type Attributes = Readonly<Record<string, Attribute>>;
type Shape = readonly Dim[] | undefined;

const definitions = new Map<string, OpDefinition>(standardOps.map((op) => [op.opType, op]));
const ints = intsAttribute;
const [one, zero] = [intAttribute(1), intAttribute(0)];
const where = "node";

function nodeFor(opType: string, attributes: Attributes, inputs: number) {
  const names = Array.from({ length: inputs }, (_, index) => `in${index}`);
  return makeNode(opType, names, ["out"], Object.entries(attributes));
}

function factOf(shape: Shape): ValueFact {
  return shape === undefined ? { elemType: "float32" } : { elemType: "float32", shape };
}

const known: readonly (readonly [string, Attributes, readonly Shape[], Shape])[] = [
  [
    "Conv",
    {},
    [
      ["N", 3, 8, 8],
      [4, 3, 3, 3],
    ],
    ["N", 4, 6, 6],
  ],
  [
    "Conv",
    { pads: ints([1, 1, 1, 1]) },
    [
      ["N", 3, "H", "W"],
      [4, 3, 3, 3],
    ],
    ["N", 4, "H", "W"],
  ],
  [
    "Conv",
    { strides: ints([2, 2]) },
    [
      ["N", 3, "H", 9],
      [4, 3, 3, 3],
    ],
    ["N", 4, null, 4],
  ],
  [
    "Conv",
    { auto_pad: stringAttribute("SAME_UPPER") },
    [
      ["N", 3, "H", 9],
      [4, 3, 3, 3],
    ],
    ["N", 4, "H", 9],
  ],
  ["Conv", {}, [undefined, [4, 3, 3, 3]], [null, 4, null, null]],
  ["Conv", {}, [["N", 3, 8, 8], undefined], ["N", null, null, null]],
  ["Conv", { kernel_shape: ints([3, 3]) }, [["N", 3, 8, 8], undefined], ["N", null, 6, 6]],
  ["Conv", {}, [undefined, undefined], undefined],
  [
    "ConvTranspose",
    { strides: ints([2, 2]) },
    [
      ["N", 3, 4, "W"],
      [3, 5, 2, 2],
    ],
    ["N", 5, 8, null],
  ],
  ["MaxPool", { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }, [["N", 6, 24, "W"]], ["N", 6, 12, null]],
  ["AveragePool", { kernel_shape: ints([2, 2]) }, [undefined], [null, null, null, null]],
  ["GlobalAveragePool", {}, [["N", "C", "H", "W"]], ["N", "C", 1, 1]],
  ["GlobalAveragePool", {}, [undefined], undefined],
  ["Gemm", { transB: one }, [["N", 4], [5, 4], [5]], ["N", 5]],
  ["Gemm", {}, [undefined, [4, 5]], [null, 5]],
  [
    "MatMul",
    {},
    [
      ["B", "T", 4],
      [4, 5],
    ],
    ["B", "T", 5],
  ],
  [
    "MatMul",
    {},
    [
      ["B", 3, 4],
      [2, 4, 5],
    ],
    [2, 3, 5],
  ],
  [
    "MatMul",
    {},
    [
      ["A", 3, 4],
      ["B", 4, 5],
    ],
    [null, 3, 5],
  ],
  ["MatMul", {}, [[4], [4]], []],
  ["BatchNormalization", {}, [["N", "C", 5], ["C"], ["C"], ["C"], ["C"]], ["N", "C", 5]],
  ["Softmax", {}, [["N", 10]], ["N", 10]],
  ["ReduceMean", { axes: ints([-1, -2]) }, [["N", 3, "H", "W"]], ["N", 3, 1, 1]],
  ["ReduceMean", { axes: ints([2, 3]), keepdims: zero }, [["N", 3, "H", "W"]], ["N", 3]],
  ["ReduceMax", { keepdims: zero }, [["N", 3]], []],
  ["ReduceSum", {}, [["N", 3], [1]], [null, null]],
  ["ReduceSum", { keepdims: zero }, [["N", 3], [1]], undefined],
  ["ArgMax", { axis: one, keepdims: zero }, [["N", 3, 4]], ["N", 4]],
];

describe("shape inference", () => {
  test.each(known)("%s %o of %o is %o", (opType, attributes, shapes, expected) => {
    const node = nodeFor(opType, attributes, shapes.length);
    const [fact] = definitions.get(opType)!.infer(node, shapes.map(factOf), { opset: 13, where });
    expect(fact?.shape).toEqual(expected);
  });

  test("reductions read axes that are only known as elements", () => {
    const axes: ValueFact = { elemType: "int64", shape: [1], elements: [1] };
    const [fact] = definitions
      .get("ReduceSum")!
      .infer(nodeFor("ReduceSum", {}, 2), [factOf(["N", 3]), axes], { opset: 13, where });
    expect(fact?.shape).toEqual(["N", 1]);
  });
});

const x4 = randomTensor([1, 4, 5, 5], 1);
const vector = (count: number) => randomTensor([count], 2);
const halves: Tensor = { type: "float16", data: new Uint16Array(25), dims: [1, 1, 5, 5] };
const pool = { kernel_shape: ints([2, 2]) };
const filter = (...dims: number[]) => randomTensor(dims, 3);

const refused: readonly (readonly [string, string, Attributes, readonly Tensor[], ErrorCode])[] = [
  ["rank 2", "Conv", {}, [vector(4), filter(2, 4, 3, 3)], "ADN_SHAPE"],
  ["ranks that differ", "Conv", {}, [x4, filter(2, 4, 3)], "ADN_SHAPE"],
  ["channels", "Conv", {}, [x4, filter(2, 3, 3, 3)], "ADN_SHAPE"],
  ["filters per group", "Conv", { group: intAttribute(2) }, [x4, filter(3, 2, 3, 3)], "ADN_SHAPE"],
  ["group 0", "Conv", { group: zero }, [x4, filter(2, 4, 3, 3)], "ADN_ATTRIBUTE"],
  ["a kernel that does not fit", "Conv", {}, [x4, filter(2, 4, 6, 3)], "ADN_SHAPE"],
  ["bias length", "Conv", {}, [x4, filter(2, 4, 3, 3), vector(3)], "ADN_SHAPE"],
  ["kernel_shape", "Conv", { kernel_shape: ints([2, 2]) }, [x4, filter(2, 4, 3, 3)], "ADN_ATTRIBUTE"],
  ["three pads", "Conv", { pads: ints([1, 1, 1]) }, [x4, filter(2, 4, 3, 3)], "ADN_ATTRIBUTE"],
  ["negative pads", "Conv", { pads: ints([-1, 0, 0, 0]) }, [x4, filter(2, 4, 3, 3)], "ADN_ATTRIBUTE"],
  ["stride 0", "Conv", { strides: ints([0, 1]) }, [x4, filter(2, 4, 3, 3)], "ADN_ATTRIBUTE"],
  ["auto_pad", "Conv", { auto_pad: stringAttribute("SAME") }, [x4, filter(2, 4, 3, 3)], "ADN_ATTRIBUTE"],
  [
    "strides of another type",
    "Conv",
    { strides: floatAttribute(1) },
    [x4, filter(2, 4, 3, 3)],
    "ADN_ATTRIBUTE",
  ],
  ["types that differ", "Conv", {}, [x4, randomTensor([2, 4, 3, 3], 1, "float64")], "ADN_TYPE"],
  ["integers", "Conv", {}, [int64Tensor([1], [1, 1, 1]), int64Tensor([1], [1, 1, 1])], "ADN_TYPE"],
  ["float16", "Conv", {}, [halves, { ...halves, dims: [1, 1, 5, 5] }], "ADN_TYPE"],
  ["no W", "Conv", {}, [x4], "ADN_ONNX_MODEL"],
  [
    "padding that leaves nothing",
    "ConvTranspose",
    { pads: ints([4, 4, 4, 4]) },
    [x4, filter(4, 1, 1, 1)],
    "ADN_SHAPE",
  ],
  ["channels", "ConvTranspose", {}, [x4, filter(3, 2, 2, 2)], "ADN_SHAPE"],
  ["no kernel_shape", "MaxPool", {}, [x4], "ADN_ATTRIBUTE"],
  ["a kernel that does not fit", "MaxPool", { kernel_shape: ints([6, 6]) }, [x4], "ADN_SHAPE"],
  ["rank 1", "AveragePool", pool, [vector(4)], "ADN_SHAPE"],
  ["integers", "AveragePool", pool, [int64Tensor([1, 2, 3, 4], [1, 1, 2, 2])], "ADN_TYPE"],
  ["rank 1", "GlobalAveragePool", {}, [vector(4)], "ADN_SHAPE"],
  ["inner lengths", "Gemm", {}, [filter(2, 3), filter(4, 5)], "ADN_SHAPE"],
  ["rank 3", "Gemm", {}, [filter(2, 3, 1), filter(3, 5)], "ADN_SHAPE"],
  ["C that does not broadcast", "Gemm", {}, [filter(2, 3), filter(3, 5), vector(4)], "ADN_SHAPE"],
  ["inner lengths", "MatMul", {}, [filter(2, 3), filter(4, 5)], "ADN_SHAPE"],
  ["batch axes", "MatMul", {}, [filter(2, 2, 3), filter(3, 3, 5)], "ADN_SHAPE"],
  ["a scalar", "MatMul", {}, [filter(), filter(3, 5)], "ADN_SHAPE"],
  ["statistics of another length", "BatchNormalization", {}, [x4, ...[3, 3, 3, 3].map(vector)], "ADN_SHAPE"],
  [
    "training mode",
    "BatchNormalization",
    { training_mode: one },
    [x4, ...[4, 4, 4, 4].map(vector)],
    "ADN_OP_UNSUPPORTED",
  ],
  ["axis 3 of 3", "LayerNormalization", { axis: intAttribute(4) }, [x4, vector(5)], "ADN_ATTRIBUTE"],
  ["scale that does not broadcast", "LayerNormalization", {}, [x4, vector(4)], "ADN_SHAPE"],
  ["no size", "LRN", {}, [x4], "ADN_ATTRIBUTE"],
  ["axis out of range", "Softmax", { axis: intAttribute(4) }, [x4], "ADN_ATTRIBUTE"],
  ["axis out of range", "ReduceSum", {}, [x4, int64Tensor([4])], "ADN_ATTRIBUTE"],
  ["axis out of range", "ArgMax", { axis: intAttribute(-5) }, [x4], "ADN_ATTRIBUTE"],
  ["strings", "ReduceMax", {}, [{ type: "string", data: ["a"], dims: [1] }], "ADN_TYPE"],
];

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof AdderNetError) return error.code;
    throw error;
  }
  return "no error";
}

describe("refusals", () => {
  test.each(refused)("%s: %s %o", (_, opType, attributes, tensors, code) => {
    const node = nodeFor(opType, attributes, tensors.length);
    const { reference } = definitions.get(opType)!;
    expect(codeOf(() => reference!(node, tensors, { opset: 17, where }))).toBe(code);
  });

  test("MaxPool's Indices, where something reads it", () => {
    const node = { ...nodeFor("MaxPool", pool, 1), outputs: ["out", "indices"] };
    const { reference, infer } = definitions.get("MaxPool")!;
    expect(codeOf(() => reference!(node, [x4], { opset: 17, where }))).toBe("ADN_OP_UNSUPPORTED");
    const facts = infer(node, [factOf(["N", 4, 5, 5])], { opset: 17, where });
    expect(facts[1]).toEqual({ elemType: "int64", shape: ["N", 4, 4, 4] });
    expect(codeOf(() => reference!({ ...node, outputs: ["out", ""] }, [x4], { opset: 17, where }))).toBe(
      "no error",
    );
  });

  test("batch normalisation per position, before opset 9", () => {
    const node = nodeFor("BatchNormalization", { spatial: zero }, 5);
    const inputs = [x4, ...[4, 4, 4, 4].map(vector)];
    const { reference } = definitions.get("BatchNormalization")!;
    expect(codeOf(() => reference!(node, inputs, { opset: 8, where }))).toBe("ADN_ATTRIBUTE");
    expect(codeOf(() => reference!(node, inputs, { opset: 9, where }))).toBe("no error");
  });
});

test("LRN of even size reaches one channel further up than down", () => {
  const node = nodeFor(
    "LRN",
    { size: intAttribute(2), alpha: floatAttribute(2), beta: floatAttribute(1) },
    1,
  );
  const x = float32Tensor([1, 2, 3], [1, 3, 1]);
  const [y] = definitions.get("LRN")!.reference!(node, [x], { opset: 13, where });
  const expected = [1 / (1 + 1 + 4), 2 / (1 + 4 + 9), 3 / (1 + 9)].map(Math.fround);
  expect([...(y!.data as Float32Array)]).toEqual(expected);
});

test("a ResNet-size convolution takes no more than a few seconds", () => {
  const x = randomTensor([1, 64, 56, 56], 1);
  const w = randomTensor([64, 64, 3, 3], 2);
  const node = nodeFor("Conv", { pads: ints([1, 1, 1, 1]) }, 2);
  const start = performance.now();
  definitions.get("Conv")!.reference!(node, [x, w], { opset: 13, where });
  expect(performance.now() - start).toBeLessThan(5000);
});
