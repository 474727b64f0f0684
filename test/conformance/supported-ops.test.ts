// SUPPORTED-OPS.md speaks of every op there is, and of no failure. With the gathered cases at hand one op is run again.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { standardOps } from "../../custom-ops/index.ts";
import { loweringOf } from "../../runtime/lowerings.ts";

const page = readFileSync(resolve(import.meta.dirname, "../../SUPPORTED-OPS.md"), "utf8");
const rows = page
  .split("\n")
  .filter((line) => /^\| [A-Z]\w+ \| \d/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()));

it("lists every standard op, and none that is gone", () => {
  const listed = new Set(rows.map(([, op]) => op!));
  expect([...listed].sort()).toEqual(standardOps.map(({ opType }) => opType).sort());
});

it("claims references and kernels where there are some, each proven by a case", () => {
  const definitions = new Map(standardOps.map((op) => [op.opType, op]));
  for (const [, op, opsets, , references, ...kernels] of rows) {
    const where = `${op} ${opsets}`;
    const { reference } = definitions.get(op!)!;
    const hasKernel = loweringOf({ domain: "", opType: op! }) !== undefined;
    if (reference === undefined) expect(references, where).toBe("–");
    else expect(Number(references), where).toBeGreaterThan(0);
    for (const kernel of kernels.slice(0, 2)) {
      if (hasKernel) expect(Number(kernel), where).toBeGreaterThan(0);
      else expect(kernel, where).toBe("–");
    }
    expect(Number(kernels[2]), where).toBeGreaterThan(0);
  }
});

/** Op types of the networks that `npm run conformance:networks` fetches, and of what exporters make of CNN families; with their opsets. */
const networks: Readonly<Record<string, readonly [opset: number, ops: string]>> = {
  "DenseNet-121": [
    9,
    "AveragePool BatchNormalization Concat Conv Flatten Gemm GlobalAveragePool MaxPool Pad Relu",
  ],
  "SSR-Net": [
    9,
    "AveragePool BatchNormalization Concat Constant Conv Gather Gemm MaxPool Mul Pad Relu Reshape Shape Tanh Unsqueeze",
  ],
  UltraFace: [
    9,
    "Add Concat Constant Conv Div Exp Gather Mul Relu Reshape Shape Slice Softmax Sub Transpose Unsqueeze",
  ],
  MobileFaceNet: [9, "Add Conv PRelu Reshape"],
  "residual, eyes": [
    9,
    "Add Concat Constant Conv Gather GlobalAveragePool MaxPool Relu Reshape Shape Unsqueeze",
  ],
  landmarks: [9, "Add BatchNormalization Conv Flatten Gemm Relu"],
  "PP-OCR, direction": [
    9,
    "Add BatchNormalization Cast Clip Concat Constant Conv Div GlobalAveragePool HardSigmoid MatMul MaxPool Mul Relu Reshape " +
      "Shape Slice Softmax",
  ],
  "PP-OCRv4, detection": [
    11,
    "Add BatchNormalization Clip Concat Constant Conv ConvTranspose Div GlobalAveragePool HardSigmoid Mul Relu Resize Sigmoid",
  ],
  "PP-OCRv4, recognition": [
    9,
    "Add AveragePool BatchNormalization Cast Clip Concat Constant Conv Div GlobalAveragePool HardSigmoid MatMul Mul Pow ReduceMean " +
      "Relu Reshape Shape Sigmoid Slice Softmax Sqrt Squeeze Sub Transpose",
  ],
  BlazeFace: [12, "Add Concat ConstantOfShape Conv MaxPool Relu Reshape Transpose"],
  ResNet: [17, "Add BatchNormalization Conv Flatten Gemm GlobalAveragePool Identity MaxPool Relu"],
  VGG: [17, "AveragePool BatchNormalization Conv Dropout Flatten Gemm MaxPool Relu"],
  MobileNet: [
    17,
    "Add Clip Conv Flatten Gemm GlobalAveragePool HardSigmoid HardSwish Mul ReduceMean Relu Sigmoid",
  ],
};

function covers(opsets: string, opset: number): boolean {
  const [first, last = first] = opsets.split("–").map(Number) as [number, number?];
  return opset >= first && opset <= last;
}

it.each(Object.entries(networks))("lists every op of %s at its opset", (_, [opset, ops]) => {
  const missing = ops
    .split(" ")
    .filter((op) => !rows.some(([, listed, opsets]) => listed === op && covers(opsets!, opset)));
  expect(missing).toEqual([]);
});

it("tells of no failure", () => {
  expect(page).toMatch(/ \d{4,} runs, 0 failures\./);
});

const { ADDERNET_ONNX_TESTS, XDG_CACHE_HOME } = process.env;
const folder =
  ADDERNET_ONNX_TESTS ?? join(XDG_CACHE_HOME || join(homedir(), ".cache"), "addernet", "onnx-tests");

it.skipIf(!existsSync(join(folder, "index.json")))(
  "LeakyRelu passes again (with `npm run conformance:fetch`)",
  () => {
    const { stdout } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, "run.mjs"), "--op", "LeakyRelu"],
      {
        encoding: "utf8",
      },
    );
    expect(stdout).toMatch(/^\d+ runs of cases, 0 failures$/m);
  },
);
