// Values of a graph as labels of one source, followed back through the ops that moved them.

import type { Node } from "../../../src/core/ir/model.ts";
import { bottomUp } from "./bottom-up.ts";
import type { ConcreteFacts } from "./concrete-facts.ts";
import type { LabelView } from "./label-view.ts";
import type { Layout } from "./layouts.ts";
import { concatAxis, concatLabels, isZeroConstant, movedInputs, moveLabels } from "./movement.ts";
import { decodeLabel, type LabelCode, labelCode, labelSource, padLabels } from "./source-labels.ts";

export interface Source {
  readonly producer: ReadonlyMap<string, Node>;
  readonly facts: ConcreteFacts;
  readonly source: string;
  readonly layout: Layout;
  /** Values that are no longer made by movement: outputs of layers already found. */
  readonly barriers: ReadonlySet<string>;
}

export interface DataViews {
  readonly code: LabelCode;
  /** How far padding reaches beyond the end of height and width, in all that was read so far. */
  readonly padEnd: { h: number; w: number };
  /** Undefined when the value is not moved from the source, or not by steps that labels can follow. */
  view(name: string): LabelView | undefined;
}

/** The length of a constant of zeros along the axis in which a Concat joins it. */
function zerosAlong(concat: Node, name: string, facts: ConcreteFacts): { zeros: number } | undefined {
  const dims = facts.dims(name);
  if (dims === undefined || !isZeroConstant(facts, name)) return undefined;
  return { zeros: dims[concatAxis(concat, dims.length)]! };
}

/** A reader of values as labels of one source; what it has read once it keeps. */
export function dataViews({ producer, facts, source, layout, barriers }: Source): DataViews {
  const dims = facts.dims(source)!;
  const code = labelCode(dims, layout);
  const padEnd = { h: 0, w: 0 };
  const known = new Map<string, LabelView | undefined>([[source, labelSource(code, dims, layout)]]);
  const pad = (view: LabelView, axis: number, before: number, after: number): LabelView | undefined => {
    const padded = padLabels(code, view, axis, before, after);
    if (padded === undefined) return undefined;
    const last = padded.tables.find(({ axes }) => axes.includes(axis))?.values.at(-1) ?? 0;
    const { h, w } = decodeLabel(code, padded.base + last);
    padEnd.h = Math.max(padEnd.h, h - code.size[2] + 1);
    padEnd.w = Math.max(padEnd.w, w - code.size[3] + 1);
    return padded;
  };
  const follow = (name: string): LabelView | undefined => {
    const node = producer.get(name)!;
    if (node.opType === "Concat") {
      const inputs = node.inputs.map((input) => known.get(input) ?? zerosAlong(node, input, facts));
      const joined = concatLabels(node, inputs, 0, pad);
      return joined?.dims.join() === facts.dims(name)?.join() ? joined : undefined;
    }
    const view = known.get(node.inputs[0]!);
    return view && moveLabels({ node, output: node.outputs.indexOf(name), facts, view, lead: 0, pad });
  };
  const movedFrom = (name: string): readonly string[] => {
    const node = barriers.has(name) ? undefined : producer.get(name);
    return node === undefined ? [] : movedInputs(node);
  };
  const view = (name: string): LabelView | undefined =>
    bottomUp(name, known, movedFrom, (value) => (movedFrom(value).length > 0 ? follow(value) : undefined));
  return { code, padEnd, view };
}
