// Cases of QuantizeLinear and DequantizeLinear.

import { intAttribute } from "../../../src/core/ir/attributes.ts";
import { float32Tensor, type Tensor } from "../../../src/core/tensor.ts";
import type { OpCase } from "./op-case.ts";
import { randomNumbers } from "./op-case.ts";
import { cases as caseAt } from "./tensors.ts";

const uint8s = (values: readonly number[], dims: readonly number[] = [values.length]): Tensor => ({
  type: "uint8",
  data: Uint8Array.from(values),
  dims,
});
const int8s = (values: readonly number[], dims: readonly number[] = [values.length]): Tensor => ({
  type: "int8",
  data: Int8Array.from(values),
  dims,
});
const scalar = (value: number): Tensor => float32Tensor([value], []);

const wide = float32Tensor(
  randomNumbers(240, 1).map((value) => value * 40),
  [2, 5, 4, 6],
);
const halves = float32Tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 126.5, 127.5, 254.5, 255.5, 1e9, -1e9]);
const codes = uint8s(
  randomNumbers(24, 2).map((value) => 128 + Math.floor(value * 128)),
  [2, 3, 4],
);
const signed = int8s([-128, -1, 0, 1, 127, 5], [3, 2]);

export const cases: readonly OpCase[] = [
  ...caseAt("QuantizeLinear", [11, 13, 19, 21], "unsigned", [wide, scalar(0.1), uint8s([100], [])]),
  ...caseAt("QuantizeLinear", [11, 13], "signed", [wide, scalar(0.3), int8s([-7], [])]),
  ...caseAt("QuantizeLinear", [13, 19], "halves to even", [halves, scalar(1), uint8s([0], [])]),
  ...caseAt("QuantizeLinear", [13], "halves to even, odd zero point", [halves, scalar(1), uint8s([3], [])]),
  ...caseAt("QuantizeLinear", [13], "no zero point", [wide, scalar(0.25)]),
  ...caseAt(
    "QuantizeLinear",
    [13, 19],
    "a scale per channel",
    [wide, float32Tensor([0.1, 0.2, 0.3, 0.05, 1]), uint8s([0, 10, 20, 128, 255])],
    { axis: intAttribute(1) },
  ),
  ...caseAt("DequantizeLinear", [11, 13, 19, 21], "unsigned", [codes, scalar(0.0371), uint8s([12], [])]),
  ...caseAt("DequantizeLinear", [13], "no zero point", [codes, scalar(0.0371)]),
  ...caseAt("DequantizeLinear", [13], "signed", [signed, scalar(0.0371), int8s([-3], [])]),
  ...caseAt(
    "DequantizeLinear",
    [13, 19],
    "a scale per filter",
    [signed, float32Tensor([0.1, 0.2, 0.3]), int8s([0, 1, -1])],
    { axis: intAttribute(0) },
  ),
  ...caseAt("DequantizeLinear", [13], "accumulators", [
    { type: "int32", data: Int32Array.of(-100000, 0, 7), dims: [3] },
    scalar(0.001),
  ]),
];
