// Whole networks as PyTorch exports them, against onnxruntime-node and PyTorch's own outputs. Needs ../shared; skipped without it.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { createSession } from "../../runtime/index.ts";
import { decodeNpy } from "../../src/cli/npy.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { levels } from "./compare.ts";

const exportsFolder = resolve(import.meta.dirname, "../../../shared/exports");
const networks = [
  { net: "lenet5bn_conv", form: "eager.op13" },
  { net: "resnet20_conv", form: "eager.op13" },
  // Adder layers written out in standard ops: hundreds of pads, slices, broadcasts and reductions.
  { net: "lenet5bn_adder", form: "c1.op13" },
  { net: "lenet5bn_adder", form: "c1.dyn.op13" },
  { net: "resnet20_adder", form: "c2.op17" },
];

const bytesOf = (name: string): Uint8Array => readFileSync(join(exportsFolder, name));

function rowsOf({ type, data, dims }: Tensor, count: number): Tensor {
  const row = data.length / dims[0]!;
  return { type, data: (data as Float32Array).slice(0, count * row), dims: [count, ...dims.slice(1)] };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a, (value, index) => Math.abs(value - b[index]!)).reduce(
    (most, value) => Math.max(most, value),
    0,
  );
}

describe.skipIf(!existsSync(exportsFolder))("exports", () => {
  describe.each(networks)("$net $form", ({ net, form }) => {
    test.each(levels)("%s", async (simd) => {
      const bytes = bytesOf(`${net}.${form}.onnx`);
      const [x, wanted] = ["input", "output"].map((part) =>
        decodeNpy(bytesOf(`${net}.${part}.npy`), part),
      ) as [Tensor, Tensor];
      const session = await createSession(bytes, { simd });
      const theirs = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
      const [inputName, outputName] = [session.inputNames[0]!, session.outputNames[0]!];
      const batch = session.inputMetadata[0]!.shape[0];
      for (const rows of typeof batch === "number" ? [batch] : [1, 2]) {
        const feed = rowsOf(x, rows);
        const { [outputName]: found } = await session.run({ [inputName]: feed });
        const peer = await theirs.run({
          [inputName]: new ort.Tensor("float32", feed.data as Float32Array, feed.dims),
        });
        expect(found!.dims).toEqual(peer[outputName]!.dims);
        expect(
          largestDifference(found!.data as Float32Array, peer[outputName]!.data as Float32Array),
        ).toBeLessThan(1e-3);
        const recorded = rowsOf(wanted, rows).data as Float32Array;
        expect(largestDifference(found!.data as Float32Array, recorded)).toBeLessThan(1e-3);
      }
      await theirs.release();
      await session.dispose();
    });
  });
});
