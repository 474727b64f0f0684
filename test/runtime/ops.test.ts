// The op suites, run by the runtime on every instruction set, with parameters as constants and operands fed or constant.

import { describe, expect, it, test } from "vitest";
import { createExecutor, unsupportedNodes } from "../../runtime/index.ts";
import { loweringOf, lowerings } from "../../runtime/lowerings.ts";
import type { Model } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { nodeOf, oneNodeModel } from "../core/one-node-model.ts";
import type { OpCase } from "../core/suites/op-case.ts";
import { standardCases } from "../core/suites/standard.ts";
import { expectLikeReference, kernelCalls, levels } from "./compare.ts";

/** float32 against float64, by what the case itself is allowed. */
const allowed = { exact: 1e-7, close: 2e-6, rounding: 1e-4 } as const;

/** Which inputs are constants: those a lowering needs, or all but the first. */
const variants = {
  "operands fed": (testCase: OpCase, index: number) =>
    loweringOf(nodeOf(testCase))?.parameters?.includes(index) ?? false,
  "operands constant": (_testCase: OpCase, index: number) => index > 0,
} as const;

interface Prepared {
  readonly model: Model;
  readonly feeds: Record<string, Tensor>;
}

function prepare(testCase: OpCase, isConstant: (testCase: OpCase, index: number) => boolean): Prepared {
  const model = oneNodeModel(testCase);
  const feeds: Record<string, Tensor> = {};
  for (const [index, tensor] of testCase.inputs.entries()) {
    if (tensor === null) continue;
    const name = `in${index}`;
    if (!isConstant(testCase, index)) {
      feeds[name] = tensor;
      continue;
    }
    model.graph.initializers.set(name, tensor);
    model.graph.inputs = model.graph.inputs.filter((info) => info.name !== name);
  }
  return { model, feeds };
}

const reached = new Map<string, Set<string>>(levels.map((level) => [level, new Set<string>()]));
const prepared = Object.entries(variants).flatMap(([variant, isConstant]) =>
  standardCases.map((testCase) => ({ variant, testCase, ...prepare(testCase, isConstant) })),
);
const runnable = prepared.filter(({ model }) => unsupportedNodes(model).length === 0);
const refused = prepared.filter(({ model }) => unsupportedNodes(model).length > 0);

describe.each(levels)("%s", (simd) => {
  test.each(runnable.map((one) => ({ ...one, title: `${one.testCase.name}, ${one.variant}` })))(
    "$title",
    async ({ model, feeds, testCase }) => {
      const session = await expectLikeReference(model, feeds, {
        simd,
        tolerance: allowed[testCase.tolerance],
      });
      for (const kernel of Object.keys(kernelCalls(session))) reached.get(simd)!.add(kernel);
    },
  );
});

it("every lowering of a standard op is reached by a case", () => {
  const ops = new Set(runnable.map(({ testCase }) => testCase.opType));
  const standard = Object.keys(lowerings).filter((name) => !name.includes("::"));
  expect(standard.filter((name) => !ops.has(name))).toEqual([]);
});

it("what is refused is refused with a reason, before anything runs", async () => {
  for (const { model, testCase } of refused) {
    await expect(createExecutor(model), testCase.name).rejects.toMatchObject({ code: "ADN_OP_UNSUPPORTED" });
  }
});

it("apart from element types, a node of an op with kernels is refused for these reasons only", () => {
  const reasons = refused
    .filter(({ testCase, variant }) => variant === "operands fed" && loweringOf(nodeOf(testCase)))
    .flatMap(({ model }) => unsupportedNodes(model))
    .map(({ node, reason }) => `${node.opType}: ${reason}`);
  expect([...new Set(reasons)].filter((reason) => !reason.endsWith(" data")).sort()).toEqual([
    "AveragePool: 3 spatial axes",
    "Cast: a change of type",
    "Conv: 3 spatial axes",
    "Dropout: the output mask",
    "MaxPool: 3 spatial axes",
    "Pow: an exponent other than 1, 2, 0.5",
    "QuantizeLinear: int8 codes",
    "QuantizeLinear: one scale per channel",
  ]);
});
