// Weights for a network that was never trained, spread as those of trained AdderNets are: for benchmarks and tests.

import { AdderNetError } from "../../src/core/errors.ts";
import { seededUniform } from "../../src/core/sample-feeds.ts";
import { elementCount, float32Tensor, type Tensor } from "../../src/core/tensor.ts";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { architectures, listArchitectures } from "./architectures.ts";
import type { LayerKind } from "./draft.ts";
import { type Slot, scaleSteps, slotsOf } from "./topology.ts";

export interface RandomCheckpointOptions {
  /** What the layers between the first and the last one do. */
  readonly kind: LayerKind;
  readonly classes?: number;
  /** Share of the reference's filters that every layer gets, above 0; two at least, and all classes. */
  readonly width?: number;
  readonly seed?: number;
}

/** Standard deviation of trained adder weights, which are Laplace distributed; activations stay around 1. */
const adderSpread = 7;
const meanActivation = 0.4;
const meanSquaredActivation = 0.5;

type Draw = () => number;

const between =
  (draw: Draw, low: number, high: number): Draw =>
  () =>
    low + (high - low) * draw();

/** By the inverse of the distribution function; `spread` is the standard deviation. */
const laplace =
  (draw: Draw, spread: number): Draw =>
  () => {
    const u = 0.5 - draw();
    return (Math.sign(u) * spread * Math.log(Math.max(1e-9, 1 - 2 * Math.abs(u)))) / Math.SQRT2;
  };

const normal =
  (draw: Draw, spread: number): Draw =>
  () =>
    spread * Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());

const fill = (dims: readonly number[], draw: Draw): Tensor =>
  float32Tensor(Float32Array.from({ length: elementCount(dims) }, draw), dims);

interface Statistics {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/** What a normalisation behind these filters would have seen, per filter. */
function statisticsOf({ data, dims }: Tensor, kind: LayerKind): Statistics {
  const taps = elementCount(dims.slice(1));
  const [mean, variance] = [new Float32Array(dims[0]!), new Float32Array(dims[0]!)];
  for (let filter = 0; filter < mean.length; filter++) {
    const weights = (data as Float32Array).subarray(filter * taps, (filter + 1) * taps);
    for (const weight of weights) {
      mean[filter]! +=
        kind === "adder" ? meanActivation * Math.sign(weight) - Math.abs(weight) : meanActivation * weight;
      variance[filter]! += meanSquaredActivation * (kind === "adder" ? 1 : weight * weight);
    }
  }
  return { mean, variance };
}

function filterWeights({ dims }: Slot, kind: LayerKind, draw: Draw): Tensor {
  const taps = elementCount(dims.slice(1));
  return fill(dims, kind === "adder" ? laplace(draw, adderSpread) : normal(draw, Math.sqrt(2 / taps)));
}

function addNorm(tensors: Map<string, Tensor>, { name, dims }: Slot, seen: Statistics, draw: Draw): void {
  tensors.set(`${name}.weight`, fill(dims, between(draw, 0.5, 1.5)));
  tensors.set(`${name}.bias`, fill(dims, between(draw, -0.3, 0.3)));
  tensors.set(`${name}.running_mean`, { type: "float32", data: seen.mean, dims });
  tensors.set(`${name}.running_var`, { type: "float32", data: seen.variance, dims });
}

/** A checkpoint of an architecture with the reference's names and widths, or a share of them. The same seed gives the same weights. Errors: ADN_USAGE. */
export function randomCheckpoint(
  arch: string,
  { kind, classes, width = 1, seed = 1 }: RandomCheckpointOptions,
): Checkpoint {
  const topology = architectures.get(arch)?.[0];
  if (topology === undefined) {
    throw new AdderNetError("ADN_USAGE", `there is no architecture "${arch}"`, {
      expected: listArchitectures().join(", "),
    });
  }
  const draw = seededUniform(seed);
  const tensors = new Map<string, Tensor>();
  let isBehindAdder = false;
  let seen: Statistics = { mean: new Float32Array(0), variance: new Float32Array(0) };
  const steps = scaleSteps(topology.steps, width);
  for (const slot of slotsOf({ ...topology, steps, classes: classes ?? topology.classes })) {
    if (slot.presence === "rare") continue;
    if (slot.step.kind === "norm" && slot.step.isForAdders && !isBehindAdder) continue;
    if (slot.kind === "slope") tensors.set(`${slot.name}.weight`, fill([1], between(draw, 0.1, 0.4)));
    if (slot.kind === "norm") addNorm(tensors, slot, seen, draw);
    if (slot.step.kind !== "filter") continue;
    const own = slot.step.isOrdinary ? "conv" : kind;
    const weights = filterWeights(slot, own, draw);
    isBehindAdder = own === "adder";
    seen = statisticsOf(weights, own);
    const isLinear = slot.step.isLinear;
    const dims = isLinear ? [slot.dims[0]!, elementCount(slot.dims.slice(1))] : slot.dims;
    tensors.set(`${slot.name}.${own === "adder" ? "adder" : "weight"}`, { ...weights, dims });
  }
  return { format: "random", tensors };
}
