// How a recognised adder layer is told.

import type { ImportedLayer } from "../../converter/index.ts";
import { textTable } from "./text-table.ts";

export interface LayerRow {
  /** Name of the module in the original network. */
  readonly name: string;
  readonly node: string;
  /** How the export wrote the layer, and why it is one. */
  readonly form: string;
  readonly evidence: string;
  readonly weight: readonly number[];
  readonly strides: readonly number[];
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly group: number;
}

export function describeLayer({ layer, weightShape, ...others }: ImportedLayer): LayerRow {
  return { name: layer, weight: weightShape, ...others };
}

/** One number where all sides are alike. */
export function padsText(pads: readonly number[]): string {
  if (pads.length === 0) return "auto";
  return new Set(pads).size === 1 ? `${pads[0]}` : pads.join(",");
}

export function layerTable(layers: readonly LayerRow[]): string {
  const rows = layers.map(({ name, form, weight, strides, pads, dilations, group }) => [
    name,
    form,
    weight.join("x"),
    strides.join(","),
    padsText(pads),
    [
      dilations.some((step) => step !== 1) && `dilations ${dilations.join(",")}`,
      group !== 1 && `group ${group}`,
    ]
      .filter(Boolean)
      .join(" "),
  ]);
  return textTable([["layer", "recognised as", "weight", "stride", "pads", ""], ...rows], { head: true });
}
