// Cases of matrix products and normalisation.

import { floatAttribute, intAttribute } from "../../../src/core/ir/attributes.ts";
import type { Tensor } from "../../../src/core/tensor.ts";
import { atOpsets, type OpCase, randomTensor } from "./op-case.ts";

const flag = intAttribute(1);
const bothFactors = { alpha: floatAttribute(0.5), beta: floatAttribute(-2) };

function gemm(
  name: string,
  dims: readonly (readonly number[])[],
  attributes: OpCase["attributes"],
): OpCase[] {
  const inputs = dims.map((shape, index) => randomTensor(shape, index));
  return atOpsets([11, 13], {
    name: `Gemm: ${name}`,
    opType: "Gemm",
    attributes,
    inputs,
    tolerance: "close",
  });
}

const gemmCases: readonly OpCase[] = [
  ...gemm(
    "plain",
    [
      [3, 4],
      [4, 5],
    ],
    {},
  ),
  ...gemm("transB, bias vector", [[3, 4], [5, 4], [5]], { transB: flag }),
  ...gemm(
    "transA, factors, bias matrix",
    [
      [4, 3],
      [4, 5],
      [3, 5],
    ],
    { transA: flag, ...bothFactors },
  ),
  ...gemm(
    "both transposed, bias column",
    [
      [4, 3],
      [5, 4],
      [3, 1],
    ],
    { transA: flag, transB: flag, ...bothFactors },
  ),
  ...gemm("scalar bias", [[2, 3], [3, 2], []], bothFactors),
];

const matMulShapes: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [3, 4],
    [4, 5],
  ],
  [[4], [4]],
  [[4], [4, 3]],
  [[3, 4], [4]],
  [
    [2, 3, 4],
    [2, 4, 5],
  ],
  [
    [2, 3, 4],
    [4, 5],
  ],
  [
    [2, 1, 3, 4],
    [5, 4, 2],
  ],
  [
    [3, 1, 2, 3],
    [1, 2, 3, 1],
  ],
  [[4], [2, 4, 3]],
];

const matMulCases: readonly OpCase[] = matMulShapes.flatMap(([a, b], row) =>
  atOpsets(row === 0 ? [11, 13] : [13], {
    name: `MatMul: [${a}] by [${b}]`,
    opType: "MatMul",
    attributes: {},
    inputs: [randomTensor(a, row), randomTensor(b, row + 50)],
    tolerance: "close",
  }),
);

const integerMatMul: OpCase = {
  name: "MatMul: int32",
  opType: "MatMul",
  opset: 13,
  attributes: {},
  inputs: [
    { type: "int32", data: Int32Array.from([1, -2, 3, 4, 5, -6]), dims: [2, 3] },
    { type: "int32", data: Int32Array.from([7, 8, -9, 10, 11, 12]), dims: [3, 2] },
  ],
  tolerance: "exact",
};

function positive(dims: readonly number[], seed: number): Tensor {
  const { data } = randomTensor(dims, seed);
  return {
    type: "float32",
    data: Float32Array.from(data as Float32Array, (value) => Math.abs(value) + 0.1),
    dims,
  };
}

const perChannel = (count: number) => [0, 1, 2].map((seed) => randomTensor([count], seed + 10));

const normalizationCases: readonly OpCase[] = [
  ...[
    [2, 3, 4, 5],
    [4, 3],
    [1, 3, 6],
    [1, 3, 2, 2, 2],
  ].flatMap((dims) =>
    atOpsets([11, 14, 15], {
      name: `BatchNormalization: [${dims}]`,
      opType: "BatchNormalization",
      attributes: { epsilon: floatAttribute(1e-3) },
      inputs: [randomTensor(dims, 1), ...perChannel(3), positive([3], 4)],
      tolerance: "rounding",
    }),
  ),
  ...atOpsets([11, 22], {
    name: "InstanceNormalization",
    opType: "InstanceNormalization",
    attributes: {},
    inputs: [randomTensor([2, 3, 4, 5], 1), ...perChannel(3).slice(0, 2)],
    tolerance: "rounding",
  }),
  ...atOpsets([17, 21], {
    name: "LayerNormalization: last axis",
    opType: "LayerNormalization",
    attributes: {},
    inputs: [randomTensor([2, 3, 8], 1), randomTensor([8], 2), randomTensor([8], 3)],
    outputs: 3,
    tolerance: "rounding",
  }),
  ...atOpsets([17], {
    name: "LayerNormalization: two axes, no bias",
    opType: "LayerNormalization",
    attributes: { axis: intAttribute(-2), epsilon: floatAttribute(0.01) },
    inputs: [randomTensor([2, 3, 8], 1), randomTensor([3, 8], 2)],
    tolerance: "rounding",
  }),
  ...[1, 3, 5].flatMap((size) =>
    atOpsets([13], {
      name: `LRN: size ${size}`,
      opType: "LRN",
      attributes: {
        size: intAttribute(size),
        alpha: floatAttribute(0.3),
        beta: floatAttribute(0.6),
        bias: floatAttribute(1.5),
      },
      inputs: [randomTensor([2, 5, 3, 3], size)],
      tolerance: "rounding",
    }),
  ),
];

export const cases: readonly OpCase[] = [...gemmCases, ...matMulCases, integerMatMul, ...normalizationCases];
