// Adder layers as ops of their own, in any domain: what a symbolic() method, a translation table or another framework writes.

import { adder2dAttributes } from "../../custom-ops/adder2d.ts";
import { getString, nodeLabel } from "../../src/core/ir/attributes.ts";
import type { Node } from "../../src/core/ir/model.ts";
import { columnProduct } from "./column-product.ts";
import { type ForeignLayer, placeForeignLayer } from "./foreign-layer.ts";
import { geometryAttributes, unreadableAttributes } from "./geometry-attributes.ts";
import { layerOfNode, layerOfWeight } from "./layer-names.ts";
import { layerOperands, type Operands } from "./layer-operands.ts";
import { reportLayer } from "./place-adder.ts";
import type { Scope, Translator } from "./translate.ts";

/** Adder2d, Adder2D, AdderConv, adder, adder_f, AdderFusion … */
const adderName = /^adder(2d|3d|conv|conv2d|_conv|_conv2d|layer|net|_f|_2d|fusion)?(function)?$/i;

function isMapped(node: Node, { context }: Scope): boolean {
  return context.options.mapOps?.has(`${node.domain}::${node.opType}`) ?? false;
}

/** Written by us: every attribute under its ONNX name. */
const ownAttributes = new Set(
  "auto_pad dilations group kernel_shape pads strides activation_min activation_max".split(" "),
);

function isOwn(node: Node): boolean {
  const isAdder2d = node.domain === "addernet" && node.opType === "Adder2d";
  return isAdder2d && [...node.attributes.keys()].every((name) => ownAttributes.has(name));
}

function isFused(node: Node): boolean {
  return (
    node.inputs.slice(3).some((name) => name !== "") ||
    getString(node, "auto_pad") !== undefined ||
    node.attributes.has("activation_min") ||
    node.attributes.has("activation_max")
  );
}

/** A node that says all it does: it stays, whatever is fused into it, and is reported. */
function keepOwn(node: Node, scope: Scope): readonly Node[] {
  const { facts, context } = scope;
  const [x, w] = [facts.dims(node.inputs[0]!), facts.dims(node.inputs[1]!)];
  if (w === undefined) return [node];
  const unknown = [null, null];
  const attributes = adder2dAttributes(node, x?.slice(2) ?? unknown, w.slice(2), nodeLabel(node));
  const { strides, pads, dilations, group } = attributes;
  const layer = layerOfWeight(facts.origin(node.inputs[1]!)) ?? layerOfNode(node) ?? node.name;
  const evidence = "the node is addernet::Adder2d already";
  reportLayer(context, { node: node.name, layer, form: "addernet::Adder2d", evidence }, w, {
    strides,
    pads,
    dilations,
    group,
  });
  return [node];
}

function wholeLayer(node: Node, operands: Operands, isKnown: boolean): ForeignLayer {
  const geometry = geometryAttributes(node);
  const saysGeometry = [geometry.strides, geometry.pads, geometry.dilations, geometry.autoPad].some(
    (value) => value !== undefined,
  );
  const unreadable = unreadableAttributes(node);
  return {
    node,
    ...operands,
    output: node.outputs[0]!,
    geometry,
    // A default in place of something that cannot be read would be a guess.
    hasDefaults: (isKnown || saysGeometry) && unreadable.length === 0,
    unreadable,
    form: "custom op",
    evidence: `${nodeLabel(node)} is an adder layer by its name`,
  };
}

function translate(node: Node, scope: Scope): readonly Node[] | undefined {
  if (isOwn(node) && isFused(node)) return keepOwn(node, scope);
  if (!adderName.test(node.opType) && !isMapped(node, scope)) return undefined;
  const operands = layerOperands(node, scope);
  if (operands === undefined) {
    const found = "no constant weight among its inputs";
    scope.context.problems.push({ code: "ADN_ADDER_UNRECOGNISED", node: nodeLabel(node), found });
    return [node];
  }
  const columns = columnProduct(node, operands, node.outputs[0]!, "custom op", scope);
  return columns ?? placeForeignLayer(wholeLayer(node, operands, node.domain === "addernet"), scope);
}

export const customOps: Translator = { family: "custom ops", translate };
