// Function bodies written down line by line: a value, the op that makes it, what that reads.

import { AdderNetError } from "../src/core/errors.ts";
import { intAttribute, tensorAttribute } from "../src/core/ir/attributes.ts";
import { makeNode } from "../src/core/ir/edit.ts";
import type { Attribute, AttributeType, FunctionBody, Node } from "../src/core/ir/model.ts";
import type { OpDefinition } from "../src/core/ops/define-op.ts";
import { float32Tensor, int64Tensor } from "../src/core/tensor.ts";

/** Inputs stand in one string, separated by spaces. */
export type Line = readonly [
  output: string,
  opType: string,
  inputs: string,
  attributes?: Record<string, Attribute>,
];

/** An attribute of the calling node. */
export const reference = (name: string, of: AttributeType): Attribute => ({ type: "REF", name, of });

/** A vector of int64, as attributes of Constant. */
export const integers = (...values: number[]): Record<string, Attribute> => ({
  value: tensorAttribute(int64Tensor(values)),
});

/** A FLOAT attribute of the call as a value. Constant cannot refer to one before opset 12; LeakyRelu(-1) = -alpha can. */
export function floatOf(output: string, attribute: string, opset: number): readonly Line[] {
  if (opset >= 12) return [[output, "Constant", "", { value_float: reference(attribute, "FLOAT") }]];
  return [
    [`${output}_sign`, "Constant", "", { value: tensorAttribute(float32Tensor([-1], [])) }],
    [`${output}_negated`, "LeakyRelu", `${output}_sign`, { alpha: reference(attribute, "FLOAT") }],
    [output, "Neg", `${output}_negated`],
  ];
}

/**
 * An INT attribute of the call, 0 to 255, as a float32 value. Constant cannot refer to one before opset 12; the place of the
 * one in the first row of EyeLike can.
 */
export function smallIntegerOf(output: string, attribute: string, opset: number): readonly Line[] {
  const cast: Line = [output, "Cast", `${output}_integer`, { to: intAttribute(1) }];
  if (opset >= 12) {
    return [[`${output}_integer`, "Constant", "", { value_int: reference(attribute, "INT") }], cast];
  }
  return [
    [`${output}_shape`, "Constant", "", integers(1, 256)],
    [`${output}_zeros`, "ConstantOfShape", `${output}_shape`],
    [`${output}_row`, "EyeLike", `${output}_zeros`, { k: reference(attribute, "INT") }],
    [`${output}_integer`, "ArgMax", `${output}_row`, { axis: intAttribute(1), keepdims: intAttribute(0) }],
    cast,
  ];
}

function nodeOf([output, opType, inputs, attributes = {}]: Line): Node {
  return makeNode(opType, inputs === "" ? [] : inputs.split(" "), [output], Object.entries(attributes));
}

export interface FunctionText {
  readonly inputs: readonly string[];
  /** Names of the attributes that calls may give. */
  readonly attributes: readonly string[];
  readonly lines: readonly Line[];
  /** Version of the standard ops that the lines are written in. */
  readonly opset: number;
  /** The first version in which the op can be written. */
  readonly firstOpset: number;
  readonly docString: string;
}

/** The body of `op` with the output Y. Errors: ADN_OPSET where the model's opset is too old for it. */
export function functionOf(op: OpDefinition, text: FunctionText): FunctionBody {
  const { inputs, attributes, lines, opset, firstOpset, docString } = text;
  if (opset < firstOpset) {
    throw new AdderNetError("ADN_OPSET", `${op.opType} cannot be written in the standard ops of this opset`, {
      expected: `>= ${firstOpset}`,
      found: `${opset}`,
      fix: "export again with opset_version=17",
    });
  }
  return {
    name: op.opType,
    domain: op.domain,
    inputs: [...inputs],
    outputs: ["Y"],
    attributes: [...attributes],
    attributeDefaults: new Map(),
    nodes: lines.map(nodeOf),
    opsetImports: new Map([["", opset]]),
    valueInfo: new Map(),
    docString,
  };
}
