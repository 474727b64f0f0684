// addernet quantize: a float model in, the same network on 3- to 8-bit codes out.

import {
  type Calibration,
  corrections,
  forecast,
  formatCalibration,
  makeNoiseMeter,
  parseCalibration,
  type Quantized,
  quantize,
  rangeMethods,
} from "../../../converter/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import { encodeModel } from "../../core/onnx/index.ts";
import { elementCount, type Tensor } from "../../core/tensor.ts";
import {
  type CalibrationImages,
  calibrationBatchFlag,
  imageCount,
  imageFeeds,
} from "../calibration-samples.ts";
import { measureCodeSpeed } from "../code-speed.ts";
import { defineCommand, type Flags, type FlagType, type FlagValues } from "../command.ts";
import type { Context } from "../context.ts";
import { sha256 } from "../convert-summary.ts";
import { cacheFolder, dataFolderFlag } from "../data-sets/cache.ts";
import { openSamples } from "../data-sets/open.ts";
import { imageDims } from "../evaluate.ts";
import { fileRunner } from "../file-runner.ts";
import * as types from "../flag-types.ts";
import { chooseNormalisation, imageInput, normalisationFlags } from "../image-input.ts";
import { forecastText, type QuantizeVerification, quantizeJson, quantizeText } from "../quantize-summary.ts";
import { type ModelFile, readModel, readWholeFile } from "../read-model.ts";
import { startModel } from "../start-model.ts";
import { checkOutput, type OutputFile, writeFiles } from "../write-file.ts";

const codeBits: FlagType<number> = {
  expects: "an integer from 3 to 8",
  parse: (given) => (/^[3-8]$/.test(given) ? Number(given) : undefined),
};

const flags = {
  output: { short: "o", type: types.path, placeholder: "OUT", help: "where the model goes" },
  data: {
    type: types.text,
    placeholder: "D",
    help: "images to calibrate with: mnist, fashion-mnist or cifar10 (the training part), a folder, or images.npy,labels.npy",
  },
  samples: {
    type: types.positiveInteger,
    placeholder: "N",
    default: 512,
    help: "images to take, spread over the set",
  },
  bits: { type: codeBits, placeholder: "B", default: 8, help: "bits of the codes, 3 to 8" },
  method: {
    type: types.oneOf(...rangeMethods),
    placeholder: rangeMethods.join("|"),
    default: "auto",
    help: "how ranges are chosen; auto measures the error of the layers that read a value",
  },
  percentile: {
    type: types.nonNegative,
    placeholder: "P",
    help: "percent of the values that --method percentile keeps",
  },
  correction: {
    type: types.oneOf(...corrections),
    placeholder: corrections.join("|"),
    default: "affine",
    help: "what of every layer is refitted to its quantized inputs",
  },
  edges: {
    type: types.oneOf("int8", "float"),
    placeholder: "int8|float",
    default: "int8",
    help: "weights of ordinary convolutions and matrix products",
  },
  exclude: {
    type: types.text,
    placeholder: "LAYER",
    repeat: true,
    help: "an adder layer that stays float",
  },
  calibration: {
    type: types.path,
    placeholder: "X.calib.json",
    help: "use this table in place of --data; without it, the table is written beside OUT",
  },
  ...normalisationFlags,
  ...calibrationBatchFlag,
  memory: {
    type: types.positiveInteger,
    placeholder: "MB",
    default: 256,
    help: "room for values while layers are fitted",
  },
  "no-check": { help: "write without verifying" },
  ...dataFolderFlag,
} as const satisfies Flags;

/** Input elements in one run: every value that layers read is kept for it. */
const batchElements = 2 ** 17;

type QuantizeFlags = FlagValues<typeof flags>;

function usage(problem: string, fix?: string): AdderNetError {
  return new AdderNetError("ADN_USAGE", problem, { where: "quantize", ...(fix && { fix }) });
}

function outputsOf(
  file: ModelFile,
  given: QuantizeFlags,
): { readonly output: string; readonly table: string } {
  const { output, data, calibration } = given;
  if (output === undefined) {
    throw usage(
      "-o is missing: where does the model go?",
      `for example -o ${file.path.replace(/(\.onnx)?$/i, ".int8.onnx")}`,
    );
  }
  if (data === undefined && calibration === undefined) {
    throw usage(
      "--data is missing: what is calibrated with?",
      "for example --data cifar10, or --calibration X.calib.json",
    );
  }
  if (data !== undefined && calibration !== undefined) throw usage("--data excludes --calibration");
  const inputs = [...file.files, ...(calibration === undefined ? [] : [calibration])];
  const table = output.replace(/(\.onnx)?$/i, ".calib.json");
  checkOutput(output, inputs);
  if (calibration === undefined) checkOutput(table, inputs);
  return { output, table };
}

function openImages(file: ModelFile, given: QuantizeFlags, context: Context): CalibrationImages {
  const input = imageInput(file.model, "quantize");
  context.progress(`reading ${given.data}`, 0, 1);
  const samples = openSamples(given.data!, cacheFolder(context.env, given.dir), "train");
  const elements = elementCount(imageDims(input, samples));
  const batch = given.batch ?? Math.max(1, Math.min(8, Math.floor(batchElements / elements)));
  const normalisation = chooseNormalisation(samples, file.model, given);
  return { samples, input, normalisation, limit: given.samples, batch };
}

const phases = { observe: "observing", fit: "fitting layers" } as const;

async function calibrateAndQuantize(
  file: ModelFile,
  images: CalibrationImages,
  given: QuantizeFlags,
  context: Context,
): Promise<Quantized> {
  const { bits, method, percentile, correction, edges, exclude, memory } = given;
  return quantize(file.model, {
    samples: imageFeeds(images),
    sampleCount: imageCount(images),
    start: startModel,
    bits,
    method,
    ...(percentile !== undefined && { percentile }),
    biasCorrection: correction,
    edges,
    exclude,
    memory: memory * 1e6,
    onProgress: ({ phase, done, total }) => context.progress(phases[phase], done, total),
  });
}

function readCalibration(path: string): Calibration {
  return parseCalibration(new TextDecoder().decode(readWholeFile(path)));
}

/** Loss of SQNR against what calibration foresaw that is put down to chance. */
const allowance = 6;

/** Samples that the written file is checked on, as far as there are so many. */
const checkedSamples = 8;

type Values = ReadonlyMap<string, Tensor>;

const samplesIn = (feed: Values): number => [...feed.values()][0]!.dims[0]!;

/** Feeds with as many samples as the file is checked on. */
async function firstFeeds(images: CalibrationImages): Promise<readonly Values[]> {
  const feeds: Values[] = [];
  let samples = 0;
  for await (const feed of imageFeeds(images)) {
    feeds.push(feed);
    samples += samplesIn(feed);
    if (samples >= checkedSamples) break;
  }
  return feeds;
}

/** SQNR of an output over all runs; null without noise. */
function sqnrOf(output: string, wanted: readonly Values[], found: readonly Values[]): number | null {
  const meter = makeNoiseMeter();
  for (const [index, answers] of wanted.entries()) {
    const values = (tensors: Values | undefined) => (tensors?.get(output)?.data ?? []) as Float32Array;
    meter.add(values(answers), values(found[index]));
  }
  return meter.decibel();
}

/** Runs the written file and the float model on the same images. ADN_VERIFY when it is noisier than calibration foresaw. */
async function verifyFile(
  file: ModelFile,
  { bytes, calibration }: Quantized,
  images: CalibrationImages,
): Promise<QuantizeVerification> {
  const runner = fileRunner();
  try {
    const feeds = await firstFeeds(images);
    const answersOf = async (file: Uint8Array) => {
      const answers: ReadonlyMap<string, Tensor>[] = [];
      for (const feed of feeds) answers.push(await runner.run(file, feed));
      return answers;
    };
    const wanted = await answersOf(encodeModel(file.model).bytes);
    const found = await answersOf(bytes);
    const rows = Object.entries(calibration.outputs).map(([output, expected]) => ({
      output,
      sqnr: sqnrOf(output, wanted, found),
      least: (expected ?? 60) - allowance,
    }));
    const margin = ({ sqnr, least }: (typeof rows)[number]) => (sqnr ?? Number.POSITIVE_INFINITY) - least;
    const worst = rows.reduce((a, b) => (margin(b) < margin(a) ? b : a));
    if (!(margin(worst) >= 0)) throw noisy(worst);
    return { ...worst, samples: feeds.reduce((sum, feed) => sum + samplesIn(feed), 0), by: runner.ranBy() };
  } finally {
    await runner.dispose();
  }
}

function noisy({
  output,
  sqnr,
  least,
}: {
  output: string;
  sqnr: number | null;
  least: number;
}): AdderNetError {
  return new AdderNetError(
    "ADN_VERIFY",
    `output ${output} is noisier than calibration foresaw; nothing was written`,
    {
      expected: `at least ${least.toFixed(1)} dB`,
      found: `${sqnr?.toFixed(1)} dB`,
      fix: "calibrate with more samples, or pass --no-check",
    },
  );
}

interface Work {
  readonly quantized: Quantized;
  readonly data: string | null;
  readonly verification?: QuantizeVerification;
}

async function workOf(
  file: ModelFile,
  given: QuantizeFlags,
  table: Calibration | undefined,
  context: Context,
): Promise<Work> {
  const { edges, exclude } = given;
  if (table !== undefined) {
    return { quantized: await quantize(file.model, { calibration: table, edges, exclude }), data: null };
  }
  const images = openImages(file, given, context);
  const quantized = await calibrateAndQuantize(file, images, given, context);
  const data = images.samples.name;
  if (given["no-check"] || Object.keys(quantized.calibration.outputs).length === 0)
    return { quantized, data };
  context.progress("verifying", 0, 1);
  return { quantized, data, verification: await verifyFile(file, quantized, images) };
}

export const quantizeCommand = defineCommand({
  name: "quantize",
  summary: "Puts the adder layers of a converted model on 8- to 3-bit codes, calibrated on images.",
  positionals: [{ name: "IN", help: "an .onnx file that addernet convert wrote" }],
  flags,
  notes: [
    "Weights are clipped to the range of their layer's input, which loses nothing, and share one unsigned grid with it. The\ncalibration table beside OUT can be edited and used again with --calibration.",
    "Verification runs the written file beside the float model. When its outputs are noisier than calibration foresaw, nothing is\nwritten and the exit code is 4.",
  ],
  examples: [
    "addernet quantize resnet20.onnx -o resnet20.int8.onnx --data cifar10",
    "addernet quantize net.onnx -o net.int4.onnx --data pictures/ --bits 4 --samples 256",
    "addernet quantize net.onnx -o again.onnx --calibration net.int8.calib.json",
  ],
  run: async ({ positionals, flags: given }, context) => {
    const file = readModel(positionals[0]!);
    const { output, table } = outputsOf(file, given);
    const old = given.calibration === undefined ? undefined : readCalibration(given.calibration);
    const bits = old?.bits ?? given.bits;
    const expected = forecast(file.model, given.exclude);
    const speed = await measureCodeSpeed(bits);
    context.note(forecastText(expected, speed, bits));
    const { quantized, data, verification } = await workOf(file, given, old, context);
    const { bytes, calibration, report } = quantized;
    const isNew = old === undefined;
    const files: OutputFile[] = [
      ...(isNew ? [{ path: table, bytes: formatCalibration(calibration) }] : []),
      { path: output, bytes },
    ];
    writeFiles(files);
    const summary = {
      input: { path: file.path, bytes: file.totalBytes, sha256: sha256(file.bytes) },
      output: { path: output, bytes: bytes.length, sha256: sha256(bytes) },
      calibrationFile: isNew ? table : given.calibration!,
      data,
      calibration,
      report,
      forecast: expected,
      speed,
      verification,
    };
    return { text: quantizeText(summary), json: quantizeJson(summary) };
  },
});
