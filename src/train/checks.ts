// What can go wrong with a net and its data, told before the first step or as soon as it shows.

import { AdderNetError } from "../core/errors.ts";
import type { Dataset } from "./dataset.ts";
import type { Network } from "./network.ts";
import type { Trainer } from "./trainer.ts";

/** Errors: ADN_BATCH_NORM_MISSING where an adder layer's sums, hundreds below zero, reach the next layer as they are. */
export function requireNorms({ layers, parameters }: Network): void {
  const normalised = new Set(layers.flatMap((layer) => (layer.kind === "norm" ? [layer.input] : [])));
  const bare = layers.filter((layer) => layer.kind === "adder" && !normalised.has(layer.output));
  if (bare.length === 0 || parameters.size === 0) return;
  throw new AdderNetError("ADN_BATCH_NORM_MISSING", "adder layers without batch normalisation do not train", {
    found: bare.map(({ name }) => name).join(", "),
    fix: "put one behind every adder layer: its outputs are sums of distances, far below zero",
  });
}

/** Errors: ADN_DATA, ADN_CLASSES. */
export function checkData(data: Dataset, { network, outputs, batch }: Trainer, least = batch): void {
  if (data.count === 0) throw new AdderNetError("ADN_DATA", "there are no images", { where: data.name });
  if (data.count < least) {
    throw new AdderNetError("ADN_DATA", "there are fewer images than in a batch", {
      where: data.name,
      expected: `at least ${least}`,
      found: `${data.count}`,
      fix: "take a smaller batch",
    });
  }
  if (data.shape.join() !== network.shape.join()) {
    throw new AdderNetError("ADN_DATA", "the images do not fit the network", {
      where: data.name,
      expected: network.shape.join("x"),
      found: data.shape.join("x"),
    });
  }
  if (data.classes !== undefined && data.classes.length !== outputs) {
    throw new AdderNetError("ADN_CLASSES", "the network has another number of classes than the data", {
      where: data.name,
      expected: `${data.classes.length} classes`,
      found: `${outputs} outputs`,
    });
  }
  checkLabels(data, outputs);
}

function checkLabels(data: Dataset, outputs: number): void {
  for (let index = 0; index < data.count; index++) {
    const label = data.label(index);
    if (label >= 0 && label < outputs && Number.isInteger(label)) continue;
    throw new AdderNetError("ADN_CLASSES", `the label of image ${index} is no class of the network`, {
      where: data.name,
      expected: `0 to ${outputs - 1}`,
      found: `${label}`,
    });
  }
}

const hasOnlyNumbers = (array: Float32Array): boolean => array.every(Number.isFinite);

/** Errors: ADN_DIVERGED, naming the parameters that are no numbers any more. */
export function requireFiniteLoss(loss: number, { values }: Trainer, where: string): void {
  if (Number.isFinite(loss)) return;
  const lost = [...values].filter(([, value]) => !hasOnlyNumbers(value)).map(([name]) => name);
  throw new AdderNetError("ADN_DIVERGED", "the loss is no number any more", {
    where,
    found: `${loss}${lost.length > 0 ? `; no numbers in ${lost.slice(0, 5).join(", ")}` : ""}`,
    fix: "lower the learning rate, or look for images that are no numbers",
  });
}
