// Equal constants are kept once.

import { renameUses } from "../../src/core/ir/edit.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import type { Pass } from "./pass.ts";

function equalData(left: Tensor["data"], right: Tensor["data"]): boolean {
  if (Array.isArray(left) || Array.isArray(right))
    return `${left}` === `${right}` && left.length === right.length;
  if (left.byteLength !== right.byteLength) return false;
  const [a, b] = [left, right].map((data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return a!.every((byte, index) => byte === b![index]);
}

/** Constants that could be equal have the same key; only those are compared byte by byte. */
function keyOf({ type, dims, data }: Tensor): string {
  return `${type} [${dims.join()}] ${data[0]} ${data[data.length >> 1]} ${data[data.length - 1]}`;
}

/**
 * The first of several equal constants serves all readers. Constants that are outputs or can be overridden keep their
 * names.
 */
export const shareInitializers: Pass = {
  name: "share-initializers",
  description: "equal constants are kept once",
  run: ({ graph }) => {
    const fixed = new Set([...graph.outputs, ...graph.overridable].map(({ name }) => name));
    const seen = new Map<string, string[]>();
    const shared = new Map<string, string>();
    for (const [name, tensor] of [...graph.initializers]) {
      if (fixed.has(name) || Array.isArray(tensor.data)) continue;
      const candidates = seen.get(keyOf(tensor)) ?? [];
      seen.set(keyOf(tensor), candidates);
      const same = candidates.find((other) => equalData(graph.initializers.get(other)!.data, tensor.data));
      if (same === undefined) {
        candidates.push(name);
        continue;
      }
      shared.set(name, same);
      graph.initializers.delete(name);
    }
    if (shared.size > 0) renameUses(graph, shared);
    return shared.size;
  },
};
