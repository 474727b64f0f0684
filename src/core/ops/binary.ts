// Elementwise ops of several inputs with multidirectional broadcasting: arithmetic, comparison, logic, Where.

import type { DataType } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import { getInt } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { allocate, elementCount, stridesOf, type Tensor, type TensorData } from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { broadcastShapes, elementsOf, requireInputs, shapesFor, standardOp, withElements } from "./facts.ts";
import { numbersOf, numericTypes, requireSameType, tensorFrom } from "./operands.ts";
import { allocateLike, broadcastSteps, forEachRow, makeWalk, plainArray } from "./strided.ts";
import { requireType } from "./unary.ts";

type Facts = readonly (ValueFact | undefined)[];
type OnNumbers = (a: number, b: number) => number;
type OnBigInts = (a: bigint, b: bigint) => bigint;

interface BinaryOp {
  /** Oldest opset with today's broadcasting. */
  readonly first: number;
  readonly types: readonly DataType[];
  readonly answers?: "bool";
  /** f on floats, and on integers of up to 32 bits unless `int32` says otherwise. */
  readonly number: OnNumbers;
  readonly int32?: OnNumbers;
  /** f on 64-bit integers; without it `number` is used, which must not do arithmetic. */
  readonly int64?: OnBigInts;
  /** B divides: a zero in it is refused for integers. */
  readonly divides?: true;
  /** f where at least one element is only known as a symbol, null where that says nothing. */
  readonly symbolic?: (a: Dim, b: Dim) => Dim;
}

const comparable: readonly DataType[] = [...numericTypes, "bool", "string"];
const isNegative = (value: Dim): boolean => typeof value === "number" && value < 0;

/** A symbol is a length: never below zero, equal to itself. */
function symbolsEqual(a: Dim, b: Dim): Dim {
  if (typeof a === "string" && a === b) return 1;
  return (typeof a === "string" && isNegative(b)) || (typeof b === "string" && isNegative(a)) ? 0 : null;
}

function symbolsMultiplied(a: Dim, b: Dim): Dim {
  if (a === 0 || b === 0) return 0;
  return b === 1 ? a : a === 1 ? b : null;
}

const compare = (first: number, types: readonly DataType[], number: OnNumbers): BinaryOp => ({
  first,
  types,
  answers: "bool",
  number,
});

// biome-ignore format: a table
const binaryTable: Record<string, BinaryOp> = {
  Add: {
    first: 7, types: numericTypes, number: (a, b) => a + b, int64: (a, b) => a + b,
    symbolic: (a, b) => (b === 0 ? a : a === 0 ? b : null),
  },
  Sub: {
    first: 7, types: numericTypes, number: (a, b) => a - b, int64: (a, b) => a - b,
    symbolic: (a, b) => (b === 0 ? a : a !== null && a === b ? 0 : null),
  },
  Mul: {
    first: 7, types: numericTypes, number: (a, b) => a * b, int32: Math.imul, int64: (a, b) => a * b,
    symbolic: symbolsMultiplied,
  },
  Div: {
    first: 7, types: numericTypes, number: (a, b) => a / b,
    int32: (a, b) => Math.trunc(a / b), int64: (a, b) => a / b,
    divides: true, symbolic: (a, b) => (b === 1 ? a : null),
  },
  Equal: { ...compare(7, comparable, (a, b) => (a === b ? 1 : 0)), symbolic: symbolsEqual },
  Greater: compare(7, numericTypes, (a, b) => (a > b ? 1 : 0)),
  Less: compare(7, numericTypes, (a, b) => (a < b ? 1 : 0)),
  GreaterOrEqual: compare(12, numericTypes, (a, b) => (a >= b ? 1 : 0)),
  LessOrEqual: compare(12, numericTypes, (a, b) => (a <= b ? 1 : 0)),
  And: compare(7, ["bool"], (a, b) => a & b),
  Or: compare(7, ["bool"], (a, b) => a | b),
  Xor: compare(7, ["bool"], (a, b) => a ^ b),
  PRelu: {
    first: 7, types: numericTypes, number: (x, slope) => (x < 0 ? x * slope : x),
    int64: (x, slope) => (x < 0n ? x * slope : x),
  },
};

const floorModulo: BinaryOp = {
  first: 10,
  types: numericTypes,
  number: (a, b) => a - Math.floor(a / b) * b,
  int64: (a, b) => ((a % b) + b) % b,
  divides: true,
};
const remainder: BinaryOp = {
  first: 10,
  types: numericTypes,
  number: (a, b) => a % b,
  int64: (a, b) => a % b,
  divides: true,
};

function requireNonZero({ type, data }: Tensor, where: string): void {
  if (type === "float32" || type === "float64") return;
  const zeros: ArrayLike<unknown> & { includes(value: unknown): boolean } = data;
  if (!zeros.includes(0) && !zeros.includes(0n)) return;
  throw new AdderNetError("ADN_DATA", "integer division by zero", { where });
}

/** f by the type it works on: floats, 64-bit integers, other integers. */
function functionFor(op: BinaryOp, type: DataType): OnNumbers {
  if (type === "int64" || type === "uint64") return (op.int64 as unknown as OnNumbers) ?? op.number;
  return type === "float32" || type === "float64" ? op.number : (op.int32 ?? op.number);
}

function applyBroadcast(
  a: Tensor,
  b: Tensor,
  dims: readonly number[],
  result: TensorData,
  f: OnNumbers,
): void {
  const walk = makeWalk(dims, [stridesOf(dims), broadcastSteps(a.dims, dims), broadcastSteps(b.dims, dims)]);
  const [left, right, target] = [a.data as Float32Array, b.data as Float32Array, result as Float32Array];
  const length = walk.dims.at(-1)!;
  const [aStep, bStep] = [walk.steps[1]!.at(-1)!, walk.steps[2]!.at(-1)!];
  forEachRow(walk, (offsets) => {
    let [write, i, j] = [offsets[0]!, offsets[1]!, offsets[2]!];
    for (const end = write + length; write < end; write++, i += aStep, j += bStep) {
      target[write] = f(left[i]!, right[j]!);
    }
  });
}

function partialElements(op: BinaryOp, a: Facts[number], b: Facts[number]): Dim[] | undefined {
  const [left, right] = [elementsOf(a), elementsOf(b)];
  if (op.symbolic === undefined || left === undefined || right === undefined) return undefined;
  if (left.length !== right.length && left.length !== 1 && right.length !== 1) return undefined;
  const length = left.length === 1 ? right.length : left.length;
  const f = op.int32 ?? op.number;
  return Array.from({ length }, (_, index) => {
    const x = left[left.length === 1 ? 0 : index]!;
    const y = right[right.length === 1 ? 0 : index]!;
    return typeof x === "number" && typeof y === "number" ? f(x, y) : op.symbolic!(x, y);
  });
}

function inferBinary(op: BinaryOp): OpDefinition["infer"] {
  return (_node, facts, { where }): Inferred => {
    requireSameType(["A", facts[0]], ["B", facts[1]], where);
    const known = facts[0] ?? facts[1];
    if (known === undefined) return [op.answers && { elemType: op.answers }];
    requireType(known.elemType, [...op.types, ...passedTypes(op)], where);
    const elemType = op.answers ?? known.elemType;
    const shape = broadcastShapes([facts[0], facts[1]], where);
    if (shape === undefined) return [{ elemType }];
    return [withElements({ elemType, shape }, partialElements(op, facts[0], facts[1]))];
  };
}

/** Types that have no array to compute in, but pass shape inference. */
const passedTypes = (op: BinaryOp): DataType[] =>
  op.types.includes("float32") ? ["float16", "bfloat16"] : [];

function applyBinary(op: BinaryOp): NonNullable<OpDefinition["reference"]> {
  const infer = inferBinary(op);
  return (node, inputs, context) => {
    const [a, b] = [inputs[0]!, inputs[1]!];
    requireType(a.type, op.types, context.where);
    const dims = shapesFor(infer, node, inputs, context)[0]!;
    if (op.divides) requireNonZero(b, context.where);
    const type = op.answers ?? a.type;
    const data = allocate(type, elementCount(dims));
    applyBroadcast(a, b, dims, data, functionFor(op, a.type));
    return [{ type, data, dims }];
  };
}

function inferPow(_node: Node, [base, exponent]: Facts, { where }: OpContext): Inferred {
  if (base === undefined) return [undefined];
  const shape = broadcastShapes([base, exponent], where);
  return [shape === undefined ? { elemType: base.elemType } : { elemType: base.elemType, shape }];
}

const powers: BinaryOp = {
  first: 7,
  types: numericTypes,
  number: (a, b) => a ** b,
  int64: (a, b) => (b >= 0n ? a ** b : a === 1n ? 1n : a === -1n ? (b % 2n === 0n ? 1n : -1n) : 0n),
};

function pow(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const [base, exponent] = [inputs[0]!, inputs[1]!];
  const dims = shapesFor(inferPow, node, inputs, context)[0]!;
  if (base.type === exponent.type) {
    requireType(base.type, numericTypes, context.where);
    const data = allocate(base.type, elementCount(dims));
    applyBroadcast(base, exponent, dims, data, functionFor(powers, base.type));
    return [{ type: base.type, data, dims }];
  }
  const [a, b] = [base, exponent].map((tensor, index) => ({
    ...tensor,
    data: numbersOf(tensor, `input ${index}`, numericTypes, context.where) as TensorData,
  }));
  const values = new Float64Array(elementCount(dims));
  applyBroadcast(a!, b!, dims, values, powers.number);
  return [tensorFrom(base.type, values, dims)];
}

function mod(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const isRemainder = getInt(node, "fmod") === 1;
  const { type } = inputs[0]!;
  if (!isRemainder && (type === "float32" || type === "float64")) {
    throw new AdderNetError("ADN_ATTRIBUTE", "Mod of floats needs fmod = 1", { where: context.where });
  }
  return [...applyBinary(isRemainder ? remainder : floorModulo)(node, inputs, context)];
}

function larger(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

/** Folds any number of inputs, pair by pair. */
const foldTable: Record<string, BinaryOp> = {
  Sum: binaryTable.Add!,
  Mean: binaryTable.Add!,
  Max: {
    first: 8,
    types: numericTypes,
    number: Math.max,
    int64: larger,
  },
  Min: {
    first: 8,
    types: numericTypes,
    number: Math.min,
    int64: smaller,
  },
};

function inferFold(_node: Node, facts: Facts, { where }: OpContext): Inferred {
  const known = facts.find((fact) => fact !== undefined);
  if (known === undefined) return [undefined];
  for (const [index, fact] of facts.entries()) {
    requireSameType(["input 0", known], [`input ${index}`, fact], where);
  }
  const shape = broadcastShapes(facts, where);
  return [shape === undefined ? { elemType: known.elemType } : { elemType: known.elemType, shape }];
}

function applyFold(opType: string): NonNullable<OpDefinition["reference"]> {
  const op = foldTable[opType]!;
  const combine = applyBinary(op);
  return (node, inputs, context) => {
    requireInputs(node, node.inputs.length, context.where);
    let result = inputs[0]!;
    requireType(result.type, op.types, context.where);
    for (const next of inputs.slice(1)) result = combine(node, [result, next], context)[0]!;
    if (opType !== "Mean") return [result];
    const count = { type: result.type, data: allocate(result.type, 1), dims: [] };
    (count.data as Float32Array)[0] = inputs.length;
    return applyBinary(binaryTable.Div!)(node, [result, count], context);
  };
}

function chosenElements([condition, x, y]: Facts): Dim[] | undefined {
  const [choice, left, right] = [elementsOf(condition), elementsOf(x), elementsOf(y)];
  if (choice === undefined || left === undefined || right === undefined) return undefined;
  const length = Math.max(choice.length, left.length, right.length);
  const at = (list: readonly Dim[], index: number) => list[list.length === 1 ? 0 : index] ?? null;
  return Array.from({ length }, (_, index) => {
    const chosen = at(choice, index);
    const [yes, no] = [at(left, index), at(right, index)];
    return chosen === null ? (yes === no ? yes : null) : chosen ? yes : no;
  });
}

function inferWhere(_node: Node, facts: Facts, { where }: OpContext): Inferred {
  const [condition, x, y] = facts;
  requireSameType(["X", x], ["Y", y], where);
  if (condition !== undefined) requireType(condition.elemType, ["bool"], where);
  const known = x ?? y;
  if (known === undefined) return [undefined];
  const shape = broadcastShapes([condition, x, y], where);
  if (shape === undefined) return [{ elemType: known.elemType }];
  return [withElements({ elemType: known.elemType, shape }, chosenElements(facts))];
}

function choose(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const [condition, x, y] = [inputs[0]!, inputs[1]!, inputs[2]!];
  const dims = shapesFor(inferWhere, node, inputs, context)[0]!;
  const steps = [condition, x, y].map((tensor) => broadcastSteps(tensor.dims, dims));
  const walk = makeWalk(dims, [stridesOf(dims), ...steps]);
  const data = allocateLike(x, elementCount(dims));
  const flags = condition.data as Uint8Array;
  const [yes, no, target] = [x.data, y.data, data].map((array) => plainArray(array) as Int32Array);
  const length = walk.dims.at(-1)!;
  const [, c, i, j] = walk.steps.map((step) => step.at(-1)!);
  forEachRow(walk, (offsets) => {
    const [write, flag, left, right] = [offsets[0]!, offsets[1]!, offsets[2]!, offsets[3]!];
    for (let at = 0; at < length; at++) {
      target![write + at] = flags[flag + at * c!] ? yes![left + at * i!]! : no![right + at * j!]!;
    }
  });
  return [{ type: x.type, data, dims }];
}

export const binaryOps: readonly OpDefinition[] = [
  ...Object.entries(binaryTable).map(([opType, op]) =>
    standardOp(opType, op.first, 2, inferBinary(op), applyBinary(op)),
  ),
  ...Object.keys(foldTable).map((opType) =>
    standardOp(opType, 6, [1, Number.POSITIVE_INFINITY], inferFold, applyFold(opType)),
  ),
  /** A to the power of B; the result has the type of A. */
  standardOp("Pow", 7, 2, inferPow, pow),
  /** Remainder with the sign of B, or of A with fmod = 1. */
  standardOp("Mod", 10, 2, inferBinary(floorModulo), mod),
  /** X where the condition holds, else Y. */
  standardOp("Where", 9, 3, inferWhere, choose),
];
