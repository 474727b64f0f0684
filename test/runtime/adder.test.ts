// Adder layers on the runtime against the formula in float64: every form of the op, both forms of the sum, every instruction set.

import { describe, expect, it, test } from "vitest";
import { createExecutor } from "../../runtime/index.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Model, Node } from "../../src/core/ir/model.ts";
import { elementCount, type Tensor } from "../../src/core/tensor.ts";
import { randomNumbers } from "../core/suites/op-case.ts";
import {
  type AdderCase,
  type AdderTensors,
  adderFeeds,
  adderModel,
  chosenCases,
  outputDims,
  plain,
  plainAdder2d,
  randomCase,
  tensorsOf,
} from "../custom-ops/adder-case.ts";
import { kernelCalls, largestError, levels } from "./compare.ts";

/** Filters, pixels and taps on both sides of tile and chunk edges. */
const edges: readonly AdderCase[] = [
  ...[1, 3, 4, 5, 8, 9].map(
    (m): AdderCase => ({ name: `${m} filters`, x: [1, 2, 5, 5], w: [m, 2, 3, 3], ...plain }),
  ),
  ...[1, 2, 7, 8, 9, 16, 17].map(
    (width): AdderCase => ({ name: `${width} pixels`, x: [1, 3, 1, width], w: [5, 3, 1, 1], ...plain }),
  ),
  ...[63, 64, 65, 129].map(
    (c): AdderCase => ({ name: `${c} taps`, x: [1, c, 2, 3], w: [5, c, 1, 1], ...plain }),
  ),
  {
    name: "many panels in several blocks",
    x: [1, 64, 21, 20],
    w: [9, 64, 3, 3],
    ...plain,
    pads: [1, 1, 1, 1],
  },
  {
    name: "fully connected, five rows",
    x: [5, 16, 5, 5],
    w: [13, 16, 5, 5],
    ...plain,
    bias: true,
    scale: true,
  },
  {
    name: "groups of four filters",
    x: [2, 6, 6, 6],
    w: [12, 2, 3, 3],
    ...plain,
    group: 3,
    bias: true,
    min: 0,
  },
];

const cases = [...chosenCases, ...edges, ...Array.from({ length: 60 }, (_, seed) => randomCase(seed))];

function valuesOf(tensor: Tensor, change: (value: number) => number): Tensor {
  return { ...tensor, data: (tensor.data as Float32Array).map(change) };
}

/** The model of one case with a ReLU in front of X, so that X is provably not negative. */
function withRelu(adder: AdderCase): Model {
  const model = adderModel([adder]);
  const [layer] = model.graph.nodes as [Node];
  layer.inputs[0] = "positive";
  model.graph.nodes.unshift(makeNode("Relu", ["x0"], ["positive"]));
  return model;
}

/** A bound on float32's error: the size of the sum times its unit, with room for a handful of roundings. */
const tolerance = 1e-5;

describe.each(levels)("%s", (simd) => {
  test.each(cases)("$name", async (adder) => {
    const session = await createExecutor(adderModel([adder]), { simd });
    const { y0 } = await session.run(Object.fromEntries(adderFeeds([adder])));
    const expected: Tensor = {
      type: "float64",
      data: plainAdder2d(adder, tensorsOf(adder)),
      dims: outputDims(adder),
    };
    expect(y0!.dims).toEqual(expected.dims);
    expect(largestError(y0!, expected)).toBeLessThan(tolerance);
  });

  test.each(cases)("$name, after ReLU", async (adder) => {
    const session = await createExecutor(withRelu(adder), { simd });
    const { y0 } = await session.run(Object.fromEntries(adderFeeds([adder])));
    const tensors = tensorsOf(adder);
    const positive: AdderTensors = { ...tensors, x: valuesOf(tensors.x, (x) => Math.max(x, 0)) };
    const expected: Tensor = {
      type: "float64",
      data: plainAdder2d(adder, positive),
      dims: outputDims(adder),
    };
    expect(largestError(y0!, expected)).toBeLessThan(tolerance);
    const isDepthwise = adder.group > 1 && adder.group === adder.x[1] && adder.w[0] / adder.group < 4;
    const kernels = Object.keys(kernelCalls(session)).join();
    expect(kernels).toMatch(isDepthwise ? /adder_depthwise/ : /adder_(min|sparse)/);
  });

  it.each(["signed", "after ReLU"] as const)("sums of -5000 keep three decimals, %s", async (form) => {
    const adder: AdderCase = {
      name: "wide",
      x: [1, 64, 8, 8],
      w: [64, 64, 3, 3],
      ...plain,
      pads: [1, 1, 1, 1],
    };
    const model = form === "signed" ? adderModel([adder]) : withRelu(adder);
    // Few weights near 0 and some far from it, as training leaves them.
    const weights = Float32Array.from(randomNumbers(elementCount(adder.w), 7), (value) => 40 * value ** 3);
    const w: Tensor = { type: "float32", data: weights, dims: adder.w };
    const x = valuesOf(tensorsOf(adder).x, (value) => 3 * value);
    model.graph.initializers.set("w0", w);
    const { y0 } = await (await createExecutor(model, { simd })).run({ x0: x });
    const seen = form === "signed" ? x : valuesOf(x, (value) => Math.max(value, 0));
    const expected = plainAdder2d(adder, { x: seen, w });
    const errors = expected.map((value, index) => Math.abs(value - (y0!.data as Float32Array)[index]!));
    expect(Math.min(...expected)).toBeLessThan(-5000);
    expect(Math.max(...errors)).toBeLessThan(2e-3);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("an input of %s is not lost", async (strange) => {
    const adder: AdderCase = { name: "one", x: [1, 1, 1, 9], w: [4, 1, 1, 1], ...plain };
    const data = Float32Array.from({ length: 9 }, (_, i) => (i === 4 ? strange : i));
    for (const model of [adderModel([adder]), withRelu(adder)]) {
      const { y0 } = await (await createExecutor(model, { simd })).run({
        x0: { type: "float32", data, dims: adder.x },
      });
      for (const [index, value] of (y0!.data as Float32Array).entries()) {
        if (index % 9 !== 4) expect(Number.isFinite(value)).toBe(true);
        else expect(value).toBe(Number.isNaN(strange) ? Number.NaN : Number.NEGATIVE_INFINITY);
      }
    }
  });
});

it("weights and affine computed at run time work too", async () => {
  const adder = chosenCases.find(({ name }) => name === "everything")!;
  const model = adderModel([adder]);
  const { w, b, scale } = tensorsOf(adder);
  const fed = { w0: w, b0: b!, scale0: scale! };
  for (const [name, tensor] of Object.entries(fed)) {
    model.graph.initializers.delete(name);
    model.graph.inputs.push({ name, type: { kind: "tensor", elemType: "float32", shape: tensor.dims } });
  }
  const session = await createExecutor(model);
  const { y0 } = await session.run({ ...Object.fromEntries(adderFeeds([adder])), ...fed });
  const expected: Tensor = {
    type: "float64",
    data: plainAdder2d(adder, tensorsOf(adder)),
    dims: outputDims(adder),
  };
  expect(largestError(y0!, expected)).toBeLessThan(tolerance);
});

it("a weight that is no number keeps the direct form", async () => {
  const adder: AdderCase = { name: "one", x: [1, 1, 1, 9], w: [4, 1, 1, 1], ...plain };
  const model = withRelu(adder);
  const weights = Float32Array.of(1, Number.NaN, -1, 2);
  model.graph.initializers.set("w0", { type: "float32", data: weights, dims: adder.w });
  const session = await createExecutor(model);
  const { y0 } = await session.run(Object.fromEntries(adderFeeds([adder])));
  expect([...(y0!.data as Float32Array).subarray(9, 18)].every(Number.isNaN)).toBe(true);
  expect([...(y0!.data as Float32Array).subarray(18)].some(Number.isNaN)).toBe(false);
});
