// Stride, padding, dilation and groups under all the names people give them.

import { toSafeNumber } from "../../src/core/ir/attributes.ts";
import type { Attribute, Node } from "../../src/core/ir/model.ts";
import type { AdderSettings } from "./importer.ts";

type Pair = readonly [number, number];
type Pads = readonly [number, number, number, number];

/** What a node says of its geometry, in ONNX order. */
export interface PartialGeometry {
  readonly strides?: Pair | undefined;
  readonly pads?: Pads | undefined;
  readonly dilations?: Pair | undefined;
  readonly group?: number | undefined;
  /** SAME_UPPER, SAME_LOWER or VALID. */
  readonly autoPad?: string | undefined;
  readonly kernel?: Pair | undefined;
}

const aliases = {
  strides: ["strides", "stride"],
  pads: ["pads", "padding", "pad", "paddings"],
  dilations: ["dilations", "dilation", "dilate"],
  group: ["group", "groups", "num_groups"],
  kernel: ["kernel_shape", "kernel_size", "kernel", "ksize"],
  autoPad: ["auto_pad", "padding_mode", "pad_mode", "padding"],
} as const;

function integers(attribute: Attribute | undefined): number[] | undefined {
  if (attribute?.type === "INT") return [toSafeNumber(attribute.value)];
  if (attribute?.type === "INTS") return attribute.value.map(toSafeNumber);
  const floats =
    attribute?.type === "FLOAT"
      ? [attribute.value]
      : attribute?.type === "FLOATS"
        ? attribute.value
        : undefined;
  return floats?.every(Number.isInteger) ? [...floats] : undefined;
}

function find(node: Node, names: readonly string[]): { name: string; values: number[] } | undefined {
  for (const name of names) {
    const values = integers(node.attributes.get(name));
    if (values !== undefined && values.length > 0) return { name, values };
  }
  return undefined;
}

function pairOf(values: readonly number[] | undefined, least: number): Pair | undefined {
  if (values === undefined || values.length > 2 || values.some((value) => value < least)) return undefined;
  return [values[0]!, values[1] ?? values[0]!];
}

function groupOf(values: readonly number[] | undefined): number | undefined {
  return values?.length === 1 && values[0]! >= 1 ? values[0] : undefined;
}

/** One number, height and width, or all four sides. Only ONNX's own name says in which order four different sides stand. */
function padsOf(name: string, values: readonly number[]): Pads | undefined {
  if (values.some((value) => value < 0)) return undefined;
  if (values.length <= 2) {
    const [height, width] = pairOf(values, 0)!;
    return [height, width, height, width];
  }
  const isPlain = values.length === 4 && (name === "pads" || values.every((value) => value === values[0]));
  return isPlain ? (values as unknown as Pads) : undefined;
}

const autoPads: Readonly<Record<string, string>> = {
  SAME_UPPER: "SAME_UPPER",
  SAME_LOWER: "SAME_LOWER",
  SAME: "SAME_UPPER",
  VALID: "VALID",
};

function autoPadOf(node: Node): string | undefined {
  for (const name of aliases.autoPad) {
    const attribute = node.attributes.get(name);
    if (attribute?.type !== "STRING") continue;
    const mode = autoPads[new TextDecoder().decode(attribute.value).toUpperCase()];
    if (mode !== undefined) return mode;
  }
  return undefined;
}

/** Geometry as the node's attributes give it, whatever they are called; what is absent or unclear stays undefined. */
export function geometryAttributes(node: Node): PartialGeometry {
  const pads = find(node, aliases.pads);
  return {
    strides: pairOf(find(node, aliases.strides)?.values, 1),
    pads: pads && padsOf(pads.name, pads.values),
    dilations: pairOf(find(node, aliases.dilations)?.values, 1),
    group: groupOf(find(node, aliases.group)?.values),
    kernel: pairOf(find(node, aliases.kernel)?.values, 1),
    autoPad: autoPadOf(node),
  };
}

/** Names of attributes that are there and say nothing that can be used: of a wrong type, out of range, in an order nobody knows. */
export function unreadableAttributes(node: Node): string[] {
  const geometry = geometryAttributes(node);
  return (["strides", "pads", "dilations", "group", "kernel"] as const).flatMap((key) => {
    const isRead = geometry[key] !== undefined || (key === "pads" && geometry.autoPad !== undefined);
    return isRead ? [] : aliases[key].filter((name) => node.attributes.has(name));
  });
}

/** Settings of a user as a geometry: 1 or 2 numbers for pairs, 1, 2 or 4 for pads. Undefined when some list has another length. */
export function geometryOfSettings(settings: AdderSettings): PartialGeometry | undefined {
  const strides = pairOf(settings.strides, 1);
  const dilations = pairOf(settings.dilations, 1);
  const pads = settings.pads && padsOf("pads", settings.pads);
  const wrong = [
    [settings.strides, strides],
    [settings.dilations, dilations],
    [settings.pads, pads],
  ].some(([given, read]) => given !== undefined && read === undefined);
  return wrong ? undefined : { strides, pads, dilations, group: settings.group };
}

/** The first geometry's values, and the second's where the first has none. */
export function mergeGeometry(first: PartialGeometry, second: PartialGeometry): PartialGeometry {
  const pads = first.pads ?? (first.autoPad === undefined ? second.pads : undefined);
  return {
    strides: first.strides ?? second.strides,
    pads,
    dilations: first.dilations ?? second.dilations,
    group: first.group ?? second.group,
    kernel: first.kernel ?? second.kernel,
    autoPad: pads === undefined ? (first.autoPad ?? second.autoPad) : undefined,
  };
}
