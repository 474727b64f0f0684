// What a network and its twin cost by count and by published models, per image.

import { ops } from "../../custom-ops/index.ts";
import { inferShapes } from "../../src/core/infer-shapes.ts";
import type { Dim, Model } from "../../src/core/ir/model.ts";
import { countCosts, countNode, type Facts, product } from "./costs.ts";
import {
  cyclesOf,
  energyOf,
  type Operations,
  type Precision,
  processors,
  publishedFor,
} from "./models-of-cost.ts";
import type { CostsReport, NetworkCosts } from "./report.ts";

function networkCosts(operations: Operations, precision: Precision): NetworkCosts {
  const cycles = processors.map((processor) => [processor.name, cyclesOf(operations, processor)] as const);
  return {
    ...operations,
    energyMicrojoules: energyOf(operations, precision),
    cycles: Object.fromEntries(cycles),
  };
}

const pools = ["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"];

/** Values that batch normalisation makes (it may be inside a layer) and values that are pooled, in one run. */
function normalisedAndPooled({ graph }: Model, facts: Facts): { normalised: number; pooled: number } {
  let [normalised, pooled] = [0, 0];
  for (const node of graph.nodes) {
    if (node.opType === "Mul") continue;
    normalised += countNode(node, facts).scalings;
    if (pools.includes(node.opType)) pooled += product(facts.get(node.inputs[0]!)?.shape) ?? 0;
  }
  return { normalised, pooled };
}

/** Twins do the same but for the taps of adder layers: two additions there, a product and an addition here. */
function operationsOf(
  adderTaps: number,
  products: number,
  others: number,
): { adder: Operations; cnn: Operations } {
  const taps = adderTaps + products;
  const isAdder = adderTaps > 0;
  const half = Math.round(others);
  return {
    cnn: { additions: taps + half, multiplications: taps + half },
    adder: {
      additions: 2 * adderTaps + products + (isAdder ? 2 * half : half),
      multiplications: products + (isAdder ? 0 : half),
    },
  };
}

export function costsReport(model: Model, shapes: ReadonlyMap<string, readonly Dim[]>): CostsReport {
  const { graph, opsetImports, functions } = model;
  const counted = countCosts(model, shapes);
  const adderTaps = counted.adders.reduce((sum, { taps }) => sum + (taps ?? 0), 0);
  const isCodes = graph.nodes.some(({ opType }) => opType === "QLinearAdder2d");
  const precision: Precision = isCodes ? "int8" : "float32";
  const facts = inferShapes(graph, opsetImports, ops, { inputs: shapes, functions });
  const images = Number([...shapes.values()][0]?.[0] ?? 1);
  const { normalised, pooled } = normalisedAndPooled(model, facts);
  const plain = operationsOf(adderTaps, counted.multiplications, 0);
  const full = operationsOf(adderTaps, counted.multiplications, (2 * normalised + pooled) / images);
  const known = adderTaps > 0 ? publishedFor(adderTaps + counted.multiplications) : undefined;
  return {
    precision,
    adder: networkCosts(plain.adder, precision),
    cnn: networkCosts(plain.cnn, precision),
    withNormalisation: {
      adder: networkCosts(full.adder, precision),
      cnn: networkCosts(full.cnn, precision),
    },
    published: known
      ? {
          network: known.network,
          cnn: known.cnn,
          adder: known.adder,
          vianano: known.cycles ?? null,
          difference: known.difference,
        }
      : null,
  };
}
