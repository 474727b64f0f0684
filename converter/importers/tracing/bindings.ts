// Which lengths to give the free axes of a model, so that its graph can be read as if it were static.

import type { Graph } from "../../../src/core/ir/model.ts";
import { type Binding, symbolOf } from "./concrete-facts.ts";

interface FreeAxis {
  readonly symbol: string;
  readonly axis: number;
  readonly rank: number;
}

/** Lengths tried for free heights and widths, in this order; different ones per axis and binding, so that no two can be mixed up. */
const spatialLengths = [
  [64, 71],
  [32, 32],
  [28, 28],
  [224, 224],
  [96, 128],
  [16, 16],
] as const;

function freeAxes(graph: Graph): FreeAxis[] {
  const found = new Map<string, FreeAxis>();
  for (const info of graph.inputs) {
    if (info.type?.kind !== "tensor" || info.type.shape === undefined) continue;
    const rank = info.type.shape.length;
    for (let axis = 0; axis < rank; axis++) {
      const symbol = symbolOf(info, axis);
      if (symbol !== undefined && !found.has(symbol)) found.set(symbol, { symbol, axis, rank });
    }
  }
  return [...found.values()];
}

const isSpatial = ({ axis, rank }: FreeAxis): boolean => rank === 4 && axis >= 2;

/** Whether the file leaves the height or width of some input open. */
export function hasFreeSpatial(graph: Graph): boolean {
  return freeAxes(graph).some(isSpatial);
}

function bind(axes: readonly FreeAxis[], batch: number, height: number, width: number): Binding {
  return new Map(
    axes.map(({ symbol, axis, rank }) => {
      if (axis === 0) return [symbol, batch];
      if (rank === 4 && axis >= 2) return [symbol, axis === 2 ? height : width];
      return [symbol, rank === 4 ? 3 : 16];
    }),
  );
}

export interface BindingPair {
  readonly first: Binding;
  /** Absent when the file leaves no length free: one reading is then the whole truth. */
  readonly second?: Binding;
  /** How evidence names what was bound. */
  readonly label: string;
}

/**
 * Pairs of bindings to read the graph under, best first. A layer counts when both bindings of a pair agree on it.
 * The last ones take batch 1: files that say the batch is free and then fix it in a Reshape.
 */
export function bindingPairs(graph: Graph): BindingPair[] {
  const axes = freeAxes(graph);
  if (axes.length === 0) return [{ first: new Map(), label: "at the model's own shapes" }];
  const hasBatch = axes.some(({ axis }) => axis === 0);
  const hasSpatial = axes.some(isSpatial);
  const pairs: BindingPair[] = [];
  for (const [one, other] of hasBatch ? [[2, 3] as const, [1, 1] as const] : [[1, 1] as const]) {
    for (const [height, width] of hasSpatial ? spatialLengths : [[1, 1] as const]) {
      const first = bind(axes, one, height, width);
      const isSame = one === other && !hasSpatial;
      const grown = hasSpatial ? [height + 33, width + 38] : [height, width];
      const second = isSame ? undefined : bind(axes, other, grown[0]!, grown[1]!);
      const batch = hasBatch ? `batch ${one === other ? one : `${one} and ${other}`}` : "";
      const size = hasSpatial ? `${height}x${width} and ${grown[0]}x${grown[1]}` : "";
      pairs.push({ first, ...(second && { second }), label: `at ${[batch, size].filter(Boolean).join(", ")}` });
    }
  }
  return pairs;
}
