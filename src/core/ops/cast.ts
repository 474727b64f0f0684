// Cast and CastLike: between all numeric types, float16 and bfloat16 included.

import { type DataType, dataTypeOfOnnx, dataTypes } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import { narrowToFloat16, widenFloat16 } from "../float16.ts";
import { getInt } from "../ir/attributes.ts";
import type { Node } from "../ir/model.ts";
import { allocate, type BigIntArray, type NumberArray, type Tensor, type TensorData } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { elementsOf, standardOp, withElements } from "./facts.ts";

type Facts = readonly (ValueFact | undefined)[];

/** The element type an INT attribute names. A missing or unknown one is ADN_ATTRIBUTE. */
export function typeAttribute(node: Node, name: string, where: string): DataType {
  const number = getInt(node, name);
  const type = number === undefined ? undefined : dataTypeOfOnnx(number);
  if (type !== undefined) return type;
  throw new AdderNetError("ADN_ATTRIBUTE", `attribute ${name} names no element type`, {
    where,
    found: `${number ?? "none"}`,
  });
}

function plainNumbers(tensor: Tensor): NumberArray | BigIntArray {
  const isHalf = tensor.type === "float16" || tensor.type === "bfloat16";
  return (isHalf ? widenFloat16(tensor) : tensor).data as NumberArray | BigIntArray;
}

const mostNegative = -(2n ** 63n);

function toBigInts(source: NumberArray, target: BigIntArray): void {
  for (let index = 0; index < source.length; index++) {
    const value = source[index]!;
    target[index] = Number.isFinite(value) ? BigInt(Math.trunc(value)) : mostNegative;
  }
}

function fromBigInts(source: BigIntArray, target: NumberArray): void {
  const isFloat = target instanceof Float32Array || target instanceof Float64Array;
  for (let index = 0; index < source.length; index++) {
    target[index] = Number(isFloat ? source[index]! : BigInt.asIntN(32, source[index]!));
  }
}

function toFlags(source: NumberArray | BigIntArray): Uint8Array {
  const flags = new Uint8Array(source.length);
  // Loose comparison: 0 and 0n both mean false.
  for (let index = 0; index < source.length; index++) flags[index] = source[index] ? 1 : 0;
  for (let index = 0; index < source.length; index++) if (Number.isNaN(source[index])) flags[index] = 1;
  return flags;
}

function converted(source: NumberArray | BigIntArray, type: DataType): TensorData {
  if (type === "bool") return toFlags(source);
  const isBig = source instanceof BigInt64Array || source instanceof BigUint64Array;
  if (type === "float16" || type === "bfloat16") {
    return narrowToFloat16(isBig ? Float64Array.from(source, Number) : source, type);
  }
  const target = allocate(type, source.length);
  const toBig = target instanceof BigInt64Array || target instanceof BigUint64Array;
  if (isBig && toBig) target.set(source);
  else if (isBig) fromBigInts(source, target as NumberArray);
  else if (toBig) toBigInts(source, target);
  else (target as NumberArray).set(source);
  return target;
}

/** The tensor with every element converted as a C cast does. Strings and packed types are ADN_TYPE. */
export function castTensor(tensor: Tensor, type: DataType, where: string): Tensor {
  if (tensor.type === type) return tensor;
  for (const side of [tensor.type, type]) {
    const { array } = dataTypes[side];
    if (array !== "string" && array !== "raw") continue;
    throw new AdderNetError("ADN_TYPE", `no cast from ${tensor.type} to ${type}`, { where });
  }
  return { type, data: converted(plainNumbers(tensor), type), dims: tensor.dims };
}

function castFact(data: ValueFact | undefined, type: DataType): ValueFact {
  if (data?.shape === undefined) return { elemType: type };
  return withElements({ elemType: type, shape: data.shape }, type === "bool" ? undefined : elementsOf(data));
}

function inferCast(node: Node, [data]: Facts, { where }: OpContext): Inferred {
  return [castFact(data, typeAttribute(node, "to", where))];
}

function cast(node: Node, [data]: Inputs, { where }: OpContext): Tensor[] {
  return [castTensor(data!, typeAttribute(node, "to", where), where)];
}

function inferCastLike(_node: Node, [data, like]: Facts): Inferred {
  return [like && castFact(data, like.elemType)];
}

export const castOps: readonly OpDefinition[] = [
  /** X with elements of the type `to`. */
  standardOp("Cast", 6, 1, inferCast, cast),
  /** X with elements of the type of input 1. */
  standardOp("CastLike", 15, 2, inferCastLike, (_node, [data, like], { where }) => [
    castTensor(data!, like!.type, where),
  ]),
];
