// Clip and Dropout: ops whose parameters moved from attributes to inputs.

import { AdderNetError } from "../errors.ts";
import { getFloat } from "../ir/attributes.ts";
import type { Node } from "../ir/model.ts";
import { allocate, type NumberArray, type Tensor } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { factOf, hasInput, standardOp } from "./facts.ts";
import { numericTypes, requireSameType } from "./operands.ts";
import { requireType } from "./unary.ts";

type Facts = readonly (ValueFact | undefined)[];
type Bound = number | bigint | undefined;

const sameFact = ({ elemType, shape }: ValueFact): ValueFact =>
  shape === undefined ? { elemType } : { elemType, shape };

function inferClip(node: Node, facts: Facts, { opset, where }: OpContext): Inferred {
  const [data] = facts;
  if (data === undefined) return [undefined];
  requireType(data.elemType, [...numericTypes, "float16", "bfloat16"], where);
  for (const [index, name] of ["min", "max"].entries()) {
    if (opset < 11 || !hasInput(node, index + 1)) continue;
    requireSameType(["the input", data], [name, facts[index + 1]], where);
  }
  return [sameFact(data)];
}

/** [min, max] of a Clip by attribute (opset < 11) or input; undefined where there is no bound. */
export function clipBounds(node: Node, inputs: Inputs, opset: number): [Bound, Bound] {
  if (opset < 11) return [getFloat(node, "min"), getFloat(node, "max")];
  return [inputs[1]?.data[0] as Bound, inputs[2]?.data[0] as Bound];
}

function clip(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { type, data, dims } = inputs[0]!;
  requireType(type, numericTypes, context.where);
  inferClip(
    node,
    inputs.map((tensor) => tensor && factOf(tensor)),
    context,
  );
  const [min, max] = clipBounds(node, inputs, context.opset) as [number | undefined, number | undefined];
  const [source, target] = [data as NumberArray, allocate(type, data.length) as NumberArray];
  for (let index = 0; index < source.length; index++) {
    let value = source[index]!;
    if (min !== undefined && value < min) value = min;
    if (max !== undefined && value > max) value = max;
    target[index] = value;
  }
  return [{ type, data: target, dims }];
}

function inferDropout(node: Node, [data]: Facts, { opset }: OpContext): Inferred {
  if (data === undefined) return node.outputs.map(() => undefined);
  const mask = { ...sameFact(data), elemType: opset < 10 ? data.elemType : "bool" } as const;
  return [sameFact(data), mask].slice(0, node.outputs.length);
}

/** Dropout outside training passes its input through; in training it has no one result. */
function dropout(node: Node, inputs: Inputs, { opset, where }: OpContext): Tensor[] {
  const { dims, data, type } = inputs[0]!;
  const [ratio, isTraining] = [Number(inputs[1]?.data[0] ?? 0.5), Boolean(inputs[2]?.data[0])];
  if (opset >= 12 && isTraining && ratio > 0) {
    throw new AdderNetError("ADN_OP_UNSUPPORTED", "Dropout in training mode has no one result", {
      where,
      fix: "export the model in eval mode",
    });
  }
  if (node.outputs.length < 2) return [inputs[0]!];
  const maskType = opset < 10 ? type : "bool";
  const mask = allocate(maskType, data.length) as NumberArray;
  return [inputs[0]!, { type: maskType, data: mask.fill(1), dims }];
}

export const regulationOps: readonly OpDefinition[] = [
  /** min(max(X, min), max), each bound optional; NaN stays NaN. */
  standardOp("Clip", 6, [1, 3], inferClip, clip),
  /** X, and a mask of ones. */
  standardOp("Dropout", 7, [1, 3], inferDropout, dropout),
];
