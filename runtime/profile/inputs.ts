// What a model is profiled with: shapes without open lengths, and made-up data where none is given.

import { AdderNetError } from "../../src/core/errors.ts";
import type { Dim, Graph, Model } from "../../src/core/ir/model.ts";
import { sampleFeeds } from "../../src/core/sample-feeds.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import type { Feeds } from "../feeds.ts";

function fixedShape(name: string, shape: readonly Dim[] | undefined): number[] {
  const fixed = shape?.map((dim, axis) => (typeof dim !== "number" && axis === 0 ? 1 : dim));
  if (fixed?.every((dim) => typeof dim === "number")) return fixed as number[];
  throw new AdderNetError("ADN_FEED", `input "${name}" has open lengths`, {
    expected: "a shape of numbers",
    ...(shape && { found: `[${shape.map((dim) => dim ?? "?").join(", ")}]` }),
    fix: `give it: --input-shape ${name}:1,3,32,32, or in code inputShapes`,
  });
}

/** The graph with the shapes of its inputs: those asked for, else its own with a batch of one. Errors: ADN_FEED. */
function withShapes({ graph }: Model, asked: ReadonlyMap<string, readonly Dim[]>): Graph {
  const inputs = graph.inputs.map((info) => {
    if (info.type?.kind !== "tensor") {
      throw new AdderNetError("ADN_FEED", `input "${info.name}" is no tensor`, {
        fix: "such models cannot be profiled",
      });
    }
    const shape = fixedShape(info.name, asked.get(info.name) ?? info.type.shape);
    return { ...info, type: { ...info.type, shape } };
  });
  return { ...graph, inputs };
}

/** Normal numbers, the same every time. */
export function makeFeeds(model: Model, asked: ReadonlyMap<string, readonly Dim[]>): Feeds {
  return Object.fromEntries(sampleFeeds(withShapes(model, asked), { batch: 1, length: 1, seed: 11 }));
}

export function shapesOf(feeds: Feeds): Map<string, readonly number[]> {
  return new Map(Object.entries(feeds).map(([name, { dims }]: [string, Tensor]) => [name, dims]));
}
