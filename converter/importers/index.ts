// The importer: every way in which an adder layer leaves PyTorch, in the order in which they are looked for.

import { AdderNetError } from "../../src/core/errors.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import type { Model } from "../../src/core/ir/model.ts";
import type { ImportContext, Importer, ImportOptions, ImportReport } from "./importer.ts";
import { inlined } from "./inlined.ts";
import { normaliseGraph, widenModel } from "./normalise.ts";

export type {
  AdderSettings,
  ImportedLayer,
  ImportOptions,
  ImportReport,
  ImportWarning,
  ImportWarningCode,
} from "./importer.ts";

/** Families that turn what is not standard into adder nodes or standard ops. */
const translators: readonly Importer[] = [];

export function importAdders(model: Model, options: ImportOptions): ImportReport {
  const context: ImportContext = {
    model,
    options,
    layers: [],
    warnings: [],
    problems: [],
    forms: new Map(),
    settingsUsed: new Set(),
  };
  widenModel(model);
  normaliseGraph(model);
  for (const { run } of translators) run(context);
  if (context.problems.length > 0) throw new AdderNetError("ADN_ADDER_UNRECOGNISED", "");
  const meaning = cloneModel(model);
  inlined.run(context);
  return { layers: context.layers, warnings: context.warnings, meaning };
}
