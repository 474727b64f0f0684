// Weights that old exporters list among the inputs become plain constants.

import type { Pass } from "./pass.ts";

/**
 * A converted model has its weights built in: folding would be wrong for a weight that a caller may still replace.
 */
export const freezeInitializers: Pass = {
  name: "freeze-initializers",
  description: "initializers that are also listed as inputs can no longer be overridden",
  run: ({ graph }) => {
    const count = graph.overridable.length;
    graph.overridable = [];
    return count;
  },
};
