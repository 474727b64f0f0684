// Cases of ops that pick or place elements by index.

import { intAttribute, stringAttribute } from "../../../src/core/ir/attributes.ts";
import type { OpCase } from "./op-case.ts";
import { bytes, cases, counting, countingInt64, doubles, floats, int32s, int64s, words } from "./tensors.ts";

const axis = (value: number) => ({ axis: intAttribute(value) });

const gatherCases: readonly OpCase[] = [
  ...cases("Gather", [11, 13], "rows", [counting([4, 20]), int64s([2, 0, 2])]),
  ...cases(
    "Gather",
    [13],
    "matrix of indices",
    [counting([2, 7, 3]), int64s([0, 1, 2, 3, 4, 5], [2, 3])],
    axis(1),
  ),
  ...cases("Gather", [13], "last axis, from the back", [counting([3, 4]), int64s([-1, 0])], axis(-1)),
  ...cases("Gather", [13], "scalar index", [countingInt64([5]), int64s([3], [])]),
  ...cases("Gather", [13], "int32 indices", [counting([3, 2]), int32s([1, 1])]),
  ...cases("Gather", [13], "no indices", [counting([3, 2]), int64s([], [0])]),
  ...cases("Gather", [13], "strings", [words(["a", "b", "c"]), int64s([2, 0])]),
  ...cases("Gather", [13], "bytes", [bytes([9, 8, 7]), int64s([2, 0])]),
  ...cases("Gather", [13], "float64", [doubles([1, 2, 3]), int64s([2, 0])]),
  ...cases(
    "GatherElements",
    [11, 13],
    "axis 0",
    [counting([3, 3]), int64s([1, 2, 0, 2, 0, 0], [2, 3])],
    axis(0),
  ),
  ...cases(
    "GatherElements",
    [13],
    "axis -1, from the back",
    [counting([2, 3]), int32s([-1, 0, 1, 1], [2, 2])],
    axis(-1),
  ),
  ...cases(
    "GatherElements",
    [13],
    "three axes",
    [counting([2, 3, 2]), int64s([2, 0, 1, 1], [2, 1, 2])],
    axis(1),
  ),
  ...cases("GatherND", [11, 13], "elements", [counting([2, 2]), int64s([0, 0, 1, -1], [2, 2])]),
  ...cases("GatherND", [13], "rows", [counting([2, 3, 4]), int64s([1, 0], [2, 1])]),
  ...cases("GatherND", [12, 13], "batch", [counting([2, 3, 4]), int64s([1, 2], [2, 1])], {
    batch_dims: intAttribute(1),
  }),
  ...cases("GatherND", [13], "int64", [countingInt64([3, 2]), int64s([2, 1], [1, 2])]),
];

const reduction = (name: string) => ({ ...axis(1), reduction: stringAttribute(name) });
const updates = () => [counting([2, 4]), int64s([1, 1, -1, 0], [2, 2]), floats([10, 20, 30, 40], [2, 2])];

const scatterCases: readonly OpCase[] = [
  ...cases("ScatterElements", [11, 13, 18], "rows", [
    counting([3, 3]),
    int64s([1, 0, 2, 0, 2, 1], [2, 3]),
    floats([1, 2, 3, 4, 5, 6], [2, 3]),
  ]),
  ...cases(
    "ScatterElements",
    [13],
    "axis 1",
    [counting([1, 5]), int64s([1, -2], [1, 2]), floats([7, 8], [1, 2])],
    axis(1),
  ),
  ...["add", "mul", "max", "min"].flatMap((name) =>
    cases(
      "ScatterElements",
      name === "add" || name === "mul" ? [16, 18] : [18],
      name,
      updates(),
      reduction(name),
    ),
  ),
  ...cases(
    "ScatterElements",
    [18],
    "max of int64",
    [countingInt64([1, 4]), int64s([1, 2], [1, 2]), int64s([10, -20], [1, 2])],
    reduction("max"),
  ),
];

const oneHotCases: readonly OpCase[] = [
  ...cases("OneHot", [11], "last axis", [int64s([0, 2, -1, 5]), int64s([3], []), floats([0, 1])]),
  ...cases("OneHot", [11], "axis 0", [int64s([0, 2, 1, 1], [2, 2]), int64s([3]), floats([-1, 5])], axis(0)),
  ...cases("OneHot", [11], "axis 1", [int64s([0, 2, 1, 1], [2, 2]), int64s([3]), floats([0, 1])], axis(1)),
  ...cases("OneHot", [11], "int64 values", [int64s([1]), int64s([2], []), int64s([3, 4])]),
];

export const indexingCases: readonly OpCase[] = [...gatherCases, ...scatterCases, ...oneHotCases];
