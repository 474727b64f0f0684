// A node that is a whole adder layer under another name: from its operands and what it says of its geometry to addernet::Adder2d.

import { adder2dAttributes } from "../../custom-ops/adder2d.ts";
import { isFloat } from "../../src/core/dtype.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { nodeLabel, stringAttribute } from "../../src/core/ir/attributes.ts";
import type { Attribute, Node } from "../../src/core/ir/model.ts";
import { elementCount, type Tensor } from "../../src/core/tensor.ts";
import { forcedGeometry } from "./forced-geometry.ts";
import { geometryOfSettings, mergeGeometry, type PartialGeometry } from "./geometry-attributes.ts";
import type { AdderSettings, ImportProblem } from "./importer.ts";
import { layerOfNode, layerOfWeight } from "./layer-names.ts";
import {
  adderAttributes,
  describeGeometry,
  makeAdder,
  nodeName,
  placeConstant,
  reportLayer,
} from "./place-adder.ts";
import type { Geometry } from "./tracing/match-layers.ts";
import type { Scope } from "./translate.ts";

export interface ForeignLayer {
  readonly node: Node;
  /** Which of the node's outputs is the layer's. */
  readonly output: string;
  readonly x: string;
  readonly weight: string;
  readonly bias?: string | undefined;
  readonly geometry: PartialGeometry;
  /** Whether what the node leaves out has the default of ONNX Conv; otherwise it was lost and is asked for. */
  readonly hasDefaults: boolean;
  /** Attributes that are there and cannot be used. */
  readonly unreadable?: readonly string[];
  readonly form: string;
  /** Why the node is an adder layer, as the beginning of a sentence. */
  readonly evidence: string;
}

/** The name by which a user addresses a node. */
export function settingName(node: Node): string {
  return node.name || node.outputs.find((name) => name !== "") || node.opType;
}

/** The user's settings for a layer, under any of its names. */
function settingsFor(
  { node, weight, output }: ForeignLayer,
  layer: string | undefined,
  scope: Scope,
): AdderSettings | undefined {
  const { context } = scope;
  const names = [node.name, settingName(node), output, layer, weight, scope.facts.origin(weight)];
  const name = names.find((each) => each !== undefined && context.options.set?.has(each));
  if (name === undefined) return undefined;
  context.settingsUsed.add(name);
  return context.options.set!.get(name);
}

function settingsGeometry(settings: AdderSettings | undefined, node: Node): PartialGeometry {
  const geometry = settings === undefined ? {} : geometryOfSettings(settings);
  if (geometry !== undefined) return geometry;
  throw new AdderNetError("ADN_USAGE", "the attributes set for this node do not fit", {
    where: nodeLabel(node),
    expected: "strides and dilations of 1 or 2 numbers >= 1, pads of 1, 2 or 4 numbers >= 0",
    found: JSON.stringify(settings),
  });
}

/** The weight as [M, C/group, KH, KW]; [M, K] and [M, C, k·k] are brought to it when the kernel is given. */
function weightDims(
  tensor: readonly number[],
  kernel: readonly [number, number] | undefined,
): number[] | undefined {
  if (tensor.length === 4) return [...tensor];
  const taps = kernel && kernel[0] * kernel[1];
  const perFilter = elementCount(tensor.slice(1));
  if (kernel === undefined || taps === undefined || tensor.length < 2 || perFilter % taps !== 0)
    return undefined;
  return [tensor[0]!, perFilter / taps, ...kernel];
}

/** Groups follow from the channels of X and W when both are known. */
function impliedGroup(channels: number | undefined, perGroup: number): number | undefined {
  return channels !== undefined && channels % perGroup === 0 ? channels / perGroup : undefined;
}

function problem(
  layer: ForeignLayer,
  code: ImportProblem["code"],
  found: string,
  lost?: ImportProblem["lost"],
): ImportProblem {
  return { code, node: nodeLabel(layer.node), found, ...(lost && { lost }) };
}

/** auto_pad as numbers where these do not depend on a length that is free. */
function resolvedPads(
  layer: ForeignLayer,
  mode: string,
  dims: readonly number[],
  strides: Geometry["strides"],
  dilations: Geometry["dilations"],
  scope: Scope,
): Geometry["pads"] | undefined {
  const size = scope.facts.dims(layer.x)?.slice(2);
  const isFree = scope.hasFreeSpatial && strides.some((stride) => stride > 1) && mode !== "VALID";
  if (size === undefined || isFree) return undefined;
  const node = {
    ...layer.node,
    attributes: new Map<string, Attribute>([
      ["auto_pad", stringAttribute(mode)],
      ...adderAttributes(dims, { strides, dilations, pads: [0, 0, 0, 0], group: 1 }).filter(
        ([name]) => name !== "pads",
      ),
    ]),
  };
  return adder2dAttributes(node, size, dims.slice(2), nodeLabel(layer.node)).pads;
}

interface Completed {
  readonly geometry: Geometry;
  /** Set when pads could not be written out. */
  readonly autoPad?: string;
  /** What evidence says of attributes that the node itself does not hold. */
  readonly recovered: string;
}

function complete(
  layer: ForeignLayer,
  given: PartialGeometry,
  dims: readonly number[],
  scope: Scope,
): Completed | ImportProblem {
  const { facts } = scope;
  const channels = facts.dims(layer.x)?.[1];
  const unusable = layer.unreadable?.filter((name) => !/^(stride|pad)/.test(name)) ?? [];
  if (unusable.length > 0) {
    return problem(layer, "ADN_ADDER_UNRECOGNISED", `attribute ${unusable.join(", ")} cannot be read`);
  }
  const known = mergeGeometry(given, { group: impliedGroup(channels, dims[1]!) });
  const dilations = known.dilations ?? [1, 1];
  const group = known.group ?? 1;
  if (known.kernel && known.kernel.join() !== dims.slice(2).join()) {
    const kernel = known.kernel.join("x");
    return problem(layer, "ADN_ADDER_UNRECOGNISED", `kernel ${kernel}, but a weight of ${dims.join("x")}`);
  }
  const forced =
    layer.hasDefaults || (known.strides && (known.pads || known.autoPad))
      ? undefined
      : forcedGeometry(layer, known, dims, scope);
  const strides = known.strides ?? forced?.strides ?? (layer.hasDefaults ? ([1, 1] as const) : undefined);
  const base = { dilations, group };
  if (strides && known.autoPad) {
    const pads = resolvedPads(layer, known.autoPad, dims, strides, dilations, scope);
    const geometry = { ...base, strides, pads: pads ?? ([0, 0, 0, 0] as const) };
    return { geometry, ...(pads === undefined && { autoPad: known.autoPad }), recovered: "" };
  }
  const pads = known.pads ?? forced?.pads ?? (layer.hasDefaults ? ([0, 0, 0, 0] as const) : undefined);
  if (strides && pads) return { geometry: { ...base, strides, pads }, recovered: forced?.evidence ?? "" };
  const missing = [strides ? [] : (["strides"] as const), pads ? [] : (["pads"] as const)].flat();
  const unread = layer.unreadable?.length ? ` that can be read (${layer.unreadable.join(", ")})` : "";
  const found = `weight ${layer.weight} ${dims.join("x")}, but no ${missing.join(" and ")}${unread}`;
  return problem(layer, "ADN_ADDER_INCOMPLETE", found, {
    node: layer.node,
    name: settingName(layer.node),
    x: layer.x,
    output: layer.output,
    weightDims: dims,
    known: { strides, pads, dilations, group },
    missing,
  });
}

const isZero = (tensor: Tensor): boolean =>
  Array.prototype.every.call(tensor.data, (value: number | bigint) => Number(value) === 0);

/** The bias as an input [M]: "" when it is zero everywhere, undefined when it is no constant per filter. */
function biasInput(layer: ForeignLayer, name: string, filters: number, scope: Scope): string | undefined {
  const { context, facts } = scope;
  if (layer.bias === undefined) return "";
  const tensor = facts.constant(layer.bias);
  if (tensor === undefined) return facts.dims(layer.bias)?.join() === `${filters}` ? layer.bias : undefined;
  if (isZero(tensor)) return "";
  if (elementCount(tensor.dims) !== filters || !isFloat(tensor.type)) return undefined;
  const flat = { ...tensor, dims: [filters] };
  const isPlain = tensor.dims.length === 1 && context.model.graph.initializers.has(layer.bias);
  return isPlain ? layer.bias : placeConstant(context, `${name}.b`, flat);
}

/** The weight as an input: the constant under the layer's own name, or the value itself when it is computed at run time. */
function weightInput(layer: ForeignLayer, name: string, dims: readonly number[], scope: Scope): string {
  const tensor = scope.facts.constant(layer.weight);
  if (tensor === undefined) return layer.weight;
  return placeConstant(scope.context, `${name}.adder`, { ...tensor, dims });
}

function place(
  layer: ForeignLayer,
  dims: readonly number[],
  completed: Completed,
  wanted: string | undefined,
  scope: Scope,
): Node[] | undefined {
  const { context } = scope;
  const { geometry, autoPad, recovered } = completed;
  const name = nodeName(context, wanted, layer.node);
  const bias = biasInput(layer, wanted ?? name, dims[0]!, scope);
  if (bias === undefined) return undefined;
  const inputs = [layer.x, weightInput(layer, wanted ?? name, dims, scope), ...(bias === "" ? [] : [bias])];
  const attributes = new Map(adderAttributes(dims, geometry));
  if (autoPad !== undefined) {
    attributes.delete("pads");
    attributes.set("auto_pad", stringAttribute(autoPad));
  }
  const node = makeAdder(context, name, inputs, layer.output, attributes);
  if (layer.node.metadata) node.metadata = layer.node.metadata;
  const described = describeGeometry(dims, geometry);
  const evidence = `${layer.evidence}: ${described}${recovered && `; ${recovered}`}`;
  const pads = autoPad === undefined ? geometry.pads : [];
  reportLayer(context, { node: name, layer: wanted ?? name, form: layer.form, evidence }, dims, {
    ...geometry,
    pads: pads as Geometry["pads"],
  });
  return [node];
}

/** The adder node for a layer; a layer that cannot be completed stays and becomes a problem in the context. */
export function placeForeignLayer(layer: ForeignLayer, scope: Scope): readonly Node[] {
  const { context, facts } = scope;
  const fail = (what: ImportProblem): readonly Node[] => {
    context.problems.push(what);
    return [layer.node];
  };
  const wanted = layerOfWeight(facts.origin(layer.weight)) ?? layerOfNode(layer.node);
  const settings = settingsGeometry(settingsFor(layer, wanted, scope), layer.node);
  const given = mergeGeometry(settings, layer.geometry);
  const shape = facts.dims(layer.weight);
  const dims = shape && weightDims(shape, given.kernel);
  if (dims === undefined) {
    const found = shape
      ? `a weight of ${shape.join("x")}, which is no MxCxKHxKW`
      : `no weight of known shape (${layer.weight})`;
    return fail(problem(layer, "ADN_ADDER_UNRECOGNISED", found));
  }
  const completed = complete(layer, given, dims, scope);
  if ("code" in completed) return fail(completed);
  const nodes = place(layer, dims, completed, wanted, scope);
  return (
    nodes ??
    fail(problem(layer, "ADN_ADDER_UNRECOGNISED", `a third input (${layer.bias}) that is no bias per filter`))
  );
}
