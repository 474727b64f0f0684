// Lines that the bodies of all adder convolutions share: lengths, columns of X, differences to W.

import { intsAttribute } from "../src/core/ir/attributes.ts";
import type { Attribute } from "../src/core/ir/model.ts";
import { integers, type Line, reference } from "./function-lines.ts";

/** The attributes of ONNX Conv. */
export const windowAttributes = [
  "auto_pad",
  "dilations",
  "group",
  "kernel_shape",
  "pads",
  "strides",
] as const;

const givenWindow = {
  strides: reference("strides", "INTS"),
  pads: reference("pads", "INTS"),
  dilations: reference("dilations", "INTS"),
};

/** How many groups a call has. Constant cannot refer to an INT before opset 12, the shapes of X and W tell too. */
function groupsOf(opset: number): readonly Line[] {
  if (opset >= 12) {
    return [
      ["group_count", "Constant", "", { value_int: reference("group", "INT") }],
      ["groups", "Reshape", "group_count one"],
    ];
  }
  return [
    ["x_shape", "Shape", "X"],
    ["channels", "Gather", "x_shape one"],
    ["groups", "Div", "channels group_channels"],
  ];
}

/** Lengths: taps = KH·KW, groups, depth = taps·C/group, and constants to build shapes from, where 0 keeps a length and -1 is the rest. */
export const lengths = (opset: number): readonly Line[] => [
  ["zero", "Constant", "", integers(0)],
  ["one", "Constant", "", integers(1)],
  ["rest", "Constant", "", integers(-1)],
  ["plane_axes", "Constant", "", integers(2, 3)],
  ["w_shape", "Shape", "W"],
  ["filters", "Gather", "w_shape zero"],
  ["group_channels", "Gather", "w_shape one"],
  ["kernel", "Gather", "w_shape plane_axes"],
  ["taps", "ReduceProd", "kernel"],
  ["depth", "Mul", "taps group_channels"],
  ...groupsOf(opset),
];

/** `depth` as blocks·block, `block` being its largest divisor up to `most`. */
export function blocksOf(depth: string, most: number): readonly Line[] {
  return [
    ["candidates", "Constant", "", integers(...Array.from({ length: most }, (_, index) => index + 1))],
    ["quotients", "Div", `${depth} candidates`],
    ["multiples", "Mul", "quotients candidates"],
    ["divides", "Equal", `multiples ${depth}`],
    ["divisors", "Where", "divides candidates one"],
    ["block", "ReduceMax", "divisors", { keepdims: on }],
    ["blocks", "Div", `${depth} block`],
  ];
}

export const concat = { axis: { type: "INT", value: 0n } as Attribute };

/**
 * Every tap of every plane of `x` as a channel of its own, by a convolution with a kernel of one 1 per tap:
 * (N,C,H,W) -> (N·C,KH·KW,OH,OW), called `columns`; `positions` is OH, OW and `area` their product.
 */
export function columnsOf(x: string): readonly Line[] {
  return [
    ["square", "Concat", "taps taps", concat],
    ["zeros", "ConstantOfShape", "square"],
    ["identity", "EyeLike", "zeros"],
    ["one_hot_shape", "Concat", "taps one kernel", concat],
    ["one_hot", "Reshape", "identity one_hot_shape"],
    ["plane_shape", "Constant", "", integers(-1, 1, 0, 0)],
    ["planes", "Reshape", `${x} plane_shape`],
    ["columns", "Conv", "planes one_hot", givenWindow],
    ["column_shape", "Shape", "columns"],
    ["positions", "Gather", "column_shape plane_axes"],
    ["area", "ReduceProd", "positions"],
  ];
}

/** |X - W| as `absolute`: the columns as (N,G,1,inner,OH·OW) against `w` as (1,G,M/G,inner,1), `inner` being one or more lengths. */
export function absoluteDifferences(w: string, inner: string): readonly Line[] {
  return [
    ["x_matrix_shape", "Concat", `rest groups one ${inner} area`, concat],
    ["x_matrix", "Reshape", "columns x_matrix_shape"],
    ["w_matrix_shape", "Concat", `one groups rest ${inner} one`, concat],
    ["w_matrix", "Reshape", `${w} w_matrix_shape`],
    ["differences", "Sub", "x_matrix w_matrix"],
    ["absolute", "Abs", "differences"],
  ];
}

/** The sum over one axis, which goes. */
export function sumOver(output: string, input: string, axis: number, opset: number): readonly Line[] {
  if (opset < 13) return [[output, "ReduceSum", input, { axes: intsAttribute([axis]), keepdims: off }]];
  return [
    [`${output}_axis`, "Constant", "", integers(axis)],
    [output, "ReduceSum", `${input} ${output}_axis`, { keepdims: off }],
  ];
}

const off: Attribute = { type: "INT", value: 0n };
const on: Attribute = { type: "INT", value: 1n };

/** (N,G,M/G,OH·OW) in the shape (N,M,OH,OW). */
export function outputOf(output: string, sums: string): readonly Line[] {
  return [
    ["y_shape", "Concat", "zero filters positions", concat],
    [output, "Reshape", `${sums} y_shape`],
  ];
}

/** One number per filter, to be broadcast over (N,M,OH,OW). */
export function perFilter(output: string, input: string): readonly Line[] {
  return [
    [`${output}_shape`, "Constant", "", integers(1, -1, 1, 1)],
    [output, "Reshape", `${input} ${output}_shape`],
  ];
}
