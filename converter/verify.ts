// Does the written file compute what the original meant? Same inputs through the original semantics in float64 and through the file.

import { AdderNetError } from "../src/core/errors.ts";
import { interpret } from "../src/core/interpret.ts";
import type { Model } from "../src/core/ir/model.ts";
import type { OpTable } from "../src/core/ops/define-op.ts";
import type { Tensor } from "../src/core/tensor.ts";
import { sampleFeeds } from "./sample-feeds.ts";

export type Feeds = ReadonlyMap<string, Tensor>;

/** Runs a written file, for example in a session of `addernet/runtime`. */
export type RunFile = (bytes: Uint8Array, feeds: Feeds) => Promise<ReadonlyMap<string, Tensor>>;

export interface CheckOptions {
  /** How many seeded random inputs to try. */
  readonly samples: number;
  /** |y - reference| <= atol + rtol · max|reference|, per output. */
  readonly rtol: number;
  readonly atol: number;
  readonly seed?: number;
  /** Inputs of the user's own, tried as well. */
  readonly feeds?: readonly Feeds[];
}

export interface Verification {
  readonly samples: number;
  readonly maxDifference: number;
  /** Largest magnitude of the reference in the output with the largest difference. */
  readonly magnitude: number;
  readonly tolerance: number;
  readonly output: string;
}

/** Lengths tried for symbolic dimensions other than the batch, until the graph accepts one. */
const lengthsToTry = [32, 28, 64, 224];

interface Comparison {
  readonly output: string;
  readonly difference: number;
  readonly magnitude: number;
}

function compare(output: string, expected: Tensor, found: Tensor | undefined): Comparison {
  if (found === undefined || found.dims.join() !== expected.dims.join()) {
    throw new AdderNetError("ADN_VERIFY", `output ${output} has the wrong shape`, {
      expected: expected.dims.join("x"),
      found: found ? found.dims.join("x") : "nothing",
    });
  }
  const [a, b] = [expected.data as ArrayLike<number>, found.data as ArrayLike<number>];
  let [difference, magnitude] = [0, 0];
  for (let index = 0; index < a.length; index++) {
    const [left, right] = [Number(a[index]), Number(b[index])];
    const same = left === right || (Number.isNaN(left) && Number.isNaN(right));
    const distance = same ? 0 : Math.abs(left - right);
    difference = Math.max(difference, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance);
    if (Number.isFinite(left)) magnitude = Math.max(magnitude, Math.abs(left));
  }
  return { output, difference, magnitude };
}

/** Feeds that the original accepts: symbols other than the batch are bound to the first length that fits. */
function acceptedFeeds(
  original: Model,
  ops: OpTable,
  batch: number,
  seed: number,
): [Feeds, Map<string, Tensor>] {
  let refusal: unknown;
  for (const length of lengthsToTry) {
    const feeds = sampleFeeds(original.graph, { batch, length, seed });
    try {
      return [feeds, interpretFloat64(original, ops, feeds)];
    } catch (error) {
      if (!(error instanceof AdderNetError) || error.code !== "ADN_SHAPE") throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

function interpretFloat64(model: Model, ops: OpTable, feeds: Feeds): Map<string, Tensor> {
  return interpret(model.graph, model.opsetImports, ops, feeds, {
    float64: true,
    functions: model.functions,
  });
}

/** The value made earliest in `converted` that also exists in `original` and differs: where to look first. */
export function firstDifference(
  original: Model,
  converted: Model,
  ops: OpTable,
  feeds: Feeds,
  tolerance: number,
): string | undefined {
  const made = (model: Model): string[] => model.graph.nodes.flatMap((node) => node.outputs);
  const shared = new Set(made(original));
  const names = made(converted).filter((name) => shared.has(name));
  const run = (model: Model): Map<string, Tensor> =>
    interpret(model.graph, model.opsetImports, ops, feeds, {
      float64: true,
      functions: model.functions,
      keep: new Set(names),
    });
  const [expected, found] = [run(original), run(converted)];
  return names.find((name) => {
    const [left, right] = [expected.get(name), found.get(name)];
    if (left === undefined || right === undefined || left.dims.join() !== right.dims.join()) return false;
    const { difference, magnitude } = compare(name, left, right);
    return difference > tolerance * (1 + magnitude);
  });
}

export interface VerifyArguments {
  /** What the file must compute, in ops that have a reference. */
  readonly original: Model;
  readonly converted: Model;
  readonly bytes: Uint8Array;
  readonly ops: OpTable;
  readonly run: RunFile;
  readonly check: CheckOptions;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Throws ADN_VERIFY when any output of any sample is off by more than the tolerance. */
export async function verify(given: VerifyArguments): Promise<Verification> {
  const { original, ops, check } = given;
  const own = check.feeds ?? [];
  const total = check.samples + own.length;
  let worst: Verification = {
    samples: total,
    maxDifference: 0,
    magnitude: 0,
    tolerance: check.atol,
    output: "",
  };
  for (let sample = 0; sample < total; sample++) {
    const batch = sample % 2 === 0 ? 1 : 2;
    const mine = own[sample - check.samples];
    const [feeds, expected] = mine
      ? [mine, interpretFloat64(original, ops, mine)]
      : acceptedFeeds(original, ops, batch, (check.seed ?? 1) + sample);
    const found = await given.run(given.bytes, feeds);
    for (const { name } of original.graph.outputs) {
      const { difference, magnitude } = compare(name, expected.get(name)!, found.get(name));
      const tolerance = check.atol + check.rtol * magnitude;
      if (difference > tolerance)
        throw failure(given, feeds, { output: name, difference, magnitude }, tolerance);
      if (difference >= worst.maxDifference) {
        worst = { samples: total, maxDifference: difference, magnitude, tolerance, output: name };
      }
    }
    given.onProgress?.(sample + 1, total);
  }
  return worst;
}

function failure(given: VerifyArguments, feeds: Feeds, worst: Comparison, tolerance: number): AdderNetError {
  const first = firstDifference(given.original, given.converted, given.ops, feeds, given.check.rtol);
  return new AdderNetError(
    "ADN_VERIFY",
    `output ${worst.output} differs from the original; nothing was written`,
    {
      expected: `a difference of at most ${tolerance.toPrecision(3)}`,
      found: worst.difference.toPrecision(3),
      fix: first
        ? `the first value that differs is "${first}"`
        : "no intermediate value differs in float64: the difference is one of float32 rounding; --rtol and --atol set what is accepted",
    },
  );
}
