// A network with a millisecond of work for a side of 64, and what to feed it.

import { intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Dim, Model } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomTensor } from "../core/suites/op-case.ts";

const adder = (from: string, weights: string, to: string) =>
  makeNode("Adder2d", [from, weights], [to], [["pads", intsAttribute([1, 1, 1, 1])]], { domain: "addernet" });

/** x (1,16,side,side) -> adder -> ReLU -> adder + ReLU's output -> global mean -> y (1,16,1,1). */
export function network(side: Dim): Model {
  const nodes = [
    adder("x", "w1", "a"),
    makeNode("Relu", ["a"], ["r"]),
    adder("r", "w2", "b"),
    makeNode("Add", ["b", "r"], ["c"]),
    makeNode("GlobalAveragePool", ["c"], ["y"]),
  ];
  const shape = [1, 16, side, side];
  const input = { name: "x", type: { kind: "tensor", elemType: "float32", shape } } as const;
  const model = emptyModel(emptyGraph(nodes, [input], [{ name: "y" }]), 13);
  model.opsetImports.set("addernet", 1);
  for (const [index, name] of ["w1", "w2"].entries()) {
    model.graph.initializers.set(name, randomTensor([16, 16, 3, 3], index));
  }
  return model;
}

export const networkFeeds = (side = 64): Record<string, Tensor> => ({
  x: randomTensor([1, 16, side, side], 9),
});
