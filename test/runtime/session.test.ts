// What a caller of the runtime meets: feeds, shapes, names, errors, memory.

import * as ort from "onnxruntime-node";
import { describe, expect, it, test } from "vitest";
import { createExecutor, createSession, type Session, supportsNode } from "../../runtime/index.ts";
import { intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Dim, Model, Node, ValueInfo } from "../../src/core/ir/model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import { expectLikeReference, float64Outputs, largestError } from "./compare.ts";

const info = (name: string, shape: readonly Dim[]): ValueInfo => ({
  name,
  type: { kind: "tensor", elemType: "float32", shape },
});

/** x (N,2,H,W) -> adder, ReLU, adder with a residual -> global mean -> y (N,3), through Shape and Reshape. */
function smallNetwork(batch: Dim = "N", height: Dim = "H", width: Dim = "W"): Model {
  const pads: [string, ReturnType<typeof intsAttribute>][] = [["pads", intsAttribute([1, 1, 1, 1])]];
  const nodes: Node[] = [
    makeNode("Adder2d", ["x", "w1", "b1"], ["a"], pads, { domain: "addernet" }),
    makeNode("Relu", ["a"], ["r"]),
    makeNode("Adder2d", ["r", "w2", "b2"], ["c"], pads, { domain: "addernet" }),
    makeNode("Add", ["c", "r"], ["d"]),
    makeNode("GlobalAveragePool", ["d"], ["g"]),
    makeNode("Shape", ["x"], ["shape"]),
    makeNode("Gather", ["shape", "zero"], ["batch"]),
    makeNode("Unsqueeze", ["batch", "zeros"], ["rows"]),
    makeNode("Concat", ["rows", "three"], ["target"], [["axis", { type: "INT", value: 0n }]]),
    makeNode("Reshape", ["g", "target"], ["y"]),
  ];
  const model = emptyModel(
    emptyGraph(nodes, [info("x", [batch, 2, height, width])], [info("y", [batch, 3])]),
    13,
  );
  model.opsetImports.set("addernet", 1);
  const constants: Record<string, Tensor> = {
    w1: randomTensor([3, 2, 3, 3], 1),
    b1: float32Tensor([20, 21, 22]),
    w2: randomTensor([3, 3, 3, 3], 2),
    b2: float32Tensor([1, 2, 3]),
    zero: int64Tensor([0], []),
    zeros: int64Tensor([0]),
    three: int64Tensor([3]),
  };
  for (const [name, tensor] of Object.entries(constants)) model.graph.initializers.set(name, tensor);
  return model;
}

const input = (batch: number, height = 6, width = 7, seed = 3): Tensor =>
  randomTensor([batch, 2, height, width], seed);

describe("shapes", () => {
  it("runs batches of 1, 2 and 5 and other sizes through one session", async () => {
    const model = smallNetwork();
    const session = await createExecutor(model);
    for (const x of [input(1), input(2), input(5), input(1, 4, 9), input(3, 16, 16), input(1)]) {
      const { y } = await session.run({ x });
      const expected = float64Outputs(model, { x }).get("y")!;
      expect(y!.dims).toEqual(expected.dims);
      expect(largestError(y!, expected)).toBeLessThan(1e-6);
    }
  });

  it("gives each image of a batch what it gets alone", async () => {
    const session = await createExecutor(smallNetwork());
    const x = input(5);
    const { y } = await session.run({ x });
    const image = 2 * 6 * 7;
    for (let n = 0; n < 5; n++) {
      const data = (x.data as Float32Array).slice(n * image, (n + 1) * image);
      const alone = await session.run({ x: { type: "float32", data, dims: [1, 2, 6, 7] } });
      expect(alone.y!.data).toEqual((y!.data as Float32Array).slice(n * 3, (n + 1) * 3));
    }
  });

  it("an empty batch gives an empty answer", async () => {
    const session = await createExecutor(smallNetwork());
    const { y } = await session.run({
      x: { type: "float32", data: new Float32Array(0), dims: [0, 2, 6, 7] },
    });
    expect(y).toMatchObject({ dims: [0, 3] });
    expect(y!.data).toHaveLength(0);
  });

  it("keeps lists of taps once for all batch sizes", async () => {
    const session = await createExecutor(smallNetwork());
    const held = () => {
      const { usedBytes, plans } = session.explain();
      return usedBytes - Math.max(...plans.map(({ arenaBytes }) => arenaBytes));
    };
    await session.run({ x: input(1) });
    const before = held();
    for (const batch of [2, 3, 4]) await session.run({ x: input(batch) });
    // What is left are the small tables of each plan.
    expect(held() - before).toBeLessThan(3 * 4096);
  });

  it("keeps a bounded number of plans, and packed weights once", async () => {
    const session = await createExecutor(smallNetwork());
    await session.run({ x: input(1) });
    const { weightBlocks } = session.explain();
    for (let size = 4; size < 40; size++) await session.run({ x: input(1, size, size) });
    const used = session.explain().usedBytes;
    for (let round = 0; round < 3; round++) {
      for (let size = 4; size < 40; size++) await session.run({ x: input(1, size, size) });
    }
    const explained = session.explain();
    expect(explained.plans.length).toBeLessThanOrEqual(8);
    expect(explained.weightBlocks).toBe(weightBlocks);
    expect(explained.usedBytes).toBe(used);
  });
});

describe("runs", () => {
  it("answers fresh copies", async () => {
    const session = await createExecutor(smallNetwork());
    const x = input(2);
    const before = (x.data as Float32Array).slice();
    const first = await session.run({ x });
    const kept = (first.y!.data as Float32Array).slice();
    const second = await session.run({ x: input(2, 6, 7, 9) });
    expect(x.data).toEqual(before);
    expect(first.y!.data).toEqual(kept);
    expect(second.y!.data).not.toEqual(kept);
    (first.y!.data as Float32Array).fill(0);
    expect((await session.run({ x })).y!.data).toEqual(kept);
    expect((kept.buffer as ArrayBuffer).byteLength).toBe(kept.byteLength);
  });

  it("concurrent runs do not mix", async () => {
    const session = await createExecutor(smallNetwork());
    const inputs = Array.from({ length: 12 }, (_, seed) => input(1 + (seed % 3), 6, 7, seed));
    const alone: Tensor[] = [];
    for (const x of inputs) alone.push((await session.run({ x })).y!);
    const together = await Promise.all(inputs.map((x) => session.run({ x })));
    expect(together.map(({ y }) => y)).toEqual(alone);
  });

  it("uses no more memory after many runs", async () => {
    const session = await createExecutor(smallNetwork());
    const inputs = [input(1), input(2), input(5)];
    for (const x of inputs) await session.run({ x });
    const before = session.explain();
    for (let index = 0; index < 3000; index++) await session.run({ x: inputs[index % 3]! });
    const after = session.explain();
    expect(after.memoryBytes).toBe(before.memoryBytes);
    expect(after.usedBytes).toBe(before.usedBytes);
  });

  it("takes onnxruntime's tensors as feeds", async () => {
    const session = await createExecutor(smallNetwork());
    const x = input(2);
    const tensor = new ort.Tensor("float32", x.data as Float32Array, x.dims);
    expect(await session.run({ x: tensor as unknown as Tensor })).toEqual(await session.run({ x }));
  });

  it("takes arrays of another realm", async () => {
    const { runInNewContext } = await import("node:vm");
    const session = await createExecutor(smallNetwork());
    const x = input(1);
    const data = runInNewContext("Float32Array.from(values)", { values: [...(x.data as Float32Array)] });
    expect(await session.run({ x: { ...x, data } })).toEqual(await session.run({ x }));
  });

  it("answers constants and inputs that are outputs", async () => {
    const model = emptyModel(emptyGraph([makeNode("Shape", ["x"], ["s"])], [info("x", ["N", 2])], []), 13);
    model.graph.outputs = [{ name: "s" }, { name: "x" }, { name: "c" }];
    model.graph.initializers.set("c", float32Tensor([7]));
    const session = await createExecutor(model);
    const x = randomTensor([3, 2], 1);
    const answers = await session.run({ x });
    expect(answers).toEqual({ s: int64Tensor([3, 2]), x, c: float32Tensor([7]) });
    expect(answers.x!.data).not.toBe(x.data);
    expect(answers.c!.data).not.toBe(model.graph.initializers.get("c")!.data);
  });
});

describe("metadata", () => {
  it("is onnxruntime's", async () => {
    const model = smallNetwork("batch", 6, null);
    model.graph.nodes[0]!.domain = model.graph.nodes[2]!.domain = "";
    for (const node of model.graph.nodes) if (node.opType === "Adder2d") node.opType = "Conv";
    const { bytes } = encodeModel(model);
    const [ours, theirs] = [await createSession(bytes), await ort.InferenceSession.create(bytes)];
    expect(ours.inputNames).toEqual(theirs.inputNames);
    expect(ours.outputNames).toEqual(theirs.outputNames);
    expect(ours.inputMetadata).toEqual(theirs.inputMetadata);
    expect(ours.outputMetadata).toEqual(theirs.outputMetadata);
  });
});

interface WrongFeed {
  readonly name: string;
  readonly feeds: unknown;
  readonly message: RegExp;
}

const good = input(2);
const wrongFeeds: readonly WrongFeed[] = [
  { name: "nothing", feeds: {}, message: /nothing is fed to x/ },
  { name: "null", feeds: null, message: /tensors by input name/ },
  { name: "an unknown name", feeds: { x: good, image: good }, message: /no input image.*expected x/ },
  { name: "no tensor", feeds: { x: [1, 2] }, message: /input "x": this is no tensor/ },
  { name: "a null tensor", feeds: { x: null }, message: /input "x": .*cannot be read/ },
  {
    name: "another type",
    feeds: { x: { ...good, type: "float64", data: Float64Array.from(good.data as Float32Array) } },
    message: /type is wrong.*expected float32, found float64/,
  },
  {
    name: "an array of another type",
    feeds: { x: { ...good, data: Float64Array.from(good.data as Float32Array) } },
    message: /no array of its type/,
  },
  {
    name: "another rank",
    feeds: { x: { ...good, dims: [2, 84] } },
    message: /rank is wrong.*expected 4, \[N, 2, H, W\], found 2/,
  },
  {
    name: "a wrong length",
    feeds: { x: randomTensor([2, 3, 6, 7], 1) },
    message: /axis 1 has the wrong length.*\[2, 3, 6, 7\]/,
  },
  {
    name: "too little data",
    feeds: { x: { ...good, data: new Float32Array(5) } },
    message: /data and dims disagree.*168 elements.*found 5/,
  },
  {
    name: "dims that are no lengths",
    feeds: { x: { ...good, dims: [2, 2, 6, -7] } },
    message: /dims are no lengths/,
  },
  {
    name: "a tensor that is elsewhere",
    feeds: {
      x: {
        type: "float32",
        dims: [1],
        get data() {
          throw new Error("on the GPU");
        },
      },
    },
    message: /cannot be read.*CPU/,
  },
];

describe("refusals", () => {
  test.each(wrongFeeds)("feeds: $name", async ({ feeds, message }) => {
    const session = await createExecutor(smallNetwork());
    const run = session.run(feeds as Parameters<Session["run"]>[0]);
    await expect(run).rejects.toMatchObject({ name: "AdderNetError", code: "ADN_FEED" });
    await expect(run).rejects.toThrow(message);
  });

  it("one symbol cannot be two lengths", async () => {
    const model = emptyModel(
      emptyGraph([makeNode("Add", ["a", "b"], ["y"])], [info("a", ["N"]), info("b", ["N"])], [{ name: "y" }]),
      13,
    );
    const session = await createExecutor(model);
    const run = session.run({ a: float32Tensor([1, 2]), b: float32Tensor([1]) });
    await expect(run).rejects.toMatchObject({ code: "ADN_FEED" });
  });

  it("an input too small for the kernels is ADN_SHAPE, and the session lives on", async () => {
    const model = smallNetwork();
    for (const node of model.graph.nodes) node.attributes.delete("pads");
    model.graph.nodes.splice(2, 2);
    model.graph.nodes.find(({ opType }) => opType === "GlobalAveragePool")!.inputs = ["r"];
    const session = await createExecutor(model);
    await expect(session.run({ x: input(1, 2, 2) })).rejects.toMatchObject({ code: "ADN_SHAPE" });
    expect((await session.run({ x: input(1) })).y!.dims).toEqual([1, 3]);
  });

  it("a disposed session", async () => {
    const session = await createExecutor(smallNetwork());
    await session.dispose();
    await session.dispose();
    await expect(session.run({ x: good })).rejects.toMatchObject({ code: "ADN_DISPOSED" });
    expect(() => session.explain()).toThrow(/disposed/);
    await expect(session.profile({ x: good })).rejects.toMatchObject({ code: "ADN_DISPOSED" });
  });

  it("names every op without a kernel, with how many nodes and what to do", async () => {
    const model = smallNetwork();
    model.graph.nodes.splice(
      4,
      0,
      makeNode("Resize", ["d", "", "scales"], ["big"]),
      makeNode("LSTM", ["big"], ["l"]),
      makeNode("Widget", ["l"], ["m"], [], { domain: "my.ops" }),
      makeNode("LSTM", ["m"], ["n"]),
      makeNode("NonZero", ["d"], ["unread"]),
    );
    model.graph.initializers.set("scales", float32Tensor([1, 1, 2, 2]));
    model.graph.nodes.find(({ opType }) => opType === "GlobalAveragePool")!.inputs = ["n"];
    const created = createExecutor(model);
    await expect(created).rejects.toMatchObject({ code: "ADN_OP_UNSUPPORTED" });
    await expect(created).rejects.toThrow(/Resize \(1\), LSTM \(2\), my\.ops::Widget \(1\); .*addernet\/ort/);
    await expect(created).rejects.not.toThrow(/NonZero/);
  });

  it("parameters that are computed from data", async () => {
    const nodes = [makeNode("Reshape", ["x", "target"], ["y"])];
    const target: ValueInfo = { name: "target", type: { kind: "tensor", elemType: "int64", shape: [2] } };
    const model = emptyModel(emptyGraph(nodes, [info("x", [4]), target], [{ name: "y" }]), 13);
    await expect(createExecutor(model)).rejects.toThrow(/Reshape with input 1 is computed from data \(1\)/);
  });

  test.each([
    [{ simd: "avx" }, /simd is unknown/],
    [{ threads: 0 }, /threads is out of range/],
    [{ threads: 1.5 }, /threads is out of range/],
    [{ thread: 1 }, /no option "thread"/],
  ])("options %o", async (options, message) => {
    const created = createExecutor(smallNetwork(), options as never);
    await expect(created).rejects.toMatchObject({ code: "ADN_USAGE" });
    await expect(created).rejects.toThrow(message);
  });

  it("bytes that are no model", async () => {
    await expect(createSession(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "ADN_ONNX_WIRE" });
  });

  it("more memory than there is, and the session lives on", async () => {
    const nodes = [makeNode("Expand", ["x", "target"], ["big"]), makeNode("ReduceMax", ["big"], ["y"])];
    const model = emptyModel(emptyGraph(nodes, [info("x", ["N"])], [{ name: "y" }]), 13);
    model.graph.initializers.set("target", int64Tensor([30_000, 30_000, 1]));
    const session = await createExecutor(model);
    // 7.2 GB: more than a memory of 4 GiB holds.
    await expect(session.run({ x: float32Tensor([1, 2]) })).rejects.toMatchObject({ code: "ADN_LIMIT" });
    const { y } = await session.run({ x: float32Tensor([]) });
    expect(y).toEqual(float32Tensor([Number.NEGATIVE_INFINITY], [1, 1, 1]));
  });

  it("a constant too large to be computed", async () => {
    const nodes = [makeNode("ConstantOfShape", ["dims"], ["big"]), makeNode("Add", ["x", "big"], ["y"])];
    const model = emptyModel(emptyGraph(nodes, [info("x", [1])], [{ name: "y" }]), 13);
    model.graph.initializers.set("dims", int64Tensor([100_000, 100_000]));
    await expect(createExecutor(model)).rejects.toMatchObject({ code: "ADN_LIMIT" });
  });
});

describe("explain", () => {
  it("tells kernels, reasons, what was fused and how much memory", async () => {
    const session = await expectLikeReference(smallNetwork(), { x: input(2) });
    const { simd, threads, plans, usedBytes } = session.explain();
    expect(simd.reason).toBe("the best there is");
    expect(threads).toEqual({ count: 1, reason: "asked for" });
    const [plan] = plans;
    expect(plan!.inputs).toEqual({ x: [2, 2, 6, 7] });
    expect(plan!.outputs).toEqual({ y: [2, 3] });
    expect(plan!.arenaBytes).toBeGreaterThan(0);
    expect(usedBytes).toBeGreaterThanOrEqual(plan!.arenaBytes);
    expect(plan!.steps.map(({ node, fused }) => [node, fused])).toEqual([
      ['addernet::Adder2d "a"', ['Relu "r"']],
      ['addernet::Adder2d "c"', ['Add "d"']],
      ['GlobalAveragePool "g"', []],
    ]);
    expect(plan!.steps[0]!.kernels).toHaveProperty("f32_adder_4x8", 2);
    expect(plan!.steps[1]!.kernels).toHaveProperty("f32_adder_sparse_1x28", 2);
    expect(plan!.steps[1]!.why).toMatch(/never negative/);
  });
});

describe("profile", () => {
  it("times the steps that explain tells of, within the time of the whole, and leaves runs as they are", async () => {
    const session = await createExecutor(smallNetwork());
    const feeds = { x: input(4, 64, 64) };
    const before = await session.run(feeds);
    const start = performance.now();
    const steps = await session.profile(feeds);
    const elapsed = performance.now() - start;
    expect(steps.map(({ milliseconds: _, ...step }) => step)).toEqual(session.explain().plans[0]!.steps);
    for (const { milliseconds } of steps) expect(milliseconds).toBeGreaterThan(0);
    expect(steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0)).toBeLessThanOrEqual(elapsed);
    expect(await session.run(feeds)).toEqual(before);
  });

  it("refuses what run refuses", async () => {
    const session = await createExecutor(smallNetwork());
    await expect(session.profile({})).rejects.toMatchObject({ code: "ADN_FEED" });
  });
});

describe("supportsNode", () => {
  const opsets = new Map([["", 13]]);
  const fact = (elemType: "float32" | "int64", shape?: readonly Dim[]) =>
    shape ? { elemType, shape } : { elemType };
  test.each([
    { node: makeNode("Relu", ["x"], ["y"]), inputs: [fact("float32")], answer: true },
    { node: makeNode("Relu", ["x"], ["y"]), inputs: [], answer: true },
    { node: makeNode("Relu", ["x"], ["y"]), inputs: [fact("int64")], answer: true },
    { node: makeNode("LayerNormalization", ["x", "s"], ["y"]), inputs: [], answer: "no kernel" },
    { node: makeNode("Resize", ["x"], ["y"]), inputs: [], answer: "no kernel" },
    {
      node: makeNode("Conv", ["x", "w"], ["y"]),
      inputs: [fact("float32", [1, 2, 3, 4, 5])],
      answer: "3 spatial axes",
    },
    { node: makeNode("Shape", ["x"], ["y"]), inputs: [fact("float32")], answer: true },
    { node: makeNode("Gather", ["s", "i"], ["y"]), inputs: [fact("int64"), fact("int64")], answer: true },
    { node: makeNode("Adder2d", ["x", "w"], ["y"], [], { domain: "addernet" }), inputs: [], answer: true },
    {
      node: makeNode("Adder2d", ["x", "w"], ["y"], [], { domain: "other" }),
      inputs: [],
      answer: "no kernel",
    },
  ])("$node.opType $inputs: $answer", ({ node, inputs, answer }) => {
    expect(supportsNode(node, opsets, inputs)).toBe(answer);
  });
});

it("reads weights from files beside the model", async () => {
  const place = { location: "weights.bin", thresholdBytes: 1 };
  const { bytes, externalData } = encodeModel(smallNetwork(), { externalData: place });
  const files: Record<string, Uint8Array | undefined> = { "weights.bin": externalData };
  const session = await createSession(bytes, { externalData: (location) => files[location] });
  const whole = await createExecutor(smallNetwork());
  expect(await session.run({ x: good })).toEqual(await whole.run({ x: good }));
  await expect(createSession(bytes)).rejects.toMatchObject({ code: "ADN_EXTERNAL_DATA" });
});
