// addernet adderize: a CNN in, an AdderNet of the same topology out.

import { type Adderized, type AdderizeProgress, adderize, samplesThatFit } from "../../../converter/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import type { Model } from "../../core/ir/model.ts";
import { elementCount, type Tensor } from "../../core/tensor.ts";
import { adderizeJson, adderizeText } from "../adderize-summary.ts";
import {
  type CalibrationImages,
  calibrationBatchFlag,
  imageCount,
  imageFeeds,
} from "../calibration-samples.ts";
import { defineCommand, type Flags, type FlagValues } from "../command.ts";
import type { Context } from "../context.ts";
import { sha256 } from "../convert-summary.ts";
import { cacheFolder, dataFolderFlag } from "../data-sets/cache.ts";
import { openUnlabelled } from "../data-sets/open.ts";
import type { Samples } from "../data-sets/samples.ts";
import { imageDims } from "../evaluate.ts";
import * as types from "../flag-types.ts";
import { chooseNormalisation, imageInput, normalisationFlags } from "../image-input.ts";
import { prepareVerified } from "../prepare-cnn.ts";
import { isCheckpointPath, readCheckpointModel } from "../read-checkpoint-model.ts";
import { type ModelFile, readModel } from "../read-model.ts";
import { startModel } from "../start-model.ts";
import { checkOutput, type OutputFile, writeFiles } from "../write-file.ts";

const flags = {
  output: { short: "o", type: types.path, placeholder: "OUT", help: "where the AdderNet goes" },
  data: {
    type: types.text,
    placeholder: "D",
    help: "images, no labels needed: mnist, fashion-mnist or cifar10 (the training part), a folder, or images.npy",
  },
  samples: {
    type: types.positiveInteger,
    placeholder: "N",
    default: 2000,
    help: "images to take, spread over the set; every tenth batch is kept for the report",
  },
  arch: { type: types.text, placeholder: "NAME", help: "the network whose weights a checkpoint holds" },
  classes: { type: types.positiveInteger, placeholder: "N", help: "the classes a checkpoint must have" },
  layers: {
    type: types.oneOf("inner", "all"),
    placeholder: "inner|all",
    default: "inner",
    help: "inner keeps the first and the last layers, as AdderNets do; all converts them too",
  },
  exclude: { type: types.text, placeholder: "LAYER", repeat: true, help: "a layer that goes on multiplying" },
  steps: {
    type: types.integer,
    placeholder: "N",
    default: 300,
    help: "gradient steps per layer; more fit better, 0 is slope matching alone",
  },
  "keep-batch-norm": {
    help: "write batch norms as nodes of their own, as training wants them",
  },
  seed: { type: types.integer, placeholder: "N", default: 1, help: "the same seed gives the same file" },
  ...normalisationFlags,
  ...calibrationBatchFlag,
  memory: {
    type: types.positiveInteger,
    placeholder: "MB",
    default: 1200,
    help: "room for values while layers are fitted; fewer images are taken where it does not do",
  },
  report: { type: types.path, placeholder: "R.json", help: "write what --json prints to a file as well" },
  ...dataFolderFlag,
} as const satisfies Flags;

type AdderizeFlags = FlagValues<typeof flags>;

/** Input elements in one run. */
const batchElements = 2 ** 17;

function usage(problem: string, fix: string): AdderNetError {
  return new AdderNetError("ADN_USAGE", problem, { where: "adderize", fix });
}

async function readSource(path: string, { arch, classes }: AdderizeFlags): Promise<ModelFile> {
  if (arch === undefined && !isCheckpointPath(path)) return readModel(path);
  if (/\.onnx$/i.test(path)) {
    throw new AdderNetError("ADN_USAGE", "--arch is for checkpoints: an ONNX file holds its own network", {
      where: path,
    });
  }
  return readCheckpointModel(path, { arch, ...(classes !== undefined && { classes }) });
}

function outputOf(path: string, { output, data, report }: AdderizeFlags): string {
  if (output === undefined) {
    throw usage(
      "-o is missing: where does the AdderNet go?",
      `for example -o ${path.replace(/(\.\w+)?$/, ".adder.onnx")}`,
    );
  }
  if (data === undefined) {
    throw usage(
      "--data is missing: which images is it fitted on?",
      "for example --data cifar10, or a folder",
    );
  }
  for (const target of targetsOf(output, report)) checkOutput(target, [path]);
  return output;
}

const targetsOf = (output: string, report: string | undefined): string[] => [
  output,
  ...(report === undefined ? [] : [report]),
];

function imagesFor(model: Model, samples: Samples, given: AdderizeFlags): CalibrationImages {
  const input = imageInput(model, "adderize");
  const elements = elementCount(imageDims(input, samples));
  const batch = given.batch ?? Math.max(1, Math.min(8, Math.floor(batchElements / elements)));
  return {
    samples,
    input,
    normalisation: chooseNormalisation(samples, model, given),
    limit: given.samples,
    batch,
  };
}

async function firstFeed(images: CalibrationImages): Promise<ReadonlyMap<string, Tensor>> {
  const { value } = await imageFeeds(images).next();
  if (value) return value;
  throw new AdderNetError("ADN_DATA", "there are too few images for one batch of the model", {
    where: images.samples.name,
    expected: `at least ${images.batch}`,
    found: `${Math.min(images.limit, images.samples.count)}`,
  });
}

/** All images that are wanted, or as many as memory allows, spread over the set. */
async function imagesInMemory(
  cnn: Model,
  samples: Samples,
  given: AdderizeFlags,
  context: Context,
): Promise<CalibrationImages> {
  const images = imagesFor(cnn, samples, given);
  const { layers, exclude, memory } = given;
  const most = samplesThatFit(cnn, await firstFeed(images), { layers, exclude, memory: memory * 1e6 });
  const wanted = imageCount(images);
  if (most >= wanted) return images;
  context.note(`${most} of ${wanted} images fit into ${memory} MB (--memory)`);
  return { ...images, limit: most };
}

const phases = { read: "reading images", fit: "fitting layers, percent", compare: "comparing" } as const;

async function adderizeFile(
  cnn: Model,
  images: CalibrationImages,
  given: AdderizeFlags,
  context: Context,
): Promise<Adderized> {
  const { layers, exclude, steps, seed, memory } = given;
  return adderize(cnn, {
    samples: imageFeeds(images),
    sampleCount: imageCount(images),
    start: startModel,
    layers,
    exclude,
    steps,
    seed,
    keepBatchNorm: given["keep-batch-norm"],
    memory: memory * 1e6,
    onProgress: ({ phase, done, total }: AdderizeProgress) => context.progress(phases[phase], done, total),
  });
}

export const adderizeCommand = defineCommand({
  name: "adderize",
  summary:
    "Turns a CNN into an AdderNet of the same topology, fitted layer by layer on images without labels.",
  positionals: [{ name: "IN", help: "an .onnx file, or a .pth or .safetensors checkpoint with --arch" }],
  flags,
  notes: [
    "Every convolution but the first and the last becomes an adder layer with batch norm. Its weights start where the slopes of\n|x - w| match those of the convolution, and are fitted to the convolution's answers from what the AdderNet so far gives it.",
    "The report tells of each layer how much of the CNN's answer it explains (R2) and how near the network has stayed (SQNR). The\nfile that is written is the one that was compared.",
  ],
  examples: [
    "addernet adderize cnn.onnx -o adder.onnx --data pictures/",
    "addernet adderize resnet20-cnn.pth --arch resnet20 -o r20.onnx --data cifar10",
    "addernet adderize lenet-cnn.onnx -o lenet.onnx --data mnist --layers all",
  ],
  run: async ({ positionals, flags: given }, context) => {
    const started = performance.now();
    const output = outputOf(positionals[0]!, given);
    const file = await readSource(positionals[0]!, given);
    for (const target of targetsOf(output, given.report)) checkOutput(target, file.files);
    context.progress(`reading ${given.data}`, 0, 1);
    const samples = openUnlabelled(given.data!, cacheFolder(context.env, given.dir));
    context.progress("preparing the CNN", 0, 1);
    const cnn = await prepareVerified(file.model, (model) => firstFeed(imagesFor(model, samples, given)));
    const images = await imagesInMemory(cnn, samples, given, context);
    const { bytes, report } = await adderizeFile(cnn, images, given, context);
    const summary = {
      input: { path: file.path, bytes: file.totalBytes, sha256: sha256(file.bytes) },
      output: { path: output, bytes: bytes.length, sha256: sha256(bytes) },
      data: samples.name,
      steps: given.steps,
      seconds: (performance.now() - started) / 1000,
      report,
    };
    const json = adderizeJson(summary);
    const files: OutputFile[] = [
      ...(given.report === undefined
        ? []
        : [{ path: given.report, bytes: `${JSON.stringify(json, null, 2)}\n` }]),
      { path: output, bytes },
    ];
    writeFiles(files);
    return { text: adderizeText(summary), json };
  },
});
