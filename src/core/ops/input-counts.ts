// How many inputs nodes of each standard op have, and refusing those with fewer or more.

import { AdderNetError } from "../errors.ts";
import type { Node } from "../ir/model.ts";
import type { OpContext, OpDefinition } from "./define-op.ts";
import { requireInputs } from "./facts.ts";

/** Operands that a layer cannot do without. Other ops say it where they are defined, or need one. */
const least: Readonly<Record<string, number>> = {
  Constant: 0,
  Conv: 2,
  ConvTranspose: 2,
  Gemm: 2,
  MatMul: 2,
  LayerNormalization: 2,
  InstanceNormalization: 3,
  BatchNormalization: 5,
};

const any = Number.POSITIVE_INFINITY;
/** Most inputs where that is neither 1 for all ops of a file nor 2. */
const most: Readonly<Record<string, number>> = {
  ...{ Constant: 0, Concat: any, Sum: any, Mean: any, Max: any, Min: any },
  ...{ ConstantOfShape: 1, EyeLike: 1, Identity: 1, Shape: 1, Size: 1, Flatten: 1, Transpose: 1 },
  ...{ DepthToSpace: 1, SpaceToDepth: 1, Cast: 1, LRN: 1, Softmax: 1, LogSoftmax: 1, ArgMax: 1, ArgMin: 1 },
  ...{ MaxPool: 1, AveragePool: 1, GlobalAveragePool: 1, GlobalMaxPool: 1 },
  ...{ Range: 3, ScatterElements: 3, OneHot: 3, Where: 3, Clip: 3, Dropout: 3, QuantizeLinear: 3 },
  ...{ DequantizeLinear: 3, Conv: 3, ConvTranspose: 3, Gemm: 3, InstanceNormalization: 3 },
  ...{ LayerNormalization: 3, Pad: 4, Resize: 4, Slice: 5, BatchNormalization: 5 },
};

function requireAtMost(node: Node, count: number, where: string): void {
  if (node.inputs.length <= count) return;
  throw new AdderNetError("ADN_ONNX_MODEL", "there are more inputs than the op has", {
    where,
    expected: `at most ${count}`,
    found: `${node.inputs.length}`,
  });
}

/** The op, its number of inputs checked before `infer` and `reference` run: what these rely on is then there, and nothing besides. */
export function countingInputs(op: OpDefinition, usual = 2): OpDefinition {
  const { opType, infer, reference } = op;
  const check = (node: Node, { where }: OpContext): void => {
    requireInputs(node, least[opType] ?? 1, where);
    requireAtMost(node, most[opType] ?? usual, where);
  };
  const counted: OpDefinition = {
    ...op,
    infer: (node, inputs, context) => {
      check(node, context);
      return infer(node, inputs, context);
    },
  };
  if (reference === undefined) return counted;
  return {
    ...counted,
    reference: (node, inputs, context) => {
      check(node, context);
      return reference(node, inputs, context);
    },
  };
}
