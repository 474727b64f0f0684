// Values of a graph that are sums of distances |x - w|, w constant: found by meaning, through whatever arithmetic writes them.

import { isFloat } from "../../../src/core/dtype.ts";
import { getInt, getInts } from "../../../src/core/ir/attributes.ts";
import type { Graph, Node } from "../../../src/core/ir/model.ts";
import { type Tensor, toNumbers } from "../../../src/core/tensor.ts";
import { bottomUp } from "./bottom-up.ts";
import type { ConcreteFacts } from "./concrete-facts.ts";
import { isMovement, isZeroConstant, movedInputs } from "./movement.ts";

interface SumValue {
  /** The value of the graph that this is. */
  readonly value: string;
  readonly dims: readonly number[];
}

/** |data - sign · weight|, element by element. */
export interface Distance extends SumValue {
  readonly kind: "distance";
  readonly data: string;
  readonly weight: string;
  readonly sign: 1 | -1;
}

/** The elements of `of` summed over `axes`, times `scale`. */
export interface Reduced extends SumValue {
  readonly kind: "reduced";
  readonly of: Sum;
  readonly axes: readonly number[];
  readonly scale: number;
}

/** The elements of `of` moved by one op. */
export interface Moved extends SumValue {
  readonly kind: "moved";
  readonly of: Sum;
  readonly node: Node;
  readonly output: number;
}

export interface Scaled extends SumValue {
  readonly kind: "scaled";
  readonly of: Sum;
  readonly factor: number;
}

/** `of` plus `sign` times a constant. */
export interface Shifted extends SumValue {
  readonly kind: "shifted";
  readonly of: Sum;
  readonly constant: string;
  readonly sign: 1 | -1;
}

/** Sums added element by element, with broadcasting. */
export interface Added extends SumValue {
  readonly kind: "added";
  readonly parts: readonly Sum[];
}

/** Sums put one after the other along an axis. */
export interface Joined extends SumValue {
  readonly kind: "joined";
  readonly parts: readonly Sum[];
  readonly node: Node;
}

export type Sum = Distance | Reduced | Moved | Scaled | Shifted | Added | Joined;

interface Search {
  readonly facts: ConcreteFacts;
  readonly producer: ReadonlyMap<string, Node>;
  readonly sums: ReadonlyMap<string, Sum>;
}

type Recogniser = (node: Node, value: SumValue, search: Search) => Sum | undefined;

/** The single number a constant holds in every element. */
export function uniformValue(tensor: Tensor | undefined): number | undefined {
  if (tensor === undefined || tensor.data.length === 0) return undefined;
  const values = tensor.data as ArrayLike<number | bigint>;
  const first = values[0]!;
  for (let at = 1; at < values.length; at++) if (values[at] !== first) return undefined;
  return Number(first);
}

/** The node of that op that makes a value, Casts between float types looked through. */
function made(search: Search, name: string | undefined, opType: string): Node | undefined {
  const node = name === undefined ? undefined : search.producer.get(name);
  if (node?.domain !== "") return undefined;
  if (node.opType === "Cast" && opType !== "Cast" && isFloatCast(node, search.facts)) {
    return made(search, node.inputs[0], opType);
  }
  return node.opType === opType ? node : undefined;
}

function isFloatCast(node: Node, facts: ConcreteFacts): boolean {
  const types = [facts.type(node.inputs[0]!), facts.type(node.outputs[0]!)];
  return types.every((type) => type !== undefined && isFloat(type));
}

/** A value as sign times another, through Neg. */
function signed(search: Search, name: string): { name: string; sign: 1 | -1 } {
  const negation = made(search, name, "Neg");
  return negation === undefined ? { name, sign: 1 } : { name: negation.inputs[0]!, sign: -1 };
}

/** |a ± b| with one of a, b constant. */
function distanceOf(
  search: Search,
  operands: readonly string[],
  opType: "Sub" | "Add",
  value: SumValue,
): Distance | undefined {
  const [left, right] = operands as [string, string];
  const isConstant = [left, right].map((name) => search.facts.constant(name) !== undefined);
  if (isConstant[0] === isConstant[1]) return undefined;
  const [weight, other] = isConstant[0] ? [left, right] : [right, left];
  const data = signed(search, other);
  const opposite = opType === "Sub" ? 1 : -1;
  return { ...value, kind: "distance", data: data.name, weight, sign: (opposite * data.sign) as 1 | -1 };
}

/** The absolute value of a difference that some node makes. */
function distance(search: Search, difference: string | undefined, value: SumValue): Distance | undefined {
  const node = made(search, difference, "Sub") ?? made(search, difference, "Add");
  return node && distanceOf(search, node.inputs, node.opType as "Sub" | "Add", value);
}

function isSquareOf(search: Search, name: string | undefined): string | undefined {
  const power = made(search, name, "Pow");
  if (power && uniformValue(search.facts.constant(power.inputs[1]!)) === 2) return power.inputs[0];
  const product = made(search, name, "Mul");
  return product && product.inputs[0] === product.inputs[1] ? product.inputs[0] : undefined;
}

/** One of two inputs is what `test` says of the other. */
function eitherInput(node: Node, test: (one: string, other: string) => boolean): string | undefined {
  const [a, b] = [node.inputs[0], node.inputs[1]];
  if (node.inputs.length !== 2 || a === undefined || b === undefined) return undefined;
  if (test(a, b)) return a;
  return test(b, a) ? b : undefined;
}

const sumOf = (search: Search, name: string | undefined): Sum | undefined =>
  name === undefined ? undefined : search.sums.get(name);

/** Undefined when the factor, a constant of some shape, repeats the sum along new axes. */
function scaled(of: Sum, factor: number, value: SumValue): Sum | undefined {
  return of.dims.join() === value.dims.join() ? { ...value, kind: "scaled", of, factor } : undefined;
}

/** Whether no element can be below 0. */
function isNonNegative(sum: Sum): boolean {
  for (let part = sum; ; part = part.of) {
    if (part.kind === "distance") return true;
    if (part.kind === "added" || part.kind === "joined" || part.kind === "shifted") return false;
    if (part.kind === "scaled" && part.factor < 0) return false;
  }
}

const recogniseAbs: Recogniser = (node, value, search) => {
  const inner = sumOf(search, node.inputs[0]);
  if (inner !== undefined && isNonNegative(inner)) return scaled(inner, 1, value);
  // The difference may be a sum of its own: that of the layer before, less a constant.
  return distance(search, node.inputs[0], value);
};

const recogniseSqrt: Recogniser = (node, value, search) =>
  distance(search, isSquareOf(search, node.inputs[0]), value);

const recognisePow: Recogniser = (node, value, search) => {
  const exponent = uniformValue(search.facts.constant(node.inputs[1] ?? ""));
  const inner = sumOf(search, node.inputs[0]);
  if (exponent === 1 && inner) return scaled(inner, 1, value);
  return exponent === 0.5 ? distance(search, isSquareOf(search, node.inputs[0]), value) : undefined;
};

/** Whether `other` is -`one`: by Neg, or the same difference taken the other way round. */
function areOpposite(search: Search, one: string, other: string): boolean {
  const [a, b] = [made(search, one, "Sub"), made(search, other, "Sub")];
  if (a && b) return a.inputs[0] === b.inputs[1] && a.inputs[1] === b.inputs[0];
  return made(search, other, "Neg")?.inputs[0] === one;
}

/** max(d, -d). */
const recogniseMax: Recogniser = (node, value, search) =>
  distance(
    search,
    eitherInput(node, (one, other) => areOpposite(search, one, other)),
    value,
  );

/** The condition of a Where that holds where d > 0 or d >= 0, as a test of d. */
function isPositive(search: Search, condition: string | undefined, d: string): boolean {
  const [above, below] = [
    made(search, condition, "Greater") ?? made(search, condition, "GreaterOrEqual"),
    made(search, condition, "Less") ?? made(search, condition, "LessOrEqual"),
  ];
  const isZero = (name: string | undefined): boolean =>
    name !== undefined && isZeroConstant(search.facts, name);
  return (
    (above?.inputs[0] === d && isZero(above.inputs[1])) || (below?.inputs[1] === d && isZero(below.inputs[0]))
  );
}

/** d where d > 0, else -d. */
const recogniseWhere: Recogniser = (node, value, search) => {
  const [condition, one, other] = node.inputs;
  if (one === undefined || other === undefined || !areOpposite(search, one, other)) return undefined;
  return isPositive(search, condition, one) ? distance(search, one, value) : undefined;
};

/** relu(d) + relu(-d). */
function sumOfHalves(node: Node, value: SumValue, search: Search): Sum | undefined {
  const halves = node.inputs.map((name) => made(search, name, "Relu")?.inputs[0]);
  const [one, other] = halves;
  if (halves.length !== 2 || one === undefined || other === undefined) return undefined;
  return distance(
    search,
    areOpposite(search, one, other) ? one : areOpposite(search, other, one) ? other : undefined,
    value,
  );
}

/** max(a, b) - min(a, b), or the other way round, which is negative. */
function spread(node: Node, value: SumValue, search: Search): Sum | undefined {
  const [first, second] = node.inputs;
  for (const [larger, smaller, factor] of [
    [first, second, 1],
    [second, first, -1],
  ] as const) {
    const [most, least] = [made(search, larger, "Max"), made(search, smaller, "Min")];
    if (most?.inputs.length !== 2 || least === undefined) continue;
    if ([...most.inputs].sort().join("\n") !== [...least.inputs].sort().join("\n")) continue;
    const between = distanceOf(search, most.inputs, "Sub", value);
    return between && { ...value, kind: "scaled", of: between, factor };
  }
  return undefined;
}

const recogniseMul: Recogniser = (node, value, search) => {
  const bySign = eitherInput(node, (one, other) => made(search, other, "Sign")?.inputs[0] === one);
  if (bySign !== undefined) return distance(search, bySign, value);
  const name = eitherInput(node, (one) => search.sums.has(one));
  const other = node.inputs.find((input) => input !== name);
  const factor = uniformValue(search.facts.constant(other ?? ""));
  return name === undefined || factor === undefined
    ? undefined
    : scaled(search.sums.get(name)!, factor, value);
};

const recogniseDiv: Recogniser = (node, value, search) => {
  const [sum, divisor] = [
    sumOf(search, node.inputs[0]),
    uniformValue(search.facts.constant(node.inputs[1] ?? "")),
  ];
  return sum && divisor ? scaled(sum, 1 / divisor, value) : undefined;
};

const recogniseNeg: Recogniser = (node, value, search) => {
  const sum = sumOf(search, node.inputs[0]);
  return sum && scaled(sum, -1, value);
};

const negated = (of: Sum): Sum => ({ kind: "scaled", value: of.value, dims: of.dims, of, factor: -1 });

/** Two operands with a sign each. */
function recogniseAddition(names: readonly string[], signs: readonly (1 | -1)[]): Recogniser {
  return (_node, value, search) => {
    const sums = names.map((name) => search.sums.get(name));
    const parts = sums.flatMap((sum, at) => {
      if (sum === undefined) return [];
      return [signs[at] === 1 ? sum : negated(sum)];
    });
    if (parts.length === names.length) return { ...value, kind: "added", parts };
    const at = sums.indexOf(undefined);
    const constant = names[at]!;
    if (parts.length !== 1 || names.length !== 2 || search.facts.constant(constant) === undefined)
      return undefined;
    if (isZeroConstant(search.facts, constant)) return { ...value, kind: "added", parts };
    return { ...value, kind: "shifted", of: parts[0]!, constant, sign: signs[at]! };
  };
}

function reducedAxes(node: Node, rank: number, search: Search): number[] | undefined {
  const named = node.inputs[1] ? search.facts.constant(node.inputs[1]) : undefined;
  if (node.inputs[1] && named === undefined) return undefined;
  const given = getInts(node, "axes") ?? (named && toNumbers(named)) ?? [];
  if (given.length === 0 && (getInt(node, "noop_with_empty_axes") ?? 0) === 1) return [];
  const axes = given.length === 0 ? Array.from({ length: rank }, (_, axis) => axis) : given;
  return axes.map((axis) => (axis < 0 ? axis + rank : axis));
}

function reduction(node: Node, value: SumValue, of: Sum | undefined, search: Search): Sum | undefined {
  const axes = of && reducedAxes(node, of.dims.length, search);
  if (of === undefined || axes === undefined) return undefined;
  const count = axes.reduce((product, axis) => product * of.dims[axis]!, 1);
  return { ...value, kind: "reduced", of, axes, scale: node.opType === "ReduceMean" ? 1 / count : 1 };
}

const recogniseReduction: Recogniser = (node, value, search) =>
  reduction(node, value, sumOf(search, node.inputs[0]), search);

/** Σ|d|; of distances, which are not negative, it is their sum. */
const recogniseReduceL1: Recogniser = (node, value, search) => {
  const name = node.inputs[0]!;
  const inner = sumOf(search, name);
  const dims = search.facts.dims(name);
  if (inner !== undefined)
    return inner.kind === "distance" ? reduction(node, value, inner, search) : undefined;
  return dims && reduction(node, value, distance(search, name, { value: name, dims }), search);
};

const recognisers: Readonly<Record<string, Recogniser>> = {
  Abs: recogniseAbs,
  Add: (node, ...rest) => sumOfHalves(node, ...rest) ?? recogniseAddition(node.inputs, [1, 1])(node, ...rest),
  Div: recogniseDiv,
  Max: recogniseMax,
  Mul: recogniseMul,
  Neg: recogniseNeg,
  Pow: recognisePow,
  ReduceL1: recogniseReduceL1,
  ReduceMean: recogniseReduction,
  ReduceSum: recogniseReduction,
  Sqrt: recogniseSqrt,
  Sub: (node, ...rest) => spread(node, ...rest) ?? recogniseAddition(node.inputs, [1, -1])(node, ...rest),
  Sum: (node, ...rest) =>
    recogniseAddition(
      node.inputs,
      node.inputs.map(() => 1),
    )(node, ...rest),
  Where: recogniseWhere,
};

function recogniseMovement(node: Node, value: SumValue, output: number, search: Search): Sum | undefined {
  if (!isMovement(node)) {
    const parts = node.inputs.map((name) => search.sums.get(name));
    if (parts.includes(undefined)) return undefined;
    return { ...value, kind: "joined", parts: parts as Sum[], node };
  }
  const of = sumOf(search, node.inputs[0]);
  return of && { ...value, kind: "moved", of, node, output };
}

/** Every value that is a sum of distances, or such a sum scaled, shifted, added, moved or joined; in the graph's order. */
export function findSums(graph: Graph, facts: ConcreteFacts): Map<string, Sum> {
  const producer = new Map<string, Node>();
  const sums = new Map<string, Sum>();
  const search: Search = { facts, producer, sums };
  for (const node of graph.nodes) {
    node.outputs.forEach((name, output) => {
      producer.set(name, node);
      const dims = facts.dims(name);
      if (name === "" || dims === undefined || node.domain !== "" || facts.constant(name) !== undefined)
        return;
      const value = { value: name, dims };
      const recognise = output === 0 ? recognisers[node.opType] : undefined;
      const sum =
        movedInputs(node).length > 0
          ? recogniseMovement(node, value, output, search)
          : recognise?.(node, value, search);
      if (sum !== undefined) sums.set(name, sum);
    });
  }
  return sums;
}

/** What a sum is made of directly. */
export function partsOf(sum: Sum): readonly Sum[] {
  if (sum.kind === "distance") return [];
  return sum.kind === "added" || sum.kind === "joined" ? sum.parts : [sum.of];
}

/** Every distance in a sum. */
export function distancesIn(sum: Sum): Distance[] {
  const seen = new Set([sum]);
  for (const part of seen) for (const inner of partsOf(part)) seen.add(inner);
  return [...seen].filter((part) => part.kind === "distance");
}

const close = (value: number, other: number): boolean => Math.abs(value - other) <= 1e-6 * Math.abs(other);

/** One factor for all, up to rounding (1/k times k); 1 and -1 exactly where it is close to them. */
export function commonFactor(factors: readonly (number | undefined)[]): number | undefined {
  const first = factors[0];
  if (first === undefined || first === 0 || !Number.isFinite(first)) return undefined;
  if (!factors.every((factor) => factor !== undefined && close(factor, first))) return undefined;
  return close(first, Math.sign(first)) ? Math.sign(first) : first;
}

/** The factor by which a sum counts every distance, when it is the same for all; constants that are added do not matter. */
export function factorOf(sum: Sum, known: Map<Sum, number | undefined>): number | undefined {
  return bottomUp(sum, known, partsOf, (part) => {
    if (part.kind === "distance") return 1;
    const inner = commonFactor(partsOf(part).map((each) => known.get(each)));
    if (inner === undefined) return undefined;
    if (part.kind === "scaled") return commonFactor([inner * part.factor]);
    return part.kind === "reduced" ? commonFactor([inner * part.scale]) : inner;
  });
}
