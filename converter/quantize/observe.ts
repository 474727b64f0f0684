// The first pass over the samples: a histogram of every value that becomes codes, and the first samples kept for the second.

import { attachFunctions } from "../../custom-ops/attach-functions.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import { removeDead } from "../../src/core/ir/edit.ts";
import type { Model } from "../../src/core/ir/model.ts";
import type { Feeds } from "../verify.ts";
import { type Histogram, type HistogramBuilder, makeHistogram } from "./histogram.ts";
import type { RunningModel, StartModel } from "./parts.ts";
import type { Subject } from "./subject.ts";

export type Samples = Iterable<Feeds> | AsyncIterable<Feeds>;

export interface Observation {
  readonly histograms: ReadonlyMap<string, Histogram>;
  /** Samples kept, whole feeds of them. */
  readonly kept: readonly Feeds[];
  /** How many samples were seen. */
  readonly samples: number;
}

/** The float model with the observed values as outputs, and nothing that only other outputs need. */
function observedModel({ model }: Subject, names: readonly string[]): Model {
  const observed = cloneModel(model);
  observed.graph.outputs = names.map((name) => ({ name }));
  removeDead(observed.graph);
  attachFunctions(observed);
  return observed;
}

/** Where every observed value is fed. */
const nothingToRun: RunningModel = { run: async () => new Map() };

export function batchOf(feeds: Feeds): number {
  const [first] = feeds.values();
  return first?.dims[0] ?? 1;
}

function addAll(
  histograms: ReadonlyMap<string, HistogramBuilder>,
  values: ReadonlyMap<string, { readonly data: unknown }>,
  feeds: Feeds,
): void {
  for (const [name, histogram] of histograms) {
    histogram.add((feeds.get(name) ?? values.get(name))!.data as Float32Array);
  }
}

/**
 * Runs the float model over all samples. `keep` answers whether one more feed may be kept beside so many samples.
 * ADN_DATA when there is no sample, or a value is not finite.
 */
export async function observe(
  subject: Subject,
  samples: Samples,
  start: StartModel,
  keep: (kept: number) => boolean,
  onSample: (done: number) => void,
): Promise<Observation> {
  const inputs = new Set(subject.model.graph.inputs.map(({ name }) => name));
  const names = subject.values.map(({ name }) => name);
  const histograms = new Map(names.map((name) => [name, makeHistogram(name)]));
  const made = names.filter((name) => !inputs.has(name));
  const running = made.length > 0 ? await start(observedModel(subject, made)) : nothingToRun;
  const kept: Feeds[] = [];
  let [count, keptCount] = [0, 0];
  try {
    for await (const feeds of samples) {
      addAll(histograms, await running.run(feeds), feeds);
      const batch = batchOf(feeds);
      if (kept.length === 0 || keep(keptCount + batch)) {
        kept.push(feeds);
        keptCount += batch;
      }
      count += batch;
      onSample(count);
    }
  } finally {
    await running.dispose?.();
  }
  if (count === 0) throw new AdderNetError("ADN_DATA", "there are no samples to calibrate with");
  const results = [...histograms].map(([name, histogram]) => [name, histogram.result()] as const);
  return { histograms: new Map(results), kept, samples: count };
}
