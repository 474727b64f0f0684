// Accuracy and speed of a classifier on labelled images.

import { setImmediate } from "node:timers/promises";
import { AdderNetError } from "../core/errors.ts";
import type { Dim } from "../core/ir/model.ts";
import type { Tensor } from "../core/tensor.ts";
import type { Samples } from "./data-sets/samples.ts";
import type { ModelInput } from "./feeds.ts";

export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface Evaluation {
  readonly images: number;
  readonly top1: number;
  readonly top5: number;
  /** Time inside the engine, without reading images. */
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Rows are labels, columns predictions. */
  readonly confusion: readonly (readonly number[])[];
}

const colourOf = (channels: number | Dim): string =>
  channels === 1 ? "grey" : channels === 3 ? "colour" : `${channels ?? "?"}-channel`;

/** Shape of one fed image: C,H,W or flattened. Errors: ADN_DATA when images and model do not fit. */
export function imageDims(input: ModelInput, { name, shape }: Samples): number[] {
  const wanted = input.shape?.slice(1);
  if (wanted === undefined) return [...shape];
  const fits = (dims: readonly number[]): boolean =>
    wanted.length === dims.length &&
    wanted.every((dim, axis) => typeof dim !== "number" || dim === dims[axis]);
  const candidates = [
    [...shape],
    [shape[0] * shape[1] * shape[2]],
    ...(shape[0] === 1 ? [shape.slice(1)] : []),
  ];
  const found = candidates.find(fits);
  if (found) return found;
  const model = wanted.map((dim) => dim ?? "?").join("x");
  throw new AdderNetError("ADN_DATA", `the images of ${name} do not fit input "${input.name}"`, {
    expected: wanted.length === 3 ? `${colourOf(wanted[0]!)} ${model}` : model,
    found: `${colourOf(shape[0])} ${shape.join("x")}`,
    fix: "take the data set the model was trained on, or pictures of that size and colour",
  });
}

/** (v/255 - mean)/std per channel, rounded to float32 after each step as PyTorch does. */
function pixelTable({ mean, std }: Normalisation): Float32Array[] {
  return mean.map((average, channel) => {
    const spread = Math.fround(std[channel]!);
    return Float32Array.from(
      { length: 256 },
      (_, value) => Math.fround(Math.fround(value / 255) - Math.fround(average)) / spread,
    );
  });
}

/** How read values become what the model takes. */
export function normaliser(
  samples: Samples,
  normalisation: Normalisation | undefined,
): (image: Float32Array) => void {
  if (normalisation === undefined) return () => {};
  const plane = samples.shape[1] * samples.shape[2];
  if (samples.kind === "pixels") {
    const table = pixelTable(normalisation);
    return (image) => {
      for (let at = 0; at < image.length; at++) image[at] = table[Math.floor(at / plane)]![image[at]!]!;
    };
  }
  const { mean, std } = normalisation;
  return (image) => {
    for (let at = 0; at < image.length; at++) {
      const channel = Math.floor(at / plane);
      image[at] = (image[at]! - mean[channel]!) / std[channel]!;
    }
  };
}

/** How many scores beat the label's; equal ones count when they stand before it, and NaN beats everything. */
function rankOf(scores: ArrayLike<number>, start: number, classes: number, label: number): number {
  const own = scores[start + label]!;
  if (Number.isNaN(own)) return classes;
  let rank = 0;
  for (let c = 0; c < classes; c++) {
    const score = scores[start + c]!;
    if (score > own || Number.isNaN(score) || (score === own && c < label)) rank++;
  }
  return rank;
}

function bestOf(scores: ArrayLike<number>, start: number, classes: number): number {
  let best = 0;
  for (let c = 1; c < classes; c++) if (scores[start + c]! > scores[start + best]!) best = c;
  return best;
}

/** Scores per image. Errors: ADN_DATA when the output is no row of scores per image. */
function classCount(output: Tensor | undefined, batch: number): number {
  const classes = (output?.data.length ?? 0) / batch;
  if (output && output.dims[0] === batch && Number.isInteger(classes) && classes >= 2) return classes;
  throw new AdderNetError("ADN_DATA", "the model's first output is no list of scores per image", {
    expected: `[${batch}, classes]`,
    found: output ? `[${output.dims.join(", ")}]` : "nothing",
  });
}

interface Tally {
  images: number;
  top1: number;
  top5: number;
  milliseconds: number;
  confusion: number[][];
}

function count(
  tally: Tally,
  output: Tensor,
  batch: number,
  used: number,
  label: (index: number) => number,
): void {
  const classes = classCount(output, batch);
  const scores = output.data as ArrayLike<number>;
  if (tally.confusion.length === 0) {
    tally.confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  }
  for (let index = 0; index < used; index++) {
    const wanted = label(index);
    if (!(wanted >= 0 && wanted < classes)) {
      throw new AdderNetError("ADN_DATA", "a label is outside the model's classes", {
        expected: `0 to ${classes - 1}`,
        found: `${wanted}`,
      });
    }
    const rank = rankOf(scores, index * classes, classes, wanted);
    if (rank === 0) tally.top1++;
    if (rank < 5) tally.top5++;
    tally.confusion[wanted]![bestOf(scores, index * classes, classes)]!++;
    tally.images++;
  }
}

export interface EvaluateArguments {
  readonly samples: Samples;
  readonly input: ModelInput;
  readonly output: string;
  readonly normalisation: Normalisation | undefined;
  /** At most this many images. */
  readonly limit: number;
  /** Images per run; a model with a fixed batch sets its own. */
  readonly batch: number;
  readonly run: (feeds: ReadonlyMap<string, Tensor>) => Promise<ReadonlyMap<string, Tensor>>;
  readonly onProgress: (done: number, total: number) => void;
}

/** A function that reads images into one tensor, normalised. A batch beyond them is filled up with zeros. */
export function batchReader({
  samples,
  input,
  normalisation,
}: Pick<EvaluateArguments, "samples" | "input" | "normalisation">): (
  indices: readonly number[],
  batch: number,
) => Tensor {
  const dims = imageDims(input, samples);
  const length = samples.shape[0] * samples.shape[1] * samples.shape[2];
  const normalise = normaliser(samples, normalisation);
  return (indices, batch) => {
    const data = new Float32Array(batch * length);
    for (const [row, index] of indices.entries()) {
      samples.read(index, data, row * length);
      normalise(data.subarray(row * length, (row + 1) * length));
    }
    return { type: "float32", data, dims: [batch, ...dims] };
  };
}

/** Errors: ADN_DATA, and those of `run`. */
export async function evaluate(given: EvaluateArguments): Promise<Evaluation> {
  const { samples, input } = given;
  const read = batchReader(given);
  const total = Math.min(given.limit, samples.count);
  if (total === 0) throw new AdderNetError("ADN_DATA", "there are no images", { where: samples.name });
  const fixed = typeof input.shape?.[0] === "number" ? input.shape[0] : undefined;
  const tally: Tally = { images: 0, top1: 0, top5: 0, milliseconds: 0, confusion: [] };
  for (let start = 0; start < total; start = tally.images) {
    const used = Math.min(fixed ?? given.batch, total - start);
    const batch = fixed ?? used;
    const indices = Array.from({ length: used }, (_, row) => start + row);
    const feeds = new Map([[input.name, read(indices, batch)]]);
    const from = performance.now();
    const outputs = await given.run(feeds);
    tally.milliseconds += performance.now() - from;
    count(tally, outputs.get(given.output)!, batch, used, (index) => samples.label(start + index));
    given.onProgress(tally.images, total);
    // Lets signals in between two batches, each of which computes without a pause.
    await setImmediate();
  }
  const { images, top1, top5, milliseconds, confusion } = tally;
  const seconds = milliseconds / 1000;
  return {
    images,
    top1: top1 / images,
    top5: top5 / images,
    seconds,
    imagesPerSecond: images / seconds,
    confusion,
  };
}
