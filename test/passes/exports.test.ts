// Real PyTorch exports, where ../shared has them: the passes keep PyTorch's numbers and leave the layers alone.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { optimise } from "../../converter/optimise.ts";
import { ops } from "../../custom-ops/index.ts";
import { decodeNpy } from "../../src/cli/npy.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { verifyGraph } from "../../src/core/ir/verify-graph.ts";
import { decodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { expectClose, run } from "./same-numbers.ts";

const folder = resolve(import.meta.dirname, "../../../shared/exports");
const read = (file: string): Uint8Array => new Uint8Array(readFileSync(join(folder, file)));

function firstRow({ type, data, dims }: Tensor): Tensor {
  const count = dims.slice(1).reduce((product, dim) => product * dim, 1);
  return { type, data: (data as Float32Array).slice(0, count), dims: [1, ...dims.slice(1)] };
}

function optimised(file: string): { before: Model; after: Model } {
  const before = decodeModel(read(file));
  const after = cloneModel(before);
  optimise(after, { ops });
  verifyGraph(after);
  expect(after.graph.inputs).toEqual(before.graph.inputs);
  expect(after.graph.outputs).toEqual(before.graph.outputs);
  expect(optimise(after, { ops }).every(({ rewrites }) => rewrites === 0)).toBe(true);
  return { before, after };
}

const opTypes = ({ graph }: Model): string[] => graph.nodes.map(({ opType }) => opType);

/** Nodes after the passes, exports with Adder2d nodes and those of ordinary networks. */
const layered: readonly [string, string, readonly string[]][] = [
  [
    "lenet5bn_adder.a1.op13",
    "lenet5bn_adder",
    ["Adder2d", "MaxPool", "Adder2d", "MaxPool", "Adder2d", "Adder2d", "Adder2d", "Flatten"],
  ],
  [
    "lenet5bn_adder_bias.a1.op13",
    "lenet5bn_adder_bias",
    ["Adder2d", "MaxPool", "Adder2d", "MaxPool", "Adder2d", "Adder2d", "Adder2d", "Flatten"],
  ],
  [
    "resnet20_adder.a1.op13",
    "resnet20_adder",
    ["Conv", "Relu", ...new Array<string>(20).fill("Adder2d"), "GlobalAveragePool", "Conv", "Flatten"],
  ],
];

describe.skipIf(!existsSync(folder))("exports in ../shared/exports", () => {
  it.each(layered)("%s is down to its layers and computes what PyTorch computed", (file, net, expected) => {
    const { after } = optimised(`${file}.onnx`);
    expect(opTypes(after)).toEqual(expected);
    const feed = firstRow(decodeNpy(read(`${net}.input.npy`), "input"));
    const found = run(after, new Map([[after.graph.inputs[0]!.name, feed]])).get(
      after.graph.outputs[0]!.name,
    );
    const want = firstRow(decodeNpy(read(`${net}.output.npy`), "output"));
    expectClose(found && { ...found, type: "float32" }, want, 1e-4, file);
  });

  it("the adder layers of ResNet-20 have everything fused", () => {
    const layers = optimised("resnet20_adder.a1.op13.onnx").after.graph.nodes.filter(
      ({ opType }) => opType === "Adder2d",
    );
    expect(layers.every(({ inputs }) => inputs[2] !== "" && inputs[3] !== "")).toBe(true);
    expect(layers.filter(({ inputs }) => inputs.length === 5).length).toBe(9);
    expect(layers.filter(({ attributes }) => attributes.has("activation_min")).length).toBe(18);
  });

  it.each([
    "lenet5bn_adder.c1.dyn.op13",
    "lenet5bn_adder.c1.nofold.op13",
    "lenet5bn_adder.c1.op11",
    "lenet5bn_adder.c2.op13",
    "lenet5bn_conv.eager.op13",
  ])("%s, in standard ops, keeps its numbers", (file) => {
    const { before, after } = optimised(`${file}.onnx`);
    expect(after.graph.nodes.length).toBeLessThan(before.graph.nodes.length);
    const net = file.split(".")[0]!;
    const feeds = new Map([["input", firstRow(decodeNpy(read(`${net}.input.npy`), "input"))]]);
    const [expected, found] = [run(before, feeds), run(after, feeds)];
    for (const [name, tensor] of expected) expectClose(found.get(name), tensor, 1e-5, name);
  });
});
