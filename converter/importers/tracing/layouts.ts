// The axis orders in which networks hold feature maps, and the way from each to [N, C, H, W] and back.

/** Order of a value's axes: n batch, c channels or filters, h height, w width, l height and width as one axis. */
export type Layout = "nchw" | "nc" | "ncl" | "nlc" | "chwn" | "nhwc" | "nch" | "nhc" | "cn";

export interface LayoutPair {
  readonly value: Layout;
  readonly source: Layout;
  /**
   * Layouts few networks use: only what has the elements of the value furthest back can be the source then, so that no im2col matrix is
   * taken for a feature map.
   */
  readonly isUnusual: boolean;
}

const usual = [
  ["nchw", "nchw"],
  ["nc", "nc"],
  ["nchw", "nc"],
  ["nc", "nchw"],
] as const;

const unusual = [
  ["ncl", "nchw"],
  ["nlc", "nchw"],
  ["chwn", "nchw"],
  ["nchw", "chwn"],
  ["chwn", "chwn"],
  ["nhwc", "nchw"],
  ["nchw", "nhwc"],
  ["nhwc", "nhwc"],
  ["nch", "nch"],
  ["nhc", "nhc"],
  ["nhc", "nch"],
  ["nch", "nhc"],
  ["cn", "nc"],
] as const;

/** Layouts of a layer's value and source, in the order in which they are tried. */
export const layoutPairs: readonly LayoutPair[] = [
  ...usual.map(([value, source]) => ({ value, source, isUnusual: false })),
  ...unusual.map(([value, source]) => ({ value, source, isUnusual: true })),
];

const canonical = ["n", "c", "h", "w", "l"];

/** Axes of the layout in the order n, c, h, w: the permutation that brings a value into it. */
export function toCanonical(layout: Layout): number[] {
  return canonical.flatMap((letter) => (layout.includes(letter) ? [layout.indexOf(letter)] : []));
}

/** The permutation back: from n, c, h, w order into the layout. */
export function fromCanonical(layout: Layout): number[] {
  const order = toCanonical(layout);
  return order.map((_, axis) => order.indexOf(axis));
}

export function isCanonical(layout: Layout): boolean {
  return toCanonical(layout).every((axis, at) => axis === at);
}

/** Length of the axis `letter`, 1 where the layout has none. */
export function lengthOf(layout: Layout, dims: readonly number[], letter: "n" | "c" | "h" | "w"): number {
  const axis = layout.indexOf(letter);
  return axis < 0 ? 1 : dims[axis]!;
}
