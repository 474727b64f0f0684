// A topology and a checkpoint, walked together into a graph. What does not fit is noted on the way, so that all of it can be told at once.

import { intAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Node } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { addFilter } from "./add-filter.ts";
import { addActivation, addNorm } from "./add-norm.ts";
import {
  type Current,
  type Draft,
  emit,
  type GraphOptions,
  hasShape,
  moveOn,
  shape,
  windowAttributes,
} from "./draft.ts";
import type { AverageStep, MaxPoolStep, ResidualStep, Step, Topology } from "./topology.ts";

export interface DraftGraph {
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** What does not fit, each with names and shapes. */
  readonly problems: readonly string[];
  /** Keys of the checkpoint that are used. */
  readonly used: ReadonlySet<string>;
  /** How many feature maps the reference expects to be a single position and that are averaged into one. */
  readonly leftovers: number;
  /** Name and length of the result [N,classes]. */
  readonly output: string;
  readonly classes: number;
}

function addMaxPool(draft: Draft, { kernel, stride, pad }: MaxPoolStep): void {
  const name = `${draft.current.value}.pool`;
  emit(draft, "MaxPool", name, [], windowAttributes([kernel, kernel], stride, pad));
  moveOn(draft, name, [kernel, kernel], stride, pad);
}

function addAverage(draft: Draft, step: AverageStep): void {
  const { height, width, isFlat } = draft.current;
  if (isFlat || height * width === 1) return;
  if (!step.isExpected) draft.leftovers++;
  emit(draft, "GlobalAveragePool", `${draft.current.value}.mean`, []);
  draft.current = { ...draft.current, height: 1, width: 1 };
}

const extent = ({ channels, height, width }: Current): number[] => [channels, height, width];

function addResidual(draft: Draft, step: ResidualStep): void {
  const start = draft.current;
  addSteps(draft, step.body);
  const body = draft.current;
  draft.current = start;
  const hasLayers = step.shortcut.some((part) => "name" in part && draft.binding.has(part.name));
  if (hasLayers || !step.isShortcutOptional) addSteps(draft, step.shortcut);
  const [shortcut, expected] = [extent(draft.current), extent(body)];
  if (!hasShape(shortcut, expected) && !hasShape(expected, shortcut)) {
    draft.problems.push(`${step.name}: the shortcut gives ${shape(shortcut)}, the body ${shape(expected)}`);
  }
  draft.current = { ...draft.current, channels: Number.isNaN(body.channels) ? shortcut[0]! : body.channels };
  emit(draft, "Add", `${step.name}.add`, [body.value]);
}

const adders: { readonly [K in Step["kind"]]: (draft: Draft, step: Extract<Step, { kind: K }>) => void } = {
  filter: addFilter,
  norm: addNorm,
  activation: addActivation,
  "max-pool": addMaxPool,
  average: addAverage,
  residual: addResidual,
};

function addSteps(draft: Draft, steps: readonly Step[]): void {
  for (const step of steps) (adders[step.kind] as (draft: Draft, step: Step) => void)(draft, step);
}

/** The last value becomes [N,classes] under the name `output`. */
function finish(draft: Draft, output: string): void {
  const { height, width, isFlat, value } = draft.current;
  if (height * width > 1)
    draft.problems.push(`the classifier sees ${height}x${width} positions, expected one`);
  if (!isFlat) {
    draft.nodes.push(makeNode("Flatten", [value], [output], [["axis", intAttribute(1)]]));
    return;
  }
  const last = draft.nodes.at(-1);
  if (last !== undefined) last.outputs = [output];
}

/** Walks the topology. The graph is only whole where `problems` is empty. Errors: ADN_CHECKPOINT for parameters that are no floats. */
export function buildGraph(
  topology: Topology,
  input: string,
  output: string,
  options: GraphOptions,
): DraftGraph {
  const { channels, height, width } = options;
  const draft: Draft = {
    ...options,
    nodes: [],
    initializers: new Map(),
    names: new Set([input, output]),
    problems: [],
    used: new Set(),
    leftovers: 0,
    current: { value: input, channels, height, width, isFlat: false },
  };
  addSteps(draft, topology.steps);
  finish(draft, output);
  const { nodes, initializers, problems, used, leftovers } = draft;
  return { nodes, initializers, problems, used, leftovers, output, classes: draft.current.channels };
}
