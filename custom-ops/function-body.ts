// Adder2d written in standard ops: what an ONNX engine runs where no kernel of ours is registered.

import type { FunctionBody } from "../src/core/ir/model.ts";
import { Adder2d } from "./adder2d.ts";
import { floatOf, functionOf, type Line } from "./function-lines.ts";
import {
  absoluteDifferences,
  columnsOf,
  lengths,
  negatedOutput,
  perFilter,
  sumOver,
  windowAttributes,
} from "./window-lines.ts";

/** What the nodes that share a body have in common: engines give a function every input it names. */
export interface FunctionVariant {
  /** How many of its inputs the nodes have. */
  readonly inputs: number;
  /** Whether the bounds of the activation are to be applied. */
  readonly clips: boolean;
}

const adder2dInputs = ["X", "W", "B", "scale", "Z"] as const;

/** EyeLike and ConstantOfShape are as old as this. */
const firstOpset = 9;

function clipping(opset: number): readonly Line[] {
  return [
    ...floatOf("least", "activation_min", opset),
    ...floatOf("most", "activation_max", opset),
    ["raised", "Max", "summed least"],
    ["Y", "Min", "raised most"],
  ];
}

/** scale·distances + B + Z and the clip, as far as the variant has them; the last value is Y. */
function epilogue({ inputs, clips }: FunctionVariant, opset: number): readonly Line[] {
  const total = clips ? "summed" : "Y";
  const clip = clips ? clipping(opset) : [];
  if (inputs === 2) return [[total, "Identity", "distances"], ...clip];
  const bias = perFilter("channel_bias", "B");
  if (inputs === 3) return [...bias, [total, "Add", "distances channel_bias"], ...clip];
  return [
    ...bias,
    ...perFilter("channel_scale", "scale"),
    ["scaled", "Mul", "distances channel_scale"],
    ["biased", "Add", "scaled channel_bias"],
    [total, "Add", "biased Z"],
    ...clip,
  ];
}

/**
 * The body of addernet::Adder2d for float32, good for every kernel, stride, padding, dilation, group and batch: only the
 * epilogue depends on the variant, of 2, 3 or 5 inputs. `opset` is the version of the standard domain that the model imports,
 * since engines read a body by the model's versions. Nodes must give strides, pads, dilations and, where it clips, both bounds.
 * Memory: N·M·OH·OW·KH·KW·C/group floats.
 */
export function adder2dFunction(variant: FunctionVariant, opset: number): FunctionBody {
  return functionOf(Adder2d, {
    inputs: adder2dInputs.slice(0, variant.inputs),
    attributes: [...windowAttributes, "activation_min", "activation_max"],
    lines: [
      ...lengths,
      ...columnsOf("X"),
      ...absoluteDifferences("W", "depth"),
      ...sumOver("sums", "absolute", 3, opset),
      ...negatedOutput("distances", "sums"),
      ...epilogue(variant, opset),
    ],
    opset,
    firstOpset,
    docString: "Y = clip(scale * -sum|X - W| + B + Z): the adder convolution of AdderNet, arXiv 1912.13200.",
  });
}
