// Cases of reductions, ArgMax, ArgMin, Softmax and LogSoftmax.

import { intAttribute, intsAttribute } from "../../../src/core/ir/attributes.ts";
import { int64Tensor, type Tensor } from "../../../src/core/tensor.ts";
import { atOpsets, type OpCase, randomTensor } from "./op-case.ts";

const drop = { keepdims: intAttribute(0) };

const reduceOps = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceSumSquare",
  "ReduceLogSum",
  "ReduceLogSumExp",
];

const axisSets: readonly (readonly number[] | undefined)[] = [
  undefined,
  [1],
  [-1],
  [0, 2],
  [1, 2, 3],
  [-2, 0],
];

function positive(tensor: Tensor): Tensor {
  return {
    ...tensor,
    data: Float32Array.from(tensor.data as Float32Array, (value) => Math.abs(value) + 0.5),
  };
}

function reduceCase(
  opType: string,
  opset: number,
  axes: readonly number[] | undefined,
  keep: boolean,
): OpCase {
  const x = randomTensor([2, 3, 4, 5], 7);
  const data = opType === "ReduceLogSum" ? positive(x) : x;
  const takesInput = opset >= (opType === "ReduceSum" ? 13 : 18);
  const asAttribute: OpCase["attributes"] = axes && !takesInput ? { axes: intsAttribute(axes) } : {};
  return {
    name: `${opType}: axes ${axes ?? "all"}${keep ? "" : ", dropped"}, opset ${opset}`,
    opType,
    opset,
    attributes: { ...asAttribute, ...(keep ? {} : drop) },
    inputs: axes && takesInput ? [data, int64Tensor(axes)] : [data],
    tolerance: "rounding",
  };
}

const reduceCases: readonly OpCase[] = reduceOps.flatMap((opType) =>
  [11, 13, 18].flatMap((opset) =>
    axisSets.map((axes, row) => reduceCase(opType, opset, axes, (row + opset) % 2 === 0)),
  ),
);

const noop = { noop_with_empty_axes: intAttribute(1) };

const specialReduceCases: readonly OpCase[] = [
  ...atOpsets([13], {
    name: "ReduceSum: no axes and noop_with_empty_axes",
    opType: "ReduceSum",
    attributes: noop,
    inputs: [randomTensor([2, 3], 1), int64Tensor([])],
    tolerance: "exact",
  }),
  ...atOpsets([13], {
    name: "ReduceSum: empty axes",
    opType: "ReduceSum",
    attributes: {},
    inputs: [randomTensor([2, 3], 1), int64Tensor([])],
    tolerance: "close",
  }),
  ...atOpsets([18], {
    name: "ReduceMax: no axes and noop_with_empty_axes",
    opType: "ReduceMax",
    attributes: noop,
    inputs: [randomTensor([2, 3], 1), int64Tensor([])],
    tolerance: "exact",
  }),
  ...["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"].flatMap((opType) =>
    atOpsets([18], {
      name: `${opType}: no axes and noop_with_empty_axes`,
      opType,
      attributes: noop,
      inputs: [{ type: "float32", data: Float32Array.of(-2, 3), dims: [2] }],
      tolerance: "close",
    }),
  ),
  ...["ReduceProd", "ReduceMax", "ReduceSum", "ReduceMin"].flatMap((opType) =>
    atOpsets([11], {
      name: `${opType}: int64 shape vector`,
      opType,
      attributes: drop,
      inputs: [int64Tensor([3, 4, 5])],
      tolerance: "exact",
    }),
  ),
  ...atOpsets([13], {
    name: "ReduceLogSumExp: large values",
    opType: "ReduceLogSumExp",
    attributes: {},
    inputs: [{ type: "float32", data: Float32Array.of(1000, 1001, -1000), dims: [3] }],
    tolerance: "rounding",
  }),
  ...atOpsets([13], {
    name: "ReduceMean: scalar",
    opType: "ReduceMean",
    attributes: {},
    inputs: [{ type: "float32", data: Float32Array.of(3), dims: [] }],
    tolerance: "exact",
  }),
];

const withTies: Tensor = {
  type: "float32",
  data: Float32Array.of(1, 3, 3, -2, -2, 0, 5, 5, 5, 0, 0, 0),
  dims: [4, 3],
};

const argCases: readonly OpCase[] = ["ArgMax", "ArgMin"].flatMap((opType) =>
  [{}, { axis: intAttribute(1) }, { axis: intAttribute(-1), ...drop }].flatMap((attributes, row) => [
    ...atOpsets([11, 13], {
      name: `${opType}: row ${row}`,
      opType,
      attributes,
      inputs: [randomTensor([3, 4, 5], 3)],
      tolerance: "exact",
    }),
    ...atOpsets([12, 13], {
      name: `${opType}: ties, last index, row ${row}`,
      opType,
      attributes: { ...attributes, select_last_index: intAttribute(1) },
      inputs: [withTies],
      tolerance: "exact",
    }),
    ...atOpsets([13], {
      name: `${opType}: ties, first index, row ${row}`,
      opType,
      attributes,
      inputs: [withTies],
      tolerance: "exact",
    }),
  ]),
);

const softmaxCases: readonly OpCase[] = ["Softmax", "LogSoftmax"].flatMap((opType) =>
  [undefined, 0, 1, 2, -1].flatMap((axis) =>
    atOpsets([11, 12, 13], {
      name: `${opType}: axis ${axis ?? "default"}`,
      opType,
      attributes: axis === undefined ? {} : { axis: intAttribute(axis) },
      inputs: [randomTensor([2, 3, 4], 5)],
      tolerance: "close",
    }),
  ),
);

export const cases: readonly OpCase[] = [...reduceCases, ...specialReduceCases, ...argCases, ...softmaxCases];
