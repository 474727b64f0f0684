// What movement, shape and elementwise ops say of symbols, unknown lengths and elements that carry shapes, and what they refuse.

import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { AdderNetError, type ErrorCode } from "../../src/core/errors.ts";
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  tensorAttribute,
} from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Dim } from "../../src/core/ir/model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import type { OpDefinition, ValueFact } from "../../src/core/ops/define-op.ts";
import { standardOps } from "../../src/core/ops/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { oneNodeModel } from "./one-node-model.ts";
import { bools, counting, floats, int32s, int64s } from "./suites/tensors.ts";

type Attributes = Readonly<Record<string, Attribute>>;

const definitions = new Map<string, OpDefinition>(standardOps.map((op) => [op.opType, op]));
const ints = intsAttribute;
const int = intAttribute;
const axis = (value: number) => ({ axis: int(value) });

/** A float32 value of known shape. */
const of = (...shape: Dim[]): ValueFact => ({ elemType: "float32", shape });
/** An int64 vector whose elements are known as far as given. */
const carrying = (...elements: Dim[]): ValueFact => ({
  elemType: "int64",
  shape: [elements.length],
  elements,
});
const carryingOne = (element: Dim): ValueFact => ({ elemType: "int64", shape: [], elements: [element] });
const constant = (tensor: Tensor): ValueFact => ({
  elemType: tensor.type,
  shape: tensor.dims,
  constant: tensor,
});
const vector = (...values: number[]) => constant(int64s(values));
const scalar = (value: number) => constant(int64s([value], []));
const ofUnknownRank: ValueFact = { elemType: "float32" };
const unknownVector = (length: Dim): ValueFact => ({ elemType: "int64", shape: [length] });

function inferOne(
  opType: string,
  attributes: Attributes,
  facts: readonly (ValueFact | undefined)[],
  opset = 17,
  outputs = ["out"],
) {
  const names = facts.map((_, index) => `in${index}`);
  const node = makeNode(opType, names, outputs, Object.entries(attributes));
  return definitions.get(opType)!.infer(node, facts, { opset, where: "node" });
}

type ShapeRow = readonly [string, Attributes, readonly (ValueFact | undefined)[], readonly Dim[] | undefined];

// biome-ignore format: a table
const shapeRows: readonly ShapeRow[] = [
  ["Transpose", { perm: ints([0, 2, 1]) }, [of("N", 3, "L")], ["N", "L", 3]],
  ["Transpose", {}, [of("N", null)], [null, "N"]],
  ["Transpose", {}, [ofUnknownRank], undefined],
  ["Transpose", { perm: ints([1, 0]) }, [ofUnknownRank], [null, null]],
  ["Reshape", {}, [of("N", 16, 5, 5), carrying("N", 400)], ["N", 400]],
  ["Reshape", {}, [of("N", 16, 5, 5), carrying("N", -1)], ["N", 400]],
  ["Reshape", {}, [of("N", 16, 5, 5), vector(-1, 400)], ["N", 400]],
  ["Reshape", {}, [of("N", 16, 5, 5), vector(0, -1)], ["N", 400]],
  ["Reshape", {}, [of("N", 16, "H", "W"), vector(0, 16, -1)], ["N", 16, null]],
  ["Reshape", {}, [of(16, 25, "N"), vector(400, -1)], [400, "N"]],
  ["Reshape", {}, [of("N", 6, 4), vector(-1, 3)], [null, 3]],
  ["Reshape", {}, [of(null, 4), vector(-1, 4)], [null, 4]],
  ["Reshape", {}, [ofUnknownRank, vector(-1, 4)], [null, 4]],
  ["Reshape", {}, [ofUnknownRank, vector(0, 4)], [null, 4]],
  ["Reshape", {}, [of("N", 4), unknownVector(3)], [null, null, null]],
  ["Reshape", {}, [of("N", 4), unknownVector(null)], undefined],
  ["Reshape", {}, [of(4, 6), carrying(null, 6)], [null, 6]],
  ["Flatten", {}, [of("N", 16, 5, 5)], ["N", 400]],
  ["Flatten", {}, [of("N", 16, "H", 5)], ["N", null]],
  ["Flatten", axis(0), [of("N", 1)], [1, "N"]],
  ["Flatten", {}, [ofUnknownRank], [null, null]],
  ["Squeeze", {}, [of("N", 1, 3), vector(1)], ["N", 3]],
  ["Squeeze", {}, [of("N", 1, 3), vector(0)], [1, 3]],
  ["Squeeze", {}, [of(2, 1, 3)], [2, 3]],
  ["Unsqueeze", {}, [of("N", 3), vector(0, -1)], [1, "N", 3, 1]],
  ["Unsqueeze", {}, [of("N", 3), unknownVector(1)], undefined],
  ["Expand", {}, [of(1, "C"), carrying("N", 1)], ["N", "C"]],
  ["Expand", {}, [of(3, 1), carrying("N", 1, null)], ["N", 3, null]],
  ["Expand", {}, [of("N", 1), vector(1, 7)], ["N", 7]],
  ["Tile", {}, [of("N", 3), vector(1, 2)], ["N", 6]],
  ["Tile", {}, [of("N", 3), vector(2, 1)], [null, 3]],
  ["Tile", {}, [of(1, 3), carrying("N", 1)], ["N", 3]],
  ["Concat", axis(1), [of("N", 3, "H"), of("N", 5, "H")], ["N", 8, "H"]],
  ["Concat", axis(0), [of("N", 3), of(2, 3)], [null, 3]],
  ["Concat", axis(1), [of("N", 3), of(4, null)], [4, null]],
  ["Concat", axis(1), [of("N", 3), ofUnknownRank], ["N", null]],
  ["Slice", {}, [of("N", 9), vector(0, 2), vector(2 ** 40, 8)], ["N", 6]],
  ["Slice", {}, [of("N", 9), vector(1), vector(3), vector(0)], [null, 9]],
  ["Slice", {}, [of("N", 9), unknownVector(1), unknownVector(1), vector(1)], ["N", null]],
  ["Slice", {}, [of("N", 9), unknownVector(1), unknownVector(1)], [null, 9]],
  ["Slice", {}, [of("N", 9), unknownVector(1), unknownVector(1), unknownVector(1)], [null, null]],
  ["Slice", {}, [of("N", 9), vector(-1), vector(-(2 ** 40)), vector(0), vector(-1)], ["N", 9]],
  ["Slice", {}, [of("N", 9), vector(0), carrying("N"), vector(0)], ["N", 9]],
  ["Pad", {}, [of("N", 3, 8), vector(0, 0, 1, 0, 0, 2)], ["N", 3, 11]],
  ["Pad", {}, [of("N", 3, "W"), vector(0, 0, 1, 0, 0, 2)], ["N", 3, null]],
  ["Pad", {}, [of("N", 3), unknownVector(4)], [null, null]],
  ["Gather", axis(2), [of("N", 3, 28), constant(int64s([0, 1, 2, 3], [2, 2]))], ["N", 3, 2, 2]],
  ["Gather", axis(0), [of("N", 3), scalar(0)], [3]],
  ["GatherElements", axis(1), [of("N", 8), { elemType: "int64", shape: ["N", 2] }], ["N", 2]],
  ["GatherND", {}, [of("N", 8, 4), { elemType: "int64", shape: ["K", 1] }], ["K", 8, 4]],
  ["OneHot", {}, [{ elemType: "int64", shape: ["N"] }, scalar(10), of(2)], ["N", 10]],
  ["ConstantOfShape", {}, [carrying("N", 3)], ["N", 3]],
  ["ConstantOfShape", {}, [unknownVector(2)], [null, null]],
  ["ConstantOfShape", {}, [unknownVector(2 ** 40)], undefined],
  ["Reshape", {}, [of("N", 4), unknownVector(2 ** 40)], undefined],
  ["Expand", {}, [of("N", 4), unknownVector(2 ** 40)], undefined],
  ["Range", {}, [scalar(0), carryingOne("N"), scalar(1)], ["N"]],
  ["Range", {}, [scalar(0), carryingOne("N"), scalar(2)], [null]],
  ["Range", {}, [scalar(0), scalar(28), scalar(2)], [14]],
  ["Relu", {}, [of("N", null)], ["N", null]],
  ["Relu", {}, [ofUnknownRank], undefined],
  ["Add", {}, [of("N", 1, 5), of("C", 1)], ["N", "C", 5]],
  ["Add", {}, [of("N"), of(4)], [4]],
  ["Add", {}, [of("N"), of("M")], [null]],
  ["Add", {}, [of(null), of(1)], [null]],
  ["Add", {}, [of("N"), ofUnknownRank], undefined],
  ["Sum", {}, [of("N", 1), of(1, 3), of(1)], ["N", 3]],
  ["Where", {}, [{ elemType: "bool", shape: ["N", 1] }, of(3), of()], ["N", 3]],
  ["Pow", {}, [of("N", 3), of()], ["N", 3]],
  ["Clip", {}, [of("N", 3)], ["N", 3]],
  ["DepthToSpace", { blocksize: int(2) }, [of("N", 8, "H", 4)], ["N", 2, null, 8]],
  ["SpaceToDepth", { blocksize: int(2) }, [of("N", "C", 6, "W")], ["N", null, 3, null]],
  ["Trilu", {}, [of("N", 3, 3)], ["N", 3, 3]],
  ["EyeLike", {}, [of("N", 3)], ["N", 3]],
  ["Resize", {}, [of("N", 3, "H", 5), undefined, constant(floats([1, 1, 2, 2.5]))], ["N", 3, null, 12]],
];

describe("shapes", () => {
  test.each(shapeRows)("%s %o", (opType, attributes, facts, expected) => {
    expect(inferOne(opType, attributes, facts)[0]?.shape).toEqual(expected);
  });

  test("Split", () => {
    const shapes = (facts: readonly ValueFact[], outputs: string[]) =>
      inferOne("Split", axis(1), facts, 17, outputs).map((fact) => fact?.shape);
    expect(shapes([of("N", 7), vector(3, 4)], ["a", "b"])).toEqual([
      ["N", 3],
      ["N", 4],
    ]);
    expect(shapes([of("N", 6)], ["a", "b", "c"])).toEqual([
      ["N", 2],
      ["N", 2],
      ["N", 2],
    ]);
    expect(shapes([of("N", "C")], ["a", "b"])).toEqual([
      ["N", null],
      ["N", null],
    ]);
    expect(shapes([of("N", 7), unknownVector(2)], ["a", "b"])).toEqual([
      ["N", null],
      ["N", null],
    ]);
  });

  test("nothing is said of an output whose type depends on an unknown input", () => {
    for (const opType of ["Reshape", "Concat", "Gather", "Clip"]) {
      expect(inferOne(opType, axis(0), [undefined, undefined])[0]).toBeUndefined();
    }
    for (const opType of ["Transpose", "Relu"]) {
      expect(inferOne(opType, {}, [undefined])[0]).toBeUndefined();
    }
    expect(inferOne("Shape", {}, [undefined])[0]).toEqual({ elemType: "int64", shape: [null] });
  });
});

type ElementRow = readonly [
  string,
  Attributes,
  readonly (ValueFact | undefined)[],
  readonly Dim[] | undefined,
];

// biome-ignore format: a table
const elementRows: readonly ElementRow[] = [
  ["Shape", {}, [of("N", 3, null)], ["N", 3, null]],
  ["Shape", { start: int(-1) }, [of("N", 3, "W")], ["W"]],
  ["Shape", {}, [ofUnknownRank], undefined],
  ["Size", {}, [of("N", 1)], ["N"]],
  ["Size", {}, [of("N", 2)], undefined],
  ["Gather", axis(0), [carrying("N", 3, 8), scalar(0)], ["N"]],
  ["Gather", axis(0), [carrying("N", 3, 8), vector(-1, 0)], [8, "N"]],
  ["Slice", {}, [carrying("N", 3, 8), vector(1), vector(2 ** 40)], [3, 8]],
  ["Slice", {}, [carrying("N", 3, 8), vector(-1), vector(-9), vector(0), vector(-1)], [8, 3, "N"]],
  ["Concat", axis(0), [carrying("N"), vector(400), unknownVector(1)], ["N", 400, null]],
  ["Unsqueeze", {}, [carryingOne("N"), vector(0)], ["N"]],
  ["Squeeze", {}, [carrying("N"), vector(0)], ["N"]],
  ["Reshape", {}, [carryingOne("N"), vector(1)], ["N"]],
  ["Identity", {}, [carrying("N", 3)], ["N", 3]],
  ["Cast", { to: int(6) }, [carrying("N", 3)], ["N", 3]],
  ["Add", {}, [carrying("N", 3), vector(0, 4)], ["N", 7]],
  ["Add", {}, [carrying("N", 3), vector(1, 4)], [null, 7]],
  ["Sub", {}, [carrying("N", 3), carrying("N", 1)], [0, 2]],
  ["Mul", {}, [carrying("N", 3), scalar(1)], ["N", 3]],
  ["Mul", {}, [carrying("N", 3), scalar(2)], [null, 6]],
  ["Mul", {}, [carrying("N", 3), scalar(0)], [0, 0]],
  ["Div", {}, [carrying("N", -7), vector(1, 2)], ["N", -3]],
  ["Equal", {}, [carrying("N", -1, "N"), carrying(-1, -1, "N")], [0, 1, 1]],
  ["Where", {}, [{ elemType: "bool", shape: [2], elements: [0, 1] }, vector(5, 6), carrying("N", 7)], ["N", 6]],
  ["ConstantOfShape", { value: tensorAttribute(int64s([-1])) }, [vector(3)], [-1, -1, -1]],
];

describe("elements that carry shapes", () => {
  test.each(elementRows)("%s %o", (opType, attributes, facts, expected) => {
    expect(inferOne(opType, attributes, facts)[0]?.elements).toEqual(expected);
  });

  test("Split", () => {
    const parts = inferOne("Split", axis(0), [carrying("N", 3, 8), vector(1, 2)], 17, ["a", "b"]);
    expect(parts.map((fact) => fact?.elements)).toEqual([["N"], [3, 8]]);
  });

  test("those of long tensors are not followed", () => {
    const long = vector(...new Array<number>(2000).fill(1));
    expect(inferOne("Add", {}, [long, scalar(1)])[0]?.elements).toBeUndefined();
  });
});

const x = counting([2, 3, 4]);
const at = (...values: number[]) => int64s(values);
const half: Tensor = { type: "float16", data: new Uint16Array(24), dims: [2, 3, 4] };

// biome-ignore format: a table
const refused: readonly (readonly [string, string, Attributes, readonly Tensor[], ErrorCode])[] = [
  ["no permutation", "Transpose", { perm: ints([0, 1, 1]) }, [x], "ADN_ATTRIBUTE"],
  ["a perm of another rank", "Transpose", { perm: ints([1, 0]) }, [x], "ADN_ATTRIBUTE"],
  ["perm of another type", "Transpose", { perm: int(0) }, [x], "ADN_ATTRIBUTE"],
  ["no input", "Transpose", {}, [], "ADN_ONNX_MODEL"],
  ["another number of elements", "Reshape", {}, [x, at(5, 5)], "ADN_SHAPE"],
  ["-1 that does not divide", "Reshape", {}, [x, at(5, -1)], "ADN_SHAPE"],
  ["-1 twice", "Reshape", {}, [x, at(-1, -1)], "ADN_SHAPE"],
  ["a length below -1", "Reshape", {}, [x, at(-2, 12)], "ADN_SHAPE"],
  ["0 beyond the rank", "Reshape", {}, [x, at(6, 4, 1, 0)], "ADN_SHAPE"],
  ["0 and -1 with allowzero", "Reshape", { allowzero: int(1) }, [counting([0, 3]), at(0, -1)], "ADN_SHAPE"],
  ["no target", "Reshape", {}, [x], "ADN_ONNX_MODEL"],
  ["axis beyond the rank", "Flatten", axis(4), [x], "ADN_ATTRIBUTE"],
  ["an axis of length 3", "Squeeze", {}, [x, at(1)], "ADN_SHAPE"],
  ["an axis beyond the rank", "Squeeze", {}, [x, at(3)], "ADN_ATTRIBUTE"],
  ["an axis twice", "Unsqueeze", {}, [x, at(0, -5)], "ADN_ATTRIBUTE"],
  ["no axes", "Unsqueeze", {}, [x], "ADN_ATTRIBUTE"],
  ["a shape that does not fit", "Expand", {}, [x, at(2, 4)], "ADN_SHAPE"],
  ["a negative length", "Expand", {}, [counting([1]), at(-1)], "ADN_SHAPE"],
  ["a negative depth", "OneHot", {}, [at(0), at(-1), floats([0, 1])], "ADN_SHAPE"],
  ["bounds that are no numbers", "Range", {}, [floats([Number.NaN], []), floats([1], []), floats([1], [])], "ADN_SHAPE"],
  ["repeats of another length", "Tile", {}, [x, at(1, 2)], "ADN_SHAPE"],
  ["a negative repeat", "Tile", {}, [x, at(1, 2, -1)], "ADN_SHAPE"],
  ["no axis", "Concat", {}, [x, x], "ADN_ATTRIBUTE"],
  ["axis out of range", "Concat", axis(3), [x, x], "ADN_ATTRIBUTE"],
  ["lengths that differ", "Concat", axis(0), [x, counting([2, 3, 5])], "ADN_SHAPE"],
  ["ranks that differ", "Concat", axis(0), [x, counting([2, 3])], "ADN_SHAPE"],
  ["types that differ", "Concat", axis(0), [x, int64s([1], [1, 1, 1])], "ADN_TYPE"],
  ["parts of another sum", "Split", axis(2), [x, at(5)], "ADN_SHAPE"],
  ["unequal parts before opset 18", "Split", axis(1), [counting([2, 3])], "ADN_SHAPE"],
  ["step 0", "Slice", {}, [x, at(0), at(1), at(0), at(0)], "ADN_ATTRIBUTE"],
  ["an axis twice", "Slice", {}, [x, at(0, 0), at(1, 1), at(1, -2)], "ADN_ATTRIBUTE"],
  ["starts and ends of different length", "Slice", {}, [x, at(0, 0), at(1)], "ADN_SHAPE"],
  ["no ends", "Slice", {}, [x, at(0)], "ADN_ATTRIBUTE"],
  ["too few pads", "Pad", {}, [x, at(1, 1)], "ADN_SHAPE"],
  ["no pads", "Pad", {}, [x], "ADN_SHAPE"],
  ["a mode nobody knows", "Pad", { mode: stringAttribute("mirror") }, [x, at(0, 0, 0, 0, 0, 0)], "ADN_ATTRIBUTE"],
  ["more taken away than there is", "Pad", {}, [counting([2]), at(-2, -1)], "ADN_SHAPE"],
  ["a value of another type", "Pad", {}, [counting([2]), at(0, 1), at(0)], "ADN_TYPE"],
  ["edge of an empty axis", "Pad", { mode: stringAttribute("edge") }, [counting([0]), at(0, 1)], "ADN_SHAPE"],
  ["an index out of range", "Gather", axis(1), [x, at(3)], "ADN_SHAPE"],
  ["an index out of range below", "Gather", axis(1), [x, at(-4)], "ADN_SHAPE"],
  ["an axis out of range", "Gather", axis(-4), [x, at(0)], "ADN_ATTRIBUTE"],
  ["float indices", "Gather", {}, [x, floats([0])], "ADN_TYPE"],
  ["indices of another rank", "GatherElements", {}, [x, at(0)], "ADN_SHAPE"],
  ["indices larger than the data", "GatherElements", {}, [counting([1, 2]), int64s([0, 0, 0], [1, 3])], "ADN_SHAPE"],
  ["an index deeper than the data", "GatherND", {}, [x, int64s([0, 0, 0, 0], [1, 4])], "ADN_SHAPE"],
  ["an index out of range", "GatherND", {}, [x, int64s([2], [1, 1])], "ADN_ATTRIBUTE"],
  ["updates of another shape", "ScatterElements", {}, [floats([1, 2]), at(0), floats([1, 2])], "ADN_SHAPE"],
  ["an unknown reduction", "ScatterElements", { reduction: stringAttribute("mean") }, [floats([1]), at(0), floats([1])], "ADN_ATTRIBUTE"],
  ["a type nobody knows", "Cast", { to: int(99) }, [x], "ADN_ATTRIBUTE"],
  ["no type", "Cast", {}, [x], "ADN_ATTRIBUTE"],
  ["strings", "Cast", { to: int(1) }, [{ type: "string", data: ["1"], dims: [1] }], "ADN_TYPE"],
  ["delta 0", "Range", {}, [at(0), at(3), at(0)], "ADN_SHAPE"],
  ["types that differ", "Range", {}, [at(0), at(3), int32s([1], [])], "ADN_TYPE"],
  ["vectors", "Range", {}, [at(0, 1), at(3), at(1)], "ADN_SHAPE"],
  ["a negative length", "ConstantOfShape", {}, [at(2, -1)], "ADN_SHAPE"],
  ["a value of two elements", "ConstantOfShape", { value: tensorAttribute(floats([1, 2])) }, [at(2)], "ADN_ATTRIBUTE"],
  ["no value", "Constant", {}, [], "ADN_ATTRIBUTE"],
  ["value_int as a float", "Constant", { value_int: floatAttribute(1) }, [], "ADN_ATTRIBUTE"],
  ["rank 3", "EyeLike", {}, [x], "ADN_SHAPE"],
  ["rank 1", "Trilu", {}, [counting([3])], "ADN_SHAPE"],
  ["no blocksize", "DepthToSpace", {}, [counting([1, 4, 1, 1])], "ADN_ATTRIBUTE"],
  ["channels that do not divide", "DepthToSpace", { blocksize: int(2) }, [counting([1, 6, 1, 1])], "ADN_SHAPE"],
  ["rank 3", "SpaceToDepth", { blocksize: int(2) }, [x], "ADN_SHAPE"],
  ["integers", "Exp", {}, [at(1)], "ADN_TYPE"],
  ["numbers", "Not", {}, [x], "ADN_TYPE"],
  ["half floats", "Relu", {}, [half], "ADN_TYPE"],
  ["booleans", "Abs", {}, [bools([1])], "ADN_TYPE"],
  ["an unknown approximation", "Gelu", { approximate: stringAttribute("fast") }, [x], "ADN_ATTRIBUTE"],
  ["shapes that do not broadcast", "Add", {}, [x, counting([3])], "ADN_SHAPE"],
  ["types that differ", "Add", {}, [x, at(1)], "ADN_TYPE"],
  ["booleans", "Add", {}, [bools([1]), bools([1])], "ADN_TYPE"],
  ["one input", "Add", {}, [x], "ADN_ONNX_MODEL"],
  ["numbers", "And", {}, [x, x], "ADN_TYPE"],
  ["a division by zero", "Div", {}, [at(1), at(0)], "ADN_DATA"],
  ["a division by zero", "Div", {}, [int32s([1]), int32s([0])], "ADN_DATA"],
  ["floats without fmod", "Mod", {}, [x, x], "ADN_ATTRIBUTE"],
  ["types that differ", "Max", {}, [x, at(1)], "ADN_TYPE"],
  ["shapes that do not broadcast", "Mean", {}, [x, counting([3])], "ADN_SHAPE"],
  ["a condition of numbers", "Where", {}, [x, x, x], "ADN_TYPE"],
  ["types that differ", "Where", {}, [bools([1]), x, at(1)], "ADN_TYPE"],
  ["a bound of another type", "Clip", {}, [x, at(0)], "ADN_TYPE"],
  ["one operand", "Conv", {}, [x], "ADN_ONNX_MODEL"],
  ["one operand", "MatMul", {}, [x], "ADN_ONNX_MODEL"],
  ["one operand", "Gemm", {}, [x], "ADN_ONNX_MODEL"],
  ["no bias", "InstanceNormalization", {}, [x, x], "ADN_ONNX_MODEL"],
  ["no variance", "BatchNormalization", {}, [x, x, x, x], "ADN_ONNX_MODEL"],
  [
    "a mean of integers",
    "BatchNormalization",
    {},
    [counting([1, 1]), floats([1]), floats([1]), int64s([1]), floats([1])],
    "ADN_TYPE",
  ],
  ["a bias of integers", "LayerNormalization", {}, [x, floats([1]), int64s([1])], "ADN_TYPE"],
  ["a bias of integers", "Conv", {}, [counting([1, 1, 1]), counting([1, 1, 1]), int64s([1])], "ADN_TYPE"],
  ["nothing", "MaxPool", {}, [], "ADN_ONNX_MODEL"],
  ["nothing", "ReduceSum", {}, [], "ADN_ONNX_MODEL"],
  ["training", "Dropout", {}, [x, floats([0.5], []), bools([1], [])], "ADN_OP_UNSUPPORTED"],
];

function errorOf(action: () => unknown): AdderNetError {
  try {
    action();
  } catch (error) {
    if (error instanceof AdderNetError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("refusals", () => {
  test.each(refused)("%s: %s %o", (_, opType, attributes, tensors, code) => {
    const names = tensors.map((__, index) => `in${index}`);
    const outputs = opType === "Split" ? ["a", "b"] : ["out"];
    const node = makeNode(opType, names, outputs, Object.entries(attributes), { name: "the node" });
    const { reference } = definitions.get(opType)!;
    const error = errorOf(() => reference!(node, tensors, { opset: 17, where: "the node" }));
    expect(error.code).toBe(code);
    expect(error.message).toContain("the node");
  });
});

const resizeModes = { mode: stringAttribute("nearest"), nearest_mode: stringAttribute("floor") };
const none = floats([]);

// biome-ignore format: a table
const resized: readonly (readonly [string, number, readonly (Tensor | null)[], Attributes])[] = [
  ["Resize", 10, [counting([1, 2, 3, 5]), floats([1, 1, 2, 1.5])], { mode: stringAttribute("nearest") }],
  ["Resize", 13, [counting([1, 2, 3, 5]), none, floats([1, 1, 0.6, 2.5])], resizeModes],
  ["Resize", 13, [counting([1, 2, 3, 5]), null, null, int64s([1, 2, 7, 4])], resizeModes],
  ["Resize", 18, [counting([1, 2, 3, 5]), null, floats([2, 3])], { ...resizeModes, axes: ints([2, 3]) }],
  ["Resize", 18, [counting([1, 2, 3, 5]), null, null, int64s([9, 4])], { ...resizeModes, axes: ints([-1, -2]) }],
  ["Upsample", 9, [counting([1, 2, 3, 5]), floats([1, 1, 2, 3])], { mode: stringAttribute("nearest") }],
];

test.each(resized)(
  "%s, opset %i, has the shape onnxruntime gives it %#",
  async (opType, opset, inputs, attributes) => {
    const model = oneNodeModel({ name: opType, opType, opset, inputs, attributes, tolerance: "exact" });
    const session = await ort.InferenceSession.create(encodeModel(model).bytes, { logSeverityLevel: 3 });
    const feeds = inputs.flatMap((tensor, index) =>
      tensor === null
        ? []
        : [
            [
              `in${index}`,
              new ort.Tensor(tensor.type as "float32", tensor.data as never, tensor.dims),
            ] as const,
          ],
    );
    const { out0 } = await session.run(Object.fromEntries(feeds));
    const [node] = model.graph.nodes;
    const facts = inputs.map((tensor) => (tensor === null ? undefined : constant(tensor)));
    const [fact] = definitions.get(opType)!.infer(node!, facts, { opset, where: "node" });
    expect(fact).toEqual({ elemType: "float32", shape: out0!.dims });
    await session.release();
  },
);
