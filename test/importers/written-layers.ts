// Adder layers written out in standard ops, in the ways exporters and people write them.

import type { Tensor } from "../../src/core/tensor.ts";
import type { AdderCase } from "../custom-ops/adder-case.ts";
import { outputDims } from "../custom-ops/adder-case.ts";
import type { NetWriter } from "./net-writer.ts";

export interface Layer {
  readonly net: NetWriter;
  readonly adder: AdderCase;
  readonly x: string;
  readonly w: Tensor;
  /** Whether the batch of x is free. */
  readonly isFree: boolean;
}

type Write = (layer: Layer) => string;

const range = (length: number): number[] => Array.from({ length }, (_, at) => at);
const reshaped = ({ net, w }: Layer, dims: readonly number[], name?: string): string =>
  net.constant({ ...w, dims }, name);
const taps = ({ adder }: Layer): number => adder.w[1] * adder.w[2] * adder.w[3];

/** x with zeros around it. */
function padded({ net, adder, x }: Layer): string {
  const [top, left, bottom, right] = adder.pads;
  return net.op("Pad", [x, net.ints([0, 0, top, left, 0, 0, bottom, right])]);
}

/** Places [kernel, outputs] that windows read along an axis. */
function positions(adder: AdderCase, axis: 0 | 1): number[] {
  const outputs = outputDims(adder)[axis + 2]!;
  return range(adder.w[axis + 2]!).flatMap((tap) =>
    range(outputs).map((at) => at * adder.strides[axis] + tap * adder.dilations[axis]),
  );
}

/** Places as the exporters compute them in the graph: Range over the padded length, plus the taps. */
function computedPositions({ net, adder, x }: Layer, axis: 0 | 1): string {
  const { pads, dilations, strides, w } = adder;
  const length = net.op("Gather", [net.op("Shape", [x]), net.ints([axis + 2], [])], { axis: 0 });
  const grown = net.op("Add", [length, net.ints([pads[axis] + pads[axis + 2]!], [])]);
  const end = net.op("Sub", [grown, net.ints([dilations[axis] * (w[axis + 2]! - 1)], [])]);
  const starts = net.op("Range", [net.ints([0], []), end, net.ints([strides[axis]], [])]);
  const steps = range(w[axis + 2]!).map((tap) => tap * dilations[axis]);
  return net.op("Add", [net.unsqueeze(starts, 0), net.ints(steps, [steps.length, 1])]);
}

/** [N, C·KH·KW, OH·OW]: Pad, two Gathers, Transpose, Reshape. */
function im2col(layer: Layer, isComputed = false): string {
  const { net, adder } = layer;
  const [, , oh, ow] = outputDims(adder);
  const rows = isComputed ? computedPositions(layer, 0) : net.ints(positions(adder, 0), [adder.w[2], oh]);
  const columns = isComputed ? computedPositions(layer, 1) : net.ints(positions(adder, 1), [adder.w[3], ow]);
  const byRow = net.op("Gather", [padded(layer), rows], { axis: 2 });
  const windows = net.op("Gather", [byRow, columns], { axis: 4 });
  const ordered = net.op("Transpose", [windows], { perm: [0, 1, 2, 4, 3, 5] });
  return net.op("Reshape", [ordered, net.ints([0, adder.x[1] * adder.w[2] * adder.w[3], -1])]);
}

function batchOf({ net, x }: Layer): string {
  return net.unsqueeze(net.op("Gather", [net.op("Shape", [x]), net.ints([0], [])], { axis: 0 }), 0);
}

/** AdderNet's own layout: columns [K, L·N], weight first. */
const official: Write = (layer) => {
  const { net, adder } = layer;
  const [, m, oh, ow] = outputDims(adder);
  const columns = net.op("Transpose", [im2col(layer, true)], { perm: [1, 2, 0] });
  const flat = net.op("Reshape", [columns, net.ints([taps(layer), -1])]);
  const difference = net.op("Sub", [reshaped(layer, [m, taps(layer), 1]), net.unsqueeze(flat, 0)]);
  const sum = net.op("Neg", [net.sum(net.op("Abs", [difference]), [1])]);
  const target = net.op("Concat", [net.ints([m]), net.ints([oh]), net.ints([ow]), batchOf(layer)], {
    axis: 0,
  });
  return net.op("Transpose", [net.op("Reshape", [sum, target])], { perm: [3, 0, 1, 2] });
};

/** |x - w| of the batched layout [N, M, K, L], before anything is summed. */
function batchedDifference(layer: Layer, swap = false): string {
  const { net, adder } = layer;
  const operands = [net.unsqueeze(im2col(layer), 1), reshaped(layer, [1, adder.w[0], taps(layer), 1])];
  return net.op("Sub", swap ? operands.reverse() : operands);
}

function toMaps({ net, adder }: Layer, sum: string): string {
  const [, m, oh, ow] = outputDims(adder);
  return net.op("Reshape", [sum, net.ints([-1, m, oh, ow])]);
}

/** The batched layout with its own way from the difference to the sum, and from there to the value. */
function batched(
  toSum: (layer: Layer, difference: string) => string,
  finish?: (layer: Layer, sum: string) => string,
  swap = false,
): Write {
  return (layer) => {
    const sum = toSum(layer, batchedDifference(layer, swap));
    return finish?.(layer, sum) ?? layer.net.op("Neg", [toMaps(layer, sum)]);
  };
}

const absSum = ({ net }: Layer, difference: string): string => net.sum(net.op("Abs", [difference]), [2]);

/** One slice of the padded input per place of the kernel, added up. */
const slices: Write = (layer) => {
  const { net, adder, w } = layer;
  const [, m, oh, ow] = outputDims(adder);
  const [, c, kh, kw] = adder.w;
  const source = padded(layer);
  const terms = range(kh * kw).map((place) => {
    const [i, j] = [Math.floor(place / kw), place % kw];
    const start = [i * adder.dilations[0], j * adder.dilations[1]];
    const end = [start[0]! + (oh - 1) * adder.strides[0] + 1, start[1]! + (ow - 1) * adder.strides[1] + 1];
    const inputs = [source, net.ints(start), net.ints(end), net.ints([2, 3]), net.ints(adder.strides)];
    const shifted = net.unsqueeze(net.op("Slice", inputs), 1);
    const weight = range(m * c).map((at) => (w.data as Float32Array)[at * kh * kw + place]!);
    const difference = net.op("Sub", [shifted, net.floats(weight, [1, m, c, 1, 1])]);
    return net.sum(net.op("Abs", [difference]), [2]);
  });
  return net.op("Neg", [terms.reduce((sum, term) => net.op("Add", [sum, term]))]);
};

/** torch.stack of shifted slices in place of im2col. */
const stacked: Write = (layer) => {
  const { net, adder } = layer;
  const [, m, oh, ow] = outputDims(adder);
  const [, c, kh, kw] = adder.w;
  const source = padded(layer);
  const shifts = range(kh * kw).map((place) => {
    const start = [Math.floor(place / kw) * adder.dilations[0], (place % kw) * adder.dilations[1]];
    const end = [start[0]! + (oh - 1) * adder.strides[0] + 1, start[1]! + (ow - 1) * adder.strides[1] + 1];
    const inputs = [source, net.ints(start), net.ints(end), net.ints([2, 3]), net.ints(adder.strides)];
    return net.unsqueeze(net.op("Slice", inputs), 2);
  });
  const columns = net.op("Reshape", [
    net.op("Concat", shifts, { axis: 2 }),
    net.ints([0, 1, c * kh * kw, oh, ow]),
  ]);
  const difference = net.op("Sub", [columns, reshaped(layer, [m, taps(layer), 1, 1])]);
  return net.op("Neg", [net.sum(net.op("Abs", [difference]), [2])]);
};

/** One Gather with positions [K, L] in the flattened padded input. */
const flatIndex: Write = (layer) => {
  const { net, adder } = layer;
  const [, m, oh, ow] = outputDims(adder);
  const [, c, kh, kw] = adder.w;
  const [height, width] = [
    adder.x[2] + adder.pads[0] + adder.pads[2],
    adder.x[3] + adder.pads[1] + adder.pads[3],
  ];
  const [rows, columns] = [positions(adder, 0), positions(adder, 1)];
  const at = range(c * kh * kw).flatMap((tap) => {
    const [channel, i, j] = [Math.floor(tap / (kh * kw)), Math.floor(tap / kw) % kh, tap % kw];
    return range(oh * ow).map((place) => {
      const [y, x] = [rows[i * oh + Math.floor(place / ow)]!, columns[j * ow + (place % ow)]!];
      return (channel * height + y) * width + x;
    });
  });
  const flat = net.op("Reshape", [padded(layer), net.ints([0, c * height * width])]);
  const gathered = net.op("Gather", [flat, net.ints(at, [c * kh * kw, oh * ow])], { axis: 1 });
  const difference = net.op("Sub", [net.unsqueeze(gathered, 1), reshaped(layer, [1, m, taps(layer), 1])]);
  return net.op("Neg", [toMaps(layer, net.sum(net.op("Abs", [difference]), [2]))]);
};

/** x[:, c, y, x] by tuples, as advanced indexing is exported. */
const gatherNd: Write = (layer) => {
  const { net, adder } = layer;
  const [, m, oh, ow] = outputDims(adder);
  const [, c, kh, kw] = adder.w;
  const [rows, columns] = [positions(adder, 0), positions(adder, 1)];
  const tuples = range(c * kh * kw).flatMap((tap) => {
    const [channel, i, j] = [Math.floor(tap / (kh * kw)), Math.floor(tap / kw) % kh, tap % kw];
    return range(oh * ow).flatMap((place) => [
      channel,
      rows[i * oh + Math.floor(place / ow)]!,
      columns[j * ow + (place % ow)]!,
    ]);
  });
  const front = net.op("Transpose", [padded(layer)], { perm: [1, 2, 3, 0] });
  const gathered = net.op("GatherND", [front, net.ints(tuples, [c * kh * kw, oh * ow, 3])]);
  const difference = net.op("Sub", [net.unsqueeze(gathered, 0), reshaped(layer, [m, taps(layer), 1, 1])]);
  const sum = net.op("Transpose", [net.sum(net.op("Abs", [difference]), [1])], { perm: [2, 0, 1] });
  return net.op("Neg", [toMaps(layer, sum)]);
};

/** im2col by a convolution with an identity weight, the padding inside it. */
const oneHotConv: Write = (layer) => {
  const { net, adder } = layer;
  const [m, c, kh, kw] = adder.w;
  const identity = range(taps(layer) ** 2).map((at) => (at % (taps(layer) + 1) === 0 ? 1 : 0));
  const { strides, pads, dilations } = adder;
  const weight = net.floats(identity, [taps(layer), c, kh, kw]);
  const columns = net.op("Conv", [layer.x, weight], { strides, pads, dilations });
  const difference = net.op("Sub", [net.unsqueeze(columns, 1), reshaped(layer, [1, m, taps(layer), 1, 1])]);
  return net.op("Neg", [net.sum(net.op("Abs", [difference]), [2])]);
};

/** Groups as an axis of their own: [N, G, 1, K, L] against [1, G, M/G, K, 1]. */
const groupedReshape: Write = (layer) => {
  const { net, adder } = layer;
  const { group } = adder;
  const columns = net.op("Reshape", [im2col(layer), net.ints([0, group, 1, taps(layer), -1])]);
  const weight = reshaped(layer, [1, group, adder.w[0] / group, taps(layer), 1]);
  const sum = net.sum(net.op("Abs", [net.op("Sub", [columns, weight])]), [3]);
  return net.op("Neg", [toMaps(layer, sum)]);
};

/** One layer per group over a Split of x, joined by Concat. */
const groupedLoop: Write = (layer) => {
  const { net, adder, x, w } = layer;
  const { group } = adder;
  const perGroup = adder.w[1];
  const filters = adder.w[0] / group;
  const parts = range(group).map((g) => {
    const bounds = [g * perGroup, (g + 1) * perGroup].map((bound) => net.ints([bound]));
    const part = net.op("Slice", [x, bounds[0]!, bounds[1]!, net.ints([1])]);
    const size = filters * perGroup * adder.w[2] * adder.w[3];
    const own = (w.data as Float32Array).slice(g * size, (g + 1) * size);
    const inner: AdderCase = {
      ...adder,
      group: 1,
      x: [adder.x[0], perGroup, adder.x[2], adder.x[3]],
      w: [filters, perGroup, adder.w[2], adder.w[3]],
    };
    return batched(absSum)({ ...layer, adder: inner, x: part, w: { ...w, data: own, dims: inner.w } });
  });
  return net.op("Concat", parts, { axis: 1 });
};

/** One sum per filter, joined along the channels. */
const perFilter: Write = (layer) => {
  const { net, adder, w } = layer;
  const size = taps(layer);
  const columns = im2col(layer);
  const maps = range(adder.w[0]).map((m) => {
    const own = Array.from((w.data as Float32Array).slice(m * size, (m + 1) * size));
    const difference = net.op("Sub", [columns, net.floats(own, [1, size, 1])]);
    return net.sum(net.op("Abs", [difference]), [1], 1);
  });
  return net.op("Neg", [toMaps(layer, net.op("Concat", maps, { axis: 1 }))]);
};

/** Channels last from the difference on, and back. */
const channelsLast: Write = (layer) => {
  const { net, adder } = layer;
  const [, m, oh, ow] = outputDims(adder);
  const columns = net.op("Transpose", [im2col(layer)], { perm: [0, 2, 1] });
  const difference = net.op("Sub", [net.unsqueeze(columns, 2), reshaped(layer, [m, taps(layer)])]);
  const sum = net.op("Neg", [net.sum(net.op("Abs", [difference]), [-1])]);
  const maps = net.op("Reshape", [sum, net.ints([-1, oh, ow, m])]);
  return net.op("Transpose", [maps], { perm: [0, 3, 1, 2] });
};

/** Padding by joining zeros. */
const zeroConcat: Write = (layer) => {
  const { net, adder, x } = layer;
  const [n, c, h, w] = adder.x;
  const [top, left, bottom, right] = adder.pads;
  const zeros = (dims: readonly number[]) =>
    net.floats(new Array(dims.reduce((a, b) => a * b)).fill(0), dims);
  const join = (parts: readonly string[], axis: number) =>
    parts.length > 1 ? net.op("Concat", parts, { axis }) : parts[0]!;
  const tall = join(
    [...(top ? [zeros([n, c, top, w])] : []), x, ...(bottom ? [zeros([n, c, bottom, w])] : [])],
    2,
  );
  const height = h + top + bottom;
  const wide = join(
    [...(left ? [zeros([n, c, height, left])] : []), tall, ...(right ? [zeros([n, c, height, right])] : [])],
    3,
  );
  const inner: AdderCase = { ...adder, pads: [0, 0, 0, 0], x: [n, c, height, w + left + right] };
  return batched(absSum)({ ...layer, adder: inner, x: wide });
};

/** The weight repeated for the batch at run time. */
const expandedWeight: Write = (layer) => {
  const { net, adder } = layer;
  const ones = net.ints([adder.w[0], taps(layer), 1]);
  const target = net.op("Concat", [batchOf(layer), ones], { axis: 0 });
  const weight = net.op("Expand", [reshaped(layer, [1, adder.w[0], taps(layer), 1]), target]);
  const difference = net.op("Sub", [net.unsqueeze(im2col(layer), 1), weight]);
  return net.op("Neg", [toMaps(layer, absSum(layer, difference))]);
};

export interface WrittenForm {
  readonly name: string;
  readonly write: Write;
  readonly grouped?: boolean;
  /** Only for a fixed batch. */
  readonly fixed?: boolean;
  /** First opset with the ops that the form needs. */
  readonly since?: number;
}

const half = (value: number) => [value];

export const writtenForms: readonly WrittenForm[] = [
  { name: "official layout", write: official },
  { name: "batched layout", write: batched(absSum) },
  { name: "weight minus x", write: batched(absSum, undefined, true) },
  {
    name: "Neg before Reshape",
    write: batched(absSum, (layer, sum) => toMaps(layer, layer.net.op("Neg", [sum]))),
  },
  {
    name: "times -1",
    write: batched(absSum, (layer, sum) =>
      layer.net.op("Mul", [layer.net.floats(half(-1), []), toMaps(layer, sum)]),
    ),
  },
  {
    name: "divided by -1",
    write: batched(absSum, (layer, sum) => layer.net.op("Div", [toMaps(layer, sum), layer.net.floats([-1])])),
  },
  {
    name: "0 minus",
    write: batched(absSum, (layer, sum) =>
      layer.net.op("Sub", [layer.net.floats([0], []), toMaps(layer, sum)]),
    ),
  },
  { name: "keepdims", write: batched(({ net }, difference) => net.sum(net.op("Abs", [difference]), [2], 1)) },
  {
    name: "ReduceL1 for Abs and ReduceSum",
    write: batched((layer, d) => layer.net.op("ReduceL1", [d], { axes: [2], keepdims: 0 })),
  },
  {
    name: "mean times K",
    write: batched((layer, d) =>
      layer.net.op("Mul", [
        layer.net.op("ReduceMean", [layer.net.op("Abs", [d])], { axes: [2], keepdims: 0 }),
        layer.net.floats([taps(layer)]),
      ]),
    ),
  },
  {
    name: "root of the square",
    write: batched(({ net }, d) => net.sum(net.op("Sqrt", [net.op("Pow", [d, net.floats([2], [])])]), [2])),
  },
  {
    name: "square to the half",
    write: batched(({ net }, d) =>
      net.sum(net.op("Pow", [net.op("Mul", [d, d]), net.floats([0.5], [])]), [2]),
    ),
  },
  {
    name: "larger of d and -d",
    write: batched(({ net }, d) => net.sum(net.op("Max", [net.op("Neg", [d]), d]), [2])),
  },
  {
    name: "d times its sign",
    write: batched(({ net }, d) => net.sum(net.op("Mul", [d, net.op("Sign", [d])]), [2])),
  },
  {
    name: "d where it is positive, else -d",
    write: batched(({ net }, d) => {
      const condition = net.op("Greater", [d, net.floats([0], [])]);
      return net.sum(net.op("Where", [condition, d, net.op("Neg", [d])]), [2]);
    }),
  },
  {
    name: "both halves of d",
    write: batched(({ net }, d) => {
      const halves = [net.op("Relu", [d]), net.op("Relu", [net.op("Neg", [d])])];
      return net.sum(net.op("Add", halves), [2]);
    }),
  },
  {
    name: "smaller minus larger",
    write: (layer) => {
      const { net, adder } = layer;
      const operands = [net.unsqueeze(im2col(layer), 1), reshaped(layer, [1, adder.w[0], taps(layer), 1])];
      const spread = net.op("Sub", [net.op("Min", operands), net.op("Max", operands)]);
      return toMaps(layer, net.sum(spread, [2]));
    },
  },
  {
    name: "the weight repeated in the file",
    write: (layer) => {
      const { net, adder, w } = layer;
      const places = outputDims(adder)[2] * outputDims(adder)[3];
      const repeated = Array.from(w.data as Float32Array).flatMap((value) =>
        new Array<number>(places).fill(value),
      );
      const weight = net.floats(repeated, [1, adder.w[0], taps(layer), places]);
      const difference = net.op("Sub", [net.unsqueeze(im2col(layer), 1), weight]);
      return net.op("Neg", [toMaps(layer, absSum(layer, difference))]);
    },
  },
  {
    name: "Neg of each distance",
    write: batched(
      ({ net }, d) => net.sum(net.op("Neg", [net.op("Abs", [d])]), [2]),
      (layer, sum) => toMaps(layer, sum),
    ),
  },
  {
    name: "x plus the negative weight",
    write: (layer) => {
      const negative = { ...layer.w, data: (layer.w.data as Float32Array).map((value) => -value) };
      const { net, adder } = layer;
      const weight = net.constant({ ...negative, dims: [1, adder.w[0], taps(layer), 1] });
      return net.op("Neg", [
        toMaps(layer, absSum(layer, net.op("Add", [weight, net.unsqueeze(im2col(layer), 1)]))),
      ]);
    },
  },
  {
    name: "two sums, one per axis",
    write: (layer) => {
      const { net, adder } = layer;
      const [m, c, kh, kw] = adder.w;
      const columns = net.op("Reshape", [im2col(layer), net.ints([0, 1, c, kh * kw, -1])]);
      const absolute = net.op("Abs", [net.op("Sub", [columns, reshaped(layer, [m, c, kh * kw, 1])])]);
      return net.op("Neg", [toMaps(layer, net.sum(net.sum(absolute, [3]), [2]))]);
    },
  },
  { name: "slices added up", write: slices },
  { name: "stacked slices", write: stacked },
  { name: "one Gather with flat positions", write: flatIndex },
  { name: "GatherND", write: gatherNd, since: 12 },
  { name: "one-hot convolution", write: oneHotConv },
  { name: "one sum per filter", write: perFilter },
  { name: "channels last", write: channelsLast },
  { name: "zeros joined for padding", write: zeroConcat, fixed: true },
  { name: "weight repeated at run time", write: expandedWeight },
  { name: "groups as an axis", write: groupedReshape, grouped: true },
  { name: "groups in a loop", write: groupedLoop, grouped: true },
];
