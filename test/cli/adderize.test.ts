// addernet adderize: what it prints, writes and refuses, on a LeNet CNN with random weights.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import { residualCnn } from "../adderize/small-cnns.ts";
import { addernet } from "./capture.ts";
import { testFolder } from "./folder.ts";
import { readSchema, schemaProblems } from "./json-schema.ts";
import { writePng } from "./write-png.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));
const folder = testFolder();
const inFolder = (name: string): string => join(folder.path, name);
const checkpoint = fixture("topologies/fixtures/lenet5-conv-linear-32.pth");
/** Images alone: nobody asks for labels. */
const digits = fixture("fixtures/lenet5bn/digits.npy");
const quick = ["--samples", "96", "--steps", "4"];

interface JsonAnswer {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents that the schema has checked
  readonly [key: string]: any;
}

async function json(...argv: readonly string[]): Promise<JsonAnswer> {
  const { code, stdout, stderr } = await addernet(["adderize", ...argv, "--json"]);
  expect(stderr).not.toMatch(/error/i);
  expect(code).toBe(0);
  const answer = JSON.parse(stdout) as JsonAnswer;
  expect(schemaProblems(answer, readSchema("adderize"))).toEqual([]);
  return answer;
}

describe("adderize", () => {
  it("turns a checkpoint into an AdderNet in one command, without labels", async () => {
    const [out, report] = [inFolder("lenet.onnx"), inFolder("lenet.json")];
    const answer = await json(
      checkpoint,
      "--arch",
      "lenet5-bn",
      "-o",
      out,
      "--data",
      digits,
      ...quick,
      "--report",
      report,
    );
    const { graph } = decodeModel(readFileSync(out));
    const count = graph.nodes.filter(({ opType }) => opType === "Adder2d").length;
    expect(count).toBe(answer.layers.length);
    expect(answer.kept.map((layer: JsonAnswer) => layer.reason)).toEqual(["first layer", "last layer"]);
    expect(answer.samples.fitted + answer.samples.compared).toBe(96);
    expect(answer.outputs[0].sameTop1).toBeGreaterThan(0);
    expect(JSON.parse(readFileSync(report, "utf8"))).toEqual(answer);
    const text = await addernet([
      "run",
      out,
      "--input",
      fixture("fixtures/lenet5bn/input.npy"),
      "-o",
      inFolder("y.npy"),
    ]);
    expect(text.code).toBe(0);
  });

  it("tells in text which layers fit how well, and how the network agrees", async () => {
    const argv = [
      "--arch",
      "lenet5-bn",
      "-o",
      inFolder("t.onnx"),
      "--data",
      digits,
      ...quick,
      "--layers",
      "all",
    ];
    const { code, stdout, stderr } = await addernet(["adderize", checkpoint, ...argv]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^layer +weight +R2 by slopes +R2 fitted +SQNR dB\n/);
    expect(stdout).toMatch(/conv1 +3x1x5x5/);
    expect(stdout).not.toMatch(/goes on multiplying/);
    expect(stdout).toMatch(/same answer as the CNN on [\d.]+ %, on \d+ images that nothing was fitted to/);
    expect(stderr).toMatch(/fitting layers, percent/);
  });

  it("takes an ONNX file, a folder of pictures without classes, and less memory than it would like", async () => {
    const { model } = residualCnn();
    writeFileSync(inFolder("cnn.onnx"), encodeModel(model).bytes);
    const pictures = inFolder("pictures");
    mkdirSync(pictures);
    for (let index = 0; index < 24; index++) {
      const pixels = Uint8Array.from(
        { length: 300 },
        (_, at) => (at * 7 + index * 31 + at * at * index) % 256,
      );
      writeFileSync(
        join(pictures, `${index}.png`),
        writePng({ width: 10, height: 10, channels: 3, data: pixels }),
      );
    }
    const out = inFolder("r.onnx");
    const argv = [inFolder("cnn.onnx"), "-o", out, "--data", pictures, "--batch", "1", "--steps", "2"];
    const answer = await json(...argv, "--keep-batch-norm");
    expect(answer.samples).toEqual({ fitted: 22, compared: 2, heldOut: true });
    const ops = decodeModel(readFileSync(out)).graph.nodes.map(({ opType }) => opType);
    expect(ops.filter((op) => op === "BatchNormalization")).toHaveLength(answer.layers.length);
  });
});

describe("adderize refuses", () => {
  const args = (...more: readonly string[]) => [checkpoint, "--arch", "lenet5-bn", ...more];
  const cases: readonly (readonly [string, readonly string[], number, string, RegExp])[] = [
    ["no output", args("--data", digits), 2, "ADN_USAGE", /-o is missing.*\.adder\.onnx/],
    ["no data", args("-o", "OUT"), 2, "ADN_USAGE", /--data is missing/],
    [
      "no architecture",
      [checkpoint, "-o", "OUT", "--data", digits],
      2,
      "ADN_USAGE",
      /--arch is missing.*lenet5-bn/,
    ],
    [
      "an unknown layer",
      args("-o", "OUT", "--data", digits, "--exclude", "conv9"),
      2,
      "ADN_USAGE",
      /no layer is called conv9/,
    ],
    [
      "too few images for anything",
      args("-o", "OUT", "--data", "NOTHING"),
      2,
      "ADN_DATA",
      /no pictures found/,
    ],
    ["images of another size", args("-o", "OUT", "--data", "WIDE"), 2, "ADN_DATA", /do not fit input/],
    ["a file that is none", ["none.onnx", "-o", "OUT", "--data", digits], 2, "ADN_FILE", /no such file/],
  ];
  it.each(cases)("%s", async (_, given, code, error, message) => {
    mkdirSync(inFolder("NOTHING"), { recursive: true });
    mkdirSync(inFolder("WIDE"), { recursive: true });
    const picture = { width: 9, height: 5, channels: 1, data: new Uint8Array(45) } as const;
    writeFileSync(inFolder("WIDE/a.png"), writePng(picture));
    const argv = given.map((part) => (/^[A-Z]+$/.test(part) ? inFolder(part) : part));
    const ran = await addernet(["adderize", ...argv]);
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(error);
    expect(ran.stderr).toMatch(message);
    expect(existsSync(inFolder("OUT"))).toBe(false);
  });
});
