// What quantization will gain, told from the float model alone.

import { detachFunctions } from "../../custom-ops/attach-functions.ts";
import { adder2dTaps } from "../../custom-ops/index.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import type { Dim, Model } from "../../src/core/ir/model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import { elementCount } from "../../src/core/tensor.ts";
import { quantizationSubject, type SkippedLayer, type Subject } from "./subject.ts";

export interface Forecast {
  readonly layers: number;
  readonly skipped: readonly SkippedLayer[];
  /** Taps per image that move to codes; null where a length is not known. */
  readonly taps: number | null;
  /** Taps per image of adder layers that stay float. */
  readonly floatTaps: number | null;
  /** Bytes of adder weights that become codes, as floats; as codes they take a quarter. */
  readonly weightBytes: number;
  readonly fileBytes: number;
  /** About what the quantized file will take. */
  readonly expectedFileBytes: number;
}

const known = (shape: readonly Dim[] | undefined): shape is readonly number[] =>
  shape?.slice(1).every((dim) => typeof dim === "number") === true;

function tapsOf({ model, facts }: Subject, isChosen: (output: string) => boolean): number | null {
  let taps: number | null = 0;
  for (const { domain, opType, inputs, outputs } of model.graph.nodes) {
    if (domain !== "addernet" || opType !== "Adder2d" || !isChosen(outputs[0]!)) continue;
    const [shape, weight] = [facts.get(outputs[0]!)?.shape, facts.get(inputs[1]!)?.shape];
    taps = taps !== null && known(shape) && known(weight) ? taps + adder2dTaps(shape, weight) : null;
  }
  return taps;
}

export function forecastOf(subject: Subject, fileBytes: number): Forecast {
  const chosen = new Set(subject.layers.map(({ output }) => output));
  const weightBytes = subject.layers.reduce((sum, { weight }) => sum + 4 * elementCount(weight.dims), 0);
  return {
    layers: subject.layers.length,
    skipped: subject.skipped,
    taps: tapsOf(subject, (output) => chosen.has(output)),
    floatTaps: tapsOf(subject, (output) => !chosen.has(output)),
    weightBytes,
    fileBytes,
    expectedFileBytes: fileBytes - 0.75 * weightBytes,
  };
}

/** Layers, taps and bytes that `quantize` would change. Errors: ADN_USAGE as from `quantize`. */
export function forecast(model: Model, exclude: readonly string[] = []): Forecast {
  const own = cloneModel(model);
  detachFunctions(own);
  return forecastOf(quantizationSubject(own, new Set(exclude)), encodeModel(model).bytes.length);
}
