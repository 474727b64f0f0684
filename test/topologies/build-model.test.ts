// Networks built from checkpoints, in float64, against what PyTorch computes in float64 with the same weights.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readCheckpoint } from "../../converter/checkpoints/index.ts";
import { type BuildOptions, buildModel, guessArchitectures } from "../../converter/topologies/index.ts";
import { ops } from "../../custom-ops/index.ts";
import { decodeNpy } from "../../src/cli/npy.ts";
import { inferShapes } from "../../src/core/infer-shapes.ts";
import { interpret } from "../../src/core/interpret.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { verifyModel } from "../../src/core/ir/verify.ts";
import type { Tensor } from "../../src/core/tensor.ts";

const folder = join(import.meta.dirname, "fixtures");
const lenetFolder = join(import.meta.dirname, "..", "fixtures", "lenet5bn");

const array = (path: string): Tensor => decodeNpy(readFileSync(path), path);
const open = (path: string) => readCheckpoint(readFileSync(path), path);

function logits({ graph, opsetImports }: Model, input: Tensor): Tensor {
  return interpret(graph, opsetImports, ops, new Map([["input", input]]), { float64: true }).get("output")!;
}

function largestDifference(a: Tensor, b: Tensor): number {
  expect(a.dims).toEqual(b.dims);
  const pairs = Array.from(a.data as ArrayLike<number>, (value, at) => Math.abs(value - Number(b.data[at])));
  return Math.max(...pairs);
}

const opCounts = ({ graph }: Model): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { opType } of graph.nodes) counts[opType] = (counts[opType] ?? 0) + 1;
  return counts;
};

interface Case {
  readonly file: string;
  readonly arch: string;
  /** Height and width that the checkpoint alone tells, or that must be given. */
  readonly size?: number;
}

const pathOf = (key: string): string => key.slice(0, key.lastIndexOf("."));

/** PyTorch registers the classifier after the stages; an alphabet does not. */
const registrationRank = (path: string): number => (/^(fc|linear|bn2)/.test(path) ? 1 : 0);

function arraysOf(file: string): [input: Tensor, output: Tensor] {
  const stem = join(folder, file.replace(/\.\w+$/, ""));
  return [array(`${stem}.input.npy`), array(`${stem}.output.npy`)];
}

const cases: readonly Case[] = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"));

describe("every architecture against PyTorch", () => {
  it.each(cases)("$file as $arch", async ({ file, arch }) => {
    const [input, output] = arraysOf(file);
    const model = buildModel(arch, await open(join(folder, file)), { inputShape: input.dims.slice(1) });
    verifyModel(model);
    expect(largestDifference(logits(model, input), output)).toBeLessThan(1e-6);
    const [batch, classes] = output.dims as [number, number];
    expect(model.graph.outputs[0]!.type).toMatchObject({ shape: ["batch", classes] });
    expect(batch).toBe(2);
  });

  it.each(cases)("$file fits no other architecture", async ({ file, arch }) => {
    const [{ dims }] = arraysOf(file);
    const checkpoint = await open(join(folder, file));
    expect(guessArchitectures(checkpoint, { inputShape: dims.slice(1) })).toEqual([arch]);
  });

  it.each(cases.filter(({ size }) => size !== undefined))(
    "$file tells its input size",
    async ({ file, arch, size }) => {
      const { graph } = buildModel(arch, await open(join(folder, file)));
      expect(graph.inputs[0]!.type).toMatchObject({ shape: ["batch", expect.any(Number), size, size] });
    },
  );

  it.each(cases)("$file under names of nobody's", async ({ file, arch }) => {
    const [input, output] = arraysOf(file);
    const { format, tensors } = await open(join(folder, file));
    const paths = [...new Set([...tensors.keys()].map(pathOf))];
    const isAlphabetical = format === "safetensors";
    if (isAlphabetical) paths.sort((a, b) => registrationRank(a) - registrationRank(b));
    const renamed = [...tensors]
      .sort(([a], [b]) => paths.indexOf(pathOf(a)) - paths.indexOf(pathOf(b)))
      .map(
        ([key, tensor]) =>
          [`part_${paths.indexOf(pathOf(key))}${key.slice(pathOf(key).length)}`, tensor] as const,
      );
    const model = buildModel(
      arch,
      { format, tensors: new Map(renamed) },
      { inputShape: input.dims.slice(1) },
    );
    expect(largestDifference(logits(model, input), output)).toBeLessThan(1e-6);
  });

  it("the bundled LeNet-5-BN, trained", async () => {
    const model = buildModel("lenet5-bn", await open(join(lenetFolder, "lenet5bn.pth")));
    const [input, output] = ["input", "output64"].map((name) => array(join(lenetFolder, `${name}.npy`)));
    expect(largestDifference(logits(model, input!), output!)).toBeLessThan(1e-5);
  });
});

describe("the model that is built", () => {
  const build = async (file: string, arch: string, options?: BuildOptions) =>
    buildModel(arch, await open(join(folder, file)), options);

  it("has float32 input and output with a free batch, opset 17, and no shape that does not infer", async () => {
    const model = await build("resnet20-adder.pth", "resnet20");
    expect(model.irVersion).toBe(8);
    expect(Object.fromEntries(model.opsetImports)).toEqual({ "": 17, addernet: 1 });
    expect(model.graph.inputs).toEqual([
      { name: "input", type: { kind: "tensor", elemType: "float32", shape: ["batch", 3, 32, 32] } },
    ]);
    const facts = inferShapes(model.graph, model.opsetImports, ops);
    expect(facts.get("output")).toMatchObject({ elemType: "float32", shape: ["batch", 10] });
  });

  it("adds where the checkpoint says adder and multiplies elsewhere", async () => {
    const counts = opCounts(await build("resnet20-adder.pth", "resnet20"));
    expect(counts).toMatchObject({ Adder2d: 20, Conv: 2, BatchNormalization: 22, Add: 9 });
    const plain = opCounts(await build("resnet20-conv-linear.safetensors", "resnet20"));
    expect(plain).toMatchObject({ Conv: 21, Gemm: 1, GlobalAveragePool: 1 });
    expect(plain.Adder2d).toBeUndefined();
  });

  it("keeps the checkpoint's names", async () => {
    const { graph } = await build("resnet20-conv-linear.safetensors", "resnet20");
    expect(graph.initializers.has("layer2.0.shortcut.0.weight")).toBe(true);
    expect(graph.nodes.map(({ name }) => name)).toContain("layer2.0.shortcut.0");
  });

  it("is one in which the caller says what adds", async () => {
    const adders = opCounts(await build("resnet20-conv-linear.safetensors", "resnet20", { layers: "adder" }));
    expect(adders).toMatchObject({ Adder2d: 20, Conv: 1, Gemm: 1 });
    const conv = opCounts(await build("resnet20-adder.pth", "resnet20", { layers: "conv" }));
    expect(conv).toMatchObject({ Conv: 22 });
    const layers = new Map([["layer1.0.conv1", "conv"] as const]);
    expect(opCounts(await build("resnet20-adder.pth", "resnet20", { layers }))).toMatchObject({
      Adder2d: 19,
    });
  });

  it("takes a given batch", async () => {
    const { graph } = await build("resnet20-adder.pth", "resnet20", { inputShape: [4, 3, 24, 24] });
    expect(graph.inputs[0]!.type).toMatchObject({ shape: [4, 3, 24, 24] });
    expect(graph.outputs[0]!.type).toMatchObject({ shape: [4, 10] });
  });

  it("averages what LeNet-5 leaves over on larger images", async () => {
    const model = await build("lenet5-adder.pth", "lenet5-bn", { inputShape: [1, 64, 64] });
    expect(opCounts(model)).toMatchObject({ GlobalAveragePool: 1 });
    expect(opCounts(await build("lenet5-adder.pth", "lenet5-bn")).GlobalAveragePool).toBeUndefined();
  });

  it("takes fully connected adder layers", async () => {
    const [input, output] = arraysOf("lenet5-adder.pth");
    const { format, tensors } = await open(join(folder, "lenet5-adder.pth"));
    const flat = [...tensors].map(([key, tensor]) => {
      const { dims } = tensor;
      const isWhole = key === "conv3.adder" || key.startsWith("fc");
      const elements = dims.slice(1).reduce((product, dim) => product * dim, 1);
      return [key, isWhole ? { ...tensor, dims: [dims[0]!, elements] } : tensor] as const;
    });
    const model = buildModel("lenet5-bn", { format, tensors: new Map(flat) });
    expect(largestDifference(logits(model, input), output)).toBeLessThan(1e-6);
    expect(opCounts(model)).toMatchObject({ Adder2d: 5 });
  });

  it("reads filters of one channel as depthwise", async () => {
    const { format, tensors } = await open(join(folder, "resnet20-adder.pth"));
    const key = "layer3.1.conv1.adder";
    const depthwise: Tensor = { type: "float32", dims: [4, 1, 3, 3], data: new Float32Array(36) };
    const { graph } = buildModel("resnet20", { format, tensors: new Map([...tensors, [key, depthwise]]) });
    const node = graph.nodes.find(({ inputs }) => inputs.includes(key))!;
    expect(node.attributes.get("group")).toEqual({ type: "INT", value: 4n });
  });

  it("reads epsilon from a module", async () => {
    const checkpoint = await open(join(folder, "lenet5-mixed-module.pth"));
    const eps = checkpoint.modules!.children.get("bn1")!.attributes as Map<string, number>;
    eps.set("eps", 0.5);
    const { graph } = buildModel("lenet5-bn", checkpoint);
    const norm = graph.nodes.find(({ name }) => name === "bn1")!;
    expect(norm.attributes.get("epsilon")).toEqual({ type: "FLOAT", value: 0.5 });
  });
});
