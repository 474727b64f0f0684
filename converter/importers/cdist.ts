// torch.cdist(p=1) as TorchScript exports it: (Σ(x - w)^1)^0.999999, the Abs forgotten. Mended wherever it is found.

import type { Node } from "../../src/core/ir/model.ts";
import { uniformValue } from "./tracing/sums.ts";
import type { Scope, Translator } from "./translate.ts";

function madeBy(scope: Scope, value: string | undefined, opType: string): Node | undefined {
  const node = value === undefined ? undefined : scope.producer.get(value);
  return node?.domain === "" && node.opType === opType ? node : undefined;
}

/** The exponent of a Pow when it is 1, or 1/(1 + 1e-6) as the exporter writes the inverse of 1. */
function exponentNearOne(node: Node | undefined, scope: Scope): number | undefined {
  const exponent =
    node?.opType === "Pow" ? uniformValue(scope.facts.constant(node.inputs[1] ?? "")) : undefined;
  return exponent !== undefined && exponent > 0.99999 && exponent <= 1 ? exponent : undefined;
}

/** Sub, and the ReduceSum over it, under a Pow(≈1); an optimiser may have dropped the inner Pow(1). */
function brokenDistance(node: Node, scope: Scope): { difference: string; sum: Node } | undefined {
  const outer = exponentNearOne(node, scope);
  const sum = outer === undefined ? undefined : madeBy(scope, node.inputs[0], "ReduceSum");
  if (sum === undefined) return undefined;
  const inner = madeBy(scope, sum.inputs[0], "Pow");
  const isInner = exponentNearOne(inner, scope) !== undefined;
  const difference = isInner ? inner!.inputs[0]! : sum.inputs[0]!;
  if (madeBy(scope, difference, "Sub") === undefined || (!isInner && outer === 1)) return undefined;
  return { difference, sum };
}

function translate(node: Node, scope: Scope): readonly Node[] | undefined {
  if (node.domain !== "" || node.opType !== "Pow") return undefined;
  const broken = brokenDistance(node, scope);
  if (broken === undefined) return undefined;
  const { context } = scope;
  const writer = scope.writer(node);
  const absolute = writer.op("Abs", [broken.difference]);
  writer.op("ReduceSum", [absolute, ...broken.sum.inputs.slice(1)], broken.sum.attributes, node.outputs[0]);
  for (const made of writer.nodes) context.forms.set(made, "cdist (repaired)");
  context.warnings.push({
    code: "ADN_CDIST_REPAIRED",
    node: node.name || node.outputs[0]!,
    message:
      "this is torch.cdist(p=1) as PyTorch exports it: without the absolute value, so it gives wrong numbers and NaN; " +
      "it was mended to sum |x - w|",
    fix: "export (x - w).abs().sum() instead of torch.cdist",
  });
  return writer.nodes;
}

export const cdist: Translator = { family: "broken torch.cdist", translate };
