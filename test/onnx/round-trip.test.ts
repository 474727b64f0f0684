// What goes in comes out: every field, every element type, real exports, and models made at random.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { dataTypes } from "../../src/core/dtype.ts";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { modelArbitrary } from "./model-arbitrary.ts";
import { readWire, wireModel, writeWire } from "./wire-model.ts";

const data = (name: string): URL => new URL(`data/${name}`, import.meta.url);
const exportsFolder = new URL("../../../shared/exports/", import.meta.url);

test("the schema has the field numbers and types of ONNX's own descriptors", async () => {
  const root = await protobuf.load(
    new URL("../../src/core/onnx/schema/onnx.proto", import.meta.url).pathname,
  );
  root.resolveAll();
  const lines: string[] = [];
  const visit = (type: protobuf.Type): void => {
    for (const field of type.fieldsArray) {
      const kind = field.resolvedType?.fullName.replace(".onnx.", "") ?? field.type;
      const rule = field.repeated ? "repeated" : "optional";
      const packed = field.options?.packed ? " packed" : "";
      const name = field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      lines.push(`${type.fullName.slice(6)}.${name} = ${field.id} ${rule} ${kind}${packed}`);
    }
    for (const nested of type.nestedArray) if (nested instanceof protobuf.Type) visit(nested);
  };
  const { nestedArray } = root.lookup("onnx") as protobuf.Namespace;
  for (const nested of nestedArray) if (nested instanceof protobuf.Type) visit(nested);
  const key = (line: string): string => line.toLowerCase();
  const expected = readFileSync(data("onnx-fields.txt"), "utf8").trim().split("\n");
  expect(lines.map(key).sort()).toEqual(expected.map(key).sort());
});

test("a file that uses every field of IR version 13 comes out byte for byte", () => {
  const bytes = new Uint8Array(readFileSync(data("every-field.onnx")));
  expect(encodeModel(decodeModel(bytes)).bytes).toEqual(bytes);
});

describe("tensors of every element type, as numpy has them", () => {
  const { initializers } = decodeModel(readFileSync(data("tensors.onnx"))).graph;
  const expected: Record<string, { number: number; dims: number[]; hex: string }> = JSON.parse(
    readFileSync(data("tensors.json"), "utf8"),
  );
  const hex = ({ data }: Tensor): string => {
    const array = data as Uint8Array;
    return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("hex");
  };
  test.each(Object.entries(expected))("%s", (kind, { number, dims, hex: bytes }) => {
    for (const form of ["raw", "typed"]) {
      const tensor = initializers.get(`${form}_${kind}`)!;
      expect({ number: dataTypes[tensor.type].onnx, dims: tensor.dims, hex: hex(tensor) }).toEqual({
        number,
        dims,
        hex: bytes,
      });
    }
  });
  test("strings and empty tensors", () => {
    expect(initializers.get("typed_STRING")).toEqual({ type: "string", data: ["", "grün ✓"], dims: [2] });
    expect(initializers.get("empty_FLOAT")).toEqual({
      type: "float32",
      data: new Float32Array(),
      dims: [2, 0],
    });
  });
  test("every element type of ours is among them", () => {
    const numbers = Object.values(expected).map(({ number }) => number);
    const ours = Object.values(dataTypes).flatMap(({ onnx }) =>
      onnx === dataTypes.string.onnx ? [] : [onnx],
    );
    expect(numbers.sort()).toEqual(ours.sort());
  });
});

test("models made at random come out equal", () => {
  fc.assert(
    fc.property(modelArbitrary, (model) => {
      expect(decodeModel(encodeModel(model).bytes)).toEqual(model);
    }),
    { numRuns: 300 },
  );
});

test("models made at random come out equal with external data", () => {
  fc.assert(
    fc.property(modelArbitrary, fc.integer({ min: 0, max: 40 }), (model, thresholdBytes) => {
      const { bytes, externalData } = encodeModel(model, {
        externalData: { location: "w.bin", thresholdBytes },
      });
      const decoded = decodeModel(bytes, { externalData: () => externalData });
      expect(decoded).toEqual(model);
    }),
    { numRuns: 100 },
  );
});

describe("onnx-proto reads what we write", () => {
  test("graph, tensors and attributes of a model with IR version 8", () => {
    const int64Max = 2n ** 63n - 1n;
    const { bytes } = encodeModel({
      irVersion: 8,
      producerName: "addernet",
      producerVersion: "1",
      domain: "",
      modelVersion: -3n,
      docString: "",
      opsetImports: new Map([
        ["", 17],
        ["addernet", 1],
      ]),
      metadata: new Map([["key", "value"]]),
      functions: [],
      graph: {
        name: "net",
        inputs: [{ name: "x", type: { kind: "tensor", elemType: "float32", shape: ["n", 1, null] } }],
        outputs: [{ name: "y" }],
        nodes: [
          {
            opType: "Adder2d",
            domain: "addernet",
            name: "conv",
            inputs: ["x", "w"],
            outputs: ["y"],
            attributes: new Map([
              ["strides", { type: "INTS", value: [2n, int64Max, -(2n ** 63n)] }],
              ["alpha", { type: "FLOAT", value: 0 }],
              ["auto_pad", { type: "STRING", value: new TextEncoder().encode("NOTSET") }],
            ]),
          },
        ],
        initializers: new Map([
          ["w", { type: "float32", data: Float32Array.of(1.5, -2), dims: [2, 1, 1, 1] }],
        ]),
        overridable: [],
        valueInfo: new Map(),
      },
    });
    const model = readWire(bytes);
    expect(model.irVersion.toString()).toBe("8");
    expect(model.modelVersion.toString()).toBe("-3");
    expect(model.opsetImport.map(({ domain, version }) => `${domain}:${version}`)).toEqual([
      ":17",
      "addernet:1",
    ]);
    expect(model.metadataProps).toMatchObject([{ key: "key", value: "value" }]);
    const graph = model.graph!;
    expect(graph.node).toMatchObject([
      { opType: "Adder2d", domain: "addernet", name: "conv", input: ["x", "w"], output: ["y"] },
    ]);
    const [strides, alpha, autoPad] = graph.node![0]!.attribute!;
    expect(strides!.ints!.map(String)).toEqual(["2", `${int64Max}`, `${-(2n ** 63n)}`]);
    expect(strides!.type).toBe(7);
    expect(alpha).toMatchObject({ type: 1, f: 0 });
    expect(new TextDecoder().decode(autoPad!.s!)).toBe("NOTSET");
    const weights = graph.initializer![0]!;
    expect(weights).toMatchObject({ name: "w", dataType: 1 });
    expect(weights.dims!.map(Number)).toEqual([2, 1, 1, 1]);
    expect(Buffer.from(weights.rawData!).toString("hex")).toBe("0000c03f000000c0");
    const dims = graph.input![0]!.type!.tensorType!.shape!.dim!;
    expect(dims.map(({ dimParam, dimValue }) => dimParam || Number(dimValue))).toEqual(["n", 1, 0]);
  });
});

describe("what differs between exporters is read alike", () => {
  test('domain "ai.onnx" is the standard domain', () => {
    const { opsetImports, graph } = decodeModel(
      writeWire(
        wireModel(
          { node: [{ opType: "Relu", domain: "ai.onnx", input: ["x"], output: ["y"] }] },
          { opsetImport: [{ domain: "ai.onnx", version: 13 }] },
        ),
      ),
    );
    expect([...opsetImports]).toEqual([["", 13]]);
    expect(graph.nodes[0]!.domain).toBe("");
  });

  test("initialisers among the inputs are not asked of the caller", () => {
    const { graph } = decodeModel(
      writeWire(
        wireModel({
          input: [{ name: "w" }, { name: "x" }],
          node: [{ opType: "Add", input: ["x", "w"], output: ["y"] }],
          initializer: [{ name: "w", dataType: 1, dims: [1], floatData: [2] }],
        }),
      ),
    );
    expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
    expect(graph.overridable.map(({ name }) => name)).toEqual(["w"]);
  });

  test("nodes out of order are sorted, inside subgraphs too", () => {
    const branch = (name: string) => ({
      name,
      node: [
        { opType: "Neg", input: [`${name}_late`], output: [`${name}_out`] },
        { opType: "Neg", input: ["b"], output: [`${name}_late`] },
      ],
      output: [{ name: `${name}_out` }],
    });
    const { graph } = decodeModel(
      writeWire(
        wireModel({
          node: [
            {
              opType: "If",
              input: ["x"],
              output: ["y"],
              attribute: [
                { name: "then_branch", type: 5, g: branch("t") },
                { name: "else_branch", type: 5, g: branch("e") },
              ],
            },
            { opType: "Neg", input: ["a"], output: ["b"] },
            { opType: "Neg", input: ["x"], output: ["a"] },
          ],
        }),
      ),
    );
    expect(graph.nodes.map(({ outputs }) => outputs[0])).toEqual(["a", "b", "y"]);
    const then = graph.nodes[2]!.attributes.get("then_branch")!;
    expect(then.type === "GRAPH" && then.value.nodes.map(({ outputs }) => outputs[0])).toEqual([
      "t_late",
      "t_out",
    ]);
  });

  test("an absent int or float is zero", () => {
    const attribute = [
      { name: "i", type: 2 },
      { name: "f", type: 1 },
    ];
    const { graph } = decodeModel(
      writeWire(wireModel({ node: [{ opType: "Relu", input: ["x"], output: ["y"], attribute }] })),
    );
    expect(Object.fromEntries(graph.nodes[0]!.attributes)).toEqual({
      i: { type: "INT", value: 0n },
      f: { type: "FLOAT", value: 0 },
    });
  });

  test("negative lengths in shapes are unknown ones", () => {
    const dim = [{ dimValue: -1 }, { dimParam: "" }, { dimParam: "n" }, { dimValue: 4 }, {}];
    const { graph } = decodeModel(
      writeWire(wireModel({ input: [{ name: "x", type: { tensorType: { elemType: 1, shape: { dim } } } }] })),
    );
    expect(graph.inputs[0]!.type).toEqual({
      kind: "tensor",
      elemType: "float32",
      shape: [null, null, "n", 4, null],
    });
  });
});

describe("IR version", () => {
  const withInitializer = (irVersion: number, isInput: boolean) =>
    decodeModel(
      writeWire(
        wireModel(
          {
            input: [{ name: "x" }, ...(isInput ? [{ name: "w" }] : [])],
            node: [{ opType: "Add", input: ["x", "w"], output: ["y"] }],
            initializer: [{ name: "w", dataType: 1, dims: [], floatData: [2] }],
          },
          { irVersion },
        ),
      ),
    );
  test("stays, when the model uses nothing newer", () => {
    expect(decodeModel(encodeModel(withInitializer(3, true)).bytes).irVersion).toBe(3);
  });
  test("is raised for initialisers that are no inputs", () => {
    expect(decodeModel(encodeModel(withInitializer(3, false)).bytes).irVersion).toBe(4);
  });
  test("is raised for functions", () => {
    const model = decodeModel(writeWire(wireModel({}, { irVersion: 7 })));
    model.functions.push({
      name: "F",
      domain: "test",
      inputs: ["a"],
      outputs: ["b"],
      attributes: [],
      attributeDefaults: new Map(),
      nodes: [{ opType: "Neg", domain: "", name: "", inputs: ["a"], outputs: ["b"], attributes: new Map() }],
      opsetImports: new Map([["", 13]]),
      valueInfo: new Map(),
    });
    expect(decodeModel(encodeModel(model).bytes).irVersion).toBe(8);
  });
});

// Needs ../shared.
describe.skipIf(!existsSync(exportsFolder))("real exports", () => {
  const files = existsSync(exportsFolder)
    ? readdirSync(exportsFolder).filter((name) => name.endsWith(".onnx"))
    : [];
  test.each(files)("%s", (name) => {
    const externalData = (location: string) => readFileSync(new URL(location, exportsFolder));
    const bytes = new Uint8Array(readFileSync(new URL(name, exportsFolder)));
    const model = decodeModel(bytes, { externalData, where: name });
    const written = encodeModel(model).bytes;
    // toEqual walks typed arrays element by element, which is slow here: the second writing shows the same.
    expect(Buffer.compare(encodeModel(decodeModel(written)).bytes, written)).toBe(0);
    const before = readWire(bytes).graph!;
    const after = readWire(written).graph!;
    expect(
      after.node!.map(({ opType, input, output, attribute }) => [opType, input, output, attribute]),
    ).toEqual(before.node!.map(({ opType, input, output, attribute }) => [opType, input, output, attribute]));
    for (const [index, tensor] of before.initializer!.entries()) {
      if (tensor.dataLocation === 1) continue;
      expect(after.initializer![index]!.name).toBe(tensor.name);
      expect(Buffer.compare(after.initializer![index]!.rawData!, tensor.rawData!)).toBe(0);
    }
  });
});
