// addernet quantize on the bundled LeNet-5-BN: what it prints, writes and refuses.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { addernet } from "./capture.ts";
import { testFolder } from "./folder.ts";
import { readSchema, schemaProblems } from "./json-schema.ts";

const bundled = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/lenet5bn/${name}`, import.meta.url));
const folder = testFolder();
const inFolder = (name: string): string => join(folder.path, name);
const images = `${bundled("digits.npy")},${bundled("labels.npy")}`;
const [float, coded] = [inFolder("lenet.onnx"), inFolder("lenet.int8.onnx")];

interface JsonAnswer {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents that the schema has checked
  readonly [key: string]: any;
}

/** Runs with --json and checks the answer against the schema. */
async function json(...argv: readonly string[]): Promise<JsonAnswer> {
  const { code, stdout, stderr } = await addernet(["quantize", ...argv, "--json"]);
  expect(stderr).not.toMatch(/error/i);
  expect(code).toBe(0);
  const answer = JSON.parse(stdout) as JsonAnswer;
  expect(schemaProblems(answer, readSchema("quantize"))).toEqual([]);
  return answer;
}

let answer: JsonAnswer;

beforeAll(async () => {
  const ran = await addernet(["convert", bundled("lenet5bn.inlined.onnx"), "-o", float, "--no-check"]);
  expect(ran.code).toBe(0);
  answer = await json(float, "-o", coded, "--data", images, "--samples", "100");
});

describe("quantize", () => {
  it("writes the model and its table, verified", () => {
    expect(existsSync(coded)).toBe(true);
    expect(answer.calibration).toBe(inFolder("lenet.int8.calib.json"));
    expect(JSON.parse(readFileSync(answer.calibration, "utf8"))).toMatchObject({ bits: 8, samples: 100 });
    expect(answer.output.bytes).toBeLessThan(0.3 * answer.input.bytes);
    expect(answer.layers.map((layer: JsonAnswer) => layer.result)).toEqual([
      "codes",
      "codes",
      "codes",
      "codes",
      "float",
    ]);
    for (const { sqnr, clippedWeights } of answer.layers) {
      expect(sqnr).toBeGreaterThan(30);
      expect(clippedWeights).toBeGreaterThan(0.5);
    }
    expect(answer.verification.sqnr).toBeGreaterThan(answer.verification.least);
    expect(answer.outputs.output).toBeGreaterThan(30);
  });

  it("foretells layers, taps and bytes", async () => {
    const { layers, taps, floatTaps, bytes, layerMs } = answer.forecast;
    expect([layers, taps, floatTaps]).toEqual([5, 416_520, 0]);
    expect(Math.abs(bytes / answer.output.bytes - 1)).toBeLessThan(0.1);
    expect(layerMs === null || layerMs.codes > 0).toBe(true);
    const { stderr } = await addernet(["quantize", float, "-o", coded, "--data", images, "--samples", "8"]);
    expect(stderr).toMatch(/^5 adder layers go to 8 bit; 100 % of 416520 taps per image; file about/);
  });

  it("tells the same in text", async () => {
    const { code, stdout } = await addernet([
      "quantize",
      float,
      "-o",
      inFolder("t.onnx"),
      "--data",
      images,
      "--bits",
      "5",
    ]);
    expect(code).toBe(0);
    for (const line of [
      /^layer +bits +range of codes/m,
      /^fc2 +5 .*sums stay float/m,
      /^5 bit, ranges by auto/m,
      /^verified on/m,
    ]) {
      expect(stdout).toMatch(line);
    }
  });

  it("takes a table in place of images and writes the same file", async () => {
    const first = await json(
      float,
      "-o",
      inFolder("a.onnx"),
      "--data",
      images,
      "--samples",
      "40",
      "--bits",
      "6",
    );
    const again = await json(float, "-o", inFolder("b.onnx"), "--calibration", first.calibration);
    expect(readFileSync(inFolder("b.onnx"))).toEqual(readFileSync(inFolder("a.onnx")));
    expect([again.data, again.verification, again.bits]).toEqual([null, null, 6]);
    expect(existsSync(inFolder("b.calib.json"))).toBe(false);
  });

  it("answers nearly as the float model does", async () => {
    const top1 = async (model: string) => {
      const { stdout } = await addernet(["eval", model, "--data", images, "--json"]);
      return JSON.parse(stdout).top1 as number;
    };
    expect(Math.abs((await top1(coded)) - (await top1(float)))).toBeLessThanOrEqual(0.02);
  });
});

const refused: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["no output", ["--data", images], 2, /-o is missing/],
  ["no data", ["-o", inFolder("x.onnx")], 2, /--data is missing/],
  [
    "both data and table",
    ["-o", inFolder("x.onnx"), "--data", images, "--calibration", "t.json"],
    2,
    /--data excludes/,
  ],
  ["9 bits", ["-o", inFolder("x.onnx"), "--data", images, "--bits", "9"], 2, /an integer from 3 to 8/],
  [
    "a data set of another shape",
    ["-o", inFolder("x.onnx"), "--data", `${bundled("output.npy")},${bundled("labels.npy")}`],
    2,
    /images|labels|fit/,
  ],
  ["a layer that is none", ["-o", inFolder("x.onnx"), "--data", images, "--exclude", "conv9"], 2, /conv9/],
  ["itself as output", ["-o", float, "--data", images], 2, /overwrite the input/],
  ["no table", ["-o", inFolder("x.onnx"), "--calibration", bundled("input.npy")], 2, /no JSON/],
];

describe("refuses", () => {
  it.each(refused)("%s", async (_, argv, code, message) => {
    const ran = await addernet(["quantize", float, ...argv]);
    expect(ran.stderr).toMatch(message);
    expect(ran.code).toBe(code);
    expect(existsSync(inFolder("x.onnx"))).toBe(false);
  });

  it("a model without adder layers", async () => {
    const ran = await addernet([
      "quantize",
      bundled("lenet5bn.inlined.onnx"),
      "-o",
      inFolder("x.onnx"),
      "--data",
      images,
    ]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(/no adder layer that can be quantized.*addernet convert/);
  });
});
