// Every pass over one model, until nothing changes.

import type { Model } from "../src/core/ir/model.ts";
import { type PassContext, type PassReport, passes, runPasses } from "./passes/index.ts";

/**
 * Optimises the model in place; it computes the same and reads and answers the same names. The report has a row per
 * run of a pass.
 */
export function optimise(model: Model, context: PassContext): PassReport[] {
  return runPasses(model, passes, context);
}
