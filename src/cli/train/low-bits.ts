// Low-bit training on the command line: grids as `addernet quantize` chooses them, and the accuracy of the codes before and after.

import { type Calibration, convert, type Quantized, quantize } from "../../../converter/index.ts";
import { createSession } from "../../../runtime/index.ts";
import type { Model } from "../../core/ir/model.ts";
import {
  fromModel,
  type GridOptions,
  type LowBits,
  type TrainableModel,
  withGrids,
  withValues,
} from "../../train/index.ts";
import { imageFeeds } from "../calibration-samples.ts";
import type { Context } from "../context.ts";
import type { Samples } from "../data-sets/samples.ts";
import { evaluate, type Normalisation } from "../evaluate.ts";
import { imageInput } from "../image-input.ts";
import { startModel } from "../start-model.ts";

/** Images that `addernet quantize` takes as well. */
const calibrationImages = 512;

export interface Images {
  readonly samples: Samples;
  readonly normalisation: Normalisation | undefined;
}

/** A converted float model on codes. */
export function quantizeTrained(
  model: Model,
  bits: number,
  images: Images,
  context: Context,
): Promise<Quantized> {
  const input = imageInput(model, "train");
  const { samples, normalisation } = images;
  return quantize(model, {
    samples: imageFeeds({ samples, normalisation, input, limit: calibrationImages, batch: 8 }),
    start: startModel,
    bits,
    onProgress: ({ phase, done, total }) => context.progress(`calibrating: ${phase}`, done, total),
  });
}

/** Grids of the values that adder layers read. */
export function gridsOf({ values }: Calibration): Map<string, GridOptions> {
  return new Map(
    Object.entries(values).map(([name, { step, zeroPoint, maxCode }]) => [
      name,
      { step, low: -zeroPoint, high: maxCode - zeroPoint },
    ]),
  );
}

/** Share of images that the codes get right, on our runtime. */
export async function accuracyOf(
  model: Model,
  bytes: Uint8Array,
  images: Images,
  context: Context,
): Promise<number> {
  const session = await createSession(bytes);
  try {
    const { top1 } = await evaluate({
      ...images,
      input: imageInput(model, "train"),
      output: model.graph.outputs[0]!.name,
      limit: images.samples.count,
      batch: 16,
      run: async (feeds) => new Map(Object.entries(await session.run(Object.fromEntries(feeds)))),
      onProgress: (done, total) => context.progress("measuring the codes", done, total),
    });
    return top1;
  } finally {
    await session.dispose();
  }
}

/** The trained model on the very codes it was trained for: nothing is measured again. */
export function quantizeOnGrids(
  model: Model,
  calibration: Calibration,
  edges: "float" | "int8" = "int8",
): Promise<Quantized> {
  const layers = Object.entries(calibration.layers).map(([name, { factor }]) => {
    const [ones, zeros] = [factor.map(() => 1), factor.map(() => 0)];
    return [name, { factor: ones, shift: zeros, sqnr: null }] as const;
  });
  return quantize(model, { edges, calibration: { ...calibration, layers: Object.fromEntries(layers) } });
}

/** The network as its converted file has it: grids go by the names of values there. */
export async function fused(trainable: TrainableModel): Promise<TrainableModel> {
  const { model } = await convert(withValues(trainable, trainable.values), { check: false });
  return fromModel(model);
}

export interface LowBitsStart extends LowBits {
  /** The float model, and its codes before any training. */
  readonly model: Model;
  readonly bytes: Uint8Array;
  readonly calibration: Calibration;
}

/** Grids as `addernet quantize` chooses them, or known ones, and the network on them, scales and biases refitted. */
export async function startLowBits(
  { network, values, model: unfused }: TrainableModel,
  bits: number,
  images: Images,
  context: Context,
  known: Calibration | undefined,
): Promise<LowBitsStart> {
  const { model } = await convert(unfused, { check: false });
  const { bytes, calibration } = await (known === undefined
    ? quantizeTrained(model, bits, images, context)
    : quantize(model, { calibration: known }));
  const refits = new Map(Object.entries(calibration.layers));
  return { ...withGrids(network, values, gridsOf(calibration), refits), model, bytes, calibration };
}
