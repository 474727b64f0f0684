// Batch normalisation and activations with the parameters of the checkpoint.

import { floatAttribute } from "../../src/core/ir/attributes.ts";
import { elementCount, float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { asFloat32, moduleAt } from "../checkpoints/normalise-names.ts";
import { addConstant, type Draft, emit, shape, use } from "./draft.ts";
import type { NormLayer } from "./layers.ts";
import type { ActivationStep, NormStep } from "./topology.ts";

/** The four parameters of a normalisation; those that training left out are 1 and 0. */
function normParameters(draft: Draft, layer: NormLayer): (readonly [string, Tensor | undefined])[] {
  const { channels } = draft.current;
  const constant = (value: number): Tensor => float32Tensor(new Array<number>(channels).fill(value));
  const isPlain = layer.scale === undefined && layer.shift === undefined;
  return [
    ["weight", layer.scale ?? (isPlain ? constant(1) : undefined)],
    ["bias", layer.shift ?? (isPlain ? constant(0) : undefined)],
    ["running_mean", layer.mean],
    ["running_var", layer.variance],
  ];
}

export function addNorm(draft: Draft, step: NormStep): void {
  if (!draft.hasNorms) return;
  const layer = draft.binding.get(step.name);
  const { channels } = draft.current;
  if (layer?.kind !== "norm") {
    if (!step.isOptional) {
      const names = `${step.name}.weight, .bias, .running_mean, .running_var`;
      draft.problems.push(`missing ${names} ${shape([channels])}`);
    }
    return;
  }
  use(draft, layer.keys);
  const inputs = normParameters(draft, layer).map(([suffix, tensor]) => {
    const key = `${layer.path}.${suffix}`;
    if (tensor === undefined) draft.problems.push(`missing ${key} ${shape([channels])}`);
    else if (shape(tensor.dims) !== shape([channels])) {
      draft.problems.push(`${key} is ${shape(tensor.dims)}, expected ${shape([channels])}`);
    } else return addConstant(draft, key, asFloat32(tensor, `${draft.where}, tensor ${key}`));
    return "";
  });
  const epsilon = moduleAt(draft.modules, layer.path)?.attributes.get("eps");
  emit(draft, "BatchNormalization", layer.path, inputs, [
    ["epsilon", floatAttribute(typeof epsilon === "number" ? epsilon : 1e-5)],
  ]);
}

/** A slope is one for all channels or one for each. */
export function addActivation(draft: Draft, step: ActivationStep): void {
  const layer = step.slope === undefined ? undefined : draft.binding.get(step.slope);
  if (layer?.kind !== "slope") {
    emit(draft, "Relu", `${draft.current.value}.relu`, []);
    return;
  }
  use(draft, layer.keys);
  const slope = asFloat32(layer.slope, `${draft.where}, tensor ${layer.keys[0]}`);
  const count = elementCount(slope.dims);
  if (count !== 1 && count !== draft.current.channels) {
    draft.problems.push(
      `${layer.keys[0]} is ${shape(slope.dims)}, expected [1] or [${draft.current.channels}]`,
    );
  }
  const dims = draft.current.isFlat ? [count] : [count, 1, 1];
  emit(draft, "PRelu", layer.path, [addConstant(draft, layer.keys[0]!, { ...slope, dims })]);
}
