// Windowed pools.

import type { ParamOf } from "../../custom-ops/kernels/table.ts";
import { getInt, getInts } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { bindWindow, readWindow } from "../../src/core/ops/spatial-window.ts";
import { elementCount } from "../../src/core/tensor.ts";
import { bandsOf, tapTable } from "../bands.ts";
import type { BoundNode, BoundValue } from "../bind.ts";
import { type Argument, elementBytes, type PlanBuilder, shifted } from "../builder.ts";
import { type Plane, planeOf, tapCounts } from "../geometry.ts";
import type { Facts, Lowering } from "../lowering.ts";

function poolOf({ node, where, inputs }: BoundNode) {
  const size = inputs[0]!.dims.slice(2);
  const isCeilMode = (getInt(node, "ceil_mode") ?? 0) !== 0;
  const window = bindWindow(
    readWindow(node, size, getInts(node, "kernel_shape")!, where),
    size,
    where,
    isCeilMode,
  );
  return { window, plane: planeOf(window) };
}

/** What is pooled: maps of the batch's images. */
interface Pooled {
  readonly x: BoundValue;
  readonly plane: Plane;
}

/** Maps below each other as one, where windows lie side by side in them and fill them: few large parts are laid out faster than many. */
function joinMaps({ x, plane }: Pooled): Pooled {
  const { kernel, strides, dilations, top, height, outHeight } = plane;
  const isFilled = top === 0 && kernel[0] === strides[0] && outHeight * strides[0] === height;
  if (!isFilled || dilations[0] !== 1) return { x, plane };
  const [batch, channels] = [x.dims[0]!, x.dims[1]!];
  return {
    x: { ...x, dims: [batch, 1, channels * height, plane.width] },
    plane: { ...plane, height: channels * height, outHeight: channels * outHeight },
  };
}

/** Calls `emit` with the arguments all pools share for each band. */
function forEachPool(
  bound: BoundNode,
  { x, plane }: Pooled,
  padding: number,
  build: PlanBuilder,
  emit: (args: Record<ParamOf<"f32_max_pool_1x4">, Argument>, firstPixel: number) => void,
): void {
  const y = bound.outputs[0]!;
  const pixels = plane.outHeight * plane.outWidth;
  const [channels, bytes] = [x.dims[1]!, elementBytes(x.type)];
  const bands = bandsOf(x, plane, padding, build);
  const to = build.output(y);
  const shared = {
    taps: tapTable(plane, bands.layout, 1, bytes, build),
    k: elementCount(plane.kernel),
    channels,
    xStride: bands.layout.length * bytes,
    yStride: pixels * bytes,
  };
  bands.forEach(({ planes, image, firstPixel, pixels: p }) => {
    const at = (image * channels * pixels + firstPixel) * bytes;
    emit({ ...shared, x: planes, y: shifted(to, at), p }, firstPixel);
  });
}

function lowerMaxPool(bound: BoundNode, build: PlanBuilder): void {
  const isCodes = bound.inputs[0]!.type === "uint8";
  const kernel = isCodes ? "u8_max_pool_1x16" : "f32_max_pool_1x4";
  const pooled = joinMaps({ x: bound.inputs[0]!, plane: poolOf(bound).plane });
  forEachPool(bound, pooled, isCodes ? 0 : Number.NEGATIVE_INFINITY, build, (args) =>
    build.call(kernel, args),
  );
}

function lowerAveragePool(bound: BoundNode, build: PlanBuilder): void {
  const { window, plane } = poolOf(bound);
  const includePad = (getInt(bound.node, "count_include_pad") ?? 0) !== 0;
  const divisors = build.table(`divisors ${includePad} ${Object.values(window).join(";")}`, () =>
    tapCounts(window, includePad),
  );
  forEachPool(bound, { x: bound.inputs[0]!, plane }, 0, build, (args, firstPixel) =>
    build.call("f32_average_pool_1x4", { ...args, divisors: divisors + firstPixel * 4 }),
  );
}

function refuses(node: Node, [x]: Facts): string | undefined {
  if ((node.outputs[1] ?? "") !== "") return "the output Indices";
  const rank = x?.shape?.length;
  return rank !== undefined && rank > 4 ? `${rank - 2} spatial axes` : undefined;
}

const likeInput: NonNullable<Lowering["keepsNotNegative"]> = (_bound, isNotNegative) => isNotNegative(0);

export const poolingLowerings = {
  // A window that lies in the padding alone answers -Infinity, which is below 0: only a pool without padding keeps the sign.
  MaxPool: {
    types: ["float32", "uint8"],
    mostCode: (_bound, mostCode) => mostCode(0),
    refuses,
    lower: lowerMaxPool,
    keepsNotNegative: (bound, isNotNegative) =>
      isNotNegative(0) && tapCounts(poolOf(bound).window, false).every((count) => count > 0),
  },
  AveragePool: { refuses, lower: lowerAveragePool, keepsNotNegative: likeInput },
} satisfies Record<string, Lowering>;
