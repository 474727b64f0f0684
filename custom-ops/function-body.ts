// Adder2d written in standard ops: what an ONNX engine runs where no kernel of ours is registered.

import { intAttribute } from "../src/core/ir/attributes.ts";
import type { FunctionBody } from "../src/core/ir/model.ts";
import { Adder2d } from "./adder2d.ts";
import { floatOf, functionOf, type Line } from "./function-lines.ts";
import {
  absoluteDifferences,
  blocksOf,
  columnsOf,
  concat,
  lengths,
  outputOf,
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
  /**
   * Whether it is to be one sum of |X - W| in float32, as anyone would write it: what other tools, and this one, find layers by
   * where bodies are written out in place.
   */
  readonly isPlain?: boolean;
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

/** Most terms that are summed in one go. Sums of hundreds of float32 lose what scales of batch norm make much of. */
const mostInBlock = 24;

/**
 * -Σ(|X - W| - |W|) as `distances`: sums over blocks, of which the weights' own are taken off before they are added up. They stay
 * as small as X is, though weights are ten times wider.
 */
function centredDistances(opset: number): readonly Line[] {
  return [
    ...lengths(opset),
    ...blocksOf("depth", mostInBlock),
    ...columnsOf("X"),
    ...absoluteDifferences("W", "blocks block"),
    ...sumOver("block_sums", "absolute", 4, opset),
    ["w_shape_in_blocks", "Concat", "filters blocks block", concat],
    ["w_in_blocks", "Reshape", "W w_shape_in_blocks"],
    ["w_absolute", "Abs", "w_in_blocks"],
    ...sumOver("w_block_sums", "w_absolute", 2, opset),
    ["centre_shape", "Concat", "one groups rest blocks one", concat],
    ["centre", "Reshape", "w_block_sums centre_shape"],
    ["centred", "Sub", "centre block_sums"],
    ...sumOver("sums", "centred", 3, opset),
    ...outputOf("distances", "sums"),
  ];
}

/** -Σ|X - W| as `distances`, in one sum. */
function plainDistances(opset: number): readonly Line[] {
  return [
    ...lengths(opset),
    ...columnsOf("X"),
    ...absoluteDifferences("W", "depth"),
    ...sumOver("sums", "absolute", 3, opset),
    ["negated", "Neg", "sums"],
    ...outputOf("distances", "negated"),
  ];
}

const double = intAttribute(11);
const float = intAttribute(1);

const inDouble = (input: string): Line => [`${input}_wide`, "Cast", input, { to: double }];

/** B - scale·Σ|W| as `channel_offset`: thousands that cancel, so in double; engines compute it when they load the model. */
function offset(inputs: number, opset: number): readonly Line[] {
  const isScaled = inputs > 3;
  const scaling: readonly Line[] = [inDouble("scale"), ["w_scaled", "Mul", "w_sums scale_wide"]];
  const difference: readonly Line[] = [
    inDouble("B"),
    ["wide_offset", "Sub", isScaled ? "B_wide w_scaled" : "B_wide w_sums"],
  ];
  return [
    inDouble("w_block_sums"),
    ...sumOver("w_sums", "w_block_sums_wide", 1, opset),
    ...(isScaled ? scaling : []),
    ...(inputs > 2 ? difference : [["wide_offset", "Neg", "w_sums"] as const]),
    ["offset", "Cast", "wide_offset", { to: float }],
    ...perFilter("channel_offset", "offset"),
  ];
}

/** The lines before the epilogue, which reads `distances` and, unless a plain body has no B, `channel_offset`. */
function distancesOf({ inputs, isPlain }: FunctionVariant, opset: number): readonly Line[] {
  if (!isPlain) return [...centredDistances(opset), ...offset(inputs, opset)];
  return [...plainDistances(opset), ...(inputs > 2 ? perFilter("channel_offset", "B") : [])];
}

/** scale·distances + offset + Z and the clip, as far as the variant has them; the last value is Y. */
function epilogue({ inputs, clips, isPlain }: FunctionVariant, opset: number): readonly Line[] {
  const total = clips ? "summed" : "Y";
  const clip = clips ? clipping(opset) : [];
  if (inputs === 2 && isPlain) return [[total, "Identity", "distances"], ...clip];
  if (inputs < 5) return [[total, "Add", "distances channel_offset"], ...clip];
  return [
    ...perFilter("channel_scale", "scale"),
    ["scaled", "Mul", "distances channel_scale"],
    ["biased", "Add", "scaled channel_offset"],
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
    lines: [...distancesOf(variant, opset), ...epilogue(variant, opset)],
    opset,
    firstOpset,
    docString: "Y = clip(scale * -sum|X - W| + B + Z): the adder convolution of AdderNet, arXiv 1912.13200.",
  });
}
