// Real exports of ResNet-20 and LeNet by every route. They are given beside the project (../shared/exports): skipped where absent.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { importAdders } from "../../converter/importers/index.ts";
import { ops } from "../../custom-ops/index.ts";
import { decodeModel } from "../../src/core/onnx/index.ts";

const folder = fileURLToPath(new URL("../../../shared/exports", import.meta.url));
const isAbsent = !existsSync(folder);
const all = isAbsent
  ? []
  : readdirSync(folder).filter((name) => name.endsWith(".onnx") && !name.includes(".b1."));

const lenet = [
  ["c1", [6, 1, 5, 5], [2, 2, 2, 2]],
  ["c2", [16, 6, 5, 5], [0, 0, 0, 0]],
  ["c3", [120, 16, 5, 5], [0, 0, 0, 0]],
  ["f1", [84, 120, 1, 1], [0, 0, 0, 0]],
  ["f2", [10, 84, 1, 1], [0, 0, 0, 0]],
];

/** Names, weights and strides of ResNet-20's 20 adder layers, by its construction. */
function resnet20(): (readonly [string, ...(readonly number[])[]])[] {
  return [16, 32, 64].flatMap((width, stage) =>
    [0, 1, 2].flatMap((block) => {
      const narrows = stage > 0 && block === 0;
      const [inputs, stride] = narrows ? [width / 2, 2] : [width, 1];
      const name = `layer${stage + 1}.${block}`;
      const pads = [1, 1, 1, 1];
      return [
        [`${name}.conv1`, [width, inputs, 3, 3], [stride, stride], pads] as const,
        [`${name}.conv2`, [width, width, 3, 3], [1, 1], pads] as const,
        ...(narrows ? [[`${name}.downsample.0`, [width, inputs, 1, 1], [2, 2], [0, 0, 0, 0]] as const] : []),
      ];
    }),
  );
}

function imported(file: string) {
  const externalData = (location: string) => readFileSync(join(folder, location));
  const model = decodeModel(readFileSync(join(folder, file)), { externalData });
  const { layers } = importAdders(model, { ops });
  return { model, layers };
}

describe.skipIf(isAbsent)("shared exports", () => {
  it.each(all.filter((name) => name.startsWith("lenet5bn_adder")))("%s", (file) => {
    const { layers } = imported(file);
    expect(layers.map(({ layer, weightShape, pads }) => [layer, weightShape, pads])).toEqual(lenet);
  });

  it.each(all.filter((name) => name.startsWith("resnet20_adder")))("%s", (file) => {
    const { layers, model } = imported(file);
    const found = layers.map(({ layer, weightShape, strides, pads }) => [layer, weightShape, strides, pads]);
    expect(found.sort()).toEqual(resnet20().sort());
    const left = model.graph.nodes.filter(({ opType }) =>
      ["Abs", "ReduceSum", "Pow", "PythonOp", "Sub"].includes(opType),
    );
    expect(left).toEqual([]);
  });

  it.each(all.filter((name) => name.includes("_conv")))("%s has none", (file) => {
    expect(imported(file).layers).toEqual([]);
  });
});
