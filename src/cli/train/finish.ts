// The end of a run: what was learned as a verified ONNX file, and as weights for PyTorch.

import { type Converted, convert } from "../../../converter/index.ts";
import type { Model } from "../../core/ir/model.ts";
import { encodeSafetensors } from "../../core/safetensors.ts";
import { type TrainableModel, type Values, withValues } from "../../train/index.ts";
import type { Normalisation } from "../evaluate.ts";
import { fileRunner } from "../file-runner.ts";

/** How pixels were normalised travels with the model, so that `eval` feeds it what it learned from. */
function noteNormalisation(model: Model, normalisation: Normalisation | undefined): void {
  if (normalisation === undefined) return;
  model.metadata.set("addernet.mean", normalisation.mean.join(","));
  model.metadata.set("addernet.std", normalisation.std.join(","));
}

/** The trained model, converted and verified. Errors: ADN_VERIFY. */
export async function convertTrained(
  trainable: TrainableModel,
  values: Values,
  normalisation: Normalisation | undefined,
): Promise<Converted> {
  const model = withValues(trainable, values);
  noteNormalisation(model, normalisation);
  const runner = fileRunner();
  try {
    return await convert(model, { run: runner.run, runForeign: runner.runForeign });
  } finally {
    await runner.dispose();
  }
}

/** All parameters by their names, which for --arch are those of the PyTorch module's state_dict. */
export function encodeWeights({ model }: TrainableModel, values: Values): Uint8Array {
  const tensors = new Map(
    [...values].map(([name, data]) => [name, { dims: model.graph.initializers.get(name)!.dims, data }]),
  );
  return encodeSafetensors(tensors, { format: "pt" });
}
