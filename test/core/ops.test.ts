// Every op case three ways: onnxruntime, our reference, our shape inference.

import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { encodeModel } from "../../src/core/onnx/index.ts";
import type { OpDefinition, ValueFact } from "../../src/core/ops/define-op.ts";
import { standardOps } from "../../src/core/ops/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { nodeOf, oneNodeModel } from "./one-node-model.ts";
import { elementwiseCases as elementwise } from "./suites/elementwise.ts";
import { indexingCases as indexing } from "./suites/indexing.ts";
import { cases as linear } from "./suites/linear.ts";
import { movementCases as movement } from "./suites/movement.ts";
import type { OpCase } from "./suites/op-case.ts";
import { cases as quantization } from "./suites/quantization.ts";
import { cases as reductions } from "./suites/reductions.ts";
import { cases as windows } from "./suites/windows.ts";

const suites: Readonly<Record<string, readonly OpCase[]>> = {
  windows,
  linear,
  reductions,
  movement,
  indexing,
  elementwise,
  quantization,
};
const allowed = { exact: 0, close: 1e-6, rounding: 1e-4 } as const;
const definitions = new Map(standardOps.map((op) => [op.opType, op]));

function definitionOf({ opType }: OpCase): OpDefinition {
  const definition = definitions.get(opType);
  if (definition === undefined) throw new Error(`no definition of ${opType}`);
  return definition;
}

async function runOnnxruntime(testCase: OpCase): Promise<ort.Tensor[]> {
  const session = await ort.InferenceSession.create(encodeModel(oneNodeModel(testCase)).bytes, {
    logSeverityLevel: 3,
  });
  const feeds = testCase.inputs.flatMap((tensor, index) =>
    tensor === null
      ? []
      : [
          [
            `in${index}`,
            new ort.Tensor(tensor.type as "float32", tensor.data as never, tensor.dims),
          ] as const,
        ],
  );
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return nodeOf(testCase).outputs.map((name) => results[name]!);
}

/** Largest |a - b| / max(1, |b|); NaN and infinities must agree. */
function largestError(found: Tensor, wanted: ort.Tensor): number {
  let largest = 0;
  const [a, b] = [found.data, wanted.data] as ArrayLike<unknown>[];
  for (let index = 0; index < b!.length; index++) {
    const [left, right] = [a![index], b![index]];
    if (Object.is(left, right) || left === right) continue;
    const difference = Math.abs(Number(left) - Number(right)) / Math.max(1, Math.abs(Number(right)));
    largest = Math.max(largest, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
  }
  return largest;
}

/** What is known of an input: all of it, or its type and rank with a symbol for every length. */
function factsOf({ inputs }: OpCase, known: "all" | "rank"): (ValueFact | undefined)[] {
  return inputs.map((tensor, index) => {
    if (tensor === null) return undefined;
    if (known === "all") return { elemType: tensor.type, shape: tensor.dims, constant: tensor };
    return { elemType: tensor.type, shape: tensor.dims.map((_, axis) => `in${index}_${axis}`) };
  });
}

async function checkCase(testCase: OpCase): Promise<void> {
  const node = nodeOf(testCase);
  const context = { opset: testCase.opset, where: testCase.name };
  const wanted = await runOnnxruntime(testCase);
  const definition = definitionOf(testCase);
  const found = definition.reference!(
    node,
    testCase.inputs.map((tensor) => tensor ?? undefined),
    context,
  );
  const facts = definition.infer(node, factsOf(testCase, "all"), context);
  const vague = definition.infer(node, factsOf(testCase, "rank"), context);
  wanted.forEach((tensor, index) => {
    expect(found[index]!.type).toBe(tensor.type);
    expect(found[index]!.dims).toEqual(tensor.dims);
    expect(found[index]!.data).toHaveLength(tensor.data.length);
    expect(largestError(found[index]!, tensor)).toBeLessThanOrEqual(allowed[testCase.tolerance]);
    expect(facts[index]).toMatchObject({ elemType: tensor.type, shape: tensor.dims });
    const claimed = vague[index]?.shape ?? [];
    expect(claimed.map((dim, axis) => (typeof dim === "number" ? tensor.dims[axis] : dim))).toEqual(claimed);
  });
}

for (const [suite, cases] of Object.entries(suites)) {
  describe(suite, () => {
    test.each(cases)("$name", checkCase);
  });
}
