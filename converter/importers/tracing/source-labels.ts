// Labels of a source [N, C, H, W], [N, K] …: numbers from which coordinates can be read back, those in padding included.

import { type LabelView, linearView, tableOver, withAxis } from "./label-view.ts";
import { type Layout, lengthOf } from "./layouts.ts";

export interface Coordinates {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
}

type Four = readonly [n: number, c: number, h: number, w: number];

/** How coordinates are packed: label = n·n + c·c + h·h + w. Differences of coordinates can be read back as well. */
export interface LabelCode {
  readonly steps: Coordinates;
  readonly size: Four;
  /** Furthest that padding may reach beyond an edge. */
  readonly reach: readonly [h: number, w: number];
}

/** Code for a source of these dims; an axis that the layout lacks counts as length 1. */
export function labelCode(dims: readonly number[], layout: Layout): LabelCode {
  const size = (letter: "n" | "c" | "h" | "w") => lengthOf(layout, dims, letter);
  const [n, c, h, w] = [size("n"), size("c"), size("h"), size("w")];
  const reach: [number, number] = [h + 64, w + 64];
  const widthStep = 2 * (w + 2 * reach[1]) + 1;
  const heightStep = 2 * (h + 2 * reach[0]) + 1;
  const steps = { n: (2 * c + 1) * heightStep * widthStep, c: heightStep * widthStep, h: widthStep, w: 1 };
  return { steps, size: [n, c, h, w], reach };
}

export function labelSource(code: LabelCode, dims: readonly number[], layout: Layout): LabelView {
  return linearView(
    dims,
    [...layout].map((letter) => code.steps[letter as keyof Coordinates]),
  );
}

/** Coordinates of a label, or the differences of coordinates that a difference of labels means. */
export function decodeLabel({ steps }: LabelCode, label: number): Coordinates {
  const take = (left: number, step: number): [number, number] => {
    // Not -0, which Math.round makes of small negative numbers.
    const count = Math.round(left / step) + 0;
    return [count, left - count * step];
  };
  const [n, inImage] = take(label, steps.n);
  const [c, inChannel] = take(inImage, steps.c);
  const [h, w] = take(inChannel, steps.h);
  return { n, c, h, w };
}

/** Whether `axis` runs over a whole coordinate, step by step, and nothing else of the view touches that coordinate. */
function runsOver(code: LabelCode, view: LabelView, axis: number, coordinate: "h" | "w"): boolean {
  const own = tableOver(view, [axis]);
  if (own?.some((value, at) => value !== at * code.steps[coordinate]) ?? true) return false;
  const others = view.tables.filter(({ axes }) => !axes.includes(axis));
  if (others.some(({ values }) => values.some((value) => decodeLabel(code, value)[coordinate] !== 0)))
    return false;
  const first = decodeLabel(code, view.base)[coordinate];
  const size = code.size[coordinate === "h" ? 2 : 3];
  return first <= 0 && first + view.dims[axis]! >= size;
}

/**
 * Zeros before and after an axis get the labels of places outside the source: row -1, column W and so on. Undefined when the
 * axis does not run over the whole height or width, or the padding reaches too far.
 */
export function padLabels(
  code: LabelCode,
  view: LabelView,
  axis: number,
  before: number,
  after: number,
): LabelView | undefined {
  const fits = (["h", "w"] as const).filter((coordinate) => runsOver(code, view, axis, coordinate));
  // An axis of length 1 may stand for either; what lies beyond it is zero both ways, so its place decides.
  const coordinate = fits.length === 2 ? (axis === view.dims.length - 1 ? "w" : "h") : fits[0];
  if (coordinate === undefined) return undefined;
  const step = code.steps[coordinate];
  const first = decodeLabel(code, view.base)[coordinate];
  const place = coordinate === "h" ? 0 : 1;
  const [reach, size] = [code.reach[place], code.size[place + 2]!];
  if (first - before < -reach || first + view.dims[axis]! + after > size + reach) return undefined;
  const length = before + view.dims[axis]! + after;
  return withAxis(
    view,
    axis,
    Float64Array.from({ length }, (_, at) => (at - before) * step),
  );
}
