// Does the written file compute what the original meant? Same inputs through the original semantics in float64 and through the file.

import { inlineFunctions } from "../custom-ops/attach-functions.ts";
import { AdderNetError } from "../src/core/errors.ts";
import { definitionOf } from "../src/core/infer-shapes.ts";
import { interpret } from "../src/core/interpret.ts";
import { cloneModel } from "../src/core/ir/clone.ts";
import type { Graph, Model } from "../src/core/ir/model.ts";
import { encodeModel } from "../src/core/onnx/index.ts";
import type { OpTable } from "../src/core/ops/define-op.ts";
import { sampleFeeds } from "../src/core/sample-feeds.ts";
import { allocate, type Tensor } from "../src/core/tensor.ts";

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

/** What the original computes for given feeds. */
type Oracle = (feeds: Feeds) => Promise<ReadonlyMap<string, Tensor>>;

/** Feeds that the original accepts: symbols other than the batch are bound to the first length that fits. */
async function acceptedFeeds(
  graph: Graph,
  oracle: Oracle,
  batch: number,
  seed: number,
): Promise<{ feeds: Feeds; expected: ReadonlyMap<string, Tensor> }> {
  let refusal: unknown;
  for (const length of lengthsToTry) {
    const feeds = sampleFeeds(graph, { batch, length, seed });
    try {
      return { feeds, expected: await oracle(feeds) };
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

/** The references of the ops in float64; where an op has none, `runForeign` on a file that any onnxruntime runs. */
function makeOracle({ original, ops, runForeign }: VerifyArguments): Oracle {
  const missing = original.graph.nodes.some(
    (node) => definitionOf(node, ops, original.opsetImports)?.definition.reference === undefined,
  );
  if (!missing || runForeign === undefined) return async (feeds) => interpretFloat64(original, ops, feeds);
  const standard = cloneModel(original);
  inlineFunctions(standard);
  const { bytes } = encodeModel(standard);
  return (feeds) => runForeign(bytes, feeds);
}

function rowOf({ type, data, dims }: Tensor, row: number): Tensor {
  const size = data.length / dims[0]!;
  return {
    type,
    data: data.slice(row * size, (row + 1) * size) as Tensor["data"],
    dims: [1, ...dims.slice(1)],
  };
}

function stackRows(rows: readonly Tensor[]): Tensor {
  const [first] = rows as [Tensor];
  const data = allocate(first.type, first.data.length * rows.length) as Float64Array;
  rows.forEach((row, index) => {
    data.set(row.data as Float64Array, index * first.data.length);
  });
  return { type: first.type, data, dims: [rows.length, ...first.dims.slice(1)] };
}

/** The original takes one row at a time: several are run one by one and stacked. */
function byRows(oracle: Oracle): Oracle {
  return async (feeds) => {
    const rows = [...feeds.values()][0]!.dims[0] ?? 1;
    const results: ReadonlyMap<string, Tensor>[] = [];
    for (let row = 0; row < rows; row++) {
      results.push(await oracle(new Map([...feeds].map(([name, tensor]) => [name, rowOf(tensor, row)]))));
    }
    const names = [...results[0]!.keys()];
    return new Map(names.map((name) => [name, stackRows(results.map((result) => result.get(name)!))]));
  };
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
  /** Runs a file whose ops have no reference here, for example with onnxruntime. */
  readonly runForeign?: RunFile;
  /** The converted model takes any batch where the original takes one row. */
  readonly batchFreed: boolean;
  readonly check: CheckOptions;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Throws ADN_VERIFY when any output of any sample is off by more than the tolerance. */
export async function verify(given: VerifyArguments): Promise<Verification> {
  const { original, converted, check } = given;
  const oracle = given.batchFreed ? byRows(makeOracle(given)) : makeOracle(given);
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
    const { feeds, expected } = mine
      ? { feeds: mine, expected: await oracle(mine) }
      : await acceptedFeeds(converted.graph, oracle, batch, (check.seed ?? 1) + sample);
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
  const row = given.batchFreed
    ? new Map([...feeds].map(([name, tensor]) => [name, rowOf(tensor, 0)]))
    : feeds;
  const first = firstDifference(given.original, given.converted, given.ops, row, given.check.rtol);
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
