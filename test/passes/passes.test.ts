// Every pass on small graphs: the nodes it leaves, the numbers it keeps, and the graphs it must not touch.

import { describe, expect, it } from "vitest";
import { optimise } from "../../converter/optimise.ts";
import { freezeInitializers } from "../../converter/passes/freeze-initializers.ts";
import { type Pass, passes, runPasses } from "../../converter/passes/index.ts";
import { ops } from "../../custom-ops/index.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import { printModel } from "../../src/core/ir/print.ts";
import { verifyGraph } from "../../src/core/ir/verify-graph.ts";
import { toNumbers } from "../../src/core/tensor.ts";
import { nodesText, parseModel, trimmed } from "./parse-model.ts";
import { expectSameNumbers } from "./same-numbers.ts";
import { layerSuites } from "./suites/layers.ts";
import type { PassCase } from "./suites/pass-case.ts";
import { shapeSuites } from "./suites/shapes.ts";

const suites = [...layerSuites, ...shapeSuites];

/** Runs the pass until it has nothing left to do: some need more than one run for a chain. */
function runAll(run: () => number): number {
  let total = 0;
  for (let count = run(); count > 0 && total < 50; count = run()) total += count;
  return total;
}

for (const { pass, cases } of suites) {
  describe(pass.name, () => {
    it.each(cases.map((testCase): [string, PassCase] => [testCase.name, testCase]))("%s", (_, testCase) => {
      const before = parseModel(testCase.before, testCase.opset);
      verifyGraph(before);
      const after = cloneModel(before);
      const rewrites = runAll(() => pass.run(after, { ops }));
      verifyGraph(after);
      if (testCase.expect === "unchanged") {
        expect(printModel(after)).toBe(printModel(before));
        expect(rewrites).toBe(0);
        return;
      }
      expect(nodesText(after)).toBe(trimmed(testCase.expect));
      expect(rewrites).toBeGreaterThan(0);
      for (const [name, values] of Object.entries(testCase.constants ?? {})) {
        expect(toNumbers(after.graph.initializers.get(name)!), name).toEqual(values);
      }
      expectSameNumbers(before, after);
    });
  });
}

describe("freeze-initializers", () => {
  const withDefault = () => {
    const model = parseModel(`input %x: float64[N,3,6,5]
      %w = float64[4,3,3,3]
      %b = float64[4]{1}
      %p = float64[4,1,1]
      %a = addernet::Adder2d(%x, %w, %b)
      %y = Sub(%a, %p)
      output %y`);
    model.graph.overridable.push({ name: "b" }, { name: "p" });
    return model;
  };

  it("a weight that a caller may replace is no constant to any pass", () => {
    for (const { name, run } of passes.filter((pass) => pass !== freezeInitializers)) {
      const model = withDefault();
      expect(run(model, { ops }), name).toBe(0);
    }
  });

  it("makes it one", () => {
    const model = withDefault();
    expect(freezeInitializers.run(model, { ops })).toBe(2);
    expect(model.graph.overridable).toEqual([]);
    optimise(model, { ops });
    verifyGraph(model);
    expect(nodesText(model)).toBe("%y = addernet::Adder2d(%x, %w, %b)");
    expectSameNumbers(withDefault(), model);
  });
});

describe("runPasses", () => {
  it("gives up on passes that never settle, with a row per run", () => {
    const restless: Pass = { name: "restless-pass", description: "always finds something", run: () => 1 };
    const report = runPasses(parseModel("input %x: float64[1]\noutput %x"), [restless], { ops });
    expect(report.length).toBe(32);
    expect(report.at(-1)).toEqual({
      pass: "restless-pass",
      round: 32,
      rewrites: 1,
      nodesBefore: 0,
      nodesAfter: 0,
    });
  });
});

describe("the list of passes", () => {
  it("has a suite for each pass", () => {
    const tested = new Set([...suites.map(({ pass }) => pass.name), "freeze-initializers"]);
    expect(passes.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([]);
  });

  it("names each pass once and says what it does", () => {
    expect(new Set(passes.map(({ name }) => name)).size).toBe(passes.length);
    for (const { name, description } of passes) {
      expect(name).toMatch(/^[a-z]+(-[a-z]+)+$/);
      expect(description.length).toBeGreaterThan(20);
    }
  });
});
