// A CNN as adderize works on it, checked against what the file computes.

import { prepareCnn } from "../../converter/index.ts";
import { AdderNetError } from "../core/errors.ts";
import type { Model } from "../core/ir/model.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";
import { startModel } from "./start-model.ts";

type Values = ReadonlyMap<string, Tensor>;
type FeedOf = (model: Model) => Promise<Values>;

const tolerance = 1e-3;

const firstDim = ({ graph }: Model) => {
  const type = graph.inputs[0]?.type;
  return type?.kind === "tensor" ? type.shape?.[0] : undefined;
};

async function runOn(model: Model, feeds: readonly Values[]): Promise<Values[]> {
  const running = await startModel(model);
  try {
    const answers: Values[] = [];
    for (const feed of feeds) answers.push(await running.run(feed));
    return answers;
  } finally {
    await running.dispose?.();
  }
}

function rowsOf(feed: Values): Values[] {
  const rows = [...feed.values()][0]!.dims[0]!;
  return Array.from({ length: rows }, (_, row) => {
    const rowOf = ({ type, data, dims }: Tensor): Tensor => {
      const size = elementCount(dims.slice(1));
      const part = (data as Float32Array).slice(row * size, (row + 1) * size);
      return { type, data: part, dims: [1, ...dims.slice(1)] };
    };
    return new Map([...feed].map(([name, tensor]) => [name, rowOf(tensor)]));
  });
}

/** Largest difference over the largest value, of outputs that are floats; rows of `wanted` follow each other. */
function worstDifference(wanted: readonly Values[], found: Values): number {
  let worst = 0;
  for (const [name, tensor] of found) {
    if (tensor.type !== "float32") continue;
    const expected = wanted.flatMap((values) => [...(values.get(name)!.data as Float32Array)]);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    const data = tensor.data as Float32Array;
    if (data.length !== expected.length) return Number.POSITIVE_INFINITY;
    const difference = expected.reduce(
      (most, value, index) => Math.max(most, Math.abs(value - data[index]!)),
      0,
    );
    worst = Math.max(worst, difference / largest);
  }
  return worst;
}

/**
 * Optimises a CNN, with a free batch where rows do not mix, and makes sure that it still computes the same on a feed. `feedOf` makes
 * a feed for a model. Errors: ADN_VERIFY, and those of running it.
 */
export async function prepareVerified(original: Model, feedOf: FeedOf): Promise<Model> {
  const freed = prepareCnn(original, { free: true });
  const wasFreed = firstDim(freed) !== firstDim(original);
  const feed = await feedOf(freed);
  const wanted = await runOn(original, wasFreed ? rowsOf(feed) : [feed]);
  const [found] = (await runOn(freed, [feed])) as [Values];
  if (worstDifference(wanted, found) <= tolerance) return freed;
  if (wasFreed) return prepareFixed(original, feedOf);
  throw changed(worstDifference(wanted, found));
}

async function prepareFixed(original: Model, feedOf: FeedOf): Promise<Model> {
  const fixed = prepareCnn(original);
  const feed = await feedOf(fixed);
  const wanted = await runOn(original, [feed]);
  const [found] = (await runOn(fixed, [feed])) as [Values];
  const worst = worstDifference(wanted, found);
  if (worst <= tolerance) return fixed;
  throw changed(worst);
}

function changed(worst: number): AdderNetError {
  return new AdderNetError("ADN_VERIFY", "the optimised CNN computes something else than the file", {
    expected: `a difference of at most ${tolerance} of the largest value`,
    found: worst.toPrecision(3),
  });
}
