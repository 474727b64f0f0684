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
  [256, 256],
  [128, 128],
  [48, 48],
  [8, 8],
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
  /** The batch is free in the file, and bound to 1 all the same. */
  readonly fixesBatch: boolean;
}

type Lengths = readonly [number, number];

/** Two sizes for height and width: different ones first, then the same twice, for networks that take only one. */
function sizePairs(axes: readonly FreeAxis[]): (readonly [Lengths, Lengths])[] {
  if (!axes.some(isSpatial))
    return [
      [
        [1, 1],
        [1, 1],
      ],
    ];
  const varied = spatialLengths.map((size): readonly [Lengths, Lengths] => [
    size,
    [size[0] + 33, size[1] + 38],
  ]);
  return [...varied, ...spatialLengths.map((size): readonly [Lengths, Lengths] => [size, size])];
}

function labelOf(batches: Lengths | undefined, sizes: readonly [Lengths, Lengths] | undefined): string {
  const texts = [batches?.map(String) ?? [], sizes?.map(([height, width]) => `${height}x${width}`) ?? []].map(
    (pair) => [...new Set(pair)].join(" and "),
  );
  return `with ${[texts[0] && `batch ${texts[0]}`, texts[1] && `input ${texts[1]}`].filter(Boolean).join(", ")}`;
}

/**
 * Pairs of bindings to read the graph under, best first. A layer counts when both bindings of a pair agree on it.
 * The last ones take batch 1: files that say the batch is free and then fix it in a Reshape.
 */
export function bindingPairs(graph: Graph): BindingPair[] {
  const axes = freeAxes(graph);
  if (axes.length === 0) return [{ first: new Map(), label: "in the model's own shapes", fixesBatch: false }];
  const hasBatch = axes.some(({ axis }) => axis === 0);
  const batches: Lengths[] = hasBatch
    ? [
        [2, 3],
        [1, 1],
      ]
    : [[1, 1]];
  return batches.flatMap((batch) =>
    sizePairs(axes).map((sizes): BindingPair => {
      const [first, second] = [0, 1].map((at) => bind(axes, batch[at]!, ...sizes[at]!)) as [Binding, Binding];
      const isSame = batch[0] === batch[1] && sizes[0].join() === sizes[1].join();
      const label = labelOf(hasBatch ? batch : undefined, axes.some(isSpatial) ? sizes : undefined);
      return { first, ...(!isSame && { second }), label, fixesBatch: hasBatch && batch[0] === 1 };
    }),
  );
}
