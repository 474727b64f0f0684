// Trilu: one triangle of every matrix in a batch.

import { getInt } from "../ir/attributes.ts";
import type { Node } from "../ir/model.ts";
import type { NumberArray, Tensor } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { standardOp } from "./facts.ts";
import { shapeOfRank } from "./operands.ts";
import { allocateLike } from "./strided.ts";

function inferTrilu(_node: Node, [data]: readonly (ValueFact | undefined)[], { where }: OpContext): Inferred {
  if (data === undefined) return [undefined];
  const { elemType } = data;
  const shape = shapeOfRank(data, "the input", 2, Number.POSITIVE_INFINITY, where);
  return [shape === undefined ? { elemType } : { elemType, shape }];
}

function trilu(node: Node, inputs: Inputs, { where }: OpContext): Tensor[] {
  const tensor = inputs[0]!;
  shapeOfRank({ elemType: tensor.type, shape: tensor.dims }, "the input", 2, Number.POSITIVE_INFINITY, where);
  const [rows, columns] = tensor.dims.slice(-2) as [number, number];
  const isUpper = (getInt(node, "upper") ?? 1) !== 0;
  const diagonal = Number(inputs[1]?.data[0] ?? 0);
  const source = tensor.data as NumberArray;
  const target = allocateLike(tensor, source.length) as NumberArray;
  for (let at = 0; at < source.length; at++) {
    const [row, column] = [Math.floor(at / columns) % rows, at % columns];
    const isKept = isUpper ? column >= row + diagonal : column <= row + diagonal;
    if (isKept) target[at] = source[at]!;
  }
  return [{ ...tensor, data: target }];
}

export const triluOps: readonly OpDefinition[] = [
  /** The elements on and above (upper = 1) or below diagonal k; 0 elsewhere. */
  standardOp("Trilu", 14, [1, 2], inferTrilu, trilu),
];
