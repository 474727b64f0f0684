// The adder convolution from codes to codes, with batch norm, residual add and ReLU in its epilogue.

import { AdderNetError } from "../src/core/errors.ts";
import { getInt } from "../src/core/ir/attributes.ts";
import type { Dim, Node } from "../src/core/ir/model.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "../src/core/ops/define-op.ts";
import { hasInput } from "../src/core/ops/facts.ts";
import { computedFloats, numbersOf, requireTensor } from "../src/core/ops/operands.ts";
import { roundHalfToEven } from "../src/core/ops/quantization.ts";
import { requireType } from "../src/core/ops/unary.ts";
import { elementCount, type Tensor } from "../src/core/tensor.ts";
import { codeDistances, requireCodes, requireScalar } from "./adder-integer2d.ts";
import { type AdderWindow, adderWindow, inferAdderShape, residualReader } from "./adder-window.ts";

export interface QLinearAdder2dAttributes extends AdderWindow {
  readonly yMin: number;
  readonly yMax: number;
}

/** Where each input stands. */
export const qlinearAdder2dInputs = [
  "X",
  "x_zero_point",
  "W",
  "scale",
  "B",
  "y_zero_point",
  "Z",
  "z_scale",
  "z_zero_point",
] as const;

/** y_min and y_max with their defaults. Outside 0 <= y_min <= y_max <= 255 they are ADN_ATTRIBUTE. */
export function codeBounds(node: Node, where: string): { readonly yMin: number; readonly yMax: number } {
  const [yMin, yMax] = [getInt(node, "y_min") ?? 0, getInt(node, "y_max") ?? 255];
  if (yMin >= 0 && yMin <= yMax && yMax <= 255) return { yMin, yMax };
  throw new AdderNetError("ADN_ATTRIBUTE", "y_min and y_max are out of range", {
    where,
    expected: "0 <= y_min <= y_max <= 255",
    found: `${yMin} and ${yMax}`,
  });
}

/** Attributes with their defaults, `auto_pad` resolved for an input of height and width `size` and a kernel `kernel`. */
export function qlinearAdder2dAttributes(
  node: Node,
  size: readonly Dim[],
  kernel: readonly Dim[],
  where: string,
): QLinearAdder2dAttributes {
  return { ...adderWindow(node, size, kernel, where), ...codeBounds(node, where) };
}

/** Z comes with its scale and zero point, or not at all. */
function requireWholeResidual(node: Node, where: string): void {
  const given = [6, 7, 8].filter((index) => hasInput(node, index));
  if (given.length === 0 || given.length === 3) return;
  throw new AdderNetError("ADN_ONNX_MODEL", "Z needs z_scale and z_zero_point, and they need Z", {
    where,
    found: given.map((index) => qlinearAdder2dInputs[index]).join(", "),
  });
}

function infer(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const [x, xZeroPoint, w, scale, b, yZeroPoint, z, zScale, zZeroPoint] = inputs;
  requireWholeResidual(node, where);
  codeBounds(node, where);
  if (x === undefined || w === undefined) return [undefined];
  requireCodes(x, w, where);
  const [codes, numbers] = [["uint8"], computedFloats] as const;
  requireScalar(xZeroPoint, "x_zero_point", codes, where);
  requireScalar(yZeroPoint, "y_zero_point", codes, where);
  requireScalar(zZeroPoint, "z_zero_point", codes, where);
  requireScalar(zScale, "z_scale", numbers, where);
  for (const fact of [scale, b]) if (fact !== undefined) requireType(fact.elemType, numbers, where);
  if (z !== undefined) requireType(z.elemType, codes, where);
  return [{ elemType: "uint8", shape: inferAdderShape(node, x, w, { scale, B: b }, where) }];
}

type Residual = (n: number, m: number, y: number, x: number) => number;

/** float32(Z - z_zero_point)·z_scale, rounded to float32; 0 where there is no Z. */
function residualOf(inputs: Inputs, dims: readonly number[], where: string): Residual {
  const [z, zScale, zZeroPoint] = inputs.slice(6);
  if (z === undefined) return () => 0;
  const [scale, zeroPoint] = [Number(zScale!.data[0]), Number(zZeroPoint!.data[0])];
  const code = residualReader(numbersOf(z, "Z", ["uint8"], where), z.dims, dims, where);
  return (n, m, y, x) => Math.fround((code(n, m, y, x) - zeroPoint) * scale);
}

function reference(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const [x, xZeroPoint, w, scale, b, yZeroPoint] = qlinearAdder2dInputs
    .slice(0, 6)
    .map((name, index) => requireTensor(inputs, index, name, where));
  const facts = inputs.map((tensor) => tensor && { elemType: tensor.type, shape: tensor.dims });
  const dims = infer(node, facts, context)[0]!.shape as [number, number, number, number];
  const { yMin, yMax } = codeBounds(node, where);
  const sums = codeDistances(node, x!, w!, Number(xZeroPoint!.data[0]), dims, where);
  const scales = numbersOf(scale!, "scale", computedFloats, where);
  const biases = numbersOf(b!, "B", computedFloats, where);
  const residual = residualOf(inputs, dims, where);
  const zeroPoint = Number(yZeroPoint!.data[0]);
  const codes = new Uint8Array(elementCount(dims));
  const [plane, width] = [dims[2] * dims[3], dims[3]];
  for (let index = 0; index < codes.length; index++) {
    const m = Math.floor(index / plane) % dims[1];
    const position = index % plane;
    const n = Math.floor(index / (plane * dims[1]));
    // Every step is rounded to float32 on its own: kernels and function bodies must do the same.
    let value = Math.fround(Math.fround(sums[index]!) * scales[m]!);
    value = Math.fround(value + biases[m]!);
    value = Math.fround(value + residual(n, m, Math.floor(position / width), position % width));
    codes[index] = Math.min(Math.max(roundHalfToEven(value) + zeroPoint, yMin), yMax);
  }
  return [{ type: "uint8", data: codes, dims }];
}

/**
 * Adder convolution of codes. X u8 (N,C,H,W) and W u8 (M,C/group,KH,KW) stand on one grid, x = s·(X - x_zero_point) and
 * w = s·(W - x_zero_point), so that |x - w| = s·|X - W|; padding has the code x_zero_point. With acc = -Σ|X - W| (int32),
 * v = float32(acc)·scale[m] + B[m] + float32(Z - z_zero_point)·z_scale, each step rounded to float32 in this order, never
 * fused; Y = min(max(round(v) + y_zero_point, y_min), y_max), halves to even. scale, B and z_scale are in steps of Y's grid;
 * Z u8 broadcasts to Y. Attributes are those of ONNX Conv, and y_min, y_max (0, 255). A ReLU is y_min = y_zero_point.
 */
export const QLinearAdder2d: OpDefinition = {
  domain: "addernet",
  opType: "QLinearAdder2d",
  first: 1,
  infer,
  reference,
};
