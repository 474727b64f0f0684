// The range of a value chosen by what it does to the layers that read it.

import type { Tensor } from "../../src/core/tensor.ts";
import type { Feeds } from "../verify.ts";
import { type Correction, makeFit } from "./correction.ts";
import { centre, decode, encode, encodeWeights, type Grid } from "./grid.ts";
import { floatsOf, makeNoiseMeter } from "./lanes.ts";
import { layerModel, runAll, type StartModel, segmentModel } from "./parts.ts";
import type { CodedValue, CodeReader, Layer, Subject } from "./subject.ts";

/** The affine behind sums of codes that the float layer's own affine amounts to. */
export function baseAffine(layer: Layer, grid: Grid, excess: Float64Array) {
  return {
    scale: layer.scale.map((scale) => scale * grid.step),
    bias: layer.bias.map((bias, m) => bias - layer.scale[m]! * excess[m]!),
  };
}

/** A tensor on its way through the pooling between a value and its reader. */
async function throughPath(
  subject: Subject,
  name: string,
  { path }: CodeReader,
  tensors: readonly Tensor[],
  start: StartModel,
): Promise<readonly Tensor[]> {
  if (path.length === 0) return tensors;
  const output = path.at(-1)!.outputs[0]!;
  const part = { nodes: path, inputs: [name], outputs: [output] };
  const model = segmentModel(subject, part, new Map([[name, tensors[0]!]]));
  const feeds: Feeds[] = tensors.map((tensor) => new Map([[name, tensor]]));
  return (await runAll(start, model, feeds)).map((answers) => answers.get(output)!);
}

/** -Σ|X - W| of codes for every tensor, by a float kernel: integers, exact below 2^24. */
export async function sumsOfCodes(
  subject: Subject,
  layer: Layer,
  weights: Uint8Array,
  grid: Grid,
  codes: Iterable<Tensor & { readonly data: Uint8Array }>,
  start: StartModel,
  onSums: (sums: Tensor, index: number) => void,
): Promise<void> {
  const centred = centre(weights, grid);
  let running: Awaited<ReturnType<StartModel>> | undefined;
  let index = 0;
  try {
    for (const { data, dims } of codes) {
      const x: Tensor = { type: "float32", data: centre(data, grid), dims };
      running ??= await start(layerModel(subject, layer, x, centred));
      onSums((await running.run(new Map([["x", x]]))).get("y")!, index++);
    }
  } finally {
    await running?.dispose?.();
  }
}

/** Results of the float layer, before its residual and activation. */
export async function floatResults(
  subject: Subject,
  layer: Layer,
  xs: readonly Tensor[],
  start: StartModel,
): Promise<readonly Tensor[]> {
  const model = layerModel(subject, layer, xs[0]!);
  const feeds: Feeds[] = xs.map((x) => new Map([["x", x]]));
  return (await runAll(start, model, feeds)).map((answers) => answers.get("y")!);
}

/** What one layer makes of a value, by grid. */
interface Probe {
  readonly layer: Layer;
  readonly xs: readonly Tensor[];
  readonly targets: readonly Tensor[];
}

function* encoded(tensors: readonly Tensor[], grid: Grid) {
  for (const { dims, data } of tensors) {
    yield { type: "uint8", dims, data: encode(data as Float32Array, grid) } as const;
  }
}

async function layerError(
  subject: Subject,
  { layer, xs, targets }: Probe,
  grid: Grid,
  correction: Correction,
  start: StartModel,
): Promise<number> {
  const { codes, excess } = encodeWeights(layer.weight.data, layer.filters, grid);
  const fit = makeFit(layer.filters);
  await sumsOfCodes(subject, layer, codes, grid, encoded(xs, grid), start, (sums, index) => {
    fit.add(floatsOf(sums), floatsOf(targets[index]!), sums.dims[0]!);
  });
  return fit.solve(baseAffine(layer, grid, excess), correction).error;
}

/** Noise that codes add to the value itself, over its variance. */
function ownError(tensors: readonly Tensor[], grid: Grid): number {
  const meter = makeNoiseMeter();
  for (const tensor of tensors) meter.add(floatsOf(tensor), decode(encode(floatsOf(tensor), grid), grid));
  return meter.relative();
}

/**
 * A function that answers the error of a grid for `value`: relative squared errors, summed over the layers that read its codes
 * (against the float network, after correction) and, where it is added to results or read by nothing else, of the value itself.
 */
export async function makeErrorOf(
  subject: Subject,
  value: CodedValue,
  reference: readonly Tensor[],
  quantized: readonly Tensor[],
  correction: Correction,
  start: StartModel,
): Promise<(grid: Grid) => Promise<number>> {
  const probes: Probe[] = [];
  for (const reader of value.readers) {
    const [wanted, xs] = [
      await throughPath(subject, value.name, reader, reference, start),
      await throughPath(subject, value.name, reader, quantized, start),
    ];
    const targets = await floatResults(subject, reader.layer, wanted, start);
    probes.push({ layer: reader.layer, xs, targets });
  }
  const ownReaders = probes.length === 0 ? 1 : value.residualReaders.length;
  return async (grid) => {
    let error = ownReaders > 0 ? ownReaders * ownError(quantized, grid) : 0;
    for (const probe of probes) error += await layerError(subject, probe, grid, correction, start);
    return error;
  };
}
