// Adder2d written in standard ops: what an ONNX engine runs where no kernel of ours is registered.

import { AdderNetError } from "../src/core/errors.ts";
import { intsAttribute, tensorAttribute } from "../src/core/ir/attributes.ts";
import { makeNode } from "../src/core/ir/edit.ts";
import type { Attribute, AttributeType, FunctionBody, Node } from "../src/core/ir/model.ts";
import { float32Tensor, int64Tensor } from "../src/core/tensor.ts";
import { Adder2d } from "./adder2d.ts";

/** What the Adder2d nodes that share a body have in common: engines give a function every input it names. */
export interface Adder2dVariant {
  /** How many of X, W, B, scale, Z the nodes have. */
  readonly inputs: 2 | 3 | 5;
  /** Whether activation_min and activation_max are to be applied. */
  readonly clips: boolean;
}

const adder2dInputs = ["X", "W", "B", "scale", "Z"] as const;

/** EyeLike and ConstantOfShape are as old as this. */
const firstOpset = 9;

const declaredAttributes = [
  "auto_pad",
  "dilations",
  "group",
  "kernel_shape",
  "pads",
  "strides",
  "activation_min",
  "activation_max",
];

type Line = readonly [output: string, opType: string, inputs: string, attributes?: Record<string, Attribute>];

const reference = (name: string, of: AttributeType): Attribute => ({ type: "REF", name, of });
const integers = (...values: number[]): Record<string, Attribute> => ({
  value: tensorAttribute(int64Tensor(values)),
});

const windowAttributes = {
  strides: reference("strides", "INTS"),
  pads: reference("pads", "INTS"),
  dilations: reference("dilations", "INTS"),
};

/** Lengths: taps = KH·KW, groups = C / (C/group), depth = taps·C/group, and constants to build shapes from. */
const lengths: readonly Line[] = [
  ["zero", "Constant", "", integers(0)],
  ["one", "Constant", "", integers(1)],
  ["rest", "Constant", "", integers(-1)],
  ["plane_axes", "Constant", "", integers(2, 3)],
  ["x_shape", "Shape", "X"],
  ["w_shape", "Shape", "W"],
  ["batch", "Gather", "x_shape zero"],
  ["channels", "Gather", "x_shape one"],
  ["plane", "Gather", "x_shape plane_axes"],
  ["filters", "Gather", "w_shape zero"],
  ["group_channels", "Gather", "w_shape one"],
  ["kernel", "Gather", "w_shape plane_axes"],
  ["groups", "Div", "channels group_channels"],
  ["taps", "ReduceProd", "kernel"],
  ["depth", "Mul", "taps group_channels"],
];

const concat = { axis: { type: "INT", value: 0n } as Attribute };

/** Every tap of every plane as a channel of its own, by a convolution with a kernel of one 1 per tap: (N,C,H,W) -> (N·C,KH·KW,OH,OW). */
const columns: readonly Line[] = [
  ["square", "Concat", "taps taps", concat],
  ["zeros", "ConstantOfShape", "square"],
  ["identity", "EyeLike", "zeros"],
  ["one_hot_shape", "Concat", "taps one kernel", concat],
  ["one_hot", "Reshape", "identity one_hot_shape"],
  ["plane_shape", "Concat", "rest one plane", concat],
  ["planes", "Reshape", "X plane_shape"],
  ["columns", "Conv", "planes one_hot", windowAttributes],
];

/** X as (N,G,1,K,OH·OW) against W as (1,G,M/G,K,1), K = depth; distances summed over K. */
function distances(opset: number): readonly Line[] {
  const sum: readonly Line[] =
    opset < 13
      ? [["sums", "ReduceSum", "absolute", { axes: intsAttribute([3]) }]]
      : [
          ["three", "Constant", "", integers(3)],
          ["sums", "ReduceSum", "absolute three"],
        ];
  return [
    ["column_shape", "Shape", "columns"],
    ["positions", "Gather", "column_shape plane_axes"],
    ["area", "ReduceProd", "positions"],
    ["x_matrix_shape", "Concat", "batch groups one depth area", concat],
    ["x_matrix", "Reshape", "columns x_matrix_shape"],
    ["w_matrix_shape", "Concat", "one groups rest depth one", concat],
    ["w_matrix", "Reshape", "W w_matrix_shape"],
    ["differences", "Sub", "x_matrix w_matrix"],
    ["absolute", "Abs", "differences"],
    ...sum,
    ["negated", "Neg", "sums"],
    ["y_shape", "Concat", "batch filters positions", concat],
    ["distances", "Reshape", "negated y_shape"],
  ];
}

/** A FLOAT attribute of the call as a value. Constant cannot refer to one before opset 12; LeakyRelu(-1) = -alpha can. */
function floatOf(output: string, attribute: string, opset: number): readonly Line[] {
  if (opset >= 12) return [[output, "Constant", "", { value_float: reference(attribute, "FLOAT") }]];
  return [
    [`${output}_sign`, "Constant", "", { value: tensorAttribute(float32Tensor([-1], [])) }],
    [`${output}_negated`, "LeakyRelu", `${output}_sign`, { alpha: reference(attribute, "FLOAT") }],
    [output, "Neg", `${output}_negated`],
  ];
}

function clipping(opset: number): readonly Line[] {
  return [
    ...floatOf("least", "activation_min", opset),
    ...floatOf("most", "activation_max", opset),
    ["raised", "Max", "summed least"],
    ["Y", "Min", "raised most"],
  ];
}

/** scale·distances + B + Z and the clip, as far as the variant has them; the last value is Y. */
function epilogue({ inputs, clips }: Adder2dVariant, opset: number): readonly Line[] {
  const total = clips ? "summed" : "Y";
  const clip = clips ? clipping(opset) : [];
  if (inputs === 2) return [[total, "Identity", "distances"], ...clip];
  const bias: readonly Line[] = [
    ["channel_shape", "Constant", "", integers(1, -1, 1, 1)],
    ["channel_bias", "Reshape", "B channel_shape"],
  ];
  if (inputs === 3) return [...bias, [total, "Add", "distances channel_bias"], ...clip];
  return [
    ...bias,
    ["channel_scale", "Reshape", "scale channel_shape"],
    ["scaled", "Mul", "distances channel_scale"],
    ["biased", "Add", "scaled channel_bias"],
    [total, "Add", "biased Z"],
    ...clip,
  ];
}

function nodeOf([output, opType, inputs, attributes = {}]: Line): Node {
  return makeNode(opType, inputs === "" ? [] : inputs.split(" "), [output], Object.entries(attributes));
}

/**
 * The body of addernet::Adder2d for float32, good for every kernel, stride, padding, dilation, group and batch: only the
 * epilogue depends on the variant. `opset` is the version of the standard domain that the model imports, since engines read
 * a body by the model's versions. Nodes must give strides, pads, dilations and, where it clips, both bounds.
 * Memory: N·M·OH·OW·KH·KW·C/group floats.
 */
export function adder2dFunction(variant: Adder2dVariant, opset: number): FunctionBody {
  if (opset < firstOpset) {
    throw new AdderNetError("ADN_OPSET", "Adder2d cannot be written in the standard ops of this opset", {
      expected: `>= ${firstOpset}`,
      found: `${opset}`,
      fix: "export again with opset_version=17",
    });
  }
  return {
    name: Adder2d.opType,
    domain: Adder2d.domain,
    inputs: adder2dInputs.slice(0, variant.inputs),
    outputs: ["Y"],
    attributes: [...declaredAttributes],
    attributeDefaults: new Map(),
    nodes: [...lengths, ...columns, ...distances(opset), ...epilogue(variant, opset)].map(nodeOf),
    opsetImports: new Map([["", opset]]),
    valueInfo: new Map(),
    docString: "Y = clip(scale * -sum|X - W| + B + Z): the adder convolution of AdderNet, arXiv 1912.13200.",
  };
}
