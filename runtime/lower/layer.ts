// A layer that slides a window over images: its sizes, its residual and where its output goes.

import { groupOf } from "../../src/core/ops/conv.ts";
import { type BoundWindow, bindWindow, readWindow } from "../../src/core/ops/spatial-window.ts";
import { elementCount } from "../../src/core/tensor.ts";
import type { BoundNode, BoundValue } from "../bind.ts";
import type { ArenaAddress, Argument, PlanBuilder } from "../builder.ts";
import { type Layout, type Plane, planeKey, planeOf, tapOffsets } from "../geometry.ts";
import type { ListSource, TapLists } from "../lists.ts";
import { expandTo } from "./elementwise.ts";

export interface Layer {
  readonly bound: BoundNode;
  readonly x: BoundValue;
  readonly w: BoundValue;
  readonly y: BoundValue;
  readonly window: BoundWindow;
  readonly plane: Plane;
  readonly group: number;
  readonly batch: number;
  readonly channels: number;
  readonly filters: number;
  /** Taps of one output element. */
  readonly k: number;
  readonly pixels: number;
}

/** The layer of a node whose weights are its input `weights`. */
export function layerOf(bound: BoundNode, weights = 1): Layer {
  const [x, w, y] = [bound.inputs[0]!, bound.inputs[weights]!, bound.outputs[0]!];
  const size = x.dims.slice(2);
  const window = bindWindow(readWindow(bound.node, size, w.dims.slice(2), bound.where), size, bound.where);
  const plane = planeOf(window);
  return {
    bound,
    x,
    w,
    y,
    window,
    plane,
    group: groupOf(bound.node, bound.where),
    batch: x.dims[0]!,
    channels: x.dims[1]!,
    filters: w.dims[0]!,
    k: elementCount(w.dims.slice(1)),
    pixels: plane.outHeight * plane.outWidth,
  };
}

/** A residual in the shape of the output; 0 when there is none. */
export function residualArgument(
  { y }: Layer,
  residual: BoundValue | undefined,
  build: PlanBuilder,
): Argument {
  if (residual === undefined) return 0;
  return residual.dims.join() === y.dims.join() ? build.read(residual) : expandTo(residual, y.dims, build);
}

/** The output, written over the residual where that ends here. */
export function outputOf({ y }: Layer, residual: BoundValue | undefined, build: PlanBuilder): ArenaAddress {
  return build.output(y, residual?.dims.join() === y.dims.join() ? residual : undefined);
}

/** Whether one window covers the whole unpadded input: then the layer is fully connected. */
export function isFullyConnected({
  window,
  group,
  pixels,
}: Pick<Layer, "window" | "group" | "pixels">): boolean {
  const covers = window.kernel.every((taps, axis) => taps === window.input[axis]);
  const isDense = window.kernel.every((taps, axis) => taps === 1 || window.dilations[axis] === 1);
  const isPadded = window.pads.some((pad) => pad > 0);
  return group === 1 && pixels === 1 && covers && isDense && !isPadded;
}

/** What lists of a layer's taps depend on, beside its weights. */
export function layoutKey({ plane, group }: Layer, layout: Layout): string {
  return `${planeKey(plane)},${layout.rows},${group}`;
}

/** Where the taps of a layer lie, for lists of its weights. */
export function tapPlaces(
  { plane, group, channels, filters }: Layer,
  layout: Layout,
): Omit<ListSource, "weights" | "mostCode"> {
  const inputs = channels / group;
  return {
    channels: filters,
    groups: group,
    offsets: tapOffsets(plane, layout, inputs),
    groupElements: inputs * layout.length,
  };
}

/** Says which share of a layer's taps is in lists. */
export function explainLive({ live }: TapLists, { filters, k }: Layer, build: PlanBuilder): void {
  const share = live / Math.max(1, filters * k);
  build.live(share);
  build.explain(`${Math.round(100 * share)} % of the taps are live`);
}
