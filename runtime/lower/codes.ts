// Layers over 8-bit codes, and the ways into and out of codes.

import {
  codesLinearScratchBytes,
  type KernelName,
  type ParamOf,
  sparseScratchBytes,
} from "../../custom-ops/kernels/table.ts";
import { codeBounds } from "../../custom-ops/qlinear-adder2d.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { elementCount } from "../../src/core/tensor.ts";
import { bandsOf, callWindowSums } from "../bands.ts";
import type { BoundNode, BoundValue } from "../bind.ts";
import { type Argument, elementBytes, type PlanBuilder, shifted } from "../builder.ts";
import { epilogueOf } from "../epilogue.ts";
import { mostCodeElements } from "../lists.ts";
import { type Facts, floatsOf, type Lowering } from "../lowering.ts";
import { panelsOfColumns } from "../pack.ts";
import {
  explainLive,
  isFullyConnected,
  type Layer,
  layerOf,
  layoutKey,
  outputOf,
  residualArgument,
  tapPlaces,
} from "./layer.ts";

const codesOf = ({ constant }: BoundValue): Uint8Array => constant!.data as Uint8Array;
const numberOf = (value: BoundValue | undefined): number => Number(value?.constant?.data[0] ?? 0);

/** Sums of codes are kept as float32, exactly: that many taps of 255 at most. */
const mostTaps = Math.floor(2 ** 23 / 255);

function refusesTaps(shape: readonly unknown[] | undefined): string | undefined {
  if (!shape?.every((dim) => typeof dim === "number")) return undefined;
  const taps = elementCount(shape.slice(1));
  return taps > mostTaps ? `${taps} taps` : undefined;
}

/** What follows the sums of a layer: which kernels store it, and what they need for it. */
interface End {
  readonly sparse: "u8_adder_sparse_1x64" | "u8_adder_sparse_f32_1x64" | "u8_adder_sparse_i32_1x64";
  readonly linear: "u8_adder_linear_1x64" | "u8_adder_linear_f32_1x64" | "u8_adder_linear_i32_1x64";
  readonly residual?: BoundValue | undefined;
  /** Addresses of scale, doubled, and bias for channels filled up to a multiple of a number. */
  readonly affine: (multiple: number) => { readonly scale?: Argument; readonly bias?: Argument };
  readonly numbers: Readonly<Record<string, number>>;
}

function filledUp(values: ArrayLike<number>, multiple: number): Float32Array {
  const filled = new Float32Array(Math.ceil(values.length / multiple) * multiple);
  filled.set(values);
  return filled;
}

/** Half the sum of each filter's codes. */
function halfSums(w: BoundValue, filters: number, k: number): Float32Array {
  const codes = codesOf(w);
  return Float32Array.from({ length: filters }, (_, m) => {
    let sum = 0;
    for (let i = m * k; i < (m + 1) * k; i++) sum += codes[i]!;
    return sum / 2;
  });
}

/** Calls a kernel with the arguments it takes out of more. */
function callWith(
  kernel: End["sparse"] | End["linear"],
  args: Readonly<Record<string, Argument>>,
  build: PlanBuilder,
  liveTaps?: number,
): void {
  build.call(kernel as KernelName, args as Record<ParamOf<KernelName>, Argument>, liveTaps);
}

function lowerLinear(layer: Layer, end: End, build: PlanBuilder): void {
  const { x, w, y, batch, filters, k } = layer;
  const args = {
    x: build.read(x),
    w: build.packed([w], "panels of 64 columns", () => panelsOfColumns(codesOf(w), filters, k)),
    ...end.affine(64),
    sums: build.packed([w], "half sums below 0", () =>
      filledUp(
        halfSums(w, filters, k).map((sum) => -sum),
        64,
      ),
    ),
    z: residualArgument(layer, end.residual, build),
    y: outputOf(layer, end.residual, build),
    scratch: build.scratch(codesLinearScratchBytes(k)),
    k,
    m: filters,
    rows: batch,
    xStride: k,
    yStride: filters * elementBytes(y.type),
    ...end.numbers,
  };
  callWith(end.linear, args, build);
}

function lowerSparse(layer: Layer, padding: number, end: End, build: PlanBuilder): void {
  const { x, w, y, plane, group, channels, filters, pixels } = layer;
  const z = residualArgument(layer, end.residual, build);
  const bands = bandsOf(x, plane, padding, build, mostCodeElements);
  const to = outputOf(layer, end.residual, build);
  const bytes = elementBytes(y.type);
  const mostCode = Math.max(build.mostCode(x), padding);
  const lists = build.lists(w, `codes to ${mostCode} ${layoutKey(layer, bands.layout)}`, () => ({
    ...tapPlaces(layer, bands.layout),
    weights: codesOf(w),
    mostCode,
  }));
  const window = callWindowSums({ plane, group, channels }, bands, "u8_window_sums", build);
  const affine = end.affine(1);
  const shift = build.table(`half sums of ${w.name}`, () => Float32Array.from(lists.sums, (sum) => sum / 2));
  const shared = {
    ...{ perGroup: filters / group, sumsStride: window.sumsStride, yStride: pixels * bytes },
    scratch: build.scratch(sparseScratchBytes(lists.parts[0]!.count)),
    ...end.numbers,
  };
  build.explain("min(x, w) over codes");
  explainLive(lists, layer, build);
  bands.forEach(({ planes, image, firstPixel, pixels: p }) => {
    window.call(planes, p);
    for (const { first, count, address } of lists.parts) {
      const at = ((image * filters + first) * pixels + firstPixel) * bytes;
      const args = {
        ...{ ...shared, x: planes, lists: address, m: count, p },
        sums: shifted(window.sums, Math.floor(first / shared.perGroup) * window.sumsStride),
        ...{ z: z === 0 ? 0 : shifted(z, at), y: shifted(to, at), shift: shifted(shift, first * 4) },
        ...(affine.scale !== undefined && { scale: shifted(affine.scale, first * 4) }),
        ...(affine.bias !== undefined && { bias: shifted(affine.bias, first * 4) }),
      };
      callWith(end.sparse, args, build, lists.live / filters);
    }
  });
}

function lowerCodes(layer: Layer, padding: number, end: End, build: PlanBuilder): void {
  if (isFullyConnected(layer)) {
    build.explain("min(x, w) over codes");
    lowerLinear(layer, end, build);
  } else {
    lowerSparse(layer, padding, end, build);
  }
}

/** Doubled scale and bias, rounded to float32 beforehand. */
function affineOf(
  from: readonly BoundValue[],
  scale: ArrayLike<number>,
  bias: ArrayLike<number>,
  kind: string,
  build: PlanBuilder,
): End["affine"] {
  return (multiple) => ({
    scale: build.packed(from, `doubled scale ${kind} ${multiple}`, () =>
      filledUp(
        Float32Array.from(scale, (value) => 2 * Math.fround(value)),
        multiple,
      ),
    ),
    bias: build.packed(from, `bias ${kind} ${multiple}`, () => filledUp(bias, multiple)),
  });
}

/** A residual, unless it is a constant that adds nothing: models carry such where a function needs all of its inputs. */
function residualOf({ inputs: [, , , , , , z, , zero] }: BoundNode): BoundValue | undefined {
  const nothing = numberOf(zero);
  return z?.constant && codesOf(z).every((code) => code === nothing) ? undefined : z;
}

function lowerQLinearAdder2d(bound: BoundNode, build: PlanBuilder): void {
  const [, xZero, , scale, bias, yZeroPoint, , zScale, zZero] = bound.inputs;
  const { yMin, yMax } = codeBounds(bound.node, bound.where);
  const yZero = numberOf(yZeroPoint);
  const end: End = {
    sparse: "u8_adder_sparse_1x64",
    linear: "u8_adder_linear_1x64",
    residual: residualOf(bound),
    affine: affineOf(
      [scale!, bias!],
      floatsOf(scale!.constant!),
      floatsOf(bias!.constant!),
      "of codes",
      build,
    ),
    numbers: {
      ...{ low: yMin - yZero, high: yMax - yZero, yZero },
      ...{ zZero: numberOf(zZero), zScale: numberOf(zScale) },
    },
  };
  lowerCodes(layerOf(bound, 2), numberOf(xZero), end, build);
}

/** Scale and bias with which a step after the sums, below 2^24, could be infinite, and types that are not float32. */
function refusesQLinear(_node: Node, inputs: Facts): string | undefined {
  const affine = [inputs[3], inputs[4], inputs[7]];
  const wrong = affine.find((fact) => fact !== undefined && fact.elemType !== "float32");
  if (wrong !== undefined) return `a ${wrong.elemType} scale`;
  const isHuge = affine.some((fact) => {
    const data = fact?.constant?.data as Float32Array | undefined;
    return data?.some((value) => !Number.isFinite(Math.fround(2 ** 26 * value)));
  });
  return isHuge ? "outputs that are not finite" : refusesTaps(inputs[2]?.shape);
}

/** Integers, or with a cast and what follows it taken in, floats. */
function lowerAdderInteger2d(bound: BoundNode, build: PlanBuilder): void {
  const layer = layerOf(bound);
  const padding = numberOf(bound.inputs[2]);
  const { scale, bias, low, high, residual } = epilogueOf(bound);
  if (layer.y.type === "int32") {
    const end: End = {
      sparse: "u8_adder_sparse_i32_1x64",
      linear: "u8_adder_linear_i32_1x64",
      affine: () => ({}),
      numbers: {},
    };
    lowerCodes(layer, padding, end, build);
    return;
  }
  const filled = (value: number) => new Float32Array(layer.filters).fill(value);
  const kind = `of ${layer.y.name} ${(bound.fused ?? []).join(" ")}`;
  const end: End = {
    sparse: "u8_adder_sparse_f32_1x64",
    linear: "u8_adder_linear_f32_1x64",
    residual,
    affine: affineOf([layer.w], scale ?? filled(1), bias ?? filled(0), kind, build),
    numbers: { low, high },
  };
  lowerCodes(layer, padding, end, build);
}

function isPerTensor({ shape }: { readonly shape?: readonly unknown[] }): boolean {
  return shape === undefined || shape.every((dim) => dim === 1);
}

function refusesQuantizer(node: Node, [x, scale, zero]: Facts): string | undefined {
  if (scale !== undefined && !isPerTensor(scale)) return "one scale per channel";
  if (scale !== undefined && scale.elemType !== "float32") return `a ${scale.elemType} scale`;
  const code = node.opType === "QuantizeLinear" ? (zero?.elemType ?? quantizedType(node)) : x?.elemType;
  return code === undefined || code === "uint8" ? undefined : `${code} codes`;
}

function quantizedType({ attributes }: Node): string {
  const asked = attributes.get("output_dtype");
  return asked === undefined || (asked.type === "INT" && [0n, 2n].includes(asked.value)) ? "uint8" : "other";
}

function lowerQuantize({ inputs: [x, scale, zeroPoint], outputs: [y] }: BoundNode, build: PlanBuilder): void {
  const zero = numberOf(zeroPoint);
  build.call("u8_quantize", {
    x: build.read(x!),
    y: build.output(y!),
    count: elementCount(x!.dims),
    scale: numberOf(scale),
    ...{ zero, low: -zero, high: 255 - zero },
  });
}

function lowerDequantize({ inputs: [x, scale, zero], outputs: [y] }: BoundNode, build: PlanBuilder): void {
  const from = build.read(x!);
  const count = elementCount(x!.dims);
  build.call("u8_dequantize", {
    ...{ x: from, y: build.output(y!), count },
    ...{ scale: numberOf(scale), zero: numberOf(zero) },
  });
}

export const codeLowerings = {
  "addernet::QLinearAdder2d": {
    parameters: [1, 2, 3, 4, 5, 7, 8],
    types: ["uint8"],
    refuses: refusesQLinear,
    lower: lowerQLinearAdder2d,
    mostCode: ({ node, where }) => codeBounds(node, where).yMax,
  },
  "addernet::AdderInteger2d": {
    parameters: [1, 2],
    types: ["uint8"],
    refuses: (_node, inputs) => refusesTaps(inputs[1]?.shape),
    lower: lowerAdderInteger2d,
  },
  QuantizeLinear: { parameters: [1, 2], refuses: refusesQuantizer, lower: lowerQuantize },
  DequantizeLinear: {
    parameters: [1, 2],
    types: ["uint8"],
    refuses: refusesQuantizer,
    lower: lowerDequantize,
    keepsNotNegative: ({ inputs: [, scale, zero] }) => numberOf(zero) === 0 && numberOf(scale) >= 0,
  },
} satisfies Record<string, Lowering>;
