// Cases of convolutions and pooling.

import { intAttribute, intsAttribute, stringAttribute } from "../../../src/core/ir/attributes.ts";
import type { Attribute } from "../../../src/core/ir/model.ts";
import { atOpsets, type OpCase, randomTensor } from "./op-case.ts";

const ints = intsAttribute;

interface ConvRow {
  readonly name: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly bias?: boolean;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const convRows: readonly ConvRow[] = [
  { name: "1-D", x: [2, 3, 9], w: [4, 3, 3] },
  { name: "2-D with bias", x: [2, 3, 8, 7], w: [4, 3, 3, 2], bias: true },
  { name: "3-D", x: [1, 2, 5, 6, 4], w: [3, 2, 2, 3, 2], bias: true },
  { name: "1x1", x: [1, 5, 4, 4], w: [6, 5, 1, 1] },
  {
    name: "strides and uneven pads",
    x: [1, 3, 9, 8],
    w: [2, 3, 3, 3],
    attributes: { strides: ints([2, 3]), pads: ints([1, 0, 2, 1]) },
  },
  { name: "dilations", x: [1, 2, 9, 9], w: [2, 2, 3, 2], attributes: { dilations: ints([2, 3]) } },
  { name: "groups", x: [1, 6, 5, 5], w: [4, 3, 3, 3], bias: true, attributes: { group: intAttribute(2) } },
  {
    name: "depthwise, kernel_shape given",
    x: [2, 4, 6, 6],
    w: [8, 1, 3, 3],
    attributes: { group: intAttribute(4), kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) },
  },
  {
    name: "SAME_UPPER",
    x: [1, 2, 7, 8],
    w: [2, 2, 4, 3],
    attributes: { auto_pad: stringAttribute("SAME_UPPER"), strides: ints([2, 2]) },
  },
  {
    name: "SAME_LOWER",
    x: [1, 2, 7, 8],
    w: [2, 2, 2, 4],
    attributes: { auto_pad: stringAttribute("SAME_LOWER") },
  },
  { name: "VALID", x: [1, 2, 7, 8], w: [2, 2, 3, 3], attributes: { auto_pad: stringAttribute("VALID") } },
  {
    name: "a tap that only ever meets padding",
    x: [1, 1, 2, 2],
    w: [1, 1, 5, 5],
    attributes: { pads: ints([4, 2, 0, 2]) },
  },
];

const transposeRows: readonly ConvRow[] = [
  { name: "1-D", x: [1, 3, 5], w: [3, 2, 3] },
  {
    name: "strides and bias",
    x: [2, 3, 4, 5],
    w: [3, 4, 3, 2],
    bias: true,
    attributes: { strides: ints([2, 3]) },
  },
  {
    name: "pads, dilations and output_padding",
    x: [1, 2, 4, 4],
    w: [2, 3, 3, 3],
    attributes: {
      strides: ints([2, 2]),
      pads: ints([1, 0, 1, 2]),
      dilations: ints([1, 2]),
      output_padding: ints([1, 0]),
    },
  },
  { name: "groups", x: [1, 4, 3, 3], w: [4, 3, 2, 2], bias: true, attributes: { group: intAttribute(2) } },
  {
    name: "SAME_UPPER",
    x: [1, 2, 4, 4],
    w: [2, 2, 3, 3],
    attributes: { auto_pad: stringAttribute("SAME_UPPER"), strides: ints([2, 2]) },
  },
  {
    name: "SAME_LOWER",
    x: [1, 2, 4, 4],
    w: [2, 2, 3, 3],
    attributes: { auto_pad: stringAttribute("SAME_LOWER"), strides: ints([2, 2]) },
  },
  {
    name: "output_shape",
    x: [1, 2, 3, 3],
    w: [2, 2, 3, 3],
    attributes: { output_shape: ints([6, 5]), strides: ints([2, 2]) },
  },
];

function convCases(opType: string, rows: readonly ConvRow[]): OpCase[] {
  return rows.flatMap(({ name, x, w, bias, attributes = {} }, row) => {
    const group = Number((attributes.group as { value?: bigint } | undefined)?.value ?? 1n);
    const filters = opType === "Conv" ? w[0]! : w[1]! * group;
    const operands = [randomTensor(x, row), randomTensor(w, row + 100)];
    return atOpsets(row < 2 ? [11, 13, 22] : [13], {
      name: `${opType}: ${name}`,
      opType,
      attributes,
      inputs: bias ? [...operands, randomTensor([filters], row + 200)] : operands,
      tolerance: "close",
    });
  });
}

interface PoolRow {
  readonly name: string;
  readonly x: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly opsets?: readonly number[];
}

const kernel = (...lengths: number[]) => ({ kernel_shape: ints(lengths) });
const ceilMode = { ceil_mode: intAttribute(1) };

const poolRows: readonly PoolRow[] = [
  { name: "1-D", x: [2, 3, 9], attributes: kernel(3), opsets: [11, 12, 22] },
  { name: "2-D", x: [2, 3, 8, 7], attributes: { ...kernel(3, 2), strides: ints([2, 2]) }, opsets: [11, 22] },
  { name: "3-D", x: [1, 2, 5, 6, 4], attributes: { ...kernel(2, 3, 2), strides: ints([2, 1, 1]) } },
  {
    name: "pads",
    x: [1, 2, 7, 7],
    attributes: { ...kernel(3, 3), strides: ints([2, 2]), pads: ints([1, 0, 1, 2]) },
  },
  { name: "ceil_mode", x: [1, 2, 8, 7], attributes: { ...kernel(3, 3), strides: ints([2, 2]), ...ceilMode } },
  {
    name: "ceil_mode with pads",
    x: [1, 2, 8, 8],
    attributes: { ...kernel(3, 3), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]), ...ceilMode },
  },
  {
    name: "ceil_mode where the last window would start in the padding",
    x: [1, 1, 5, 6],
    attributes: { ...kernel(2, 2), strides: ints([3, 3]), pads: ints([1, 1, 1, 1]), ...ceilMode },
  },
  {
    name: "SAME_UPPER",
    x: [1, 2, 7, 8],
    attributes: { ...kernel(3, 2), strides: ints([2, 2]), auto_pad: stringAttribute("SAME_UPPER") },
  },
  {
    name: "SAME_LOWER",
    x: [1, 2, 7, 8],
    attributes: { ...kernel(2, 3), strides: ints([2, 1]), auto_pad: stringAttribute("SAME_LOWER") },
  },
  { name: "VALID", x: [1, 2, 7, 8], attributes: { ...kernel(3, 3), auto_pad: stringAttribute("VALID") } },
];

const includePad = { count_include_pad: intAttribute(1) };
const dilations = { dilations: ints([2, 3]) };

function poolCases(opType: string, rows: readonly PoolRow[]): OpCase[] {
  return rows.flatMap(({ name, x, attributes, opsets = [13] }, row) =>
    atOpsets(opsets, {
      name: `${opType}: ${name}`,
      opType,
      attributes,
      inputs: [randomTensor(x, row)],
      tolerance: opType === "MaxPool" ? "exact" : "close",
    }),
  );
}

const dilatedMax: PoolRow = {
  name: "dilations",
  x: [1, 2, 9, 9],
  attributes: { ...kernel(3, 2), ...dilations },
};
const averageOnly: readonly PoolRow[] = [
  ...poolRows
    .filter(({ attributes }) => "pads" in attributes || "auto_pad" in attributes)
    .map((row) => ({
      ...row,
      name: `${row.name}, count_include_pad`,
      attributes: { ...row.attributes, ...includePad },
      opsets: [13, 19],
    })),
  { ...dilatedMax, opsets: [19, 22] },
];

const globalCases: readonly OpCase[] = ["GlobalAveragePool", "GlobalMaxPool"].flatMap((opType) =>
  [
    [2, 3, 5],
    [2, 3, 4, 5],
    [1, 2, 3, 4, 2],
  ].flatMap((dims, row) =>
    atOpsets(row === 1 ? [11, 22] : [13], {
      name: `${opType}: rank ${dims.length}`,
      opType,
      attributes: {},
      inputs: [randomTensor(dims, row)],
      tolerance: "close",
    }),
  ),
);

const integerMax: OpCase = {
  name: "MaxPool: int8",
  opType: "MaxPool",
  opset: 12,
  attributes: { ...kernel(2, 2), pads: ints([1, 1, 0, 0]) },
  inputs: [
    { type: "int8", data: Int8Array.from([-5, -7, 3, -128, -9, 127, -1, -2, -3]), dims: [1, 1, 3, 3] },
  ],
  tolerance: "exact",
};

export const cases: readonly OpCase[] = [
  ...convCases("Conv", convRows),
  ...convCases("ConvTranspose", transposeRows),
  ...poolCases("MaxPool", [...poolRows, dilatedMax]),
  ...poolCases("AveragePool", [...poolRows, ...averageOnly]),
  ...globalCases,
  integerMax,
];
