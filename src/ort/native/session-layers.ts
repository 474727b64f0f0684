// Which layers belong to which session: those that appear while it is made, one session at a time.

import { makeTurns } from "../../../runtime/threads/turns.ts";
import type { LayerExplanation } from "./engine.ts";
import type { KernelTable } from "./kernels.ts";
import type { Layer } from "./layer.ts";

export interface Made<T> {
  readonly made: T;
  readonly layers: () => LayerExplanation[];
}

/** A function that makes sessions in turn and answers each with its layers. */
export function makeWithLayers(table: KernelTable): <T>(make: () => Promise<T>) => Promise<Made<T>> {
  const inTurn = makeTurns();
  return (make) =>
    inTurn(async () => {
      const before = new Set(table.layers());
      const made = await make();
      const own = table.layers().filter((layer) => !before.has(layer));
      return { made, layers: () => describeLayers(own, table) };
    });
}

/** onnxruntime makes some kernels only to fold constants. */
function describeLayers(own: readonly Layer[], table: KernelTable): LayerExplanation[] {
  const alive = new Set(table.layers());
  return own
    .filter((layer) => alive.has(layer))
    .map((layer) => {
      const { kernels = [], why = "" } = layer.latest() ?? {};
      return { node: layer.where, kernels, why };
    });
}
