// Batch normalisation and activations with the parameters of the checkpoint.

import { floatAttribute } from "../../src/core/ir/attributes.ts";
import { elementCount, float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import { asFloat32, moduleAt } from "../checkpoints/normalise-names.ts";
import { addConstant, type Draft, emit, hasShape, shape, use } from "./draft.ts";
import type { NormLayer } from "./layers.ts";
import type { ActivationStep, NormStep } from "./topology.ts";

type Parameters = readonly (readonly [suffix: string, tensor: Tensor | undefined])[];

/** The four parameters of a normalisation; those that training left out are 1 and 0. */
function normParameters({ scale, shift, mean, variance }: NormLayer): Parameters {
  const constant = (value: number): Tensor => {
    const { dims } = mean ?? variance!;
    return float32Tensor(new Float32Array(elementCount(dims)).fill(value), dims);
  };
  const isPlain = scale === undefined && shift === undefined;
  return [
    ["weight", isPlain ? constant(1) : scale],
    ["bias", isPlain ? constant(0) : shift],
    ["running_mean", mean],
    ["running_var", variance],
  ];
}

/** The parameter's name in the graph; what is missing or misshapen is noted. */
function addParameter(draft: Draft, key: string, tensor: Tensor | undefined): string {
  const expected = [draft.current.channels];
  if (tensor === undefined) draft.problems.push(`missing ${key} ${shape(expected)}`);
  else if (!hasShape(tensor.dims, expected)) {
    draft.problems.push(`${key} is ${shape(tensor.dims)}, expected ${shape(expected)}`);
  } else return addConstant(draft, key, asFloat32(tensor, `${draft.where}, tensor ${key}`));
  return "";
}

function addBoundNorm(draft: Draft, layer: NormLayer): void {
  use(draft, layer.keys);
  const parameters = normParameters(layer);
  const inputs = parameters.map(([suffix, tensor]) => addParameter(draft, `${layer.path}.${suffix}`, tensor));
  const epsilon = moduleAt(draft.modules, layer.path)?.attributes.get("eps");
  emit(draft, "BatchNormalization", layer.path, inputs, [
    ["epsilon", floatAttribute(typeof epsilon === "number" ? epsilon : 1e-5)],
  ]);
}

export function addNorm(draft: Draft, step: NormStep): void {
  if (!draft.hasNorms) return;
  const layer = draft.binding.get(step.name);
  if (layer?.kind === "norm") addBoundNorm(draft, layer);
  else if (!step.isOptional) {
    const names = `${step.name}.weight, .bias, .running_mean, .running_var`;
    const { channels } = draft.current;
    const expected = Number.isNaN(channels) ? draft.reference.get(step.name)! : [channels];
    draft.problems.push(`missing ${names} ${shape(expected)}`);
  }
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
  const expected = [draft.current.channels];
  if (count !== 1 && !hasShape([count], expected)) {
    draft.problems.push(`${layer.keys[0]} is ${shape(slope.dims)}, expected [1] or ${shape(expected)}`);
  }
  const dims = draft.current.isFlat ? [count] : [count, 1, 1];
  emit(draft, "PRelu", layer.path, [addConstant(draft, layer.keys[0]!, { ...slope, dims })]);
}
