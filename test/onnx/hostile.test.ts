// Files that are wrong in any way give one clear AdderNetError, quickly.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AdderNetError, type ErrorCode } from "../../src/core/errors.ts";
import { checkOpset, decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import { type WireGraph, type WireModel, wireGraph, wireModel, writeWire } from "./wire-model.ts";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`data/${name}`, import.meta.url)));
const utf8 = (text: string) => new TextEncoder().encode(text);

function errorOf(act: () => unknown): AdderNetError {
  try {
    act();
  } catch (error) {
    if (error instanceof AdderNetError) return error;
    throw new Error(`not an AdderNetError: ${error}`);
  }
  throw new Error("nothing was thrown");
}

function expectError(act: () => unknown, code: ErrorCode, message: RegExp): void {
  const error = errorOf(act);
  expect(error.message).toMatch(message);
  expect(error.code).toBe(code);
}

/** The error must come, or a model that can be written again. */
function decodeOrRefuse(bytes: Uint8Array): void {
  try {
    encodeModel(decodeModel(bytes));
  } catch (error) {
    if (!(error instanceof AdderNetError)) throw error;
    expect(error.message).not.toMatch(/undefined|\[object|index out of range/);
  }
}

describe("files that are no ONNX models are named", () => {
  const otherFiles: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["empty", new Uint8Array(), /an empty file/],
    ["HTML", utf8("\n<!DOCTYPE html><html><body>404</body></html>"), /an HTML page/],
    ["PyTorch zip", Uint8Array.of(0x50, 0x4b, 3, 4, ...utf8("....model/data.pkl")), /a PyTorch checkpoint/],
    ["zip", Uint8Array.of(0x50, 0x4b, 3, 4, ...utf8("....readme.txt")), /a zip archive/],
    ["legacy pickle", Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc), /a PyTorch checkpoint/],
    ["safetensors", Uint8Array.of(20, 0, 0, 0, 0, 0, 0, 0, ...utf8('{"w":{"dtype":"F32"}}')), /safetensors/],
    ["LFS pointer", utf8("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), /Git LFS pointer/],
    ["ORT format", Uint8Array.of(16, 0, 0, 0, ...utf8("ORTM")), /\.ort file/],
    ["JSON", utf8('{ "a": 1 }'), /a JSON file/],
    ["text", utf8("Hello, this is just text.\n"), /a text file/],
    ["zeros", new Uint8Array(500), /zeros only/],
    ["npy", Uint8Array.of(0x93, ...utf8("NUMPY"), 1, 0), /\.npy file/],
  ];
  test.each(otherFiles)("%s", (_, bytes, found) => {
    expectError(() => decodeModel(bytes, { where: "m.onnx" }), "ADN_ONNX_WIRE", found);
    expect(errorOf(() => decodeModel(bytes, { where: "m.onnx" })).message).toMatch(/^m\.onnx: /);
  });

  test.each([undefined, "model.onnx", new ArrayBuffer(8)])("%s instead of bytes", (value) => {
    expectError(
      () => decodeModel(value as unknown as Uint8Array),
      "ADN_USAGE",
      /expected Uint8Array, found /,
    );
  });

  test("text that happens to be protobuf", () => {
    // Field 14, length 5: an entry list of metadata_props, then nothing else.
    expectError(() => decodeModel(Uint8Array.of(0x72, 2, 0x0a, 0)), "ADN_ONNX_WIRE", /not an ONNX model/);
  });
});

const relu = { opType: "Relu", input: ["x"], output: ["y"] };
const float = (parts: object) => ({ name: "w", dataType: 1, ...parts });
const attribute = (parts: object): WireGraph => ({ node: [{ ...relu, name: "n1", attribute: [parts] }] });
const nested = (depth: number): WireGraph =>
  depth === 0
    ? wireGraph()
    : { ...wireGraph(), node: [{ ...relu, attribute: [{ name: "b", type: 5, g: nested(depth - 1) }] }] };
const functionBody = (parts: object) => ({
  name: "F",
  domain: "f",
  input: ["a"],
  output: ["b"],
  opsetImport: [{ version: 13 }, { domain: "f", version: 1 }],
  node: [{ opType: "Neg", input: ["a"], output: ["b"] }],
  ...parts,
});
const call = (name: string) => ({ opType: name, domain: "f", input: ["a"], output: ["b"] });

interface Case {
  readonly graph?: WireGraph;
  readonly model?: WireModel;
  readonly code?: ErrorCode;
  readonly message: RegExp;
}

const brokenModels: { readonly [name: string]: Case } = {
  "no graph": { model: { graph: null }, message: /the model has no graph/ },
  "no outputs": { graph: { output: [] }, message: /graph: there are no outputs/ },
  "an output that nothing makes": {
    graph: { output: [{ name: "z" }] },
    message: /output "z" is made by no node/,
  },
  "an output listed twice": {
    graph: { output: [{ name: "y" }, { name: "y" }] },
    message: /output "y" is listed twice/,
  },
  "an input listed twice": {
    graph: { input: [{ name: "x" }, { name: "x" }] },
    message: /input "x" is listed twice/,
  },
  "an input without name": { graph: { input: [{ name: "x" }, {}] }, message: /a value has no name/ },
  "an initialiser without name": {
    graph: { initializer: [float({ name: "" })] },
    message: /(no name|does not fit)/,
  },
  "a missing producer": {
    graph: { node: [{ ...relu, input: ["gone"] }] },
    message: /Relu "y": the input "gone" is made by no node, initialiser or graph input/,
  },
  "a missing producer inside a subgraph": {
    graph: attribute({
      name: "body",
      type: 5,
      g: {
        ...wireGraph({ input: [] }),
        node: [{ ...relu, input: ["gone"], output: ["z"] }],
        output: [{ name: "z" }],
      },
    }),
    message: /"gone"/,
  },
  "a value made twice": {
    graph: { node: [relu, relu] },
    message: /Relu "y": the value "y" is defined twice/,
  },
  "a node that makes an input": {
    graph: { node: [{ ...relu, output: ["x"] }] },
    message: /"x" is defined twice/,
  },
  "a subgraph that hides a value": {
    graph: attribute({ name: "body", type: 5, g: wireGraph() }),
    message: /"x" is defined twice/,
  },
  "a cycle": {
    graph: {
      node: [
        { opType: "Add", input: ["x", "b"], output: ["a"] },
        { opType: "Neg", input: ["a"], output: ["b"] },
      ],
      output: [{ name: "b" }],
    },
    message: /Add "a": the graph has a cycle/,
  },
  "a node without op_type": {
    graph: { node: [{ input: ["x"], output: ["y"] }] },
    message: /the node has no op_type/,
  },
  "no opset": { model: { opsetImport: [] }, message: /no opset is imported/ },
  "no opset for the standard domain": {
    model: { opsetImport: [{ domain: "other", version: 1 }] },
    message: /imports no version of the node's domain ""/,
  },
  "no opset for a domain in use": {
    graph: { node: [{ ...relu, domain: "addernet" }] },
    message: /domain "addernet"/,
  },
  "two opsets for a domain": {
    model: { opsetImport: [{ version: 13 }, { domain: "ai.onnx", version: 14 }] },
    message: /imported in two versions \(found 13 and 14\)/,
  },
  "a negative opset": { model: { opsetImport: [{ version: -1 }] }, message: /bad opset version/ },
  "IR version 2": {
    model: { irVersion: 2 },
    message: /IR version .* not supported \(expected 3 to 13, found 2\)/,
  },
  "IR version 99": { model: { irVersion: 99 }, message: /found 99\); .*ir_version/ },
  "an attribute given twice": {
    graph: {
      node: [
        {
          ...relu,
          attribute: [
            { name: "a", type: 2 },
            { name: "a", type: 2 },
          ],
        },
      ],
    },
    message: /attribute a is given twice/,
  },
  "an attribute without name": {
    graph: attribute({ type: 2 }),
    message: /Relu "n1": an attribute has no name/,
  },
  "an attribute without type": {
    graph: attribute({ name: "a", i: 1 }),
    message: /attribute a: the attribute has an unknown type/,
  },
  "an attribute of an unknown type": {
    graph: attribute({ name: "a", type: 77 }),
    message: /unknown type \(found 77\)/,
  },
  "a tensor attribute without tensor": {
    graph: attribute({ name: "value", type: 4 }),
    message: /attribute value: the attribute has no value/,
  },
  "a reference outside functions": {
    graph: attribute({ name: "a", type: 1, refAttrName: "b" }),
    message: /no function around it declares/,
  },
  "too short raw data": {
    graph: { initializer: [float({ dims: [2], rawData: new Uint8Array(7) })] },
    message: /initialiser "w": .*\(expected 8 bytes, found 7\)/,
  },
  "too long raw data": {
    graph: { initializer: [float({ dims: [], rawData: new Uint8Array(8) })] },
    message: /expected 4 bytes, found 8/,
  },
  "too few values": {
    graph: { initializer: [float({ dims: [3], floatData: [1, 2] })] },
    message: /expected 3 values in floatData, found 2/,
  },
  "values of another type": {
    graph: { initializer: [float({ dims: [1], int32Data: [1] })] },
    message: /expected 1 values in floatData, found 0/,
  },
  "data given twice": {
    graph: { initializer: [float({ dims: [1], floatData: [1], rawData: new Uint8Array(4) })] },
    message: /data twice/,
  },
  "a value beyond its type": {
    graph: { initializer: [{ name: "w", dataType: 2, dims: [1], int32Data: [256] }] },
    message: /no uint8 \(found 256\)/,
  },
  "a negative length of an input": {
    graph: {
      input: [{ name: "x", type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: -5 }] } } } }],
    },
    message: /value "x": a dim is negative \(found -5\)/,
  },
  "negative dims": {
    graph: { initializer: [float({ dims: [-1], rawData: new Uint8Array(4) })] },
    message: /initialiser "w": the tensor has a negative dim/,
  },
  "dims beyond memory": {
    graph: { initializer: [float({ dims: [2 ** 40, 2 ** 40] })] },
    code: "ADN_LIMIT",
    message: /initialiser "w": the tensor is too large/,
  },
  "dims that overflow to a small product": {
    graph: { initializer: [float({ dims: [2 ** 32, 2 ** 32] })] },
    code: "ADN_LIMIT",
    message: /too large/,
  },
  "large dims without data": {
    graph: { initializer: [float({ dims: [2 ** 40] })] },
    message: /expected 1099511627776 values/,
  },
  "an unknown element type": {
    graph: { initializer: [{ name: "w", dataType: 27, dims: [] }] },
    message: /unknown element type \(expected 1 to 26, found 27\)/,
  },
  "no element type": { graph: { initializer: [{ name: "w", dims: [] }] }, message: /unknown element type/ },
  "an initialiser given twice": {
    graph: { initializer: [float({ floatData: [1] }), float({ floatData: [1] })] },
    message: /initialiser "w": it is given twice/,
  },
  "a string that is not UTF-8": {
    graph: { initializer: [{ name: "w", dataType: 8, dims: [1], stringData: [Uint8Array.of(0xff)] }] },
    message: /not UTF-8/,
  },
  "an unknown type of a value": {
    graph: { input: [{ name: "x", type: { tensorType: { elemType: 99 } } }] },
    message: /value "x": unknown element type/,
  },
  "subgraphs nested too deeply": { graph: nested(60), code: "ADN_LIMIT", message: /nested too deeply/ },
  "a function that calls itself": {
    model: { functions: [functionBody({ node: [call("F")] })] },
    message: /function "f::F": the graph has a cycle/,
  },
  "functions that call each other": {
    model: {
      functions: [functionBody({ node: [call("G")] }), functionBody({ name: "G", node: [call("F")] })],
    },
    message: /cycle/,
  },
  "two functions of one name": {
    model: { functions: [functionBody({}), functionBody({})] },
    message: /two functions/,
  },
  "a function without name": {
    model: { functions: [functionBody({ name: "" })] },
    message: /the function has no name/,
  },
  "a function that reads nothing": {
    model: { functions: [functionBody({ input: [] })] },
    message: /Neg "b": the input "a"/,
  },
};

describe("models that break a rule", () => {
  test.each(Object.entries(brokenModels))("%s", (_, { graph, model, code, message }) => {
    const bytes = writeWire(wireModel(graph, model));
    expectError(() => decodeModel(bytes), code ?? "ADN_ONNX_MODEL", message);
  });

  test("the model that the others are made from is sound", () => {
    expect(decodeModel(writeWire(wireModel())).graph.nodes).toHaveLength(1);
    expect(decodeModel(writeWire(wireModel({}, { functions: [functionBody({})] }))).functions).toHaveLength(
      1,
    );
  });

  test("thirty subgraphs inside each other are read", () => {
    const inside = (depth: number): WireGraph => ({
      name: "g",
      node: [
        depth === 0
          ? { opType: "Neg", input: ["x"], output: ["y0"] }
          : { ...relu, output: [`y${depth}`], attribute: [{ name: "b", type: 5, g: inside(depth - 1) }] },
      ],
      output: [{ name: `y${depth}` }],
    });
    const model = decodeModel(writeWire(wireModel({ ...inside(30) })));
    expect(decodeModel(encodeModel(model).bytes)).toEqual(model);
  });
});

describe("opset", () => {
  const withOpset = (version: number) =>
    decodeModel(writeWire(wireModel({}, { opsetImport: [{ version }] })));
  test.each([7, 11, 23, 26])("%i is accepted", (version) => checkOpset(withOpset(version)));
  test.each([1, 6, 27])("%i is refused", (version) => {
    expectError(() => checkOpset(withOpset(version)), "ADN_OPSET", /expected 7 to 26/);
  });
});

describe("damaged files", () => {
  const whole = fixture("every-field.onnx");

  test("cut off after any byte", () => {
    const readable: number[] = [];
    for (let length = 0; length < whole.length; length++) {
      try {
        decodeModel(whole.subarray(0, length));
        readable.push(length);
      } catch (error) {
        if (!(error instanceof AdderNetError)) throw error;
        expect(["ADN_ONNX_WIRE", "ADN_ONNX_MODEL"]).toContain(error.code);
      }
    }
    // Only the parts behind graph and opsets can be missing without a trace: two entries of metadata, the training
    // information, the function and the device configuration.
    expect(readable).toHaveLength(5);
  });

  test("with one bit flipped: every fifth, which meets each bit of a byte", () => {
    const bytes = whole.slice();
    for (let bit = 0; bit < 8 * bytes.length; bit += 5) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      decodeOrRefuse(bytes);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
  });

  test("with pieces overwritten at random", () => {
    const original = fixture("tensors.onnx");
    fc.assert(
      fc.property(
        fc.nat(original.length - 1),
        fc.uint8Array({ minLength: 1, maxLength: 12 }),
        (at, patch) => {
          const bytes = original.slice();
          bytes.set(patch.subarray(0, bytes.length - at), at);
          decodeOrRefuse(bytes);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("of random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), decodeOrRefuse), { numRuns: 2000 });
  });

  test("of random fields of a model", () => {
    const tags = fc.constantFrom(0x08, 0x12, 0x3a, 0x42, 0x0a, 0x2a, 0x5a, 0x62, 0x72, 0xca, 0x01, 0x22);
    const fields = fc.array(fc.tuple(tags, fc.uint8Array({ maxLength: 30 })), { maxLength: 12 });
    const write = (list: readonly (readonly [number, Uint8Array])[]) =>
      Uint8Array.from(list.flatMap(([tag, bytes]) => [tag, bytes.length, ...bytes]));
    fc.assert(
      fc.property(fields, (list) => decodeOrRefuse(write(list))),
      { numRuns: 2000 },
    );
  });
});

describe("sizes made to exhaust time or memory end soon", () => {
  const varint = (value: number): number[] => {
    const bytes: number[] = [];
    for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
    return [...bytes, value];
  };
  const field = (number: number, bytes: ArrayLike<number>): Uint8Array => {
    const head = [...varint(number * 8 + 2), ...varint(bytes.length)];
    const result = new Uint8Array(head.length + bytes.length);
    result.set(head);
    result.set(bytes, head.length);
    return result;
  };
  const repeat = (count: number, ...bytes: number[]) =>
    Uint8Array.from({ length: count * bytes.length }, (_, index) => bytes[index % bytes.length]!);
  const limit = 10_000;

  const attacks: { readonly [name: string]: () => Uint8Array } = {
    "a length of 2 GiB": () => Uint8Array.of(8, 8, 0x3a, 0xff, 0xff, 0xff, 0xff, 7),
    "a length of 2^64 - 1": () => Uint8Array.of(8, 8, 0x3a, ...repeat(9, 0xff), 1),
    "an endless varint": () => Uint8Array.of(8, ...repeat(1000, 0xff)),
    "a million graphs inside each other": () => repeat(1_000_000, 0x3a),
    "groups inside each other": () => repeat(1_000_000, 0x1b),
    "types inside each other": () => {
      let type: Uint8Array = new Uint8Array();
      for (let depth = 0; depth < 3000; depth++) type = field(4, field(1, type));
      return field(7, field(11, field(2, type)));
    },
    "nine million empty nodes": () => field(7, repeat(9_000_000, 0x0a, 0)),
    "nine million attribute values": () => field(7, field(1, field(5, field(8, repeat(9_000_000, 1))))),
    "nine million unknown fields": () => repeat(9_000_000, 0x98, 0x06, 0),
  };
  test.each(Object.entries(attacks))("%s", (_, make) => {
    const bytes = make();
    const start = performance.now();
    const error = errorOf(() => decodeModel(bytes));
    expect(performance.now() - start).toBeLessThan(limit);
    expect(["ADN_ONNX_WIRE", "ADN_ONNX_MODEL", "ADN_LIMIT"]).toContain(error.code);
  });

  const chain = (count: number): WireGraph => ({
    node: Array.from({ length: count }, (_, index) => ({
      opType: "Neg",
      input: [index === 0 ? "x" : `v${index - 1}`],
      output: [index === count - 1 ? "y" : `v${index}`],
    })).reverse(),
  });
  test("a hundred thousand nodes in reverse order", () => {
    const bytes = writeWire(wireModel(chain(100_000)));
    const start = performance.now();
    expect(decodeModel(bytes).graph.nodes[0]!.inputs).toEqual(["x"]);
    expect(performance.now() - start).toBeLessThan(limit);
  });
  test("a cycle behind a hundred thousand nodes", () => {
    const graph = chain(100_000);
    graph.node!.unshift({ opType: "Neg", input: ["loop"], output: ["loop"] });
    const bytes = writeWire(wireModel(graph));
    const start = performance.now();
    expectError(() => decodeModel(bytes), "ADN_ONNX_MODEL", /Neg "loop": the graph has a cycle/);
    expect(performance.now() - start).toBeLessThan(limit);
  });
  test("twenty thousand functions that call the next", () => {
    const functions = Array.from({ length: 20_000 }, (_, index) =>
      functionBody({ name: `F${index}`, node: [call(`F${index + 1}`)] }),
    );
    const bytes = writeWire(wireModel({}, { functions }));
    const start = performance.now();
    expect(decodeModel(bytes).functions).toHaveLength(20_000);
    expect(performance.now() - start).toBeLessThan(limit);
  });
});

describe("models that cannot be written", () => {
  const sound = () => decodeModel(writeWire(wireModel()));
  test("more than 2 GiB in one file", () => {
    const model = sound();
    const data = new Uint8Array(2 ** 30);
    for (const name of ["a", "b"])
      model.graph.initializers.set(name, { type: "uint8", data, dims: [data.length] });
    expectError(() => encodeModel(model), "ADN_LIMIT", /too large for one ONNX file .* external data/);
  });
  test("data that does not fit its dims", () => {
    const model = sound();
    model.graph.initializers.set("w", { type: "float32", data: new Float32Array(3), dims: [4] });
    expectError(() => encodeModel(model), "ADN_SHAPE", /tensor "w": .*expected 4 values .* found 3/);
  });
  test("a value that nothing makes", () => {
    const model = sound();
    model.graph.nodes[0]!.inputs = ["gone"];
    expectError(() => encodeModel(model), "ADN_ONNX_MODEL", /"gone"/);
  });
});
