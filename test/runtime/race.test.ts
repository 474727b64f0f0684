// Races between kernels: the fastest wins, what won is remembered, every variant computes the layer, and nothing is left behind.

import { expect, it } from "vitest";
import { chooseLevel, loadKernels } from "../../custom-ops/kernels/load.ts";
import { makeArena } from "../../runtime/arena.ts";
import type { BoundNode } from "../../runtime/bind.ts";
import type { Variants } from "../../runtime/builder.ts";
import { createExecutor, type SessionOptions } from "../../runtime/index.ts";
import { openTrack } from "../../runtime/race.ts";
import { intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { randomNumbers } from "../core/suites/op-case.ts";
import { type AdderCase, adderModel, plain, plainAdder2d } from "../custom-ops/adder-case.ts";
import { kernelCalls } from "./compare.ts";

const tensor = (dims: readonly number[], data: Float32Array): Tensor => ({ type: "float32", data, dims });

/** A layer behind a ReLU whose weights are above 0 in a share `live`, and its exact answer. */
function contested(live: number, channels: number) {
  const adder: AdderCase = {
    name: "contested",
    x: [1, channels, 12, 11],
    w: [9, channels, 3, 3],
    ...plain,
    pads: [1, 1, 1, 1],
  };
  const count = 9 * channels * 9;
  const sizes = randomNumbers(count, channels);
  const isLive = (i: number): boolean => i % 100 < Math.round(100 * live);
  const weights = Float32Array.from(sizes, (size, i) => (isLive(i) ? 0.1 + size ** 2 : -0.1));
  const values = Float32Array.from(randomNumbers(channels * 132, 3));
  const [x, w] = [tensor(adder.x, values), tensor(adder.w, weights)];
  const model = adderModel([adder]);
  model.graph.nodes.splice(
    0,
    1,
    makeNode("Relu", ["x0"], ["positive"]),
    makeNode("Adder2d", ["positive", "w0"], ["y0"], [["pads", intsAttribute([1, 1, 1, 1])]], {
      domain: "addernet",
    }),
  );
  model.graph.initializers.set("w0", w);
  const positive = tensor(
    adder.x,
    values.map((value) => Math.max(value, 0)),
  );
  return { model, x, exact: plainAdder2d(adder, { x: positive, w }) };
}

async function answer(live: number, channels: number, options: SessionOptions) {
  const { model, x, exact } = contested(live, channels);
  const session = await createExecutor(model, options);
  const { y0 } = await session.run({ x0: x });
  const error = Math.max(...exact.map((value, i) => Math.abs(value - (y0!.data as Float32Array)[i]!)));
  const { why } = session.explain().plans[0]!.steps.at(-1)!;
  return { error, why, kernels: kernelCalls(session) };
}

const kernelOf = { dense: "f32_adder_min_4x8", sparse: "f32_adder_sparse_1x28" } as const;

it.each([0.7, 0.8, 0.9])(
  "with %f of the taps live, both variants race and the faster one runs",
  async (live) => {
    const { error, why, kernels } = await answer(live, 16, {});
    const [, dense, sparse] = /measured: dense (\d+) µs, sparse (\d+) µs/.exec(why)!;
    expect(error).toBeLessThan(1e-3);
    // Equal when rounded: either may have won.
    if (Number(dense) < Number(sparse)) expect(kernels).toHaveProperty(kernelOf.dense);
    else if (Number(sparse) < Number(dense)) expect(kernels).toHaveProperty(kernelOf.sparse);
  },
);

it("a layer like one before does not race again", async () => {
  const first = await answer(0.7, 24, {});
  expect((await answer(0.7, 24, {})).why).toBe(first.why);
});

it.each([
  [0.7, kernelOf.sparse],
  [0.9, kernelOf.dense],
] as const)("predicted, %f of the taps live take the same kernel everywhere", async (live, kernel) => {
  const { error, why, kernels } = await answer(live, 16, { kernels: "predicted" });
  expect(error).toBeLessThan(1e-3);
  expect(why).not.toMatch(/measured/);
  expect(kernels).toHaveProperty(kernel);
});

it.each([0.3, 1])("with %f of the taps live there is no race", async (live) => {
  expect((await answer(live, 16, {})).why).not.toMatch(/measured/);
});

it("refuses another way to choose", async () => {
  const options = { kernels: "fastest" } as unknown as SessionOptions;
  await expect(createExecutor(contested(0.8, 2).model, options)).rejects.toMatchObject({
    code: "ADN_USAGE",
    message: expect.stringMatching(/measured, predicted/),
  });
});

const node: BoundNode = {
  node: makeNode("Relu", [], []),
  opset: 17,
  where: "made up",
  inputs: [],
  outputs: [],
};
const filling = (count: number, runs: { made: number }): Variants[string] => {
  return (build) => {
    runs.made++;
    build.table(`${count}`, () => new Float32Array(1000));
    build.call("f32_fill", { y: build.scratch(count * 4), count, value: 0 });
  };
};

it("the fastest of three wins once, and memory is given back", async () => {
  const arena = makeArena();
  const level = chooseLevel("auto");
  const track = openTrack({ arena, kernels: await loadKernels(level, arena.memory), level });
  const runs = { made: 0 };
  const variants = {
    slow: filling(1_000_000, runs),
    fast: filling(100, runs),
    slower: filling(3_000_000, runs),
  };
  const ranges = { isNotNegative: () => true, mostCode: () => 255 };
  const race = track("fills", node, variants, ranges);
  expect(race.winner).toBe("fast");
  expect(Object.keys(race.milliseconds)).toEqual(["slow", "fast", "slower"]);
  expect(arena.usedBytes()).toBe(0);
  expect(track("fills", node, variants, ranges)).toBe(race);
  expect(runs.made).toBe(3);
});
