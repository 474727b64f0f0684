// addernet eval: accuracy and speed on a data set.

import { AdderNetError } from "../../core/errors.ts";
import { defineCommand } from "../command.ts";
import { cacheFolder, dataFolderFlag } from "../data-sets/cache.ts";
import { openSamples } from "../data-sets/open.ts";
import { engineFlags, withEngine } from "../engines.ts";
import { evaluate, imageDims } from "../evaluate.ts";
import * as types from "../flag-types.ts";
import { chooseNormalisation, imageInput, isPlain, normalisationFlags } from "../image-input.ts";
import { readModel } from "../read-model.ts";
import { textTable } from "../text-table.ts";

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
    ...normalisationFlags,
    ...engineFlags,
    ...dataFolderFlag,
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
    const input = imageInput(file.model, "eval");
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
