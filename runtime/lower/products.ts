// Gemm and MatMul. With constant weights on the right the rows of A meet packed columns; otherwise B is read in panels, as the
// convolution reads pixels, and A is the packed operand.

import { imageScratchBytes, linearScratchBytes } from "../../custom-ops/kernels/table.ts";
import { getFloat, getInt } from "../../src/core/ir/attributes.ts";
import { broadcastSteps, forEachRow } from "../../src/core/ops/strided.ts";
import { elementCount } from "../../src/core/tensor.ts";
import type { BoundNode, BoundValue } from "../bind.ts";
import { type Argument, byteLength, type PlanBuilder, shifted } from "../builder.ts";
import { epilogueOf } from "../epilogue.ts";
import { floatsOf, type Lowering } from "../lowering.ts";
import { packByEightColumns, transposed } from "../pack.ts";
import { copyStrided, expandTo } from "./elementwise.ts";

/** A (m,k) as rows, and B (k,n) or, transposed, (n,k). */
interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly isTransposedB: boolean;
  readonly alpha: number;
}

function filled(length: number, value: number, build: PlanBuilder): number {
  return build.table(`${value} ${length} times`, () => new Float32Array(length).fill(value));
}

/** Rows of A, `k` elements each, times constant weights with features as columns. */
function callLinear(
  product: Product,
  a: Argument,
  b: BoundValue,
  to: Argument,
  bias: Argument,
  z: Argument,
  { low, high }: { readonly low: number; readonly high: number },
  build: PlanBuilder,
): void {
  const { m, k, n, isTransposedB, alpha } = product;
  build.call("f32_linear_4x8", {
    x: a,
    w: build.packed([b], `8 columns ${isTransposedB ? "transposed" : ""}`, () => {
      const weights = floatsOf(b.constant!);
      return packByEightColumns(isTransposedB ? weights : transposed(weights, k, n), n, k);
    }),
    scale: filled(n, alpha, build),
    bias,
    z,
    y: to,
    scratch: build.scratch(linearScratchBytes(k)),
    k,
    m: n,
    rows: m,
    xStride: k * 4,
    yStride: n * 4,
    low,
    high,
  });
}

/** Packed rows of A times the panels of B. */
function callPanels(
  product: Product,
  a: Argument,
  b: Argument,
  to: Argument,
  z: Argument,
  { low, high }: { readonly low: number; readonly high: number },
  build: PlanBuilder,
): void {
  const { m, k, n, isTransposedB, alpha } = product;
  const packed = build.scratch(Math.ceil(m / 4) * 16 * k);
  const panels = Math.max(1, Math.min(Math.ceil(n / 8), Math.floor(4096 / Math.max(k, 1))));
  const [tapStride, columnStride] = isTransposedB ? [4, k * 4] : [n * 4, 4];
  build.call("f32_pack_rows", { x: a, y: packed, count: m, k, xStride: k * 4 });
  build.call("f32_conv_4x8", {
    x: b,
    taps: build.table(`row taps ${k},${tapStride}`, () =>
      Uint32Array.from({ length: k }, (_, i) => i * tapStride),
    ),
    w: packed,
    scale: filled(m, alpha, build),
    bias: filled(m, 0, build),
    z,
    y: to,
    scratch: build.scratch(imageScratchBytes(k, panels)),
    k,
    m,
    p: n,
    step: columnStride,
    panels,
    yStride: n * 4,
    low,
    high,
  });
}

/** beta·C in the shape of the output. */
function fullBias(c: BoundValue, dims: readonly number[], beta: number, build: PlanBuilder): Argument {
  const full = c.dims.join() === dims.join() && beta === 1 ? build.read(c) : expandTo(c, dims, build);
  if (beta === 1) return full;
  const [scale, bias] = [filled(1, beta, build), filled(1, 0, build)];
  const inner = elementCount(dims);
  build.call("f32_affine", { x: full, scale, bias, y: full, outer: 1, channels: 1, inner });
  return full;
}

/** Whether C is one number per column, the same in every row. */
function isPerColumn(c: BoundValue, n: number): boolean {
  return (
    c.constant !== undefined &&
    elementCount(c.dims) === (c.dims.at(-1) ?? 1) &&
    [1, n].includes(c.dims.at(-1) ?? 1)
  );
}

function columnBias(c: BoundValue | undefined, n: number, beta: number, build: PlanBuilder): Argument {
  if (c === undefined) return filled(n, 0, build);
  const data = floatsOf(c.constant!);
  return build.packed([c], `bias ${n} ${beta}`, () =>
    Float32Array.from({ length: n }, (_, column) => beta * data[data.length === 1 ? 0 : column]!),
  );
}

function lowerGemm(bound: BoundNode, build: PlanBuilder): void {
  const { node, inputs, outputs } = bound;
  const [a, b, c, y] = [inputs[0]!, inputs[1]!, inputs[2], outputs[0]!];
  const [m, n] = y.dims as [number, number];
  const isTransposedA = (getInt(node, "transA") ?? 0) !== 0;
  const product: Product = {
    m,
    n,
    k: a.dims[isTransposedA ? 0 : 1]!,
    isTransposedB: (getInt(node, "transB") ?? 0) !== 0,
    alpha: getFloat(node, "alpha") ?? 1,
  };
  const beta = getFloat(node, "beta") ?? 1;
  const clip = epilogueOf(bound);
  let rows = build.read(a);
  if (isTransposedA) {
    const turned = build.scratch(byteLength(a.dims));
    copyStrided(rows, turned, [m, product.k], [1, m], [product.k, 1], build);
    rows = turned;
  }
  const fitsColumns = c === undefined || isPerColumn(c, n);
  if (b.constant !== undefined && fitsColumns) {
    callLinear(product, rows, b, build.output(y), columnBias(c, n, beta, build), 0, clip, build);
    return;
  }
  const z = c === undefined ? 0 : fullBias(c, y.dims, beta, build);
  if (b.constant !== undefined) {
    callLinear(product, rows, b, build.output(y), filled(n, 0, build), z, clip, build);
  } else {
    callPanels(product, rows, build.read(b), build.output(y), z, clip, build);
  }
}

/** Where each product of a batch starts in A and in B. */
function batchStarts(
  left: readonly number[],
  right: readonly number[],
  batch: readonly number[],
): number[][] {
  const steps = [left, right].map((dims) =>
    broadcastSteps(dims.slice(0, -2), batch).map((step) => step * dims.at(-2)! * dims.at(-1)!),
  );
  const starts: number[][] = [];
  const walk = { dims: [...batch, 1], steps: steps.map((own) => [...own, 0]) };
  forEachRow(walk, (offsets) => starts.push([...offsets]));
  return starts;
}

function lowerMatMul(bound: BoundNode, build: PlanBuilder): void {
  const [a, b, y] = [bound.inputs[0]!, bound.inputs[1]!, bound.outputs[0]!];
  const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims;
  const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims;
  const [m, k, n] = [left.at(-2)!, left.at(-1)!, right.at(-1)!];
  const product: Product = { m, k, n, isTransposedB: false, alpha: 1 };
  const clip = epilogueOf(bound);
  if (b.constant !== undefined && right.length === 2) {
    const rows = elementCount(left) / Math.max(k, 1);
    callLinear(
      { ...product, m: rows },
      build.read(a),
      b,
      build.output(y),
      filled(n, 0, build),
      0,
      clip,
      build,
    );
    return;
  }
  const batch = y.dims.slice(0, y.dims.length - (a.dims.length > 1 ? 1 : 0) - (b.dims.length > 1 ? 1 : 0));
  const [from, weights, to] = [build.read(a), build.read(b), build.output(y)];
  for (const [index, [aStart, bStart]] of batchStarts(left, right, batch).entries()) {
    const target = shifted(to, index * m * n * 4);
    callPanels(product, shifted(from, aStart! * 4), shifted(weights, bStart! * 4), target, 0, clip, build);
  }
}

export const productLowerings = {
  Gemm: { lower: lowerGemm, keepsNotNegative: (bound) => epilogueOf(bound).low >= 0 },
  MatMul: { lower: lowerMatMul, keepsNotNegative: (bound) => epilogueOf(bound).low >= 0 },
} satisfies Record<string, Lowering>;
