// Cases of ops that move elements or change shapes.

import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  tensorAttribute,
} from "../../../src/core/ir/attributes.ts";
import type { OpCase } from "./op-case.ts";
import {
  bools,
  bytes,
  cases,
  counting,
  countingInt64,
  doubles,
  floats,
  int32s,
  int64s,
  words,
} from "./tensors.ts";

const ints = intsAttribute;
const int = intAttribute;
const axis = (value: number) => ({ axis: int(value) });

const transposeCases: readonly OpCase[] = [
  ...cases("Transpose", [11, 13, 21], "no perm", [counting([2, 3, 4])]),
  ...cases("Transpose", [13], "perm", [counting([2, 3, 4, 5])], { perm: ints([0, 3, 1, 2]) }),
  ...cases("Transpose", [13], "six axes", [counting([2, 3, 2, 2, 3, 2])], { perm: ints([0, 1, 2, 4, 3, 5]) }),
  ...cases("Transpose", [13], "perm that moves nothing", [counting([2, 20])], { perm: ints([0, 1]) }),
  ...cases("Transpose", [13], "axes of length 1", [counting([1, 4, 1, 3])], { perm: ints([3, 2, 1, 0]) }),
  ...cases("Transpose", [13], "int64", [countingInt64([3, 4])]),
  ...cases("Transpose", [13], "bool", [bools([1, 0, 1, 1, 0, 0], [2, 3])]),
  ...cases("Transpose", [13], "float64", [doubles([1, 2, 3, 4, 5, 6], [2, 3])]),
  ...cases("Transpose", [13], "strings", [words(["a", "b", "c", "d"], [2, 2])]),
  ...cases("Transpose", [13], "empty", [counting([0, 3])]),
  ...cases("Transpose", [13], "scalar", [floats([7], [])]),
];

const reshapeCases: readonly OpCase[] = [
  ...cases("Reshape", [11, 13, 18, 21], "plain", [counting([2, 6]), int64s([3, 4])]),
  ...cases("Reshape", [13], "-1", [counting([2, 3, 4]), int64s([4, -1])]),
  ...cases("Reshape", [13], "0 copies", [counting([2, 3, 4]), int64s([0, -1])]),
  ...cases("Reshape", [13], "0 copies the middle", [counting([2, 3, 4]), int64s([4, 0, 2])]),
  ...cases("Reshape", [14, 18], "allowzero", [counting([0, 3]), int64s([3, 0])], { allowzero: int(1) }),
  ...cases("Reshape", [13], "to a scalar", [floats([5]), int64s([])]),
  ...cases("Reshape", [13], "from a scalar", [floats([5], []), int64s([1, -1])]),
  ...cases("Reshape", [13], "empty", [counting([0, 4]), int64s([0, 2, 2])]),
  ...cases("Flatten", [11, 13, 21], "default", [counting([2, 3, 4])]),
  ...[0, 2, 3, -1, -3].flatMap((value) =>
    cases("Flatten", [13], `axis ${value}`, [counting([2, 3, 4])], axis(value)),
  ),
  ...cases("Flatten", [13], "vector", [counting([3])]),
  ...cases("Flatten", [13], "scalar", [floats([3], [])], axis(0)),
];

const squeezeCases: readonly OpCase[] = [
  ...cases("Squeeze", [11], "attribute", [counting([1, 3, 1, 2])], { axes: ints([0, -2]) }),
  ...cases("Squeeze", [11, 13, 21], "all", [counting([1, 3, 1, 2])]),
  ...cases("Squeeze", [13, 21], "input", [counting([1, 3, 1, 2]), int64s([-2])]),
  ...cases("Unsqueeze", [11], "attribute", [counting([3, 2])], { axes: ints([3, 0]) }),
  ...cases("Unsqueeze", [13, 18, 21], "input", [counting([3, 2]), int64s([0, -1])]),
  ...cases("Unsqueeze", [13], "unsorted", [counting([3, 2]), int64s([4, 0, 2])]),
  ...cases("Unsqueeze", [13], "scalar", [floats([3], []), int64s([0])]),
];

const shapeCases: readonly OpCase[] = [
  ...cases("Identity", [11, 13, 18], "float32", [counting([2, 3])]),
  ...cases("Identity", [13], "int64", [countingInt64([2, 3])]),
  ...cases("Shape", [11, 13, 21], "plain", [counting([2, 3, 4])]),
  ...cases("Shape", [15, 21], "start", [counting([2, 3, 4])], { start: int(1) }),
  ...cases("Shape", [15], "start and end from the back", [counting([2, 3, 4])], {
    start: int(-2),
    end: int(-1),
  }),
  ...cases("Shape", [15], "end beyond the rank", [counting([2, 3, 4])], { start: int(-9), end: int(9) }),
  ...cases("Shape", [15], "end before start", [counting([2, 3, 4])], { start: int(2), end: int(1) }),
  ...cases("Shape", [13], "scalar", [floats([1], [])]),
  ...cases("Size", [11, 13, 21], "plain", [counting([2, 3, 4])]),
  ...cases("Size", [13], "empty", [counting([2, 0])]),
];

const joiningCases: readonly OpCase[] = [
  ...cases("Concat", [11, 13], "first axis", [counting([2, 3]), counting([1, 3]), counting([4, 3])], axis(0)),
  ...cases("Concat", [13], "last axis", [counting([2, 3]), counting([2, 20])], axis(-1)),
  ...cases(
    "Concat",
    [13],
    "middle axis, int64",
    [countingInt64([2, 1, 2]), countingInt64([2, 3, 2])],
    axis(1),
  ),
  ...cases("Concat", [13], "with an empty part", [counting([2, 3]), counting([2, 0])], axis(1)),
  ...cases("Concat", [13], "one input", [counting([2, 3])], axis(0)),
  ...cases("Concat", [13], "strings", [words(["a"]), words(["b", "c"])], axis(0)),
  ...cases("Concat", [13], "bytes", [bytes([1, 2]), bytes([3])], axis(0)),
  ...cases(
    "Split",
    [11],
    "attribute",
    [counting([2, 7])],
    { ...axis(1), split: ints([3, 4]) },
    { outputs: 2 },
  ),
  ...cases("Split", [11, 13], "equal parts", [counting([6, 2])], {}, { outputs: 3 }),
  ...cases("Split", [13, 18], "input", [counting([2, 7]), int64s([1, 0, 6])], axis(-1), { outputs: 3 }),
  ...cases("Split", [18], "num_outputs", [counting([7, 2])], { num_outputs: int(3) }, { outputs: 3 }),
  ...cases(
    "Split",
    [18],
    "num_outputs, int64",
    [countingInt64([4])],
    { num_outputs: int(2) },
    { outputs: 2 },
  ),
];

const repeatingCases: readonly OpCase[] = [
  ...cases("Expand", [11, 13], "column", [counting([3, 1]), int64s([3, 4])]),
  ...cases("Expand", [13], "shape of smaller rank", [counting([2, 3, 1]), int64s([4])]),
  ...cases("Expand", [13], "shape of larger rank", [counting([3, 1]), int64s([2, 1, 5])]),
  ...cases("Expand", [13], "scalar", [floats([7], []), int64s([2, 3])]),
  ...cases("Expand", [13], "to nothing", [counting([3, 1]), int64s([3, 0])]),
  ...cases("Expand", [13], "int64", [countingInt64([1, 2]), int64s([3, 1])]),
  ...cases("Expand", [13], "bool", [bools([1, 0]), int64s([2, 2])]),
  ...cases("Tile", [11, 13], "both axes", [counting([2, 3]), int64s([2, 3])]),
  ...cases("Tile", [13], "long rows", [counting([2, 20]), int64s([3, 1])]),
  ...cases("Tile", [13], "none", [counting([2, 3]), int64s([1, 0])]),
  ...cases("Tile", [13], "int32", [int32s([1, 2, 3]), int64s([2])]),
];

const blockCases: readonly OpCase[] = [
  ...cases("DepthToSpace", [11, 13], "DCR", [counting([2, 8, 2, 3])], { blocksize: int(2) }),
  ...cases("DepthToSpace", [11, 13], "CRD", [counting([2, 8, 2, 3])], {
    blocksize: int(2),
    mode: stringAttribute("CRD"),
  }),
  ...cases("SpaceToDepth", [11, 13], "block 2", [counting([2, 3, 4, 6])], { blocksize: int(2) }),
  ...cases("SpaceToDepth", [13], "block 3", [counting([1, 1, 3, 6])], { blocksize: int(3) }),
];

const beyond = 2n ** 63n - 1n;

const sliceCases: readonly OpCase[] = [
  ...cases("Slice", [11, 13], "defaults", [counting([4, 5]), int64s([1, 0]), int64s([3, 4])]),
  ...cases("Slice", [13], "to the end", [counting([4, 5]), int64s([-2]), int64s([beyond]), int64s([1])]),
  ...cases("Slice", [13], "steps", [counting([9, 5]), int64s([1]), int64s([8]), int64s([0]), int64s([3])]),
  ...cases("Slice", [13], "backwards", [
    counting([5, 4]),
    int64s([-1, 3]),
    int64s([-beyond, 0]),
    int64s([0, 1]),
    int64s([-1, -2]),
  ]),
  ...cases("Slice", [13], "negative axis", [counting([2, 3, 4]), int64s([1]), int64s([3]), int64s([-1])]),
  ...cases("Slice", [13], "nothing left", [counting([4]), int64s([3]), int64s([1])]),
  ...cases("Slice", [13], "start beyond the end", [counting([4]), int64s([10]), int64s([20])]),
  ...cases("Slice", [13], "backwards from beyond", [
    counting([4]),
    int64s([100]),
    int64s([-100]),
    int64s([0]),
    int64s([-1]),
  ]),
  ...cases("Slice", [13], "int32 bounds", [counting([4, 5]), int32s([1]), int32s([3]), int32s([1])]),
  ...cases("Slice", [13], "int64", [countingInt64([6]), int64s([0]), int64s([6]), int64s([0]), int64s([2])]),
  ...cases("Slice", [13], "empty input", [counting([0, 3]), int64s([0]), int64s([2])]),
  ...cases("Slice", [9], "attributes", [counting([4, 5])], { starts: ints([1, -3]), ends: ints([3, 1000]) }),
  ...cases("Slice", [9], "attributes with axes", [counting([4, 5])], {
    starts: ints([1]),
    ends: ints([-1]),
    axes: ints([1]),
  }),
];

const mode = (name: string) => ({ mode: stringAttribute(name) });

const padCases: readonly OpCase[] = [
  ...cases("Pad", [11, 13, 18, 21], "zeros", [counting([2, 3]), int64s([1, 0, 2, 1])]),
  ...cases("Pad", [13], "value", [counting([2, 3]), int64s([0, 1, 1, 0]), floats([9], [])]),
  ...cases("Pad", [13], "images", [counting([1, 2, 4, 4]), int64s([0, 0, 2, 2, 0, 0, 2, 2])]),
  ...cases("Pad", [13], "taking away", [counting([4, 5]), int64s([-1, 1, 2, -2])]),
  ...cases("Pad", [13], "int64", [countingInt64([2, 2]), int64s([1, 0, 0, 1]), int64s([7], [])]),
  ...cases("Pad", [13], "empty input", [counting([0, 2]), int64s([1, 0, 1, 0]), floats([3], [])]),
  ...cases("Pad", [18, 21], "axes", [counting([2, 3, 4]), int64s([1, 2]), floats([5], []), int64s([-1])]),
  ...cases("Pad", [18], "two axes", [counting([2, 3, 4]), int64s([1, 0, 2, 1]), null, int64s([2, 0])]),
  ...["reflect", "edge"].flatMap((name) => [
    ...cases("Pad", [11, 13, 18], name, [counting([3, 4]), int64s([1, 2, 2, 3])], mode(name)),
    ...cases("Pad", [13], `${name}, one axis`, [counting([2, 20]), int64s([1, 0, 1, 0])], mode(name)),
    ...cases("Pad", [13], `${name}, taking away`, [counting([5, 6]), int64s([-1, 2, 1, -2])], mode(name)),
  ]),
  ...cases("Pad", [19, 21], "wrap", [counting([3, 4]), int64s([1, 2, 2, 3])], mode("wrap")),
  ...cases("Pad", [7], "attributes", [counting([2, 3])], {
    pads: ints([1, 0, 2, 1]),
    value: floatAttribute(1.5),
  }),
];

const triluCases: readonly OpCase[] = [
  ...cases("Trilu", [14, 18], "upper", [counting([3, 4])]),
  ...cases("Trilu", [14], "lower, batch", [counting([2, 3, 3])], { upper: int(0) }),
  ...cases("Trilu", [14], "upper, k 1", [counting([4, 3]), int64s([1], [])]),
  ...cases("Trilu", [14], "lower, k -1, int64", [countingInt64([3, 3]), int64s([-1], [])], { upper: int(0) }),
];

const whole = (value: readonly number[]) => ({ value: tensorAttribute(int64s(value)) });

const makingCases: readonly OpCase[] = [
  ...cases("ConstantOfShape", [11, 13, 21], "default", [int64s([2, 3])]),
  ...cases("ConstantOfShape", [13], "int64", [int64s([4])], whole([-1])),
  ...cases("ConstantOfShape", [13], "scalar", [int64s([])], whole([3])),
  ...cases("ConstantOfShape", [13], "empty", [int64s([2, 0])], whole([3])),
  ...cases("Range", [11, 13], "int64", [int64s([0], []), int64s([7], []), int64s([2], [])]),
  ...cases("Range", [13], "down", [int64s([5], []), int64s([-4], []), int64s([-3], [])]),
  ...cases("Range", [13], "int32", [int32s([1], []), int32s([4], []), int32s([1], [])]),
  ...cases("Range", [13], "float32", [floats([0.5], []), floats([2.2], []), floats([0.5], [])]),
  ...cases("Range", [13], "nothing", [int64s([3], []), int64s([3], []), int64s([1], [])]),
  ...cases("EyeLike", [11, 13], "float32", [counting([3, 4])]),
  ...cases("EyeLike", [13], "k", [counting([4, 3])], { k: int(-1) }),
  ...cases("EyeLike", [13], "dtype int64", [counting([3, 3])], { k: int(1), dtype: int(7) }),
  ...cases("Constant", [11, 13, 21], "value", [], { value: tensorAttribute(counting([2, 3])) }),
  ...cases("Constant", [13], "value_float", [], { value_float: floatAttribute(0.1) }),
  ...cases("Constant", [13], "value_floats", [], { value_floats: { type: "FLOATS", value: [0.5, 2] } }),
  ...cases("Constant", [13], "value_int", [], { value_int: int(-3) }),
  ...cases("Constant", [13], "value_ints", [], { value_ints: ints([1, -2, 3]) }),
];

export const movementCases: readonly OpCase[] = [
  ...transposeCases,
  ...reshapeCases,
  ...squeezeCases,
  ...shapeCases,
  ...joiningCases,
  ...repeatingCases,
  ...blockCases,
  ...sliceCases,
  ...padCases,
  ...triluCases,
  ...makingCases,
];
