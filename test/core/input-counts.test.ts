// How many inputs a standard op takes at most: onnxruntime's own checker says so for the same node.

import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { ValueInfo } from "../../src/core/ir/model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import type { OpDefinition } from "../../src/core/ops/define-op.ts";
import { standardOps } from "../../src/core/ops/index.ts";
import { emptyGraph, emptyModel } from "./one-node-model.ts";

/** More than any op takes that does not take as many as it gets. */
const tooMany = 9;

const names = Array.from({ length: tooMany }, (_, index) => `in${index}`);

/** The most inputs onnxruntime takes: it names the range when it refuses a node; infinite where it does not. */
async function mostInputs({ opType, last }: OpDefinition): Promise<number> {
  const inputs = names.map(
    (name): ValueInfo => ({ name, type: { kind: "tensor", elemType: "float32", shape: [1] } }),
  );
  const graph = emptyGraph([makeNode(opType, names, ["out"])], inputs, [{ name: "out" }]);
  const model = emptyModel(graph, last ?? 21);
  const session = ort.InferenceSession.create(encodeModel(model).bytes, { logSeverityLevel: 4 });
  const message = await session.then(() => "", String);
  const most = /not in range \[min=\d+, max=(\d+)\]/.exec(message)?.[1];
  return most === undefined ? Number.POSITIVE_INFINITY : Number(most);
}

// Of a Constant onnxruntime reads its attributes alone.
const counted = standardOps.filter(({ opType }) => opType !== "Constant");

test.each(counted.map((op) => [op.opType, op] as const))("%s", async (_, op) => {
  const most = await mostInputs(op);
  const facts = names.map(() => undefined);
  const context = { opset: op.last ?? 21, where: "node" };
  const infer = (count: number) => () =>
    op.infer(makeNode(op.opType, names.slice(0, count), ["out"]), facts.slice(0, count), context);
  const refusal = expect.objectContaining({
    code: "ADN_ONNX_MODEL",
    message: expect.stringContaining("is unknown"),
  });
  if (most < tooMany) expect(infer(most + 1)).toThrow(refusal);
  // Other refusals come after this one.
  try {
    infer(Math.min(most, tooMany))();
  } catch (error) {
    expect(error).not.toEqual(refusal);
  }
});
