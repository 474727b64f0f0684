// PythonOp nodes: an autograd Function that the exporter could not look into (prim), or ORTModule's (com.microsoft), or a user's own.

import { getInts, getString, nodeLabel } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { columnProduct } from "./column-product.ts";
import { type ForeignLayer, placeForeignLayer } from "./foreign-layer.ts";
import { geometryAttributes, mergeGeometry, type PartialGeometry } from "./geometry-attributes.ts";
import { layerOperands, type Operands } from "./layer-operands.ts";
import type { Scope, Translator } from "./translate.ts";

const nameAttributes = ["name", "func_name", "pyobj_name", "class_name"];

function stringAttribute(node: Node, name: string): string | undefined {
  return node.attributes.get(name)?.type === "STRING" ? getString(node, name) : undefined;
}

/** The Function's name, where the exporter wrote it. */
function functionName(node: Node): string | undefined {
  return nameAttributes.map((name) => stringAttribute(node, name)).find((name) => name);
}

/** com.microsoft::PythonOp answers a context first; the tensor comes after it. */
function tensorOutput(node: Node): string {
  return (node.domain === "com.microsoft" && node.outputs[1]) || node.outputs[0]!;
}

function isAdderFunction(node: Node, scope: Scope): boolean | "perhaps" {
  const name = functionName(node);
  const { mapOps } = scope.context.options;
  if (
    mapOps?.has(`${node.domain}::${node.opType}`) ||
    (name !== undefined && mapOps?.has(`${node.domain}::${name}`))
  )
    return true;
  return name === undefined ? "perhaps" : /adder/i.test(name);
}

/**
 * ORTModule keeps the Function's integers without their names. Two of them are stride and padding; which is which is certain when they
 * are equal, or when one is 0 and so can only be the padding.
 */
function scalarGeometry(node: Node): PartialGeometry {
  const scalars = getInts(node, "input_int_scalars");
  if (scalars?.length !== 2) return {};
  const [a, b] = scalars as [number, number];
  if (a !== b && a !== 0 && b !== 0) return {};
  const [stride, padding] = [Math.max(a, b), Math.min(a, b)];
  return stride < 1 ? {} : { strides: [stride, stride], pads: [padding, padding, padding, padding] };
}

/** Operands that AdderNet's function could have: a float weight [M, C, KH, KW] or [M, K] and one value. */
function looksLikeAdder(operands: Operands, scope: Scope): boolean {
  const [w, x] = [scope.facts.constant(operands.weight)?.dims, scope.facts.shape(operands.x)];
  if (w === undefined) return false;
  if (w.length === 4)
    return x === undefined || (x.length === 4 && (typeof x[1] !== "number" || x[1] % w[1]! === 0));
  return w.length === 2 && (x === undefined || x.length === 2 || x.length === 3);
}

function warnOfAssumption(node: Node, operands: Operands, scope: Scope): void {
  const weight = scope.facts.constant(operands.weight)!.dims.join("x");
  const module = stringAttribute(node, "module");
  scope.context.warnings.push({
    code: "ADN_PYTHONOP_ASSUMED",
    node: node.name || node.outputs[0]!,
    message:
      `the export does not say which Python function ${nodeLabel(node)} is${module ? ` (module ${module})` : ""}; ` +
      `with a weight ${weight} it is taken for AdderNet's -Σ|x - w|`,
    fix: "compare the outputs with PyTorch's, or export with a symbolic() that writes addernet::Adder2d",
  });
}

function wholeLayer(node: Node, operands: Operands): ForeignLayer {
  const name = functionName(node);
  return {
    node,
    ...operands,
    output: tensorOutput(node),
    geometry: mergeGeometry(geometryAttributes(node), scalarGeometry(node)),
    hasDefaults: false,
    form: "PythonOp",
    evidence: name
      ? `${nodeLabel(node)} is the Python function ${name}`
      : `${nodeLabel(node)} has the operands of AdderNet's function`,
  };
}

function translate(node: Node, scope: Scope): readonly Node[] | undefined {
  if (node.opType !== "PythonOp") return undefined;
  const isAdder = isAdderFunction(node, scope);
  if (isAdder === false) return undefined;
  const operands = layerOperands(node, scope);
  if (operands === undefined || !looksLikeAdder(operands, scope)) {
    if (isAdder === "perhaps") return undefined;
    const found = "operands that are no weight and feature map";
    scope.context.problems.push({ code: "ADN_ADDER_UNRECOGNISED", node: nodeLabel(node), found });
    return [node];
  }
  if (isAdder === "perhaps") warnOfAssumption(node, operands, scope);
  const columns = columnProduct(node, operands, tensorOutput(node), "PythonOp", scope);
  return columns ?? placeForeignLayer(wholeLayer(node, operands), scope);
}

export const pythonOps: Translator = { family: "PythonOp", translate };
