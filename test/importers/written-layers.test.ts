// Every way of writing an adder layer, with chosen and with random geometries: found, with its geometry and weight, and the same numbers.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AdderCase, outputDims, plainAdder2d, tensorsOf } from "../custom-ops/adder-case.ts";
import { adderNodes, importNet, netWriter, runNet } from "./net-writer.ts";
import { type WrittenForm, writtenForms } from "./written-layers.ts";

const plain = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;

const cases: readonly AdderCase[] = [
  { name: "3x3, padding 1", x: [2, 3, 6, 5], w: [4, 3, 3, 3], ...plain, pads: [1, 1, 1, 1] },
  { name: "stride 2", x: [2, 2, 7, 8], w: [3, 2, 3, 3], ...plain, strides: [2, 2], pads: [1, 1, 1, 1] },
  { name: "1x1", x: [2, 5, 4, 3], w: [6, 5, 1, 1], ...plain },
  { name: "1x1, stride 2", x: [2, 4, 5, 6], w: [3, 4, 1, 1], ...plain, strides: [2, 2] },
  {
    name: "uneven",
    x: [1, 2, 8, 9],
    w: [3, 2, 1, 4],
    ...plain,
    strides: [1, 3],
    pads: [0, 2, 0, 1],
    dilations: [1, 2],
  },
  { name: "one place", x: [3, 4, 3, 2], w: [5, 4, 3, 2], ...plain },
  { name: "1x1 map, padding 1", x: [2, 3, 1, 1], w: [2, 3, 3, 3], ...plain, pads: [1, 1, 1, 1] },
  {
    name: "2x2 map, stride 2",
    x: [1, 3, 2, 2],
    w: [2, 3, 3, 3],
    ...plain,
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  },
  { name: "one channel, one filter", x: [2, 1, 4, 4], w: [1, 1, 2, 2], ...plain },
];

const groupedCases: readonly AdderCase[] = [
  { name: "2 groups", x: [2, 4, 5, 5], w: [6, 2, 3, 3], ...plain, group: 2, pads: [1, 1, 1, 1] },
  { name: "depthwise", x: [2, 3, 6, 5], w: [3, 1, 3, 3], ...plain, group: 3, strides: [2, 1] },
  { name: "depthwise, 2 filters each", x: [1, 3, 4, 4], w: [6, 1, 2, 2], ...plain, group: 3 },
];

function check(form: WrittenForm, adder: AdderCase, isFree: boolean, opset: number): void {
  const { x, w } = tensorsOf(adder);
  const net = netWriter(opset);
  net.input("x", isFree ? ["N", ...adder.x.slice(1)] : adder.x);
  net.output(form.write({ net, adder, x: "x", w, isFree }));
  const { layers, warnings } = importNet(net);
  expect(warnings).toEqual([]);
  expect(layers).toHaveLength(1);
  expect(net.model.graph.nodes.map(({ opType }) => opType)).toEqual(["Adder2d"]);
  const { weightShape, strides, pads, dilations, group } = layers[0]!;
  expect({ weightShape, strides, pads, dilations, group }).toEqual({
    weightShape: adder.w,
    strides: adder.strides,
    pads: adder.pads,
    dilations: adder.dilations,
    group: adder.group,
  });
  const node = adderNodes(net)[0]!;
  expect(node.inputs[0]).toBe("x");
  expect(net.model.graph.initializers.get(node.inputs[1]!)!.data).toEqual(w.data);
  const [found, expected] = [runNet(net, { x }), plainAdder2d(adder, { x, w })];
  expect(found).toHaveLength(expected.length);
  for (const [at, value] of found.entries()) expect(value).toBeCloseTo(expected[at]!, 9);
}

describe.each(writtenForms)("$name", (form) => {
  it.each(form.grouped ? groupedCases : cases)("$name", (adder) => {
    check(form, adder, false, 17);
    if (!form.fixed) check(form, adder, true, 17);
  });

  it("in every opset", () => {
    const adder = form.grouped ? groupedCases[0]! : cases[0]!;
    for (const opset of [11, 12, 13, 16]) if (opset >= (form.since ?? 11)) check(form, adder, false, opset);
  });
});

/** A geometry whose every attribute shows: more than one output per axis, and padding that something reads. */
const geometry = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    channels: fc.integer({ min: 1, max: 3 }),
    filters: fc.integer({ min: 1, max: 3 }),
    size: fc.tuple(fc.integer({ min: 6, max: 9 }), fc.integer({ min: 6, max: 9 })),
    kernel: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    strides: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    dilations: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
    pads: fc.tuple(...[0, 1, 2, 3].map(() => fc.integer({ min: 0, max: 2 }))),
  })
  .map(({ batch, channels, filters, size, kernel, strides, dilations, pads }): AdderCase => {
    // A dilation of a single tap means nothing and cannot come back.
    const shown = dilations.map((dilation, axis) => (kernel[axis] === 1 ? 1 : dilation)) as [number, number];
    return {
      name: "random",
      x: [batch, channels, ...size],
      w: [filters, channels, ...kernel],
      strides,
      dilations: shown,
      pads: pads as unknown as AdderCase["pads"],
      group: 1,
    };
  })
  .filter((adder) =>
    outputDims(adder)
      .slice(2)
      .every((length) => length > 1),
  );

describe("random geometries come back exactly", () => {
  const random = writtenForms.filter(({ name }) =>
    [
      "official layout",
      "batched layout",
      "slices added up",
      "one Gather with flat positions",
      "stacked slices",
    ].includes(name),
  );
  it.each(random)("$name", (form) => {
    fc.assert(
      fc.property(geometry, (adder) => check(form, adder, adder.x[0] === 2, 17)),
      { numRuns: 25, seed: 7 },
    );
  });
});
