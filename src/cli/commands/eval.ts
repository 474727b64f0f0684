// addernet eval: accuracy and speed on a data set.

import { AdderNetError } from "../../core/errors.ts";
import type { Model } from "../../core/ir/model.ts";
import { defineCommand } from "../command.ts";
import { cacheFolder } from "../data-sets/cache.ts";
import { openSamples } from "../data-sets/open.ts";
import type { Samples } from "../data-sets/samples.ts";
import { engineNames, threadCount, withEngine } from "../engines.ts";
import { evaluate, imageDims, type Normalisation } from "../evaluate.ts";
import { type ModelInput, modelInputs } from "../feeds.ts";
import * as types from "../flag-types.ts";
import { readModel } from "../read-model.ts";
import { textTable } from "../text-table.ts";

/** Numbers that the model carries under `addernet.mean` and `addernet.std`. Errors: ADN_ONNX_MODEL. */
function fromMetadata(model: Model, key: string): readonly number[] | undefined {
  const written = model.metadata.get(key);
  if (written === undefined) return undefined;
  const values = types.numberList.parse(written.replace(/^\s*\[|\]\s*$/g, ""));
  if (values) return values;
  throw new AdderNetError("ADN_ONNX_MODEL", `the metadata ${key} is no list of numbers`, {
    found: written.slice(0, 60),
  });
}

function perChannel(values: readonly number[], channels: number, name: string): readonly number[] {
  if (values.length === channels) return values;
  if (values.length === 1) return new Array<number>(channels).fill(values[0]!);
  throw new AdderNetError("ADN_USAGE", `--${name} does not fit the images`, {
    expected: `1 or ${channels} numbers`,
    found: `${values.length}`,
  });
}

/** Flags win, then what the model says, then what is usual for the data set. Values that are no pixels are changed by flags only. */
function chooseNormalisation(
  samples: Samples,
  model: Model,
  flags: { mean: readonly number[] | undefined; std: readonly number[] | undefined },
): Normalisation | undefined {
  const channels = samples.shape[0];
  const isPixels = samples.kind === "pixels";
  if (!isPixels && flags.mean === undefined && flags.std === undefined) return undefined;
  const usual = isPixels
    ? {
        mean: fromMetadata(model, "addernet.mean") ?? samples.mean,
        std: fromMetadata(model, "addernet.std") ?? samples.std,
      }
    : {};
  return {
    mean: perChannel(flags.mean ?? usual.mean ?? [0], channels, "mean"),
    std: perChannel(flags.std ?? usual.std ?? [1], channels, "std"),
  };
}

/** Neither flags, model nor data set said anything. */
function isPlain(normalisation: Normalisation | undefined): boolean {
  return (
    normalisation?.mean.every((value) => value === 0) === true && normalisation.std.every((v) => v === 1)
  );
}

function onlyInput(model: Model): ModelInput {
  const inputs = modelInputs(model);
  const [input, ...more] = inputs;
  if (input !== undefined && more.length === 0 && input.type === "float32") return input;
  throw new AdderNetError("ADN_DATA", "eval takes models with one float32 input", {
    found: inputs.map(({ name, type }) => `${name}: ${type}`).join(", "),
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

export const evalCommand = defineCommand({
  name: "eval",
  summary: "Measures top-1, top-5 and images per second on a data set.",
  positionals: [{ name: "MODEL", help: "an .onnx file" }],
  flags: {
    data: {
      type: types.text,
      placeholder: "D",
      help: "mnist, fashion-mnist or cifar10 (with :train or :test), a folder with one sub-folder per class, or images.npy,labels.npy",
    },
    limit: { type: types.positiveInteger, placeholder: "N", help: "use only the first N images" },
    batch: { type: types.positiveInteger, placeholder: "B", default: 16, help: "images per run" },
    mean: {
      type: types.numberList,
      placeholder: "R,G,B",
      help: "what is subtracted per channel after division by 255",
    },
    std: {
      type: types.positiveList,
      placeholder: "R,G,B",
      help: "what is divided by per channel after that",
    },
    engine: {
      type: types.oneOf(...engineNames),
      placeholder: engineNames.join("|"),
      default: "addernet",
      help: "what runs the model; ort and ort-web are onnxruntime-node and -web with our kernels registered",
    },
    threads: { type: threadCount, placeholder: "N", help: "threads for our kernels" },
    dir: { type: types.path, placeholder: "FOLDER", help: "where fetched data sets are kept" },
  },
  notes: [
    "Pixels are normalised with --mean and --std, else with the model's metadata addernet.mean and addernet.std, else as is usual\nfor the data set. Floats from .npy files are fed as they are.",
  ],
  examples: [
    "addernet eval lenet.onnx --data mnist",
    "addernet eval resnet20.onnx --data cifar10:test --limit 1000 --json",
  ],
  run: async ({ positionals, flags }, context) => {
    if (flags.data === undefined) {
      throw new AdderNetError("ADN_USAGE", "--data is missing", {
        where: "eval",
        fix: "for example --data mnist",
      });
    }
    const file = readModel(positionals[0]!);
    const input = onlyInput(file.model);
    context.progress(`reading ${flags.data}`, 0, 1);
    const samples = openSamples(flags.data, cacheFolder(context.env, flags.dir));
    imageDims(input, samples);
    const normalisation = chooseNormalisation(samples, file.model, flags);
    if (samples.kind === "pixels" && isPlain(normalisation)) {
      context.warn("no mean and std are known: pixels are only divided by 255 (--mean and --std set them)");
    }
    const result = await withEngine(flags.engine, file, { threads: flags.threads }, (engine) => {
      if (engine.note) context.warn(engine.note);
      return evaluate({
        samples,
        input,
        output: file.model.graph.outputs[0]!.name,
        normalisation,
        limit: flags.limit ?? samples.count,
        batch: flags.batch,
        run: (feeds) => engine.run(feeds),
        onProgress: (done, total) => context.progress("evaluating", done, total),
      });
    });
    const { images, top1, top5, imagesPerSecond } = result;
    return {
      text: textTable([
        ["data", `${samples.name}, ${images} images`],
        ["top-1", percent(top1)],
        ["top-5", percent(top5)],
        ["speed", `${imagesPerSecond.toFixed(1)} images/s on ${flags.engine}`],
      ]),
      json: {
        schemaVersion: 1,
        model: file.path,
        data: samples.name,
        engine: flags.engine,
        normalisation: normalisation ?? null,
        classes: samples.classes ?? null,
        ...result,
      },
    };
  },
});
