// The importer: every way in which an adder layer leaves PyTorch, in the order in which they are looked for.

import { AdderNetError } from "../../src/core/errors.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import { removeDead } from "../../src/core/ir/edit.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { aten } from "./aten.ts";
import { cdist } from "./cdist.ts";
import { customOps } from "./custom-ops.ts";
import { inlineForeignFunctions } from "./functions.ts";
import type { ImportContext, ImportedLayer, ImportOptions, ImportReport, LostGeometry } from "./importer.ts";
import { importInlined } from "./inlined.ts";
import { normaliseGraph, widenModel } from "./normalise.ts";
import { namesOf } from "./place-adder.ts";
import { pythonOps } from "./python-ops.ts";
import { suggestGeometry } from "./suggest-geometry.ts";
import { type Translator, translateNodes } from "./translate.ts";

export type {
  AdderSettings,
  ImportedLayer,
  ImportOptions,
  ImportReport,
  ImportWarning,
  ImportWarningCode,
} from "./importer.ts";

/** Families of foreign nodes; the first that knows a node has it. */
const translators: readonly Translator[] = [customOps, pythonOps, aten, cdist];

/** Flags that complete a layer, one line a layer. */
function flagsFor(
  { name, missing }: LostGeometry,
  choice: Record<"strides" | "pads", readonly number[]>,
): string {
  const flags = missing.map((attribute) => {
    const flag = `${name}.${attribute}=${choice[attribute].join()}`;
    return `--set ${/^[\w./:=,@+-]+$/.test(flag) ? flag : `'${flag}'`}`;
  });
  return `\n  ${flags.join(" ")}`;
}

/** Flags for all layers: values under which the network's shapes fit together, else the most common ones. */
function proposeFlags(lost: readonly LostGeometry[], { model, options }: ImportContext): string {
  const fitting = suggestGeometry(model, options.ops, lost);
  const lines = lost.map((layer, index) => {
    const [height, width] = layer.weightDims.slice(2).map((length) => Math.floor((length - 1) / 2)) as [
      number,
      number,
    ];
    return flagsFor(layer, fitting?.[index] ?? { strides: [1, 1], pads: [height, width, height, width] });
  });
  const offer = fitting ? "these fit all shapes, so try them first:" : "for example";
  return `pass what the network has, pads as top,left,bottom,right; ${offer}${lines.join("")}`;
}

/** One error that names every node that must be a layer and cannot be; the flags come last, ready to be copied. */
function throwProblems(context: ImportContext): void {
  const { problems } = context;
  if (problems.length === 0) return;
  const isIncomplete = problems.every(({ code }) => code === "ADN_ADDER_INCOMPLETE");
  const count = problems.length === 1 ? "1 adder layer" : `${problems.length} adder layers`;
  const named = problems.map(({ node, found }) => `${node} (${found})`).join(", ");
  const lost = problems.flatMap((problem) => problem.lost ?? []);
  throw new AdderNetError(
    isIncomplete ? "ADN_ADDER_INCOMPLETE" : "ADN_ADDER_UNRECOGNISED",
    `${count} ${isIncomplete ? "lost attributes in the export" : "cannot be made out"}: ${named}`,
    {
      fix:
        lost.length > 0
          ? proposeFlags(lost, context)
          : "export with a symbolic() that writes addernet::Adder2d",
    },
  );
}

function checkSettings({ options, settingsUsed }: ImportContext): void {
  const unused = [...(options.set?.keys() ?? [])].filter((name) => !settingsUsed.has(name));
  if (unused.length === 0) return;
  throw new AdderNetError(
    "ADN_USAGE",
    `no adder layer takes attributes under the name ${unused.join(", ")}`,
    {
      fix: "use the node names that the error without --set lists",
    },
  );
}

/** Layers in the order of their nodes. */
function inGraphOrder(layers: readonly ImportedLayer[], model: Model): ImportedLayer[] {
  const order = new Map(model.graph.nodes.map(({ name }, at) => [name, at]));
  return [...layers].sort((a, b) => (order.get(a.node) ?? 0) - (order.get(b.node) ?? 0));
}

/**
 * Rewrites the model in place so that every adder layer is one `addernet::Adder2d` node with inputs X, W and perhaps B, named after its module.
 * Floats of 16 bits become float32, functions and Constant nodes are written out on the way. What an exporter lost is taken from
 * `options.set` or from shapes that leave no choice. Errors: ADN_ADDER_INCOMPLETE and ADN_ADDER_UNRECOGNISED name every layer that cannot
 * be completed; ADN_USAGE for settings that no layer takes.
 */
export function importAdders(model: Model, options: ImportOptions): ImportReport {
  const context: ImportContext = {
    model,
    options,
    layers: [],
    warnings: [],
    problems: [],
    forms: new Map(),
    names: namesOf(model.graph),
    settingsUsed: new Set(),
  };
  for (const input of widenModel(model)) {
    context.warnings.push({
      code: "ADN_FLOAT16_WIDENED",
      node: input,
      message: `input "${input}" had 16-bit floats; it is float32 now, and so is everything computed from it`,
      fix: "feed float32",
    });
  }
  // Weights are built into layers, so nothing can be fed in their place any more.
  model.graph.overridable = [];
  normaliseGraph(model);
  const inlined = inlineForeignFunctions(model, options.ops);
  for (const node of inlined) context.forms.set(node, "function");
  if (inlined.length > 0) normaliseGraph(model);
  context.names = namesOf(model.graph);
  translateNodes(context, translators);
  throwProblems(context);
  checkSettings(context);
  removeDead(model.graph);
  const meaning = cloneModel(model);
  importInlined(context);
  return { layers: inGraphOrder(context.layers, model), warnings: context.warnings, meaning };
}
