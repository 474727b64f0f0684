// Every op this runtime has kernels for, and why a node may yet be refused.

import { ops } from "../custom-ops/index.ts";
import { definitionOf } from "../src/core/infer-shapes.ts";
import { nodeLabel } from "../src/core/ir/attributes.ts";
import type { Node } from "../src/core/ir/model.ts";
import { alongAxisLowerings } from "./lower/along-axis.ts";
import { codeLowerings } from "./lower/codes.ts";
import { elementwiseLowerings } from "./lower/elementwise.ts";
import { layoutLowerings } from "./lower/layout.ts";
import { poolingLowerings } from "./lower/pooling.ts";
import { productLowerings } from "./lower/products.ts";
import { sumLowerings } from "./lower/sums.ts";
import type { Facts, Lowering } from "./lowering.ts";

/** Lowerings by op; ops of other domains than ONNX's as "domain::op". */
export const lowerings = {
  ...sumLowerings,
  ...codeLowerings,
  ...productLowerings,
  ...poolingLowerings,
  ...alongAxisLowerings,
  ...elementwiseLowerings,
  ...layoutLowerings,
} as const satisfies Record<string, Lowering>;

export function loweringOf({ domain, opType }: Pick<Node, "domain" | "opType">): Lowering | undefined {
  const key = domain === "" ? opType : `${domain}::${opType}`;
  return Object.hasOwn(lowerings, key) ? lowerings[key as keyof typeof lowerings] : undefined;
}

function refusedType(lowering: Lowering, node: Node, inputs: Facts): string | undefined {
  const { parameters = [], types = ["float32"] } = lowering;
  const wrong = inputs.find(
    (fact, index) => fact !== undefined && !parameters.includes(index) && !types.includes(fact.elemType),
  );
  return wrong === undefined || node.inputs.length === 0 ? undefined : `${wrong.elemType} data`;
}

/**
 * Why this runtime has no kernel for a node, or undefined when it has one. What is not known of the inputs counts in favour.
 * Parameters must in addition be constants when a plan is made.
 */
export function refusalOf(
  node: Node,
  opsets: ReadonlyMap<string, number>,
  inputs: Facts = [],
): string | undefined {
  const lowering = loweringOf(node);
  const meaning = definitionOf(node, ops, opsets);
  if (lowering === undefined) return "no kernel";
  if (meaning === undefined) return `opset ${opsets.get(node.domain) ?? "?"}`;
  const context = { opset: meaning.opset, where: nodeLabel(node) };
  return refusedType(lowering, node, inputs) ?? lowering.refuses?.(node, inputs, context);
}
