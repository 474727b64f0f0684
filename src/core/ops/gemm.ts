// Gemm and MatMul: products of matrices.

import { AdderNetError } from "../errors.ts";
import { getFloat, getInt } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { broadcastDims, elementCount, type Tensor } from "../tensor.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { factOf } from "./facts.ts";
import {
  numbersOf,
  numericTypes,
  requireDim,
  requireSameType,
  requireTensor,
  shapeOfRank,
  tensorFrom,
} from "./operands.ts";
import { broadcastSteps, forEachRow } from "./strided.ts";

/** A matrix inside an array: element (row, column) is at start + row·rowStep + column·columnStep. */
interface MatrixView {
  readonly data: ArrayLike<number>;
  readonly start: number;
  readonly rowStep: number;
  readonly columnStep: number;
}

/** out[i·n + j] += Σ_k a[i,k]·b[k,j]. */
function addProduct(out: Float64Array, a: MatrixView, b: MatrixView, m: number, n: number, k: number): void {
  for (let row = 0; row < m; row++) {
    const first = row * n;
    for (let inner = 0; inner < k; inner++) {
      const factor = a.data[a.start + row * a.rowStep + inner * a.columnStep]!;
      let read = b.start + inner * b.rowStep;
      for (let o = first; o < first + n; o++, read += b.columnStep) out[o]! += factor * b.data[read]!;
    }
  }
}

function transposed(shape: readonly Dim[] | undefined, flag: number): readonly Dim[] {
  const [rows, columns] = shape ?? [null, null];
  return flag === 0 ? [rows ?? null, columns ?? null] : [columns ?? null, rows ?? null];
}

function requireBroadcast(from: readonly Dim[], to: readonly Dim[], where: string): void {
  if (![...from, ...to].every((dim) => typeof dim === "number")) return;
  if (broadcastDims(from as number[], to as number[])?.join() === to.join()) return;
  throw new AdderNetError("ADN_SHAPE", "C does not broadcast to Y", {
    where,
    expected: to.join("x"),
    found: from.join("x"),
  });
}

function inferGemm(
  node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const [a, b, c] = inputs;
  if (a === undefined) return [undefined];
  requireSameType(["A", a], ["B", b], where);
  requireSameType(["A", a], ["C", c], where);
  const left = transposed(shapeOfRank(a, "A", 2, 2, where), getInt(node, "transA") ?? 0);
  const right = transposed(shapeOfRank(b, "B", 2, 2, where), getInt(node, "transB") ?? 0);
  requireDim(right[0], left[1], "B (inner axis)", where);
  const shape: Dim[] = [left[0]!, right[1]!];
  requireBroadcast(shapeOfRank(c, "C", 0, 2, where) ?? [], shape, where);
  return [{ elemType: a.elemType, shape }];
}

/** Y = beta·C, C broadcast to m×n. */
function scaledBias(c: Tensor | undefined, beta: number, m: number, n: number, where: string): Float64Array {
  const y = new Float64Array(m * n);
  if (c === undefined) return y;
  const data = numbersOf(c, "C", numericTypes, where);
  const [rowStep, columnStep] = broadcastSteps(c.dims, [m, n]) as [number, number];
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      y[row * n + column] = beta * data[row * rowStep + column * columnStep]!;
    }
  }
  return y;
}

function referenceGemm(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const [a, b] = [requireTensor(inputs, 0, "A", where), requireTensor(inputs, 1, "B", where)];
  const facts = [a, b, inputs[2]].map((tensor) => tensor && factOf(tensor));
  const [m, n] = inferGemm(node, facts, context)[0]!.shape as [number, number];
  const view = (tensor: Tensor, name: string, flag: number): MatrixView => {
    const columns = tensor.dims[1]!;
    const data = numbersOf(tensor, name, numericTypes, where);
    return { data, start: 0, rowStep: flag ? 1 : columns, columnStep: flag ? columns : 1 };
  };
  const left = view(a, "A", getInt(node, "transA") ?? 0);
  const right = view(b, "B", getInt(node, "transB") ?? 0);
  const alpha = getFloat(node, "alpha") ?? 1;
  const product = new Float64Array(m * n);
  addProduct(product, left, right, m, n, elementCount(a.dims) / Math.max(m, 1));
  const y = scaledBias(inputs[2], getFloat(node, "beta") ?? 1, m, n, where);
  for (let index = 0; index < y.length; index++) y[index]! += alpha * product[index]!;
  return [tensorFrom(a.type, y, [m, n])];
}

/** Y = alpha·A'·B' + beta·C, where ' transposes by transA and transB. A (m,k), B (k,n), C broadcastable to (m,n)? -> Y (m,n). */
const Gemm: OpDefinition = {
  domain: "",
  opType: "Gemm",
  first: 7,
  infer: inferGemm,
  reference: referenceGemm,
};

/** One broadcast length of batch axes; where a symbol meets another symbol nothing is known. */
function broadcastDim(left: Dim, right: Dim, where: string): Dim {
  if (left === 1 || left === right) return right;
  if (right === 1) return left;
  if (typeof left === "number" && typeof right === "number") {
    throw new AdderNetError("ADN_SHAPE", "batch axes of A and B do not broadcast", {
      where,
      expected: `${left}`,
      found: `${right}`,
    });
  }
  if (typeof left === "number") return left;
  return typeof right === "number" ? right : null;
}

/** Shape of A·B as NumPy's matmul has it: a vector counts as one row of A or one column of B, and that axis goes again. */
function matMulShape(a: readonly Dim[], b: readonly Dim[], where: string): Dim[] {
  const left = a.length === 1 ? [1, a[0]!] : a;
  const right = b.length === 1 ? [b[0]!, 1] : b;
  requireDim(right.at(-2), left.at(-1), "B (inner axis)", where);
  const rank = Math.max(left.length, right.length) - 2;
  const batch = Array.from({ length: rank }, (_, axis) =>
    broadcastDim(left[axis - rank + left.length - 2] ?? 1, right[axis - rank + right.length - 2] ?? 1, where),
  );
  const rows = a.length === 1 ? [] : [left.at(-2)!];
  return [...batch, ...rows, ...(b.length === 1 ? [] : [right.at(-1)!])];
}

function inferMatMul(
  _node: Node,
  inputs: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  const [a, b] = inputs;
  if (a === undefined) return [undefined];
  requireSameType(["A", a], ["B", b], where);
  const left = shapeOfRank(a, "A", 1, Number.POSITIVE_INFINITY, where);
  const right = shapeOfRank(b, "B", 1, Number.POSITIVE_INFINITY, where);
  if (left === undefined || right === undefined) return [{ elemType: a.elemType }];
  return [{ elemType: a.elemType, shape: matMulShape(left, right, where) }];
}

/** Where each product of a batch starts in A and in B, both broadcast to the batch axes `batch`. */
function matrixStarts(
  left: readonly number[],
  right: readonly number[],
  batch: readonly number[],
): number[][] {
  const steps = [left, right].map((dims) => {
    const matrix = dims.at(-2)! * dims.at(-1)!;
    return broadcastSteps(dims.slice(0, -2), batch).map((step) => step * matrix);
  });
  const walk = { dims: [...batch, 1], steps: steps.map((own) => [...own, 0]) };
  const starts: number[][] = [];
  forEachRow(walk, (offsets) => starts.push([...offsets]));
  return starts;
}

function referenceMatMul(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const [a, b] = [requireTensor(inputs, 0, "A", where), requireTensor(inputs, 1, "B", where)];
  const dims = inferMatMul(node, [a, b].map(factOf), context)[0]!.shape as number[];
  const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims;
  const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims;
  const [m, k, n] = [left.at(-2)!, left.at(-1)!, right.at(-1)!];
  const batch = matMulShape([...left.slice(0, -2), 1, 1], [...right.slice(0, -2), 1, 1], where).slice(0, -2);
  const leftData = numbersOf(a, "A", numericTypes, where);
  const rightData = numbersOf(b, "B", numericTypes, where);
  const y = new Float64Array(elementCount(dims));
  matrixStarts(left, right, batch as number[]).forEach(([leftStart, rightStart], index) => {
    addProduct(
      y.subarray(index * m * n, (index + 1) * m * n),
      { data: leftData, start: leftStart!, rowStep: k, columnStep: 1 },
      { data: rightData, start: rightStart!, rowStep: n, columnStep: 1 },
      m,
      n,
      k,
    );
  });
  return [tensorFrom(a.type, y, dims)];
}

/** Matrix product as NumPy's matmul: A (…,m,k), B (…,k,n) -> Y (…,m,n), leading axes broadcast. */
const MatMul: OpDefinition = {
  domain: "",
  opType: "MatMul",
  first: 1,
  infer: inferMatMul,
  reference: referenceMatMul,
};

export const gemmOps: readonly OpDefinition[] = [Gemm, MatMul];
