// Elementwise ops of one input: a table of y = f(x), and the loop that applies them.

import type { DataType } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import { getFloat, getString, nodeLabel } from "../ir/attributes.ts";
import type { Node } from "../ir/model.ts";
import { allocate, type NumberArray, type Tensor } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { errorFunction } from "./error-function.ts";
import { standardOp } from "./facts.ts";
import { numericTypes } from "./operands.ts";

type Scalar = (x: number) => number;

interface UnaryOp {
  /** Opset that brought the op in. */
  readonly first: number;
  /** f, with the node's attributes bound. */
  readonly scalar: (node: Node) => Scalar;
  /** f on int64; ops without it take floats only. */
  readonly integer?: (x: bigint) => bigint;
}

const plain = (scalar: Scalar, first = 6): UnaryOp => ({ first, scalar: () => scalar });
const sigmoid: Scalar = (x) => 1 / (1 + Math.exp(-x));
const softplus: Scalar = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return rest < 0.5 ? floor : floor + 1;
}

function gelu(node: Node): Scalar {
  const approximate = getString(node, "approximate") ?? "none";
  if (approximate === "tanh") {
    return (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  }
  if (approximate === "none") return (x) => 0.5 * x * (1 + errorFunction(x / Math.SQRT2));
  throw new AdderNetError("ADN_ATTRIBUTE", "attribute approximate is unknown", {
    where: nodeLabel(node),
    expected: "none or tanh",
    found: approximate,
  });
}

function elu(node: Node): Scalar {
  const alpha = getFloat(node, "alpha") ?? 1;
  return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
}

function selu(node: Node): Scalar {
  const alpha = getFloat(node, "alpha") ?? 1.6732631921768188;
  const gamma = getFloat(node, "gamma") ?? 1.0507010221481323;
  return (x) => gamma * (x > 0 ? x : alpha * Math.expm1(x));
}

function celu(node: Node): Scalar {
  const alpha = getFloat(node, "alpha") ?? 1;
  return (x) => (x < 0 ? alpha * Math.expm1(x / alpha) : x);
}

function leakyRelu(node: Node): Scalar {
  const alpha = getFloat(node, "alpha") ?? 0.01;
  return (x) => (x < 0 ? alpha * x : x);
}

function hardSigmoid(node: Node): Scalar {
  const [alpha, beta] = [getFloat(node, "alpha") ?? 0.2, getFloat(node, "beta") ?? 0.5];
  return (x) => Math.max(0, Math.min(1, alpha * x + beta));
}

function thresholdedRelu(node: Node): Scalar {
  const alpha = getFloat(node, "alpha") ?? 1;
  return (x) => (x > alpha ? x : 0);
}

const absolute = (x: bigint): bigint => (x < 0n ? -x : x);
const positive = (x: bigint): bigint => (x > 0n ? x : 0n);
const sign = (x: bigint): bigint => (x > 0n ? 1n : x < 0n ? -1n : 0n);

const unaryTable: Record<string, UnaryOp> = {
  Abs: { ...plain(Math.abs), integer: absolute },
  Neg: { ...plain((x) => -x), integer: (x) => -x },
  Sign: { ...plain(Math.sign, 9), integer: sign },
  Relu: { ...plain((x) => Math.max(x, 0)), integer: positive },
  Exp: plain(Math.exp),
  Log: plain(Math.log),
  Sqrt: plain(Math.sqrt),
  Reciprocal: plain((x) => 1 / x),
  Floor: plain(Math.floor),
  Ceil: plain(Math.ceil),
  Round: plain(roundHalfToEven, 11),
  Sigmoid: plain(sigmoid),
  Tanh: plain(Math.tanh),
  Erf: plain(errorFunction, 9),
  Softplus: plain(softplus, 1),
  Softsign: plain((x) => x / (1 + Math.abs(x)), 1),
  HardSwish: plain((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5)), 14),
  Mish: plain((x) => x * Math.tanh(softplus(x)), 18),
  Sin: plain(Math.sin, 7),
  Cos: plain(Math.cos, 7),
  Tan: plain(Math.tan, 7),
  Asin: plain(Math.asin, 7),
  Acos: plain(Math.acos, 7),
  Atan: plain(Math.atan, 7),
  Sinh: plain(Math.sinh, 9),
  Cosh: plain(Math.cosh, 9),
  Asinh: plain(Math.asinh, 9),
  Acosh: plain(Math.acosh, 9),
  Atanh: plain(Math.atanh, 9),
  LeakyRelu: { first: 6, scalar: leakyRelu },
  Elu: { first: 6, scalar: elu },
  Selu: { first: 6, scalar: selu },
  Celu: { first: 12, scalar: celu },
  HardSigmoid: { first: 6, scalar: hardSigmoid },
  ThresholdedRelu: { first: 10, scalar: thresholdedRelu },
  Gelu: { first: 20, scalar: gelu },
};

/** f of an elementwise node of one float input, or undefined for any other node. */
export function scalarFunction(node: Node): Scalar | undefined {
  return node.domain === "" ? unaryTable[node.opType]?.scalar(node) : undefined;
}

/** Float types without an array to compute in, which shape inference still lets pass. */
const halfTypes: readonly DataType[] = ["float16", "bfloat16"];
const floatTypes: readonly DataType[] = ["float32", "float64"];

export function requireType(type: DataType, types: readonly DataType[], where: string): void {
  if (types.includes(type)) return;
  throw new AdderNetError("ADN_TYPE", "the input has an unsupported type", {
    where,
    expected: types.join(", "),
    found: type,
  });
}

function inferUnary(op: UnaryOp): OpDefinition["infer"] {
  const types = [...(op.integer ? numericTypes : floatTypes), ...halfTypes];
  return (_node, [data], { where }): Inferred => {
    if (data === undefined) return [undefined];
    requireType(data.elemType, types, where);
    const { elemType, shape } = data;
    return [shape === undefined ? { elemType } : { elemType, shape }];
  };
}

/** A tensor of the same type and shape with f applied to every element. */
export function mapNumbers({ type, data, dims }: Tensor, scalar: Scalar): Tensor {
  const [source, target] = [data as NumberArray, allocate(type, data.length) as NumberArray];
  for (let index = 0; index < source.length; index++) target[index] = scalar(source[index]!);
  return { type, data: target, dims };
}

function mapBigInts({ type, data, dims }: Tensor, scalar: (x: bigint) => bigint): Tensor {
  const [source, target] = [data as BigInt64Array, allocate(type, data.length) as BigInt64Array];
  for (let index = 0; index < source.length; index++) target[index] = scalar(source[index]!);
  return { type, data: target, dims };
}

function applyUnary(op: UnaryOp): NonNullable<OpDefinition["reference"]> {
  const types = op.integer ? numericTypes : floatTypes;
  return (node, [data], { where }) => {
    requireType(data!.type, types, where);
    const isBig = data!.type === "int64" || data!.type === "uint64";
    return [isBig ? mapBigInts(data!, op.integer!) : mapNumbers(data!, op.scalar(node))];
  };
}

function inferNot(_node: Node, [data]: readonly (ValueFact | undefined)[], { where }: OpContext): Inferred {
  if (data === undefined) return [{ elemType: "bool" }];
  requireType(data.elemType, ["bool"], where);
  return [data.shape === undefined ? { elemType: "bool" } : { elemType: "bool", shape: data.shape }];
}

function not(_node: Node, [data]: Inputs, { where }: OpContext): Tensor[] {
  requireType(data!.type, ["bool"], where);
  return [mapNumbers(data!, (x) => (x === 0 ? 1 : 0))];
}

export const unaryOps: readonly OpDefinition[] = [
  ...Object.entries(unaryTable).map(([opType, op]) =>
    standardOp(opType, op.first, 1, inferUnary(op), applyUnary(op)),
  ),
  /** Y = 1 where X is false. */
  standardOp("Not", 1, 1, inferNot, not),
];
