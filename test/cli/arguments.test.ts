// What the user types: positionals, flags and their types, mistakes and the hints they get.

import { describe, expect, it } from "vitest";
import { type Command, defineCommand } from "../../src/cli/command.ts";
import * as types from "../../src/cli/flag-types.ts";
import { nearest } from "../../src/cli/nearest.ts";
import { parseArguments } from "../../src/cli/parse-arguments.ts";
import type { AdderNetError } from "../../src/core/errors.ts";

const command: Command = defineCommand({
  name: "try",
  summary: "",
  positionals: [
    { name: "IN", help: "" },
    { name: "MORE", help: "", optional: true },
  ],
  flags: {
    output: { short: "o", type: types.path, help: "" },
    "map-op": { type: types.opName, repeat: true, help: "" },
    check: { type: types.integer, help: "" },
    "no-check": { help: "" },
    mean: { type: types.numberList, help: "" },
    target: { type: types.oneOf("custom", "standard"), default: "custom", help: "" },
  },
  examples: [],
  run: async () => ({ text: "", json: {} }),
});

function refusal(argv: readonly string[]): string {
  try {
    parseArguments(command, argv);
  } catch (error) {
    expect((error as AdderNetError).code).toBe("ADN_USAGE");
    return (error as AdderNetError).message;
  }
  throw new Error("nothing was refused");
}

describe("accepted", () => {
  // biome-ignore format: a table
  const cases: readonly (readonly [readonly string[], readonly string[], Record<string, unknown>])[] = [
    [["a.onnx"], ["a.onnx"], { target: "custom", check: undefined, "no-check": false, "map-op": [], json: false }],
    [["-o", "b", "a"], ["a"], { output: "b" }],
    [["-ob", "a"], ["a"], { output: "b" }],
    [["a", "--output=b"], ["a"], { output: "b" }],
    [["a", "--check", "0", "--no-check"], ["a"], { check: 0, "no-check": true }],
    [["a", "--map-op", "x::A", "--map-op=y.z::B=adder2d"], ["a"], { "map-op": ["x::A", "y.z::B"] }],
    [["a", "--mean", "-1,.5,2e-3"], ["a"], { mean: [-1, 0.5, 0.002] }],
    [["a", "--", "-o"], ["a", "-o"], { output: undefined }],
    [["--json", "--quiet", "a"], ["a"], { json: true, quiet: true }],
  ];

  it.each(cases)("%j", (argv, positionals, flags) => {
    const parsed = parseArguments(command, argv);
    expect(parsed.positionals).toEqual(positionals);
    expect(parsed.flags).toMatchObject(flags);
  });
});

describe("refused, with a hint", () => {
  // biome-ignore format: a table
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /IN is missing/],
    [["a", "b", "c"], /one argument too many: "c"/],
    [["a", "--chekc", "1"], /no flag --chekc.*did you mean --check\?/],
    [["a", "--outptu=b"], /no flag --outptu.*did you mean --output\?/],
    [["a", "--zzzzzzzzz"], /no flag --zzzzzzzzz.*--help/],
    [["a", "-x"], /no flag -x/],
    [["a", "--__proto__"], /no flag --__proto__/],
    [["a", "--constructor"], /no flag --constructor/],
    [["a", "-o"], /-o needs a value: a file name/],
    [["a", "-o", "--json"], /-o needs a value/],
    [["a", "--output="], /--output was given a value it does not take.*expected a file name/],
    [["a", "--check", "two"], /expected an integer >= 0, found "two"/],
    [["a", "--check", "1.5"], /expected an integer/],
    [["a", "--check", "1e400"], /expected an integer/],
    [["a", "--check", "0x10"], /expected an integer/],
    [["a", "--check", "1", "--check", "2"], /--check is given twice/],
    [["a", "--no-check=1"], /--no-check takes no value/],
    [["a", "--mean", "1,,2"], /numbers separated by commas/],
    [["a", "--target", "costum"], /custom or standard/],
    [["a", "--map-op", "Adder"], /domain::Op/],
  ];

  it.each(cases)("%j", (argv, message) => {
    expect(refusal(argv)).toMatch(message);
  });
});

describe("values", () => {
  // biome-ignore format: a table
  const cases: readonly (readonly [string, { parse: (text: string) => unknown }, string, unknown])[] = [
    ["a shape", types.namedShape, "x:1,3,32,32", { name: "x", dims: [1, 3, 32, 32] }],
    ["a name with colons", types.namedShape, "a:b:batch,3", { name: "a:b", dims: ["batch", 3] }],
    ["a length of 0", types.namedShape, "x:0,3", undefined],
    ["a negative length", types.namedShape, "x:-1,3", undefined],
    ["no shape", types.namedShape, "x", undefined],
    ["a setting", types.nodeSetting, "/layer1/layer1.0/PythonOp.strides=2,2",
      { node: "/layer1/layer1.0/PythonOp", attribute: "strides", values: [2, 2] }],
    ["one value", types.nodeSetting, "n.pads=1", { node: "n", attribute: "pads", values: [1] }],
    ["no attribute", types.nodeSetting, "n=1", undefined],
    ["no value", types.nodeSetting, "n.pads=", undefined],
    ["a file", types.namedPath, "x.npy", { name: undefined, path: "x.npy" }],
    ["a named file", types.namedPath, "x=a=b.npy", { name: "x", path: "a=b.npy" }],
    ["no file", types.namedPath, "x=", undefined],
    ["the default domain", types.opName, "::Adder", "::Adder"],
    ["a zero among deviations", types.positiveList, "0.5,0", undefined],
  ];

  it.each(cases)("%s", (_name, type, text, expected) => {
    expect(type.parse(text)).toEqual(expected);
  });
});

describe("the nearest word", () => {
  // biome-ignore format: a table
  it.each([
    ["convrt", "convert"], ["evaluate", "eval"], ["inspekt", "inspect"], ["rnu", "run"], ["conv", "convert"],
    ["qqqqqq", undefined], ["", "run"],
  ])("%s -> %s", (word, expected) => {
    const known = ["run", "convert", "eval", "inspect"];
    const found = nearest(word, known);
    if (word === "") expect(known).toContain(found);
    else expect(found).toBe(expected);
  });
});
