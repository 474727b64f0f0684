// The parameter names of forks, made alike. Each expectation is worked out by hand.

import { describe, expect, it } from "vitest";
import type { Checkpoint, ModuleNode } from "../../converter/checkpoints/index.ts";
import { normaliseNames } from "../../converter/checkpoints/index.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../src/core/tensor.ts";

const vector = (...values: number[]): Tensor => float32Tensor(values);
const node = (className: string, children: Record<string, ModuleNode> = {}): ModuleNode => ({
  className,
  attributes: new Map(),
  children: new Map(Object.entries(children)),
});

function normalise(tensors: Record<string, Tensor>, modules?: ModuleNode): Checkpoint {
  return normaliseNames({
    format: "pickle",
    tensors: new Map(Object.entries(tensors)),
    ...(modules && { modules }),
  });
}
const keysOf = (checkpoint: Checkpoint): string[] => [...checkpoint.tensors.keys()];

describe("wrappers", () => {
  it.each([
    ["module.", ["module.a.weight", "module.c"], ["a.weight", "c"]],
    ["two of them", ["module.model.a.weight", "module.model.c"], ["a.weight", "c"]],
    ["torch.compile's", ["_orig_mod.net.a.weight"], ["a.weight"]],
    ["one that not all keys share", ["module.a.weight", "b.weight"], ["module.a.weight", "b.weight"]],
  ])("%s", (_, given, expected) => {
    expect(keysOf(normalise(Object.fromEntries(given.map((key) => [key, vector(1)]))))).toEqual(expected);
  });

  it("are taken off the modules too, whatever else averaging adds", () => {
    const modules = node("torch.nn.DataParallel", {
      module: node("net.Net", { fc: node("torch.nn.Linear") }),
    });
    const found = normalise({ n_averaged: int64Tensor([1]), "module.fc.weight": vector(1) }, modules);
    expect(keysOf(found)).toEqual(["fc.weight"]);
    expect(found.modules?.className).toBe("net.Net");
  });
});

describe("layers", () => {
  it("lose counters", () => {
    const count = int64Tensor([7]);
    const found = normalise({
      "bn.weight": vector(1),
      "bn.num_batches_tracked": count,
      "bn.total_ops": count,
      total_params: count,
    });
    expect(keysOf(found)).toEqual(["bn.weight"]);
  });

  it("call adder weights adder and biases bias", () => {
    const filters = float32Tensor([1, 2], [1, 2, 1, 1]);
    const found = normalise({
      "a.adder": filters,
      "a.b": vector(1),
      "q.Weight": filters,
      "c.weight": filters,
      "c.bias": vector(2),
    });
    expect(keysOf(found)).toEqual(["a.adder", "a.bias", "q.adder", "c.weight", "c.bias"]);
  });

  it("have square kernels in place of flat ones", () => {
    const flat = float32Tensor(
      Array.from({ length: 36 }, (_, at) => at),
      [2, 2, 9],
    );
    const found = normalise({ "a.pat": flat }).tensors.get("a.adder")!;
    expect(found.dims).toEqual([2, 2, 3, 3]);
    expect(found.data).toEqual(flat.data);
  });

  it("multiply weights by their mask: a masked tap is 0", () => {
    const weights = float32Tensor([1, 2, 3, 4], [1, 1, 2, 2]);
    const mask = float32Tensor([1, 0, 1, 0], [1, 1, 2, 2]);
    const found = normalise({ "a.adder": weights, "a.s": weights, "a.adder_mask": mask });
    expect(keysOf(found)).toEqual(["a.adder"]);
    expect([...(found.tensors.get("a.adder")!.data as Float32Array)]).toEqual([1, 0, 3, 0]);
  });

  it("keep a parameter called s that belongs to no mask", () => {
    expect(keysOf(normalise({ "a.s": vector(1) }))).toEqual(["a.s"]);
  });

  it("are adders when their class is one", () => {
    const filters = float32Tensor([1], [1, 1, 1, 1]);
    const modules = node("net.Net", { a: node("layers.AdderConv2d"), b: node("torch.nn.Conv2d") });
    expect(keysOf(normalise({ "a.weight": filters, "b.weight": filters }, modules))).toEqual([
      "a.adder",
      "b.weight",
    ]);
  });
});

describe("what cannot be made alike", () => {
  const filters = float32Tensor([1, 2], [1, 2, 1, 1]);
  it.each([
    ["two weights for one layer", { "a.adder": filters, "a.Weight": filters }, "under two names"],
    ["a kernel that is not square", { "a.pat": float32Tensor(new Float32Array(6), [1, 1, 6]) }, "not square"],
    ["a mask of another shape", { "a.adder": filters, "a.adder_mask": vector(1) }, "the weights' shape"],
    [
      "weights of integers under a mask",
      { "a.adder": int64Tensor([1]), "a.adder_mask": vector(1) },
      "not of a float type",
    ],
  ] as const)("%s", (_, tensors, told) => {
    expect(() => normalise(tensors)).toThrow(
      expect.objectContaining({ code: "ADN_CHECKPOINT", message: expect.stringContaining(told) }),
    );
  });
});
