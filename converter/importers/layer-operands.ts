// Which input of a foreign node is X, which is the weight, which the bias: the constants tell, whatever their order.

import { isFloat } from "../../src/core/dtype.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { elementCount } from "../../src/core/tensor.ts";
import type { Scope } from "./translate.ts";

export interface Operands {
  readonly x: string;
  readonly weight: string;
  readonly bias?: string | undefined;
}

function isFloatConstant(name: string, { facts }: Scope): boolean {
  const constant = facts.constant(name);
  return constant !== undefined && isFloat(constant.type);
}

/**
 * X is the first input that is no constant, the weight the constant of highest rank (2 at least), the bias the other constant. With no constant
 * weight: X, W, B in this order, if there are two inputs that are no constants. Undefined when neither is so.
 */
export function layerOperands(node: Node, scope: Scope): Operands | undefined {
  const given = node.inputs.filter((name) => name !== "");
  const constants = given.filter((name) => isFloatConstant(name, scope));
  const values = given.filter((name) => scope.facts.constant(name) === undefined);
  const rank = (name: string): number => scope.facts.constant(name)!.dims.length;
  const size = (name: string): number => elementCount(scope.facts.constant(name)!.dims);
  const [weight, ...others] = [...constants].sort((a, b) => rank(b) - rank(a) || size(b) - size(a));
  const x = values[0];
  if (x !== undefined && weight !== undefined && rank(weight) >= 2)
    return { x, weight, bias: others[0] ?? values[1] };
  return values.length === 2 ? { x: values[0]!, weight: values[1]!, bias: constants[0] } : undefined;
}
