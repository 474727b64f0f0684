// The commands, run in this process on the bundled LeNet-5-BN: what they print, write and answer.

import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands.ts";
import { decodeNpy, encodeNpy } from "../../src/cli/npy.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { addernet } from "./capture.ts";
import { testFolder } from "./folder.ts";
import { readSchema, schemaProblems } from "./json-schema.ts";

const bundled = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/lenet5bn/${name}`, import.meta.url));
const folder = testFolder();
const inFolder = (name: string): string => join(folder.path, name);
const readNpy = (path: string): Tensor => decodeNpy(readFileSync(path), path);

/** Largest |a - b|, NaN counting as infinite. */
function distance(a: Tensor, b: Tensor): number {
  expect(a.dims).toEqual(b.dims);
  const [left, right] = [a.data as ArrayLike<number>, b.data as ArrayLike<number>];
  let most = 0;
  for (let index = 0; index < left.length; index++) {
    const difference = Math.abs(left[index]! - right[index]!);
    most = Math.max(most, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
  }
  return most;
}

interface JsonAnswer {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents that the schema has checked
  readonly [key: string]: any;
}

/** Runs with --json and checks the answer against the command's schema. */
async function json(argv: readonly string[]): Promise<JsonAnswer> {
  const { code, stdout, stderr } = await addernet([...argv, "--json"]);
  expect(stderr).not.toMatch(/error/i);
  expect(code).toBe(0);
  const answer = JSON.parse(stdout) as JsonAnswer;
  expect(schemaProblems(answer, readSchema(argv[0]!))).toEqual([]);
  return answer;
}

const converted = inFolder("lenet.onnx");
let conversion: JsonAnswer;

beforeAll(async () => {
  const argv = ["convert", bundled("lenet5bn.inlined.onnx"), "-o", converted];
  conversion = await json([...argv, "--input", bundled("input.npy"), "--report", inFolder("report.json")]);
});

describe("convert", () => {
  it("recognises, verifies and reports", () => {
    expect(conversion.nodes.before).toBe(487);
    expect(conversion.nodes.after).toBeLessThan(20);
    expect(conversion.layers.map((layer: JsonAnswer) => [layer.weight, layer.strides, layer.pads])).toEqual([
      [
        [6, 1, 5, 5],
        [1, 1],
        [2, 2, 2, 2],
      ],
      [
        [16, 6, 5, 5],
        [1, 1],
        [0, 0, 0, 0],
      ],
      [
        [120, 16, 5, 5],
        [1, 1],
        [0, 0, 0, 0],
      ],
      [
        [84, 120, 1, 1],
        [1, 1],
        [0, 0, 0, 0],
      ],
      [
        [10, 84, 1, 1],
        [1, 1],
        [0, 0, 0, 0],
      ],
    ]);
    expect(conversion.ops.find(({ op }: JsonAnswer) => op === "addernet::Adder2d")).toMatchObject({
      before: 0,
      after: 5,
    });
    expect(conversion.verification).toMatchObject({ samples: 3, by: "runtime" });
    expect(conversion.verification.maxDifference).toBeLessThan(1e-3);
    expect(conversion.output).toMatchObject({ path: converted, bytes: statSync(converted).size });
    expect(JSON.parse(readFileSync(inFolder("report.json"), "utf8"))).toEqual(conversion);
  });

  it("prints a table with the layers, the difference and the sizes", async () => {
    const { code, stdout, stderr } = await addernet([
      "convert",
      bundled("lenet5bn.torchscript.onnx"),
      "-o",
      inFolder("t.onnx"),
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/before\s+after/);
    expect(stdout).toMatch(/all nodes\s+293\s+\d+/);
    expect(stdout).toMatch(/adder layers: 5/);
    expect(stdout).toMatch(/120x16x5x5/);
    expect(stdout).toMatch(/verified on 2 inputs with the runtime: largest difference \d/);
    expect(stderr).toMatch(/^verify/m);
  });

  it("--quiet leaves stderr empty", async () => {
    const { code, stderr } = await addernet([
      "convert",
      bundled("lenet5bn.torchscript.onnx"),
      "-o",
      inFolder("q.onnx"),
      "--quiet",
    ]);
    expect([code, stderr]).toEqual([0, ""]);
  });

  it("reads external data and writes it", async () => {
    const out = inFolder("external.onnx");
    const answer = await json([
      "convert",
      bundled("lenet5bn.inlined.dynamo.onnx"),
      "-o",
      out,
      "--external-data",
    ]);
    expect(answer.output.externalData).toBe(`${out}.data`);
    expect(statSync(`${out}.data`).size).toBeGreaterThan(240_000);
    const { outputs } = await json(["run", out, "--input", bundled("input.npy"), "-o", inFolder("e.npy")]);
    expect(outputs[0].file).toBe(inFolder("e.npy"));
    expect(distance(readNpy(inFolder("e.npy")), readNpy(bundled("output.npy")))).toBeLessThan(1e-3);
  });

  it("--target standard leaves only ONNX ops", async () => {
    const out = inFolder("standard.onnx");
    const answer = await json([
      "convert",
      bundled("lenet5bn.symbolic.dynamo.onnx"),
      "-o",
      out,
      "--target",
      "standard",
    ]);
    const left = answer.ops.filter(({ after }: JsonAnswer) => after > 0).map(({ op }: JsonAnswer) => op);
    expect(left.filter((op: string) => op.includes("::"))).toEqual([]);
    expect((await json(["inspect", out])).functions).toEqual([]);
  });

  it("writes nothing when verification fails", async () => {
    const out = inFolder("rejected.onnx");
    const argv = ["convert", bundled("lenet5bn.inlined.onnx"), "-o", out, "--rtol", "0", "--atol", "0"];
    const { code, stdout, stderr } = await addernet(argv);
    expect([code, stdout]).toEqual([4, ""]);
    expect(stderr).toMatch(/^error ADN_VERIFY: .*nothing was written/m);
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(folder.path).filter((name) => name.includes("tmp"))).toEqual([]);
  });
});

describe("run", () => {
  it("matches PyTorch on a batch", async () => {
    const answer = await json(["run", converted, "--input", bundled("input.npy"), "-o", inFolder("y.npy")]);
    expect(answer.outputs).toMatchObject([{ name: "output", dims: [16, 10], notFinite: 0 }]);
    expect(distance(readNpy(inFolder("y.npy")), readNpy(bundled("output.npy")))).toBeLessThan(1e-3);
  });

  it("prints values in JSON when no file is asked for, and takes inputs by name and the first rows", async () => {
    const { outputs } = await json([
      "run",
      converted,
      "--input",
      `input=${bundled("input.npy")}`,
      "--limit",
      "2",
    ]);
    const expected = readNpy(bundled("output.npy")).data as Float32Array;
    expect(outputs[0].dims).toEqual([2, 10]);
    for (const [index, value] of outputs[0].data.entries()) expect(value).toBeCloseTo(expected[index]!, 3);
  });

  it("takes float64 whose values are float32, and refuses others", async () => {
    const { data, dims } = readNpy(bundled("input.npy"));
    const wide = Float64Array.from(data as Float32Array);
    const exact = folder.write("exact.npy", encodeNpy({ type: "float64", dims, data: wide }));
    expect((await addernet(["run", converted, "--input", exact])).code).toBe(0);
    wide[0] = 0.1;
    const inexact = folder.write("inexact.npy", encodeNpy({ type: "float64", dims, data: wide }));
    const { code, stderr } = await addernet(["run", converted, "--input", inexact]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/ADN_FEED: .*expected float32, found float64.*astype\(numpy\.float32\)/);
  });

  it("says what to do with more rows than a fixed batch takes", async () => {
    const fixed = inFolder("fixed.onnx");
    await json([
      "convert",
      bundled("lenet5bn.inlined.onnx"),
      "-o",
      fixed,
      "--input-shape",
      "input:1,1,28,28",
    ]);
    const { code, stderr } = await addernet(["run", fixed, "--input", bundled("input.npy")]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/ADN_FEED: .*a batch of 1 .*--limit 1, or .*dynamic_axes=/);
    expect((await addernet(["run", fixed, "--input", bundled("input.npy"), "--limit", "1"])).code).toBe(0);
  });
});

describe("eval", () => {
  const data = `${bundled("digits.npy")},${bundled("labels.npy")}`;
  const normalised = ["--mean", "0.1307", "--std", "0.3081"];

  it("counts as PyTorch did: 197 of 200 right", async () => {
    const answer = await json(["eval", converted, "--data", data, ...normalised]);
    expect(answer).toMatchObject({ images: 200, top1: 0.985, engine: "addernet" });
    expect(answer.confusion.flat().reduce((a: number, b: number) => a + b)).toBe(200);
  });

  it("stops at the limit and says how fast it was", async () => {
    const { stdout, code } = await addernet([
      "eval",
      converted,
      "--data",
      data,
      ...normalised,
      "--limit",
      "10",
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/10 images[\s\S]*top-1 .*%[\s\S]*images\/s on addernet/);
  });
});

describe("engines", () => {
  it("a model that needs more than the runtime says how to run it", async () => {
    const bare = bundled("lenet5bn.torchscript.onnx");
    const spoilt = Buffer.from(
      readFileSync(bare).toString("latin1").replaceAll("MaxPool", "MaxPoll"),
      "latin1",
    );
    const unknown = folder.write("unknown-op.onnx", spoilt);
    const input = ["--input", bundled("input.npy")];
    const ours = await addernet(["run", unknown, ...input]);
    expect(ours.code).toBe(3);
    expect(ours.stderr).toMatch(/ADN_OP_UNSUPPORTED: .*MaxPoll \(2\).*addernet convert.*--engine ort/);
    const theirs = await addernet(["run", unknown, ...input, "--engine", "ort"]);
    expect(theirs.code).toBe(3);
    expect(theirs.stderr).toMatch(/ADN_OP_UNSUPPORTED: onnxruntime refuses the model.*MaxPoll/);
  });

  it("give the same numbers", async () => {
    const path = (engine: string) => inFolder(`${engine}.npy`);
    for (const engine of ["addernet", "ort", "ort-web"]) {
      const argv = [
        "run",
        converted,
        "--input",
        bundled("input.npy"),
        "-o",
        path(engine),
        "--engine",
        engine,
      ];
      expect((await addernet(argv)).code).toBe(0);
      expect(distance(readNpy(path(engine)), readNpy(bundled("output.npy")))).toBeLessThan(1e-3);
    }
  });
});

describe("inspect", () => {
  const counts = { layers: 5, weights: 61_470, taps: 416_520, additions: 833_040 };

  it.each([
    ["the written-out export", bundled("lenet5bn.inlined.onnx"), 487],
    ["the export with a custom op", bundled("lenet5bn.symbolic.torchscript.onnx"), undefined],
    ["the converted model", converted, undefined],
  ])("counts the same in %s", async (_name, path, nodes) => {
    const answer = await json(["inspect", path]);
    expect(answer.adder).toMatchObject(counts);
    expect(answer.multiplications).toBe(0);
    if (nodes) expect(answer.nodes).toBe(nodes);
  });

  it("lists taps layer by layer", async () => {
    const { adder } = await json(["inspect", converted]);
    expect(adder.list.map(({ taps }: JsonAnswer) => taps)).toEqual([117_600, 240_000, 48_000, 10_080, 840]);
    const { stdout } = await addernet(["inspect", converted]);
    expect(stdout).toMatch(/adder taps per image\s+416,520/);
  });
});

describe("doctor", () => {
  it("describes this machine", async () => {
    const { machine } = await json(["doctor"]);
    expect(machine.node).toBe(process.version);
    expect(machine.wasm.simd).toBe(true);
    expect(machine.onnxruntime.map(({ name }: JsonAnswer) => name)).toEqual([
      "onnxruntime-node",
      "onnxruntime-web",
    ]);
  });

  it("says that a model converts, and shows its layers", async () => {
    const answer = await json(["doctor", bundled("lenet5bn.inlined.onnx")]);
    expect(answer).toMatchObject({ kind: "model", ok: true, converts: true, findings: [] });
    expect(answer.layers.length).toBe(5);
  });

  // biome-ignore format: a table
  it.each([
    ["TypeError: iteration over a 0-d tensor", /int\(h_filter\)/],
    ["RuntimeError: ONNX export failed: Couldn't export Python operator adder", /def symbolic\(/],
    ["Fatal error: prim:PythonOp(-1) is not a registered function/op", /npx addernet convert/],
    ["Fatal error: addernet:Adder2D(-1) is not a registered function/op", /registerAdderNet\(ort\)/],
    ["No ONNX function found for <OpOverload(op='aten._cdist_forward', overload='default')>", /abs\(\)\.sum\(1\)/],
    ["No ONNX function found for <OpOverload(op='mylib.adder2d', overload='default')>", /custom_translation_table/],
    ["RuntimeError: Argument passed to at() was not in the map.", /torch\.stack/],
    ["filesystem error: cannot get file size: No such file or directory [model.onnx.data]", /external_data=False/],
    ["Exporting the operator 'aten::im2col' to ONNX opset version 9 is not supported.", /opset_version=17/],
  ])("mends %s", async (message, expected) => {
    const { match } = await json(["doctor", "--error", message]);
    expect(match.snippet).toMatch(expected);
    expect((await json(["doctor", folder.write("error.txt", `Traceback\n  ${message}\n`)])).match).toEqual(match);
  });

  it("takes a message as an argument, and admits what it does not know", async () => {
    expect((await addernet(["doctor", "TypeError: iteration over a 0-d tensor"])).stdout).toMatch(/h_filter/);
    expect((await json(["doctor", "something else went wrong"])).match).toBe(null);
  });
});

describe("data", () => {
  it("lists what can be fetched", async () => {
    const { sets } = await json(["data", "list", "--dir", inFolder("no-cache")]);
    expect(sets.map(({ name, fetched }: JsonAnswer) => [name, fetched])).toEqual([
      ["mnist", false],
      ["fashion-mnist", false],
      ["cifar10", false],
    ]);
  });
});

describe("help", () => {
  it("names every command, and the exit codes", async () => {
    const { code, stdout } = await addernet(["--help"]);
    expect(code).toBe(0);
    for (const name of Object.keys(commands)) expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
    expect(stdout).toMatch(/Exit codes: 0 ok/);
  });

  it.each(Object.keys(commands))("%s --help is derived from its declaration", async (name) => {
    const { code, stdout } = await addernet([name, "--help"]);
    const command = await commands[name]!.load();
    expect(code).toBe(0);
    expect(stdout).toContain(`addernet ${name}`);
    for (const flag of Object.keys(command.flags)) expect(stdout).toContain(`--${flag}`);
    for (const example of command.examples) expect(stdout).toContain(example);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThan(160);
  });

  it("--version prints the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect((await addernet(["--version"])).stdout).toBe(`${version}\n`);
  });
});

describe("mistakes", () => {
  const notOnnx = folder.write("not.onnx", "hello, this is a text");
  const truncated = folder.write(
    "cut.onnx",
    readFileSync(bundled("lenet5bn.inlined.onnx")).subarray(0, 5000),
  );
  const flipped = readFileSync(bundled("lenet5bn.inlined.onnx"));
  for (let at = 100; at < 4000; at += 7) flipped[at]! ^= 0x10;
  const lonely = folder.write("lonely.onnx", readFileSync(bundled("lenet5bn.inlined.dynamo.onnx")));
  const dynamo = "lenet5bn.inlined.dynamo.onnx";
  const linked = folder.write(`linked/${dynamo}`, readFileSync(bundled(dynamo)));
  symlinkSync(bundled(`${dynamo}.data`), `${linked}.data`);
  const beside = folder.write(`beside/${dynamo}`, readFileSync(bundled(dynamo)));
  const weights = folder.write(`beside/${dynamo}.data`, readFileSync(bundled(`${dynamo}.data`)));
  const out = inFolder("never.onnx");
  const model = bundled("lenet5bn.torchscript.onnx");

  // biome-ignore format: a table
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ["no command", [], 2, /^$/],
    ["an unknown command", ["convrt"], 2, /ADN_USAGE: .*did you mean "addernet convert"/],
    ["a flag before the command", ["--jsn"], 2, /ADN_USAGE: no command before --jsn/],
    ["an unknown flag", ["convert", model, "--outptu", out], 2, /ADN_USAGE: .*did you mean --output\?/],
    ["no output", ["convert", model], 2, /ADN_USAGE: .*-o is missing.*\.adder\.onnx/],
    ["a checkpoint without its network", ["convert", bundled("lenet5bn.pth"), "-o", out], 2, /ADN_USAGE: .*--arch is missing.*lenet5-bn.*add --arch lenet5-bn/],
    ["a checkpoint in place of a model", ["inspect", bundled("lenet5bn.pth")], 2, /ADN_FILE: .*this is a checkpoint.*addernet convert/],
    ["no such file", ["convert", inFolder("none.onnx"), "-o", out], 2, /ADN_FILE: .*no such file/],
    ["a folder", ["convert", folder.path, "-o", out], 2, /ADN_FILE: .*it is a folder/],
    ["an empty file", ["convert", folder.write("empty.onnx", ""), "-o", out], 2, /ADN_ONNX_WIRE: /],
    ["a text", ["convert", notOnnx, "-o", out], 2, /ADN_ONNX_WIRE: /],
    ["a truncated file", ["convert", truncated, "-o", out], 2, /ADN_ONNX/],
    ["flipped bits", ["convert", folder.write("flipped.onnx", flipped), "-o", out], 2, /ADN_ONNX/],
    ["missing external data", ["convert", lonely, "-o", out], 2, /ADN_EXTERNAL_DATA: /],
    ["external data behind a link that leaves the folder", ["inspect", linked], 2, /ADN_EXTERNAL_DATA: .*leaves the model's folder/],
    ["the input's external data as output", ["convert", beside, "-o", weights], 2, /ADN_FILE: .*overwrite the input/],
    ["the input as output", ["convert", truncated, "-o", truncated], 2, /ADN_ONNX|overwrite/],
    ["a folder that is not there", ["convert", model, "-o", inFolder("no/out.onnx")], 2, /ADN_FILE: .*does not exist/],
    ["an unknown input", ["convert", model, "-o", out, "--input-shape", "x:1,1,28,28"], 2, /ADN_USAGE: .*no input "x"/],
    ["a bad attribute", ["convert", model, "-o", out, "--set", "n.strydes=2"], 2, /ADN_USAGE: .*did you mean strides/],
    ["bad values", ["convert", model, "-o", out, "--set", "n.strides=0"], 2, /ADN_USAGE: .*numbers >= 1/],
    ["checks both ways", ["convert", model, "-o", out, "--check", "2", "--no-check"], 2, /ADN_USAGE: /],
    ["no feed", ["run", model], 2, /ADN_FEED: no file for "input"/],
    ["a feed that is no array", ["run", model, "--input", notOnnx], 2, /ADN_NPY: /],
    ["a feed of another shape", ["run", model, "--input", bundled("output.npy")], 2, /ADN_FEED: .*does not fit/],
    ["an unknown feed", ["run", model, "--input", `y=${bundled("input.npy")}`], 2, /ADN_FEED: .*no input "y"/],
    ["an unknown output", ["run", model, "--input", bundled("input.npy"), "-o", `z=${out}`], 2, /ADN_USAGE: .*no output "z"/],
    ["no data", ["eval", model], 2, /ADN_USAGE: .*--data is missing/],
    ["unknown data", ["eval", model, "--data", "minst"], 2, /ADN_DATA: .*did you mean mnist\?/],
    ["labels only", ["eval", model, "--data", bundled("digits.npy")], 2, /ADN_DATA: .*without labels/],
    ["an unknown data set", ["data", "fetch", "imagenet"], 2, /ADN_USAGE: .*no data set "imagenet"/],
    ["an unknown action", ["data", "remove"], 2, /ADN_USAGE: /],
  ];

  it.each(cases)("%s", async (_name, argv, exitCode, message) => {
    const before = readdirSync(folder.path).sort();
    const { code, stdout, stderr } = await addernet(argv);
    expect(code).toBe(exitCode);
    const error = stderr.split("\n").filter((line) => line.startsWith("error"));
    expect(error.join("\n")).toMatch(message);
    expect(error.length).toBeLessThanOrEqual(1);
    expect(stderr).not.toMatch(/\n\s+at /);
    if (argv.length > 0) expect(stdout).toBe("");
    expect(readdirSync(folder.path).sort()).toEqual(before);
  });

  it("--json tells the error as JSON on stderr", async () => {
    const { code, stdout, stderr } = await addernet(["run", model, "--json"]);
    expect([code, stdout]).toEqual([2, ""]);
    const line = stderr.trim().split("\n").at(-1)!;
    expect(schemaProblems(JSON.parse(line), readSchema("error"))).toEqual([]);
    expect(JSON.parse(line).error).toMatchObject({ code: "ADN_FEED", exitCode: 2 });
  });

  it("an existing output is kept when the command fails", async () => {
    writeFileSync(out, "precious");
    const { code } = await addernet(["convert", truncated, "-o", out]);
    expect([code, readFileSync(out, "utf8")]).toEqual([2, "precious"]);
  });
});
