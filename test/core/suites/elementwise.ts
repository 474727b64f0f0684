// Cases of elementwise ops: of one input, of several with broadcasting, and casts.

import { dataTypes } from "../../../src/core/dtype.ts";
import { floatAttribute, intAttribute, stringAttribute } from "../../../src/core/ir/attributes.ts";
import type { Tensor } from "../../../src/core/tensor.ts";
import { type OpCase, randomTensor } from "./op-case.ts";
import {
  bools,
  bytes,
  cases,
  counting,
  doubles,
  floats,
  int32s,
  int64s,
  integers,
  words,
} from "./tensors.ts";

const float = floatAttribute;
const int = intAttribute;

/** Values on both sides of every bend, halves included. */
const varied = floats(
  [-30, -6, -3.5, -2.5, -1.5, -1, -0.5, -0.1, 0, 0.1, 0.5, 0.9, 1, 1.5, 2.5, 3, 6, 30],
  [3, 6],
);
const positive = floats([1e-3, 0.25, 0.5, 1, 2, 3.7, 100], [7]);
const inUnit = floats([-0.99, -0.5, 0, 0.25, 0.99]);
const aboveOne = floats([1, 1.5, 2, 10]);
const special = floats([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0]);

type Row = readonly [
  opType: string,
  opsets: readonly number[],
  input: Tensor,
  attributes?: OpCase["attributes"],
];

const exactRows: readonly Row[] = [
  ["Abs", [11, 13, 18], varied],
  ["Neg", [11, 13], varied],
  ["Sign", [11, 13], varied],
  ["Relu", [11, 13, 14], varied],
  ["Floor", [11, 13], varied],
  ["Ceil", [11, 13], varied],
  ["Round", [11], varied],
  ["LeakyRelu", [11, 16], varied, { alpha: float(0.25) }],
  ["ThresholdedRelu", [11], varied, { alpha: float(0.5) }],
  ["Abs", [13], special],
  ["Relu", [13], special],
  ["Sign", [13], floats([Number.POSITIVE_INFINITY, -0])],
  ["Abs", [13], integers("int64", [9], 1)],
  ["Neg", [13], integers("int64", [9], 2)],
  ["Sign", [13], integers("int64", [9], 3)],
  ["Abs", [13], int32s([-3, 0, 4])],
  ["Neg", [13], int32s([-3, 0, 4])],
  ["Relu", [14], int32s([-3, 0, 4])],
  ["Not", [11, 13], bools([1, 0, 1])],
  ["Relu", [13], floats([-1], [])],
  ["Abs", [13], floats([], [0, 3])],
];

const closeRows: readonly Row[] = [
  ["Exp", [11, 13], floats([-5, -1, 0, 0.5, 1, 3])],
  ["Log", [11, 13], positive],
  ["Sqrt", [11, 13], positive],
  ["Reciprocal", [11, 13], positive],
  ["Sigmoid", [11, 13], varied],
  ["Tanh", [11, 13], varied],
  ["Erf", [11, 13], varied],
  ["Erf", [13], randomTensor([300], 4)],
  ["Elu", [11], varied, { alpha: float(0.7) }],
  ["Selu", [11], varied],
  ["Selu", [11], varied, { alpha: float(1.5), gamma: float(0.8) }],
  ["Celu", [12], varied, { alpha: float(0.7) }],
  ["Softplus", [11], varied],
  ["Softsign", [11], varied],
  ["HardSigmoid", [11], varied],
  ["HardSigmoid", [11], varied, { alpha: float(0.3), beta: float(0.4) }],
  ["HardSwish", [14], varied],
  ["Mish", [18], varied],
  ["Gelu", [20], varied],
  ["Gelu", [20], varied, { approximate: stringAttribute("tanh") }],
  ["LeakyRelu", [11], varied],
  ["Sin", [11], inUnit],
  ["Cos", [11], inUnit],
  ["Tan", [11], inUnit],
  ["Asin", [11], inUnit],
  ["Acos", [11], inUnit],
  ["Atan", [11], varied],
  ["Sinh", [11], inUnit],
  ["Cosh", [11], inUnit],
  ["Asinh", [11], inUnit],
  ["Acosh", [11], aboveOne],
  ["Atanh", [11], inUnit],
  ["Exp", [13], doubles([-1, 0.3])],
  ["Tanh", [13], doubles([-1, 0.3])],
];

function unaryCases(rows: readonly Row[], tolerance: OpCase["tolerance"]): OpCase[] {
  return rows.flatMap(([opType, opsets, input, attributes = {}], row) => {
    const name = `${input.type} [${input.dims.join(", ")}], row ${row}`;
    return cases(opType, opsets, name, [input], attributes, { tolerance });
  });
}

/** Shapes of two operands: equal, one number, rows, columns, both ways, different ranks, nothing. */
const pairs: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], []],
  [[], [2, 3]],
  [[2, 3], [3]],
  [
    [2, 3],
    [2, 1],
  ],
  [
    [4, 1],
    [1, 5],
  ],
  [
    [1, 3, 1, 2],
    [2, 1, 4, 1],
  ],
  [[5], [2, 3, 5]],
  [
    [0, 3],
    [1, 3],
  ],
  [[], []],
];

const arithmetic = ["Add", "Sub", "Mul", "Div"];
const comparisons = ["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"];

function name([a, b]: (typeof pairs)[number], type: string): string {
  return `${type} [${a.join(", ")}] and [${b.join(", ")}]`;
}

const floatPairs: readonly OpCase[] = [...arithmetic, ...comparisons].flatMap((opType) =>
  pairs.flatMap((pair, row) => {
    const opset = opType.endsWith("OrEqual") ? 12 : [11, 13, 14][row % 3]!;
    const inputs = pair.map((dims, index) => randomTensor(dims, 10 * row + index));
    return cases(opType, [opset], name(pair, "float32"), inputs, {}, { tolerance: "close" });
  }),
);

const integerPairs: readonly OpCase[] = (["int32", "int64"] as const).flatMap((type) =>
  [...arithmetic, ...comparisons].flatMap((opType) => {
    const divisor = type === "int32" ? int32s([-3, 2, 7]) : int64s([-3, 2, 7]);
    const opset = opType.endsWith("OrEqual") ? 16 : 13;
    return cases(opType, [opset], `${type} with negatives`, [integers(type, [4, 3], 5, 20), divisor]);
  }),
);

const large = int64s([2n ** 62n, -(2n ** 62n), 123456789012345n]);

const binaryCases: readonly OpCase[] = [
  ...floatPairs,
  ...integerPairs,
  ...cases("Add", [13], "int64 that wraps", [large, int64s([2n ** 62n, -(2n ** 62n) - 1n, 1n])]),
  ...cases("Mul", [13], "int32 that wraps", [int32s([123456789, -7]), int32s([987654321, 65537])]),
  ...cases("Mul", [14], "uint8 that wraps", [bytes([200, 3]), bytes([2, 5])]),
  ...cases("Equal", [11, 13], "bool", [bools([1, 0, 1]), bools([1, 1, 0])]),
  ...cases("Equal", [19], "strings", [words(["a", "b"]), words(["a"])]),
  ...cases("Equal", [13], "NaN", [special, special]),
  ...["And", "Or", "Xor"].flatMap((opType) =>
    cases(opType, [11], "columns and rows", [bools([1, 0], [2, 1]), bools([1, 0, 1])]),
  ),
  ...cases("PRelu", [11, 16], "per channel", [randomTensor([2, 3, 2, 2], 1), randomTensor([3, 1, 1], 2)]),
  ...cases("PRelu", [16], "one slope", [randomTensor([2, 3], 1), floats([0.1])]),
];

const powerCases: readonly OpCase[] = [
  ...cases("Pow", [11, 13, 15], "float32", [positive, floats([2])], {}, { tolerance: "close" }),
  ...cases("Pow", [13], "broadcast", [positive, floats([0.5, -1, 2], [3, 1])], {}, { tolerance: "close" }),
  ...cases("Pow", [13], "negative base", [floats([-2, -1.5]), floats([3, 2])], {}, { tolerance: "close" }),
  ...cases("Pow", [13], "int64 exponent", [floats([-2, 1.5]), int64s([3, -1])], {}, { tolerance: "close" }),
  ...cases("Pow", [13], "int64 base", [int64s([-2, 3, 7]), int64s([3, 0, 2])]),
  ...cases("Pow", [13], "int32 base, float exponent", [int32s([2, 3]), floats([3, 2])]),
  ...cases("Mod", [11, 13], "int64", [int64s([-7, 7, -7, 7]), int64s([3, 3, -3, -3])]),
  ...cases("Mod", [13], "int32, fmod", [int32s([-7, 7, -7, 7]), int32s([3, 3, -3, -3])], { fmod: int(1) }),
  ...cases("Mod", [13], "int32", [int32s([-7, 7, -7, 7]), int32s([3, 3, -3, -3])]),
  ...cases("Mod", [13], "float32", [floats([-7.5, 7.5]), floats([2, -2])], { fmod: int(1) }),
];

const three = () => [randomTensor([2, 3], 1), randomTensor([3], 2), randomTensor([2, 1], 3)];

const variadicCases: readonly OpCase[] = [
  ...["Sum", "Mean", "Max", "Min"].flatMap((opType) => [
    ...cases(opType, [11, 13], "three", three(), {}, { tolerance: "close" }),
    ...cases(opType, [13], "one", [randomTensor([2, 3], 1)]),
  ]),
  ...cases("Max", [12, 13], "int64", [int64s([1, -5]), int64s([-1, 2]), int64s([0], [])]),
  ...cases("Min", [13], "int32", [int32s([1, -5]), int32s([-1, 2])]),
];

const selectionCases: readonly OpCase[] = [
  ...cases("Where", [11, 16], "three shapes", [bools([1, 0, 1]), counting([2, 1]), floats([-1], [])]),
  ...cases("Where", [16], "int64", [bools([1, 0], [2, 1]), int64s([1, 2, 3]), int64s([4, 5, 6])]),
  ...cases("Where", [16], "bytes", [bools([1, 0]), bytes([1, 2]), bytes([3, 4])]),
  ...cases("Clip", [9], "attributes", [varied], { min: float(-1), max: float(2) }),
  ...cases("Clip", [7], "min alone", [varied], { min: float(-1) }),
  ...cases("Clip", [11, 13], "inputs", [varied, floats([-1], []), floats([2], [])]),
  ...cases("Clip", [13], "max alone", [varied, null, floats([2], [])]),
  ...cases("Clip", [13], "no bounds", [varied]),
  ...cases("Clip", [13], "special values", [special, floats([-1], []), floats([2], [])]),
  ...cases("Clip", [12, 13], "int64", [int64s([-9, 1, 9]), int64s([-2], []), int64s([3], [])]),
  ...cases("Dropout", [10, 13], "inference", [varied]),
  ...cases("Dropout", [12, 13], "mask", [varied, floats([0.3], [])], {}, { outputs: 2 }),
];

const values: Readonly<Record<string, Tensor>> = {
  float32: floats([-1.7, -0.4, 0, 0.5, 1.5, 2.9, 100.2]),
  float64: doubles([-1.7, -0.4, 0, 0.5, 1.5, 2.9, 1e-3]),
  int32: int32s([-300, -1, 0, 7, 255, 70000]),
  int64: int64s([-300, -1, 0, 7, 255, 5000000000n]),
  uint8: bytes([0, 1, 128, 255]),
  bool: bools([0, 1]),
};
const fractions = floats([0.1, -2.5, 65504, 1e-7, 3.3, 1e-5, 0, 70000, 1.0009765625, 1.00048828125]);
const halves: Tensor = {
  type: "float16",
  data: Uint16Array.of(0x3c00, 0xc248, 0x0001, 0x7bff, 0x8000, 0x7c00),
  dims: [6],
};
const to = (type: keyof typeof dataTypes) => ({ to: int(dataTypes[type].onnx) });

const castCases: readonly OpCase[] = [
  ...Object.entries(values).flatMap(([from, tensor]) =>
    (["float32", "float64", "int32", "int64", "bool"] as const).flatMap((type) =>
      cases("Cast", [11, 13], `${from} to ${type}`, [tensor], to(type)),
    ),
  ),
  ...cases("Cast", [13], "int64 to uint8", [values.int64!], to("uint8")),
  ...cases("Cast", [13], "uint8 to int8", [values.uint8!], to("int8")),
  ...cases("Cast", [13], "NaN to bool", [floats([Number.NaN, 0, -0])], to("bool")),
  ...cases("Cast", [13], "float32 to float16", [fractions], to("float16")),
  ...cases("Cast", [13], "float16 to float32", [halves], to("float32")),
  ...cases("CastLike", [15, 19], "int64 to float32", [int64s([1, -2]), floats([0])]),
];

export const elementwiseCases: readonly OpCase[] = [
  ...unaryCases(exactRows, "exact"),
  ...unaryCases(closeRows, "close"),
  ...binaryCases,
  ...powerCases,
  ...variadicCases,
  ...selectionCases,
  ...castCases,
];
