// The adder convolutions on codes in standard ops. Every float32 on the way to a sum is an integer below 2^24, hence exact.

import { intAttribute } from "../src/core/ir/attributes.ts";
import type { FunctionBody } from "../src/core/ir/model.ts";
import { AdderInteger2d } from "./adder-integer2d.ts";
import type { FunctionVariant } from "./function-body.ts";
import { functionOf, type Line, smallIntegerOf } from "./function-lines.ts";
import { QLinearAdder2d, qlinearAdder2dInputs } from "./qlinear-adder2d.ts";
import {
  absoluteDifferences,
  columnsOf,
  lengths,
  outputOf,
  perFilter,
  sumOver,
  windowAttributes,
} from "./window-lines.ts";

/** Round is as old as this. */
const firstOpset = 11;

const [float32, uint8, int32] = [intAttribute(1), intAttribute(2), intAttribute(6)];

const toFloat = (output: string, input: string): Line => [output, "Cast", input, { to: float32 }];

/** Codes minus their zero point, as float32. */
const centred = (output: string, codes: string, zeroPoint: string): readonly Line[] => [
  toFloat(`${output}_codes`, codes),
  [output, "Sub", `${output}_codes ${zeroPoint}`],
];

/**
 * -Σ|X - W| as int32 under the name `output`. Zero points come off first, since Conv pads with 0. Sums over channels are
 * taken in float32, exact for up to 65,793 channels, and those over the taps of the kernel in int32.
 */
function codeSums(output: string, opset: number): readonly Line[] {
  return [
    ...lengths(opset),
    toFloat("x_zero", "x_zero_point"),
    ...centred("x_values", "X", "x_zero"),
    ...centred("w_values", "W", "x_zero"),
    ...columnsOf("x_values"),
    ...absoluteDifferences("w_values", "group_channels taps"),
    ...sumOver("tap_sums", "absolute", 3, opset),
    ["tap_integers", "Cast", "tap_sums", { to: int32 }],
    ...sumOver("sums", "tap_integers", 3, opset),
    ["negated", "Neg", "sums"],
    ...outputOf(output, "negated"),
  ];
}

/** The body of addernet::AdderInteger2d. Nodes must give strides, pads and dilations. */
export function adderInteger2dFunction(_variant: FunctionVariant, opset: number): FunctionBody {
  return functionOf(AdderInteger2d, {
    inputs: ["X", "W", "x_zero_point"],
    attributes: windowAttributes,
    lines: codeSums("Y", opset),
    opset,
    firstOpset,
    docString: "Y = -sum|X - W| of 8-bit codes: the adder convolution of AdderNet in integers.",
  });
}

/** Rounding of `value` to a code between y_min and y_max. */
function coding(value: string, opset: number): readonly Line[] {
  return [
    ["rounded", "Round", value],
    toFloat("y_zero", "y_zero_point"),
    ["shifted", "Add", "rounded y_zero"],
    ...smallIntegerOf("least", "y_min", opset),
    ...smallIntegerOf("most", "y_max", opset),
    ["raised", "Max", "shifted least"],
    ["lowered", "Min", "raised most"],
    ["Y", "Cast", "lowered", { to: uint8 }],
  ];
}

const residual: readonly Line[] = [
  toFloat("z_zero", "z_zero_point"),
  ...centred("z_values", "Z", "z_zero"),
  ["z_scaled", "Mul", "z_values z_scale"],
  ["summed", "Add", "biased z_scaled"],
];

/** The body of addernet::QLinearAdder2d, with 6 or, for a residual, 9 inputs. Nodes must give strides, pads, dilations, y_min and y_max. */
export function qlinearAdder2dFunction({ inputs }: FunctionVariant, opset: number): FunctionBody {
  return functionOf(QLinearAdder2d, {
    inputs: qlinearAdder2dInputs.slice(0, inputs),
    attributes: [...windowAttributes, "y_min", "y_max"],
    lines: [
      ...codeSums("integers", opset),
      toFloat("distances", "integers"),
      ...perFilter("channel_scale", "scale"),
      ...perFilter("channel_bias", "B"),
      ["scaled", "Mul", "distances channel_scale"],
      ["biased", "Add", "scaled channel_bias"],
      ...(inputs > 6 ? residual : []),
      ...coding(inputs > 6 ? "summed" : "biased", opset),
    ],
    opset,
    firstOpset,
    docString:
      "Y = clip(round(scale * -sum|X - W| + B + z_scale * Z)): the adder convolution of AdderNet on codes.",
  });
}
