// Do two models compute the same? Both run by the references of their ops, on the same random inputs.

import { expect } from "vitest";
import { ops } from "../../custom-ops/index.ts";
import { interpret } from "../../src/core/interpret.ts";
import type { Model } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { randomTensor } from "./parse-model.ts";

/** Lengths that symbols stand for; any other symbol is 2. */
const lengths: Record<string, number> = { N: 2, H: 6, W: 5 };

export function feedsOf({ graph }: Model, seed = ""): Map<string, Tensor> {
  return new Map(
    graph.inputs.map(({ name, type }) => {
      if (type?.kind !== "tensor" || type.shape === undefined) throw new Error(`${name} has no shape`);
      const dims = type.shape.map((dim) => (typeof dim === "number" ? dim : (lengths[dim ?? ""] ?? 2)));
      return [name, randomTensor(`${name}${seed}`, type.elemType, dims)];
    }),
  );
}

export function run(model: Model, feeds: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const { graph, opsetImports, functions } = model;
  return new Map(interpret(graph, opsetImports, ops, feeds, { float64: true, functions }));
}

export function expectClose(
  found: Tensor | undefined,
  expected: Tensor,
  tolerance: number,
  what: string,
): void {
  expect(found?.dims, what).toEqual(expected.dims);
  const [left, right] = [found!.data as ArrayLike<number>, expected.data as ArrayLike<number>];
  let [largest, difference] = [0, 0];
  for (let index = 0; index < right.length; index++) {
    largest = Math.max(largest, Math.abs(Number(right[index])));
    const distance = Math.abs(Number(left[index]) - Number(right[index]));
    difference = Math.max(difference, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance);
  }
  expect(difference, `${what} differs by ${difference}`).toBeLessThanOrEqual(tolerance * (1 + largest));
}

/** float64 models agree to 1e-9 of their largest number. */
export function expectSameNumbers(before: Model, after: Model, tolerance = 1e-9): void {
  const feeds = feedsOf(before);
  const [expected, found] = [run(before, feeds), run(after, feeds)];
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, tensor] of expected) expectClose(found.get(name), tensor, tolerance, name);
}
