// What is trained: a known architecture, new or with weights, or a converted model.

import { buildModel, randomCheckpoint, readCheckpoint } from "../../../converter/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import type { Model } from "../../core/ir/model.ts";
import { fromModel, initialise, type TrainableModel } from "../../train/index.ts";
import type { Samples } from "../data-sets/samples.ts";
import { readModel, readWholeFile } from "../read-model.ts";
import type { TrainFlags } from "./flags.ts";
import { classCount } from "./images.ts";

function usage(problem: string, fix: string): AdderNetError {
  return new AdderNetError("ADN_USAGE", problem, { where: "train", fix });
}

/** Errors: ADN_USAGE for flags that exclude each other. */
export function checkSource({ arch, model, init, width }: TrainFlags): void {
  if (arch === undefined && model === undefined) {
    throw usage("--arch or --model is missing: what is trained?", "for example --arch lenet5-bn");
  }
  if (arch !== undefined && model !== undefined) {
    throw usage("--arch and --model exclude each other", "a model holds its own network");
  }
  if (init !== undefined && arch === undefined)
    throw usage("--init needs --arch", "a model holds its own weights");
  if (width !== undefined && (arch === undefined || init !== undefined))
    throw usage("--width is for networks that begin anew", "weights and models have their own widths");
}

async function archModel(given: TrainFlags, samples: Samples): Promise<Model> {
  const { arch, init, layers, width } = given;
  const classes = classCount(samples);
  const inputShape = samples.shape;
  if (init === undefined) {
    return buildModel(
      arch!,
      randomCheckpoint(arch!, { kind: layers, classes, ...(width !== undefined && { width }) }),
      {
        inputShape,
        where: arch!,
      },
    );
  }
  return buildModel(arch!, await readCheckpoint(readWholeFile(init), init), { inputShape, where: init });
}

/** Errors: ADN_USAGE, ADN_FILE, ADN_CHECKPOINT, and those of `fromModel`. */
export async function openNetwork(given: TrainFlags, samples: Samples): Promise<TrainableModel> {
  checkSource(given);
  const model = given.model === undefined ? await archModel(given, samples) : readModel(given.model).model;
  const trainable = fromModel(model);
  const isNew = given.model === undefined && given.init === undefined;
  return isNew ? { ...trainable, values: initialise(trainable.network, given.seed) } : trainable;
}
