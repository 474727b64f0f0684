// Windowed pools.

import { getInt, getInts } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { bindWindow, readWindow } from "../../src/core/ops/spatial-window.ts";
import { elementCount } from "../../src/core/tensor.ts";
import type { BoundNode } from "../bind.ts";
import { type Argument, type PlanBuilder, shifted } from "../builder.ts";
import { pixelOffsets, planeKey, planeOf, tapCounts, tapOffsets } from "../geometry.ts";
import type { Facts, Lowering } from "../lowering.ts";
import { forEachImage } from "./sums.ts";

function poolOf({ node, where, inputs }: BoundNode) {
  const size = inputs[0]!.dims.slice(2);
  const isCeilMode = (getInt(node, "ceil_mode") ?? 0) !== 0;
  const window = bindWindow(
    readWindow(node, size, getInts(node, "kernel_shape")!, where),
    size,
    where,
    isCeilMode,
  );
  const plane = planeOf(window);
  return { window, plane, pixels: plane.outHeight * plane.outWidth };
}

/** The arguments all pools share, for each image. */
function forEachPool(
  bound: BoundNode,
  padding: number,
  build: PlanBuilder,
  emit: (
    args: Record<"x" | "taps" | "pixels" | "y" | "k" | "channels" | "p" | "xStride" | "yStride", Argument>,
  ) => void,
): void {
  const [x, y] = [bound.inputs[0]!, bound.outputs[0]!];
  const { plane, pixels } = poolOf(bound);
  const channels = x.dims[1]!;
  const to = build.output(y);
  forEachImage(x, plane, padding, build, (planes, image) => {
    emit({
      x: planes,
      taps: build.table(`taps ${planeKey(plane)},1`, () => tapOffsets(plane, 1)),
      pixels: build.table(`pixels ${planeKey(plane)}`, () => pixelOffsets(plane)),
      y: shifted(to, image * channels * pixels * 4),
      k: elementCount(plane.kernel),
      channels,
      p: pixels,
      xStride: plane.paddedHeight * plane.paddedWidth * 4,
      yStride: pixels * 4,
    });
  });
}

function lowerMaxPool(bound: BoundNode, build: PlanBuilder): void {
  forEachPool(bound, Number.NEGATIVE_INFINITY, build, (args) => build.call("f32_max_pool_1x4", args));
}

function lowerAveragePool(bound: BoundNode, build: PlanBuilder): void {
  const { window } = poolOf(bound);
  const includePad = (getInt(bound.node, "count_include_pad") ?? 0) !== 0;
  const parts = [
    window.kernel,
    window.strides,
    window.dilations,
    window.pads,
    window.input,
    window.output,
    includePad,
  ];
  const divisors = build.table(`divisors ${parts.join(";")}`, () => tapCounts(window, includePad));
  forEachPool(bound, 0, build, (args) => build.call("f32_average_pool_1x4", { ...args, divisors }));
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
    refuses,
    lower: lowerMaxPool,
    keepsNotNegative: (bound, isNotNegative) =>
      isNotNegative(0) && tapCounts(poolOf(bound).window, false).every((count) => count > 0),
  },
  AveragePool: { refuses, lower: lowerAveragePool, keepsNotNegative: likeInput },
} satisfies Record<string, Lowering>;
