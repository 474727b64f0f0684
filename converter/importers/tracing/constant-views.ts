// Constants as labels: which element of which constant stands where, so that weights can be gathered once a layer is known.

import type { Node } from "../../../src/core/ir/model.ts";
import { elementCount, stridesOf, type Tensor } from "../../../src/core/tensor.ts";
import { bottomUp } from "./bottom-up.ts";
import type { ConcreteFacts } from "./concrete-facts.ts";
import { type LabelView, linearView } from "./label-view.ts";
import { isMovement, moveLabels } from "./movement.ts";

type Sign = 1 | -1;

export interface ConstantViews {
  /** The names, in the graph, of the constants that labels stand for. */
  readonly names: readonly string[];
  /**
   * Labels of a constant times `sign`, traced to the constant it was moved from, so that a repetition (Expand) repeats labels.
   * Undefined for what is no constant.
   */
  view(name: string, sign: Sign): LabelView | undefined;
  /** The number that a label stands for. */
  at(label: number): number;
}

interface Pooled {
  readonly name: string;
  readonly sign: Sign;
  readonly start: number;
  readonly end: number;
  readonly tensor: Tensor;
}

/** Whether all slices along an axis are equal. */
function isRepeated({ data, dims }: Tensor, axis: number): boolean {
  const inner = elementCount(dims.slice(axis + 1));
  const block = inner * dims[axis]!;
  for (let at = 0; at < data.length; at++) {
    const first = at - (at % block) + (at % inner);
    if (data[at] !== data[first]) return false;
  }
  return true;
}

/** Elements between neighbours along each axis; 0 where an exporter has repeated the constant. */
function stepsOf(tensor: Tensor): number[] {
  return stridesOf(tensor.dims).map((step, axis) =>
    tensor.dims[axis]! > 1 && isRepeated(tensor, axis) ? 0 : step,
  );
}

export function constantViews(producer: ReadonlyMap<string, Node>, facts: ConcreteFacts): ConstantViews {
  const pool: Pooled[] = [];
  let latest: Pooled | undefined;
  const pooled = (name: string, sign: Sign): LabelView | undefined => {
    const tensor = facts.constant(name);
    if (tensor === undefined) return undefined;
    let entry = pool.find((other) => other.name === name && other.sign === sign);
    if (entry === undefined) {
      const start = pool.at(-1)?.end ?? 0;
      entry = { name, sign, start, end: start + elementCount(tensor.dims), tensor };
      pool.push(entry);
    }
    const view = linearView(tensor.dims, stepsOf(tensor));
    return { ...view, base: view.base + entry.start };
  };
  const movedFrom = (name: string): readonly string[] => {
    const node = producer.get(name);
    return node !== undefined && isMovement(node) && facts.constant(node.inputs[0]!) ? [node.inputs[0]!] : [];
  };
  const known = {
    1: new Map<string, LabelView | undefined>(),
    [-1]: new Map<string, LabelView | undefined>(),
  };
  const view = (name: string, sign: Sign): LabelView | undefined =>
    bottomUp(name, known[sign], movedFrom, (value) => {
      const [node, [from]] = [producer.get(value), movedFrom(value)];
      const inner = from === undefined ? undefined : known[sign].get(from);
      const output = node?.outputs.indexOf(value) ?? 0;
      const moved =
        inner && moveLabels({ node: node!, output, facts, view: inner, lead: 0, pad: () => undefined });
      return moved ?? pooled(value, sign);
    });
  const holds = (entry: Pooled | undefined, label: number): boolean =>
    entry !== undefined && label >= entry.start && label < entry.end;
  const at = (label: number): number => {
    const entry = holds(latest, label) ? latest! : pool.find((each) => holds(each, label))!;
    latest = entry;
    return entry.sign * (entry.tensor.data as ArrayLike<number>)[label - entry.start]!;
  };
  return {
    get names() {
      return pool.map(({ name }) => name);
    },
    view,
    at,
  };
}
