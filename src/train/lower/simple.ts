// The layers that look at one element, or one small window, at a time.

import type {
  AddLayer,
  FlattenLayer,
  GridLayer,
  Layer,
  PoolLayer,
  PreluLayer,
  ReluLayer,
} from "../network.ts";
import type { Lowering, Places } from "./context.ts";
import { blockAt, rowBytes } from "./layout.ts";

interface Extent {
  readonly channels: number;
  readonly row: number;
  /** Floats of a slice's block, filling included. */
  readonly count: number;
}

function extentOf(value: string, { shapes, slices }: Places): Extent {
  const shape = shapes.get(value)!;
  const row = rowBytes(shape, slices.images[0]!);
  return { channels: shape[0], row, count: (shape[0] * row) / 4 };
}

const allSlices = ({ slices }: Places): number[] => Array.from({ length: slices.count }, (_, slice) => slice);

export const reluLowering: Lowering<ReluLayer> = {
  forward: ({ input, output }, places, program) => {
    const { count } = extentOf(input, places);
    for (const slice of allSlices(places)) {
      program.call(
        slice,
        "relu",
        blockAt(places.value(input), slice),
        blockAt(places.value(output), slice),
        count,
      );
    }
  },
  backward: ({ input, output }, places, program, gradients) => {
    if (!gradients.isWanted(input)) return;
    const { count } = extentOf(input, places);
    const dy = gradients.of(output);
    const dx = gradients.take(input, output);
    for (const slice of allSlices(places)) {
      const y = blockAt(places.value(output), slice);
      program.call(slice, "reluGradient", y, blockAt(dy, slice), blockAt(dx, slice), count);
    }
    gradients.give(input, dx);
  },
};

function slopeStep({ network }: Places, slope: string): number {
  return network.parameters.get(slope)!.dims.reduce((product, dim) => product * dim, 1) === 1 ? 0 : 4;
}

export const preluLowering: Lowering<PreluLayer> = {
  forward: ({ input, output, slope }, places, program) => {
    const { channels, row } = extentOf(input, places);
    for (const slice of allSlices(places)) {
      const [x, y] = [blockAt(places.value(input), slice), blockAt(places.value(output), slice)];
      program.call(slice, "prelu", x, y, places.parameter(slope), channels, row, slopeStep(places, slope));
    }
  },
  backward: ({ input, output, slope }, places, program, gradients) => {
    if (!gradients.isWanted(input)) return;
    const { channels, row } = extentOf(input, places);
    const step = slopeStep(places, slope);
    const [dy, dx] = [gradients.of(output), gradients.take(input, output)];
    for (const slice of allSlices(places)) {
      const dslope = blockAt(places.sliceGradient(slope), slice);
      program.call(slice, "clear", dslope, step === 0 ? 4 : 4 * channels);
      program.call(
        slice,
        "preluGradient",
        ...[blockAt(places.value(input), slice), blockAt(dy, slice), blockAt(dx, slice)],
        ...[places.parameter(slope), dslope, channels, row, step],
      );
    }
    gradients.give(input, dx);
  },
};

export const addLowering: Lowering<AddLayer> = {
  forward: ({ input, other, output }, places, program) => {
    const { count } = extentOf(input, places);
    for (const slice of allSlices(places)) {
      const [a, b, y] = [input, other, output].map((name) => blockAt(places.value(name), slice));
      program.call(slice, "add", a!, b!, y!, count);
    }
  },
  backward: ({ input, other, output }, places, program, gradients) => {
    const { count } = extentOf(input, places);
    const dy = gradients.of(output);
    // The second share first: the first one may take over the gradient itself.
    for (const [value, inPlace] of [
      [other, undefined],
      [input, output],
    ] as const) {
      if (!gradients.isWanted(value)) continue;
      const dx = gradients.take(value, inPlace);
      for (const slice of allSlices(places)) {
        if (dx.address === dy.address) continue;
        program.call(slice, "copy", blockAt(dy, slice), blockAt(dx, slice), 4 * count);
      }
      gradients.give(value, dx);
    }
  },
};

function poolArguments(layer: PoolLayer, { shapes, slices }: Places, slice: number) {
  const [input, output] = [shapes.get(layer.input)!, shapes.get(layer.output)!];
  const most = slices.images[0]!;
  return {
    head: [input[0], slices.images[slice]!, input[1], input[2], rowBytes(input, most)],
    tail: [
      output[1],
      output[2],
      rowBytes(output, most),
      ...layer.kernel,
      ...layer.strides,
      layer.pads[0],
      layer.pads[1],
    ],
    planeBytes: 4 * input[1] * input[2],
    outputs: output[1] * output[2],
  };
}

function chosenPlaces(layer: PoolLayer, places: Places) {
  return places.own(layer, "chosen", 4 * extentOf(layer.output, places).count);
}

export const maxPoolLowering: Lowering<PoolLayer> = {
  forward: (layer, places, program) => {
    for (const slice of allSlices(places)) {
      const { head, tail } = poolArguments(layer, places, slice);
      const [x, y] = [layer.input, layer.output].map((name) => blockAt(places.value(name), slice));
      program.call(slice, "maxPool", x!, y!, blockAt(chosenPlaces(layer, places), slice), ...head, ...tail);
    }
  },
  backward: (layer, places, program, gradients) => {
    if (!gradients.isWanted(layer.input)) return;
    const dy = gradients.of(layer.output);
    const dx = gradients.takeSum(layer.input);
    for (const slice of allSlices(places)) {
      const { head, planeBytes, outputs } = poolArguments(layer, places, slice);
      const chosen = blockAt(chosenPlaces(layer, places), slice);
      const rows = [extentOf(layer.output, places).row, extentOf(layer.input, places).row];
      const counts = [head[0]!, head[1]!, planeBytes, outputs];
      program.call(
        slice,
        "maxPoolGradient",
        blockAt(dy, slice),
        chosen,
        blockAt(dx, slice),
        ...counts,
        ...rows,
      );
    }
  },
};

export const averagePoolLowering: Lowering<PoolLayer> = {
  forward: (layer, places, program) => {
    for (const slice of allSlices(places)) {
      const { head, tail } = poolArguments(layer, places, slice);
      const [x, y] = [layer.input, layer.output].map((name) => blockAt(places.value(name), slice));
      program.call(slice, "averagePool", x!, y!, ...head, ...tail, Number(layer.countsPadding));
    }
  },
  backward: (layer, places, program, gradients) => {
    if (!gradients.isWanted(layer.input)) return;
    const dy = gradients.of(layer.output);
    const dx = gradients.takeSum(layer.input);
    for (const slice of allSlices(places)) {
      const { head, tail } = poolArguments(layer, places, slice);
      const ends = [...head, ...tail, Number(layer.countsPadding)];
      program.call(slice, "averagePoolGradient", blockAt(dy, slice), blockAt(dx, slice), ...ends);
    }
  },
};

/** A window as large as the map moves every position to a channel of its own. */
function flattenArguments(layer: FlattenLayer, places: Places, slice: number): number[] {
  const [channels, height, width] = places.shapes.get(layer.input)!;
  const rows = [extentOf(layer.input, places).row, extentOf(layer.output, places).row];
  return [
    channels,
    places.slices.images[slice]!,
    height,
    width,
    ...rows,
    height,
    width,
    1,
    1,
    1,
    1,
    0,
    0,
    0,
    1,
    1,
  ];
}

export const flattenLowering: Lowering<FlattenLayer> = {
  forward: (layer, places, program) => {
    for (const slice of allSlices(places)) {
      const [x, y] = [layer.input, layer.output].map((name) => blockAt(places.value(name), slice));
      program.call(slice, "unfold", x!, y!, ...flattenArguments(layer, places, slice));
    }
  },
  backward: (layer, places, program, gradients) => {
    if (!gradients.isWanted(layer.input)) return;
    const dy = gradients.of(layer.output);
    const dx = gradients.takeSum(layer.input);
    for (const slice of allSlices(places)) {
      program.call(
        slice,
        "fold",
        blockAt(dy, slice),
        blockAt(dx, slice),
        ...flattenArguments(layer, places, slice),
      );
    }
  },
};

function gridConstants(layer: GridLayer, places: Places): number {
  return places.constants(layer as Layer, "float32", [layer.step, layer.low, layer.high]);
}

export const gridLowering: Lowering<GridLayer> = {
  forward: (layer, places, program) => {
    const { count } = extentOf(layer.input, places);
    for (const slice of allSlices(places)) {
      const [x, y] = [layer.input, layer.output].map((name) => blockAt(places.value(name), slice));
      program.call(slice, "toGrid", x!, y!, gridConstants(layer, places), count);
    }
  },
  backward: (layer, places, program, gradients) => {
    if (!gradients.isWanted(layer.input)) return;
    const { count } = extentOf(layer.input, places);
    const [dy, dx] = [gradients.of(layer.output), gradients.take(layer.input, layer.output)];
    for (const slice of allSlices(places)) {
      const x = blockAt(places.value(layer.input), slice);
      program.call(
        slice,
        "toGridGradient",
        x,
        blockAt(dy, slice),
        blockAt(dx, slice),
        gridConstants(layer, places),
        count,
      );
    }
    gradients.give(layer.input, dx);
  },
};
