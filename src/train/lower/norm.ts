// Batch normalisation: the one layer that sees the whole batch, so the slices meet here.

import type { NormLayer } from "../network.ts";
import type { Lowering, Mode, Places, ValueGradients } from "./context.ts";
import { blockAt, rowBytes } from "./layout.ts";
import type { ProgramDraft } from "./program.ts";

interface Facts {
  readonly channels: number;
  /** Positions of one image. */
  readonly plane: number;
  readonly row: number;
  readonly gamma: number;
  readonly beta: number;
}

function factsOf(layer: NormLayer, { shapes, slices, parameter }: Places): Facts {
  const shape = shapes.get(layer.input)!;
  return {
    channels: shape[0],
    plane: shape[1] * shape[2],
    row: rowBytes(shape, slices.images[0]!),
    gamma: layer.gamma === undefined ? 0 : parameter(layer.gamma),
    beta: layer.beta === undefined ? 0 : parameter(layer.beta),
  };
}

function measure(layer: NormLayer, places: Places, program: ProgramDraft): void {
  const { channels, plane, row } = factsOf(layer, places);
  const parts = places.own(layer, "parts", 24 * channels);
  const { count: slices, images } = places.slices;
  for (let slice = 0; slice < slices; slice++) {
    const x = blockAt(places.value(layer.input), slice);
    program.call(slice, "normParts", x, blockAt(parts, slice), channels, images[slice]! * plane, row);
  }
  program.barrier();
}

function forward(layer: NormLayer, places: Places, program: ProgramDraft, mode: Mode): void {
  const { channels, row, gamma, beta } = factsOf(layer, places);
  const constants = places.constants(layer, "float64", [layer.epsilon, layer.momentum]);
  const [mean, variance] = [places.parameter(layer.mean), places.parameter(layer.variance)];
  if (mode === "training") measure(layer, places, program);
  const parts = places.own(layer, "parts", 24 * channels);
  const statistics = places.own(layer, "statistics", 8 * channels);
  const merged = places.own(layer, "merged", 16);
  const { count: slices } = places.slices;
  for (let slice = 0; slice < slices; slice++) {
    const [x, y] = [blockAt(places.value(layer.input), slice), blockAt(places.value(layer.output), slice)];
    const own = blockAt(statistics, slice);
    const room = blockAt(merged, slice);
    const all = [constants, channels, slices, parts.sliceBytes];
    if (mode === "inference") {
      program.call(slice, "normFrozenStatistics", mean, variance, own, constants, channels);
    } else {
      program.call(slice, "normStatistics", parts.address, own, room, ...all);
      if (slice === 0) program.call(slice, "normRunning", parts.address, mean, variance, room, ...all);
    }
    program.call(slice, "norm", x, y, own, gamma, beta, channels, row);
  }
}

function backward(layer: NormLayer, places: Places, program: ProgramDraft, gradients: ValueGradients): void {
  const { channels, plane, row, gamma } = factsOf(layer, places);
  const { count: slices, images } = places.slices;
  const parts = places.own(layer, "gradientParts", 16 * channels);
  const statistics = places.own(layer, "statistics", 8 * channels);
  const dyBlocks = gradients.of(layer.output);
  for (let slice = 0; slice < slices; slice++) {
    const x = blockAt(places.value(layer.input), slice);
    const [dy, own] = [blockAt(dyBlocks, slice), blockAt(statistics, slice)];
    const count = images[slice]! * plane;
    program.call(slice, "normGradientParts", x, dy, own, blockAt(parts, slice), channels, count, row, row);
  }
  program.barrier();
  const total = images.reduce((sum, count) => sum + count, 0) * plane;
  const dxBlocks = gradients.take(layer.input, layer.output);
  const [dgamma, dbeta] = [layer.gamma, layer.beta].map((name) => (name ? places.gradientOf(name) : 0));
  for (let slice = 0; slice < slices; slice++) {
    const x = blockAt(places.value(layer.input), slice);
    const [dy, dx] = [blockAt(dyBlocks, slice), blockAt(dxBlocks, slice)];
    const results = slice === 0 ? [dgamma!, dbeta!] : [0, 0];
    program.call(
      slice,
      "normInputGradient",
      ...[x, dy, dx, blockAt(statistics, slice), parts.address, gamma, ...results],
      ...[channels, images[slice]! * plane, total, row, row, slices, parts.sliceBytes],
    );
  }
  gradients.give(layer.input, dxBlocks);
}

export const normLowering: Lowering<NormLayer> = { forward, backward };
