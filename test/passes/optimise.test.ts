// All passes together: random networks keep their numbers, and a second run finds nothing to do.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { optimise } from "../../converter/optimise.ts";
import { passes } from "../../converter/passes/index.ts";
import { ops } from "../../custom-ops/index.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Graph, Model } from "../../src/core/ir/model.ts";
import { verifyGraph } from "../../src/core/ir/verify-graph.ts";
import { nodesText, parseModel, randomTensor, trimmed } from "./parse-model.ts";
import { randomModel, stepKinds } from "./random-model.ts";
import { expectClose, expectSameNumbers, run } from "./same-numbers.ts";

const picks = fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999), fc.nat(999));
const recipe = fc.record({
  steps: fc.array(fc.record({ kind: fc.constantFrom(...stepKinds), picks }), {
    minLength: 3,
    maxLength: 16,
    size: "max",
  }),
  batch: fc.constantFrom("N", 1, 2),
  head: fc.option(picks, { nil: undefined }),
  alsoOutput: fc.array(fc.nat(20), { maxLength: 2 }),
});

function interfaceOf({ graph }: Model) {
  return { inputs: graph.inputs, outputs: graph.outputs };
}

describe("optimise", () => {
  it("keeps numbers, names and structure of random networks, pass by pass, and is done after one call", () => {
    fc.assert(
      fc.property(recipe, ({ steps, batch, head, alsoOutput }) => {
        const before = randomModel(steps, { batch, head, alsoOutput });
        verifyGraph(before);
        const after = cloneModel(before);
        for (const pass of passes) {
          pass.run(after, { ops });
          verifyGraph(after);
        }
        optimise(after, { ops });
        verifyGraph(after);
        expect(interfaceOf(after)).toEqual(interfaceOf(before));
        expectSameNumbers(before, after);
        expect(optimise(after, { ops }).reduce((sum, { rewrites }) => sum + rewrites, 0)).toBe(0);
      }),
      { numRuns: 200, seed: 20200613 },
    );
  });

  it("takes a residual network, whose two norms share their parameters, down to its layers", () => {
    const model = parseModel(`input %x: float64[N,4,6,5]
      %w1.adder = float64[4,4,3,3]
      %w2.adder = float64[4,4,3,3]
      %w3.weight = float64[3,4,1,1]
      %gamma = float64[4]
      %beta = float64[4]
      %mean = float64[4]
      %var = float64[4]
      %g3 = float64[3]
      %b3 = float64[3]
      %m3 = float64[3]
      %var3 = float64[3]
      %zero = int64[]{0}
      %first = int64[1]{0}
      %rest = int64[1]{-1}
      %none = int64[8]{0}
      %a1 = addernet::Adder2d[pads=1,1,1,1](%x, %w1.adder)
      %n1 = BatchNormalization(%a1, %gamma, %beta, %mean, %var)
      %r1 = Relu(%n1)
      %a2 = addernet::Adder2d[pads=1,1,1,1](%r1, %w2.adder)
      %n2 = BatchNormalization(%a2, %gamma, %beta, %mean, %var)
      %sum = Add(%n2, %x)
      %r2 = Relu(%sum)
      %padded = Pad(%r2, %none)
      %pooled = AveragePool[kernel_shape=6,5](%padded)
      %fc = Conv(%pooled, %w3.weight)
      %n3 = BatchNormalization(%fc, %g3, %b3, %m3, %var3)
      %shape = Shape(%n3)
      %batch = Gather[axis=0](%shape, %zero)
      %lead = Unsqueeze(%batch, %first)
      %target = Concat[axis=0](%lead, %rest)
      %y = Reshape(%n3, %target)
      output %y`);
    const before = cloneModel(model);
    const report = optimise(model, { ops });
    verifyGraph(model);
    expect(nodesText(model)).toBe(
      trimmed(`
        %r1 = addernet::Adder2d[activation_min=0 pads=1,1,1,1](%x, %w1.adder, %w1.bias, %w1.scale)
        %r2 = addernet::Adder2d[activation_min=0 pads=1,1,1,1](%r1, %w2.adder, %w1.bias, %w1.scale, %x)
        %pooled = GlobalAveragePool(%r2)
        %n3 = Conv(%pooled, %w3.weight, %w3.bias)
        %y = Flatten(%n3)`),
    );
    expectSameNumbers(before, model);
    expect(report[0]).toMatchObject({ pass: passes[0]!.name, round: 1, nodesBefore: 16 });
    expect(report.at(-1)).toMatchObject({ pass: passes.at(-1)!.name, rewrites: 0, nodesAfter: 5 });
    expect(report.length).toBe(passes.length * report.at(-1)!.round);
  });

  it("opens an export of batch 1 for other batches", () => {
    const model = parseModel(`input %x: float64[1,4,2,2]
      %w.adder = float64[3,4,2,2]
      %batch = int64[1]{1}
      %rest = int64[1]{-1}
      %a = addernet::Adder2d(%x, %w.adder)
      %target = Concat[axis=0](%batch, %rest)
      %y = Reshape(%a, %target)
      output %y`);
    const before = cloneModel(model);
    optimise(model, { ops });
    model.graph.inputs = [
      { name: "x", type: { kind: "tensor", elemType: "float64", shape: ["N", 4, 2, 2] } },
    ];
    const rows = [0, 1, 2].map((row) => randomTensor(`row${row}`, "float64", [1, 4, 2, 2]));
    const data = Float64Array.from(rows.flatMap((row) => [...(row.data as Float64Array)]));
    const found = run(model, new Map([["x", { type: "float64", data, dims: [3, 4, 2, 2] }]])).get("y")!;
    rows.forEach((row, index) => {
      const expected = run(before, new Map([["x", row]])).get("y")!;
      const part = (found.data as Float64Array).slice(index * 3, index * 3 + 3);
      expectClose({ ...found, data: part, dims: [1, 3] }, expected, 1e-12, `row ${index}`);
    });
  });

  it("rounds float32 constants once, from float64", () => {
    const model = parseModel(`input %x: float32[1,1,1,1]
      %w = float32[1,1,1,1]{0}
      %gamma = float32[1]{0.1}
      %beta = float32[1]{0.7}
      %mean = float32[1]{-310.3}
      %var = float32[1]{30.03}
      %a = addernet::Adder2d(%x, %w)
      %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
      output %y`);
    optimise(model, { ops });
    const f = Math.fround;
    const factor = f(0.1) / Math.sqrt(f(30.03) + f(1e-5));
    expect(model.graph.initializers.get("w.scale")!.data[0]).toBe(f(factor));
    expect(model.graph.initializers.get("w.bias")!.data[0]).toBe(f(f(0.7) - factor * f(-310.3)));
  });
});

describe("subgraphs", () => {
  /** If(c) gives `captured`, else its negative. */
  function withIf(model: Model, captured: string): Model {
    const branch = (opType: string): Graph => ({
      name: opType,
      inputs: [],
      outputs: [{ name: `${opType}_out` }],
      nodes: [makeNode(opType, [captured], [`${opType}_out`])],
      initializers: new Map(),
      overridable: [],
      valueInfo: new Map(),
    });
    const node = makeNode(
      "If",
      ["c"],
      ["z"],
      [
        ["then_branch", { type: "GRAPH", value: branch("Abs") }],
        ["else_branch", { type: "GRAPH", value: branch("Neg") }],
      ],
    );
    model.graph.nodes.push(node);
    model.graph.inputs.push({ name: "c", type: { kind: "tensor", elemType: "bool", shape: [] } });
    model.graph.outputs.push({ name: "z" });
    return model;
  }

  it("a captured value stays, and nothing fuses over it", () => {
    const model = withIf(
      parseModel(`input %x: float64[N,4,6,5]
        %w = float64[4,4,3,3]
        %a = addernet::Adder2d(%x, %w)
        %y = Relu(%a)
        output %y`),
      "a",
    );
    const before = nodesText(model);
    optimise(model, { ops });
    verifyGraph(model);
    expect(nodesText(model)).toBe(before);
  });

  it("a captured value that is replaced is replaced inside as well", () => {
    const model = withIf(
      parseModel(`input %x: float64[N,4]
        %k = float64[4]{1}
        %one = float64[4]{1}
        %a = Identity(%x)
        %b = Add(%a, %k)
        %y = Sub(%b, %one)
        output %y`),
      "a",
    );
    optimise(model, { ops });
    verifyGraph(model);
    const branches = [...model.graph.nodes.find(({ opType }) => opType === "If")!.attributes.values()];
    expect(branches.map((branch) => branch.type === "GRAPH" && branch.value.nodes[0]!.inputs)).toEqual([
      ["x"],
      ["x"],
    ]);
    expect([...model.graph.initializers.keys()]).toEqual(["k"]);
  });

  it("a branch that answers an outer value directly follows its new name", () => {
    const model = withIf(
      parseModel(`input %x: float64[N,4]
        %a = Relu(%x)
        %y = Identity(%a)
        output %y`),
      "a",
    );
    const branch = model.graph.nodes.at(-1)!.attributes.get("then_branch")!;
    if (branch.type === "GRAPH") {
      branch.value.nodes = [];
      branch.value.outputs = [{ name: "a" }];
    }
    optimise(model, { ops });
    verifyGraph(model);
    expect(branch.type === "GRAPH" && branch.value.outputs).toEqual([{ name: "y" }]);
  });
});
