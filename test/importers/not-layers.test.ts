// What looks like an adder layer and is none stays as it is, with the same numbers.

import { describe, expect, it } from "vitest";
import type { Tensor } from "../../src/core/tensor.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import { adderNodes, importNet, type NetWriter, netWriter, runNet } from "./net-writer.ts";

const range = (length: number): number[] => Array.from({ length }, (_, at) => at);
const dims = [2, 3, 5, 5] as const;
const [filters, taps, places] = [4, 27, 9];
const x = randomTensor(dims, 1);
const w = randomTensor([filters, taps], 2);

interface LookAlike {
  readonly name: string;
  readonly write: (net: NetWriter) => string;
}

/** Rows that windows of height 3 read along an axis of length 5: [3, 3]. */
const rows = [0, 1, 2, 1, 2, 3, 2, 3, 4];

function columns(
  net: NetWriter,
  source: string,
  ys: readonly number[] = rows,
  xs: readonly number[] = rows,
): string {
  const byRow = net.op("Gather", [source, net.ints(ys, [3, 3])], { axis: 2 });
  const windows = net.op("Gather", [byRow, net.ints(xs, [3, 3])], { axis: 4 });
  const ordered = net.op("Transpose", [windows], { perm: [0, 1, 2, 4, 3, 5] });
  return net.op("Reshape", [ordered, net.ints([0, taps, -1])]);
}

const weight = (net: NetWriter, shape: readonly number[] = [1, filters, taps, 1]): string =>
  net.constant({ ...w, dims: shape });

function difference(net: NetWriter, source = "x"): string {
  return net.op("Sub", [net.unsqueeze(columns(net, source), 1), weight(net)]);
}

const maps = (net: NetWriter, sum: string): string =>
  net.op("Neg", [net.op("Reshape", [sum, net.ints([-1, filters, 3, 3])])]);
const finish = (net: NetWriter, absolute: string): string => maps(net, net.sum(absolute, [2]));

function slice(net: NetWriter, source: string, top: number, left: number): string {
  const inputs = [net.ints([top, left]), net.ints([top + 3, left + 3]), net.ints([2, 3])];
  return net.unsqueeze(net.op("Slice", [source, ...inputs]), 1);
}

/** Σ over places of the kernel of |slice - w|, the slices from wherever `source` says. */
function sumOfSlices(
  net: NetWriter,
  at: readonly (readonly [number, number])[],
  source: (place: number) => string,
): string {
  const terms = at.map(([top, left], place) => {
    const own = range(filters * 3).map((each) => (w.data as Float32Array)[each * places + place]!);
    const distance = net.op("Abs", [
      net.op("Sub", [slice(net, source(place), top, left), net.floats(own, [1, filters, 3, 1, 1])]),
    ]);
    return net.sum(distance, [2]);
  });
  return net.op("Neg", [terms.reduce((sum, term) => net.op("Add", [sum, term]))]);
}

const window = range(places).map((place) => [Math.floor(place / 3), place % 3] as const);

const lookAlikes: readonly LookAlike[] = [
  { name: "no Abs", write: (net) => finish(net, difference(net)) },
  { name: "squares", write: (net) => finish(net, net.op("Pow", [difference(net), net.floats([2], [])])) },
  {
    name: "the third power",
    write: (net) => finish(net, net.op("Abs", [net.op("Pow", [difference(net), net.floats([3], [])])])),
  },
  {
    name: "the largest distance",
    write: (net) =>
      maps(net, net.op("ReduceMax", [net.op("Abs", [difference(net)])], { axes: [2], keepdims: 0 })),
  },
  {
    name: "a factor per tap",
    write: (net) => {
      const factors = net.constant(randomTensor([1, 1, taps, 1], 3));
      return finish(net, net.op("Mul", [net.op("Abs", [difference(net)]), factors]));
    },
  },
  {
    name: "a weight per place",
    write: (net) => {
      const own = net.constant(randomTensor([1, filters, taps, 9], 3));
      return finish(net, net.op("Abs", [net.op("Sub", [net.unsqueeze(columns(net, "x"), 1), own])]));
    },
  },
  {
    name: "one wrong index",
    write: (net) => {
      const wrong = columns(net, "x", [0, 1, 2, 1, 2, 3, 2, 3, 3]);
      return finish(net, net.op("Abs", [net.op("Sub", [net.unsqueeze(wrong, 1), weight(net)])]));
    },
  },
  {
    name: "edges repeated in place of zeros",
    write: (net) => {
      const clamped = columns(net, "x", [0, 1, 3, 0, 2, 4, 1, 3, 4], [0, 1, 3, 0, 2, 4, 1, 3, 4]);
      return finish(net, net.op("Abs", [net.op("Sub", [net.unsqueeze(clamped, 1), weight(net)])]));
    },
  },
  {
    name: "a sum over places in place of taps",
    write: (net) => net.op("Neg", [net.sum(net.op("Abs", [difference(net)]), [3])]),
  },
  {
    name: "the weight fed",
    write: (net) => {
      const fed = net.input("w", [1, filters, taps, 1]);
      return finish(net, net.op("Abs", [net.op("Sub", [net.unsqueeze(columns(net, "x"), 1), fed])]));
    },
  },
  {
    name: "two values compared",
    write: (net) => {
      const other = net.unsqueeze(columns(net, net.op("Relu", ["x"])), 1);
      const distance = net.op("Abs", [net.op("Sub", [net.unsqueeze(columns(net, "x"), 1), other])]);
      return net.op("Neg", [net.sum(distance, [2])]);
    },
  },
  {
    name: "one slice of another value",
    write: (net) => {
      const other = net.op("Relu", ["x"]);
      return sumOfSlices(net, window, (place) => (place === 4 ? other : "x"));
    },
  },
  {
    name: "one place of the kernel missing",
    write: (net) =>
      sumOfSlices(
        net,
        window.filter((_, place) => place !== 4),
        () => "x",
      ),
  },
  {
    name: "one place of the kernel read twice",
    write: (net) => sumOfSlices(net, [...window.slice(0, 8), [0, 0]], () => "x"),
  },
  {
    name: "the image before",
    write: (net) => {
      const rolled = net.op("Gather", ["x", net.ints([1, 0])], { axis: 0 });
      return net.op("Add", [
        finish(net, net.op("Abs", [difference(net, rolled)])),
        finish(net, difference(net)),
      ]);
    },
  },
  {
    name: "filters that look at different windows",
    write: (net) => {
      const parts = [0, 1].map((shift) => {
        const shifted = slice(net, "x", shift, shift);
        return net.sum(
          net.op("Abs", [net.op("Sub", [shifted, net.constant(randomTensor([1, 2, 3, 1, 1], shift))])]),
          [2],
        );
      });
      return net.op("Neg", [net.op("Concat", parts, { axis: 1 })]);
    },
  },
  {
    name: "distances of single elements",
    write: (net) => net.op("Abs", [net.op("Sub", ["x", net.constant(randomTensor([1, 3, 1, 1], 3))])]),
  },
  {
    name: "an L1 norm",
    write: (net) => net.op("Div", ["x", net.op("ReduceL1", ["x"], { axes: [1], keepdims: 1 })]),
  },
];

describe("look-alikes", () => {
  it.each(lookAlikes)("$name", ({ name, write }) => {
    const make = (): NetWriter => {
      const net = netWriter();
      net.input("x", dims);
      net.output(write(net));
      return net;
    };
    const [original, net] = [make(), make()];
    importNet(net);
    const feeds: Record<string, Tensor> = {
      x,
      ...(name === "the weight fed" && { w: { ...w, dims: [1, filters, taps, 1] } }),
    };
    // Of two sums per filter, each is a layer of its own: found, but never as one.
    const allowed =
      name === "filters that look at different windows" ? 2 : name.startsWith("the image") ? 1 : 0;
    expect(adderNodes(net).length).toBeLessThanOrEqual(allowed);
    const [found, expected] = [runNet(net, feeds), runNet(original, feeds)];
    for (const [at, value] of found.entries()) expect(value).toBeCloseTo(expected[at]!, 9);
  });

  it("a sum of distances that is no layer is told, with what was found", () => {
    const net = netWriter();
    net.input("x", dims);
    net.scope("/head");
    net.output(net.op("Neg", [net.sum(net.op("Abs", [difference(net)]), [3])]));
    const { layers, warnings } = importNet(net);
    expect(layers).toEqual([]);
    expect(warnings).toEqual([
      expect.objectContaining({
        code: "ADN_ADDER_UNRECOGNISED",
        node: expect.stringMatching(/^\/head\/Neg_/),
        message: expect.stringMatching(/sums distances .* \[1x4x27x1\].*stays as it is/),
      }),
    ]);
  });
});

describe("padding that is not zero stays a Pad", () => {
  it.each([
    ["of ones", { mode: "constant" }, 1],
    ["by reflection", { mode: "reflect" }, undefined],
    ["by repetition", { mode: "edge" }, undefined],
  ] as const)("%s", (_name, attributes, fill) => {
    const make = (): NetWriter => {
      const net = netWriter();
      net.input("x", [2, 3, 3, 3]);
      const pads = net.ints([0, 0, 1, 1, 0, 0, 1, 1]);
      const padded = net.op(
        "Pad",
        ["x", pads, ...(fill === undefined ? [] : [net.floats([fill], [])])],
        attributes,
      );
      net.output(finish(net, net.op("Abs", [difference(net, padded)])));
      return net;
    };
    const [original, net] = [make(), make()];
    const { layers } = importNet(net);
    expect(layers.map(({ pads }) => pads)).toEqual([[0, 0, 0, 0]]);
    expect(net.model.graph.nodes.map(({ opType }) => opType)).toEqual(["Pad", "Adder2d"]);
    if (attributes.mode !== "constant") return;
    const feeds = { x: randomTensor([2, 3, 3, 3], 4) };
    const [found, expected] = [runNet(net, feeds), runNet(original, feeds)];
    for (const [at, value] of found.entries()) expect(value).toBeCloseTo(expected[at]!, 9);
  });
});
