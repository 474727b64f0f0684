// A converted float model in, the same network on 3- to 8-bit codes out.

import { attachFunctions, detachFunctions } from "../../custom-ops/attach-functions.ts";
import { ops } from "../../custom-ops/index.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { interpret } from "../../src/core/interpret.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { checkOpset, encodeModel } from "../../src/core/onnx/index.ts";
import {
  type CalibratedLayer,
  type CalibratedValue,
  type Calibration,
  requireCalibrated,
} from "./calibration.ts";
import { type Correction, corrections } from "./correction.ts";
import { encodeWeights } from "./grid.ts";
import { observe, type Samples } from "./observe.ts";
import { hasOrdinaryCodes } from "./ordinary-weights.ts";
import type { StartModel } from "./parts.ts";
import { type RangeMethod, rangeMethods } from "./ranges.ts";
import { rewriteModel } from "./rewrite.ts";
import { type CodedValue, quantizationSubject, type SkippedLayer, type Subject } from "./subject.ts";
import { bytesPerSample, type FittedLayer, type WalkResult, walkLayers } from "./walk.ts";

export interface QuantizeProgress {
  /** "observe" counts samples, "fit" layers. */
  readonly phase: "observe" | "fit";
  readonly done: number;
  /** 0 where the number of samples is not known. */
  readonly total: number;
}

interface SharedOptions {
  /** Adder layers that stay float, by node or output name. */
  readonly exclude?: readonly string[];
  /** Weights of ordinary convolutions and matrix products: int8 with a scale per filter (the usual), or as they are. */
  readonly edges?: "float" | "int8";
}

export interface CalibrateOptions extends SharedOptions {
  /** Feeds for the model, one or more samples each. Read once. */
  readonly samples: Samples;
  /** How many there will be, for progress. */
  readonly sampleCount?: number;
  /** What runs the pieces of the model; by default the reference of every op, which is slow. */
  readonly start?: StartModel;
  /** Codes of values that adder layers read have this many bits, 3 to 8 (the usual); all others have 8. */
  readonly bits?: number;
  readonly method?: RangeMethod;
  /** Share of elements, in percent, that method "percentile" keeps. */
  readonly percentile?: number;
  readonly biasCorrection?: Correction;
  /** Bytes that kept samples and values on their way may take. */
  readonly memory?: number;
  readonly onProgress?: (progress: QuantizeProgress) => void;
}

export interface ReuseOptions extends SharedOptions {
  /** What an earlier call measured. */
  readonly calibration: Calibration;
}

export type QuantizeOptions = CalibrateOptions | ReuseOptions;

export interface QuantizedLayer {
  readonly name: string;
  readonly weight: readonly number[];
  /** Bits of the codes that the layer reads. */
  readonly bits: number;
  /** Range that the codes of its input cover, and what the samples reached. */
  readonly range: readonly [number, number];
  readonly observed: readonly [number, number];
  /** Share of weights that lay outside the range, and were moved without loss. */
  readonly clippedWeights: number;
  readonly result: "codes" | "float";
  /** Signal to quantization noise against the float network, in dB; null without noise. */
  readonly sqnr: number | null;
}

export interface QuantizeReport {
  readonly layers: readonly QuantizedLayer[];
  readonly skipped: readonly SkippedLayer[];
  readonly outputs: Readonly<Record<string, number | null>>;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface Quantized {
  readonly model: Model;
  /** The model as one ONNX file. */
  readonly bytes: Uint8Array;
  readonly calibration: Calibration;
  readonly report: QuantizeReport;
}

const usualMemory = 256e6;
/** Feeds kept where the model does not tell how large its values are. */
const feedsOfUnknownSize = 16;

/** Runs models by the references of their ops. */
export const startReference: StartModel = async ({ graph, opsetImports, functions }) => ({
  run: async (feeds) => interpret(graph, opsetImports, ops, feeds, { functions }),
});

function requireOption(name: string, isKnown: boolean, expected: string, found: unknown): void {
  if (isKnown) return;
  throw new AdderNetError("ADN_USAGE", `${name} is unusable`, {
    where: "quantize",
    expected,
    found: String(found),
  });
}

function requireOptions(options: CalibrateOptions): void {
  const { bits = 8, method = "auto", percentile = 100, biasCorrection = "affine" } = options;
  requireOption("bits", Number.isInteger(bits) && bits >= 3 && bits <= 8, "3 to 8", bits);
  requireOption("method", rangeMethods.includes(method), rangeMethods.join(", "), method);
  requireOption("percentile", percentile > 50 && percentile <= 100, "more than 50, at most 100", percentile);
  requireOption(
    "biasCorrection",
    corrections.includes(biasCorrection),
    corrections.join(", "),
    biasCorrection,
  );
}

function calibratedValue(
  { min, max }: { min: number; max: number },
  walk: WalkResult,
  name: string,
): CalibratedValue {
  return { min, max, ...walk.grids.get(name)! };
}

function calibratedLayer({ base, fitted, sqnr }: FittedLayer): CalibratedLayer {
  const factor = Array.from(fitted.scale, (scale, m) => (base.scale[m] === 0 ? 1 : scale / base.scale[m]!));
  const shift = Array.from(fitted.bias, (bias, m) => bias - base.bias[m]!);
  return { factor, shift, sqnr };
}

/** Measures `subject` on samples. */
async function calibrate(subject: Subject, options: CalibrateOptions): Promise<Calibration> {
  requireOptions(options);
  const {
    bits = 8,
    method = "auto",
    biasCorrection = "affine",
    edges = "int8",
    start = startReference,
  } = options;
  const perSample = bytesPerSample(subject);
  const most = (options.memory ?? usualMemory) / (perSample ?? Number.POSITIVE_INFINITY);
  const mayKeep = (count: number) => (perSample === undefined ? count <= feedsOfUnknownSize : count <= most);
  const total = options.sampleCount ?? 0;
  const { histograms, kept, samples } = await observe(subject, options.samples, start, mayKeep, (done) =>
    options.onProgress?.({ phase: "observe", done, total }),
  );
  const walk = await walkLayers(subject, histograms, kept, {
    bits,
    method,
    correction: biasCorrection,
    roundsOrdinaryWeights: edges === "int8" && hasOrdinaryCodes(subject.model),
    start,
    ...(options.percentile !== undefined && { percentile: options.percentile }),
    onLayer: (done, count) => options.onProgress?.({ phase: "fit", done, total: count }),
  });
  return {
    format: "addernet-calibration",
    version: 1,
    bits,
    method,
    biasCorrection,
    samples,
    values: Object.fromEntries(
      subject.values.map(({ name }) => [name, calibratedValue(histograms.get(name)!, walk, name)]),
    ),
    layers: Object.fromEntries([...walk.layers].map(([name, layer]) => [name, calibratedLayer(layer)])),
    outputs: Object.fromEntries(walk.outputs),
  };
}

function describeLayers({ layers, values }: Subject, calibration: Calibration): QuantizedLayer[] {
  const valueByName = new Map(values.flatMap((value) => value.members.map((name) => [name, value] as const)));
  return layers.map(({ name, x, weight, filters, result }) => {
    const { name: root }: CodedValue = valueByName.get(x)!;
    const { min, max, ...grid } = calibration.values[root]!;
    const { clipped } = encodeWeights(weight.data, filters, grid);
    return {
      name,
      weight: weight.dims,
      bits: Math.log2(grid.maxCode + 1),
      range: [-grid.zeroPoint * grid.step, (grid.maxCode - grid.zeroPoint) * grid.step],
      observed: [min, max],
      clippedWeights: clipped / weight.data.length,
      result,
      sqnr: calibration.layers[name]!.sqnr,
    };
  });
}

function describeInMetadata(model: Model, { bits, method, biasCorrection, samples }: Calibration): void {
  model.metadata.set("addernet.bits", `${bits}`);
  model.metadata.set("addernet.calibration", `${method}, ${biasCorrection} correction, ${samples} samples`);
}

/**
 * Quantizes the adder layers of a converted model, given decoded; the argument is left as it is. Per layer the weights are
 * clipped to the range of its input, which loses nothing, and share one unsigned grid with it. `method` "auto" chooses each
 * range by the measured error of the layers that read it; `biasCorrection` refits scale and bias of every layer to the inputs
 * it really gets. The result runs in any onnxruntime, by function bodies.
 * Errors: ADN_USAGE for options and for models without a layer to quantize, ADN_DATA for samples and tables that do not fit,
 * ADN_OPSET below opset 11, and those of `start`.
 */
export async function quantize(model: Model, options: QuantizeOptions): Promise<Quantized> {
  checkOpset(model);
  const own = cloneModel(model);
  detachFunctions(own);
  const subject = quantizationSubject(own, new Set(options.exclude ?? []));
  const calibration = "calibration" in options ? options.calibration : await calibrate(subject, options);
  requireCalibrated(subject, calibration);
  const result = rewriteModel(subject, calibration, options.edges ?? "int8");
  result.irVersion = Math.max(result.irVersion, 8);
  describeInMetadata(result, calibration);
  attachFunctions(result);
  const { bytes } = encodeModel(result);
  return {
    model: result,
    bytes,
    calibration,
    report: {
      layers: describeLayers(subject, calibration),
      skipped: subject.skipped,
      outputs: calibration.outputs,
      bytesBefore: encodeModel(model).bytes.length,
      bytesAfter: bytes.length,
    },
  };
}
