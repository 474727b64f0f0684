// Strides and paddings to propose for layers that lost them: common ones under which all shapes of the network fit together.

import { AdderNetError } from "../../src/core/errors.ts";
import { inferShapes } from "../../src/core/infer-shapes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Graph, Model, Node } from "../../src/core/ir/model.ts";
import type { OpTable, ValueFact } from "../../src/core/ops/define-op.ts";
import type { LostGeometry } from "./importer.ts";
import { adderAttributes } from "./place-adder.ts";
import type { Geometry } from "./tracing/match-layers.ts";

/** Shape inferences of the network that a proposal may cost. */
const mostTrials = 400;

type Choice = Pick<Geometry, "strides" | "pads">;

/** What people use: the map keeps its size, then no padding, then both with stride 2. */
function commonChoices({ weightDims, known }: LostGeometry): Choice[] {
  const half = weightDims.slice(2).map((length) => Math.floor((length - 1) / 2)) as [number, number];
  const same = [half[0], half[1], half[0], half[1]] as const;
  const none = [0, 0, 0, 0] as const;
  const paddings = same.every((pad) => pad === 0) ? [none] : [same, none];
  const strides = [[1, 1] as const, [2, 2] as const];
  const choices = strides.flatMap((stride) => paddings.map((pads) => ({ strides: stride, pads })));
  const completed = choices.map((choice) => ({
    strides: known.strides ?? choice.strides,
    pads: known.pads ?? choice.pads,
  }));
  return [...new Map(completed.map((choice) => [JSON.stringify(choice), choice])).values()];
}

function adderFor(lost: LostGeometry, { strides, pads }: Choice, weight: string): Node {
  const geometry = { strides, pads, dilations: lost.known.dilations, group: lost.known.group };
  return makeNode("Adder2d", [lost.x, weight], [lost.output], adderAttributes(lost.weightDims, geometry), {
    domain: "addernet",
    name: lost.name,
  });
}

const weightName = (lost: LostGeometry): string => `${lost.output}.weight`;

/** The graph with the first layers as chosen, cut off before the first that is not. */
function partialGraph(graph: Graph, layers: readonly LostGeometry[], chosen: readonly Choice[]): Graph {
  const places = new Map(layers.map((lost, index) => [lost.node, index]));
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const index = places.get(node);
    if (index === undefined) nodes.push(node);
    else if (index < chosen.length)
      nodes.push(adderFor(layers[index]!, chosen[index]!, weightName(layers[index]!)));
    else break;
  }
  const initializers = new Map(graph.initializers);
  for (const lost of layers) {
    const count = lost.weightDims.reduce((product, dim) => product * dim, 1);
    initializers.set(weightName(lost), {
      type: "float32",
      data: new Float32Array(count),
      dims: lost.weightDims,
    });
  }
  return { ...graph, nodes, initializers, outputs: [], valueInfo: new Map() };
}

/** Maps that are flattened for a classifier have shrunk to one place. */
function endsInOnePlace(graph: Graph, facts: ReadonlyMap<string, ValueFact>): boolean {
  const flattened = graph.nodes.filter(({ opType }) => opType === "Flatten" || opType === "Reshape");
  return flattened.every((node) => {
    const shape = facts.get(node.inputs[0]!)?.shape;
    return shape?.length !== 4 || (shape[2] === 1 && shape[3] === 1);
  });
}

/**
 * The first combination of common strides and paddings, without strides if there is one, that no shape contradicts and that leaves a map of one place before each Flatten or Reshape; undefined when none is found within a bounded search. `layers` are in graph order.
 */
export function suggestGeometry(
  model: Model,
  ops: OpTable,
  layers: readonly LostGeometry[],
): Choice[] | undefined {
  const all = layers.map(commonChoices);
  const unstrided = all.map((choices) =>
    choices.filter(({ strides }) => strides.every((stride) => stride === 1)),
  );
  let trials = 0;
  const fits = (chosen: readonly Choice[]): boolean => {
    trials++;
    const graph = partialGraph(model.graph, layers, chosen);
    try {
      const facts = inferShapes(graph, new Map([...model.opsetImports, ["addernet", 1]]), ops);
      return chosen.length < layers.length || endsInOnePlace(graph, facts);
    } catch (error) {
      if (error instanceof AdderNetError) return false;
      throw error;
    }
  };
  const search = (
    options: readonly (readonly Choice[])[],
    chosen: readonly Choice[] = [],
  ): Choice[] | undefined => {
    if (chosen.length === layers.length) return [...chosen];
    for (const choice of options[chosen.length]!) {
      if (trials >= mostTrials) return undefined;
      const next = [...chosen, choice];
      const found = fits(next) ? search(options, next) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(unstrided) ?? search(all);
}
