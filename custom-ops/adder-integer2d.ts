// The adder convolution on 8-bit codes with its sums left as they are, in the spirit of ConvInteger.

import { AdderNetError } from "../src/core/errors.ts";
import type { Node } from "../src/core/ir/model.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "../src/core/ops/define-op.ts";
import { numbersOf, requireTensor, shapeOfRank, tensorFrom } from "../src/core/ops/operands.ts";
import { requireType } from "../src/core/ops/unary.ts";
import { elementCount, type Tensor } from "../src/core/tensor.ts";
import { adderWindow, inferAdderShape, negatedDistances } from "./adder-window.ts";

/** Throws ADN_TYPE or ADN_SHAPE unless the value is one code or one number. */
export function requireScalar(
  fact: ValueFact | undefined,
  name: string,
  types: readonly ValueFact["elemType"][],
  where: string,
): void {
  if (fact === undefined) return;
  requireType(fact.elemType, types, where);
  const shape = shapeOfRank(fact, name, 0, 1, where);
  if (shape === undefined || shape.every((dim) => typeof dim !== "number" || dim === 1)) return;
  throw new AdderNetError("ADN_SHAPE", `${name} is not one number`, {
    where,
    found: `[${shape.join(", ")}]`,
  });
}

/** Throws ADN_TYPE unless X and W are codes. */
export function requireCodes(x: ValueFact, w: ValueFact, where: string): void {
  for (const fact of [x, w]) requireType(fact.elemType, ["uint8"], where);
}

/** X or W with the zero point taken off, so that padding X with 0 pads it with the code of 0. */
function centred(tensor: Tensor, name: string, zeroPoint: number, where: string): Int16Array {
  return Int16Array.from(numbersOf(tensor, name, ["uint8"], where), (code) => code - zeroPoint);
}

/** -Σ|X - W| of codes for every output element, in the order of an (N,M,OH,OW) tensor of shape `dims`. */
export function codeDistances(
  node: Node,
  x: Tensor,
  w: Tensor,
  zeroPoint: number,
  dims: readonly number[],
  where: string,
): Float64Array {
  const window = adderWindow(node, x.dims.slice(2), w.dims.slice(2), where);
  const [xs, ws] = [centred(x, "X", zeroPoint, where), centred(w, "W", zeroPoint, where)];
  const sums = negatedDistances(xs, ws, x.dims, w.dims, dims, window);
  // No -0: these are integers.
  for (let index = 0; index < elementCount(dims); index++) sums[index]! += 0;
  return sums;
}

function infer(
  node: Node,
  [x, w, xZeroPoint]: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  if (x === undefined || w === undefined) return [undefined];
  requireCodes(x, w, where);
  requireScalar(xZeroPoint, "x_zero_point", ["uint8"], where);
  return [{ elemType: "int32", shape: inferAdderShape(node, x, w, {}, where) }];
}

function reference(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const [x, w] = [requireTensor(inputs, 0, "X", where), requireTensor(inputs, 1, "W", where)];
  const facts = inputs.map((tensor) => tensor && { elemType: tensor.type, shape: tensor.dims });
  const dims = infer(node, facts, context)[0]!.shape as number[];
  const zeroPoint = Number(requireTensor(inputs, 2, "x_zero_point", where).data[0]);
  return [tensorFrom("int32", codeDistances(node, x, w, zeroPoint, dims, where), dims)];
}

/**
 * Y[n,m,y,x] = -Σ |X - W| over the window, int32, exact. X u8 (N,C,H,W) and W u8 (M,C/group,KH,KW) are codes on one grid;
 * padding has the code x_zero_point u8 (). Attributes are those of ONNX Conv. Output Y i32 (N,M,OH,OW).
 */
export const AdderInteger2d: OpDefinition = {
  domain: "addernet",
  opType: "AdderInteger2d",
  first: 1,
  infer,
  reference,
};
