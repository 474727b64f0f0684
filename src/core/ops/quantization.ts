// QuantizeLinear and DequantizeLinear: between numbers and their integer codes.

import { type DataType, dataTypeOfOnnx, isFloat } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import { getInt } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { allocate, elementCount, type NumberArray, type Tensor } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { hasInput, shapesFor, standardOp } from "./facts.ts";
import { axisFromFront, computedFloats, numbersOf, requireDim } from "./operands.ts";
import { requireType } from "./unary.ts";

type Facts = readonly (ValueFact | undefined)[];

const codeRanges: Partial<Record<DataType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
};
const codeTypes = Object.keys(codeRanges) as DataType[];
const dequantizedTypes: readonly DataType[] = [...codeTypes, "int32"];

/** The nearest integer, the even one of two. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** One scale for all, or one per position along `axis`. Blocks along an axis are ADN_OP_UNSUPPORTED. */
function parameterAxis(node: Node, data: ValueFact, scale: ValueFact | undefined, where: string): number {
  if ((getInt(node, "block_size") ?? 0) !== 0) {
    throw new AdderNetError("ADN_OP_UNSUPPORTED", "scales per block are not supported", { where });
  }
  const length = scale?.shape?.length ?? 0;
  if (length > 1) {
    throw new AdderNetError("ADN_SHAPE", "the scale has the wrong rank", {
      where,
      expected: "0 or 1",
      found: `${length}`,
    });
  }
  if (length === 0 || scale?.shape?.[0] === 1 || data.shape === undefined) return -1;
  const axis = axisFromFront(getInt(node, "axis") ?? 1, data.shape.length, where);
  requireDim(scale!.shape![0], data.shape[axis], "the scale", where);
  return axis;
}

function requireFittingZeroPoint(
  scale: ValueFact | undefined,
  zero: ValueFact | undefined,
  where: string,
): void {
  const [left, right] = [scale?.shape, zero?.shape];
  if (left === undefined || right === undefined) return;
  const length = (shape: readonly Dim[]): Dim => shape[0] ?? 1;
  requireDim(length(right), length(left), "the zero point", where);
}

/** The type of the codes: that of the zero point, else `output_dtype`, else uint8. */
function codeType(node: Node, zero: ValueFact | undefined, where: string): DataType | undefined {
  if (zero !== undefined) return zero.elemType;
  if (hasInput(node, 2)) return undefined;
  const asked = getInt(node, "output_dtype") ?? 0;
  if (asked === 0) return "uint8";
  const type = dataTypeOfOnnx(asked);
  if (type !== undefined) return type;
  throw new AdderNetError("ADN_ATTRIBUTE", "attribute output_dtype names no element type", {
    where,
    found: `${asked}`,
  });
}

const shaped = (elemType: DataType, { shape }: ValueFact): ValueFact =>
  shape === undefined ? { elemType } : { elemType, shape };

function inferQuantize(node: Node, [x, scale, zero]: Facts, { where }: OpContext): Inferred {
  const type = codeType(node, zero, where);
  if (x === undefined || type === undefined) return [undefined];
  requireType(x.elemType, ["float32", "float64", "float16", "bfloat16", "int32"], where);
  requireType(type, codeTypes, where);
  parameterAxis(node, x, scale, where);
  requireFittingZeroPoint(scale, zero, where);
  return [shaped(type, x)];
}

function inferDequantize(node: Node, [x, scale, zero]: Facts, { where }: OpContext): Inferred {
  if (x === undefined || scale === undefined) return [undefined];
  requireType(x.elemType, dequantizedTypes, where);
  if (!isFloat(scale.elemType)) requireType(scale.elemType, computedFloats, where);
  parameterAxis(node, x, scale, where);
  requireFittingZeroPoint(scale, zero, where);
  return [shaped(scale.elemType, x)];
}

/** For every element of X, which scale and zero point are its own. */
function parameterIndex(node: Node, [x, scale]: Inputs, where: string): (index: number) => number {
  const facts = [x!, scale!].map(({ type, dims }) => ({ elemType: type, shape: dims }));
  const axis = parameterAxis(node, facts[0]!, facts[1], where);
  if (axis < 0) return () => 0;
  const [length, inner] = [x!.dims[axis]!, elementCount(x!.dims.slice(axis + 1))];
  return (index) => Math.floor(index / inner) % length;
}

function quantize(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const [x, scale, zero] = inputs;
  shapesFor(inferQuantize, node, inputs, context);
  const type = codeType(node, zero && { elemType: zero.type }, where)!;
  const [least, most] = codeRanges[type]!;
  const parameter = parameterIndex(node, inputs, where);
  const values = numbersOf(x!, "X", [...computedFloats, "int32"], where);
  const scales = numbersOf(scale!, "the scale", computedFloats, where);
  const round = scale!.type === "float32" ? Math.fround : (value: number) => value;
  const codes = allocate(type, values.length) as NumberArray;
  for (let index = 0; index < codes.length; index++) {
    const own = parameter(index);
    const code = roundHalfToEven(round(values[index]! / scales[own]!)) + Number(zero?.data[own] ?? 0);
    codes[index] = Math.min(Math.max(code, least), most);
  }
  return [{ type, data: codes, dims: x!.dims }];
}

function dequantize(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const [x, scale, zero] = inputs;
  shapesFor(inferDequantize, node, inputs, context);
  const parameter = parameterIndex(node, inputs, where);
  const codes = numbersOf(x!, "X", dequantizedTypes, where);
  const scales = numbersOf(scale!, "the scale", computedFloats, where);
  const data = allocate(scale!.type, codes.length) as NumberArray;
  for (let index = 0; index < data.length; index++) {
    const own = parameter(index);
    data[index] = (codes[index]! - Number(zero?.data[own] ?? 0)) * scales[own]!;
  }
  return [{ type: scale!.type, data, dims: x!.dims }];
}

export const quantizationOps: readonly OpDefinition[] = [
  /** saturate(round(X / scale) + zero_point), half to even; scale and zero_point are scalars or run along `axis`. */
  standardOp("QuantizeLinear", 10, [2, 3], inferQuantize, quantize),
  /** (X - zero_point) * scale. */
  standardOp("DequantizeLinear", 10, [2, 3], inferDequantize, dequantize),
];
