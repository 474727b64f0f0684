// Weights in files beside the model: which names are allowed, and what is taken from where.

import { describe, expect, test } from "vitest";
import { AdderNetError } from "../../src/core/errors.ts";
import { checkLocation, decodeModel, encodeModel, externalLocations } from "../../src/core/onnx/index.ts";
import { readWire, wireModel, writeWire } from "./wire-model.ts";

const file = Uint8Array.from({ length: 64 }, (_, index) => index);

function modelAt(entries: Readonly<Record<string, string>>, dims = [2]): Uint8Array {
  const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
  return writeWire(
    wireModel({
      node: [{ opType: "Add", input: ["x", "w"], output: ["y"] }],
      initializer: [{ name: "w", dataType: 6, dims, dataLocation: 1, externalData }],
    }),
  );
}

const weights = (bytes: Uint8Array, read?: (location: string) => Uint8Array | undefined) =>
  decodeModel(bytes, read && { externalData: read }).graph.initializers.get("w")!;

describe("locations", () => {
  test.each(["w.bin", "a/b.bin", "./w.bin", "a/./b", "w..bin", "..w", "größe.bin", "a b", ".hidden"])(
    "%j is allowed",
    (location) => {
      expect(checkLocation(location)).toBe(location);
    },
  );
  test.each([
    "",
    "/etc/passwd",
    "../w.bin",
    "a/../../w.bin",
    "a/..",
    "..",
    "..\\w.bin",
    "a\\b",
    "C:w.bin",
    "C:/w.bin",
    "c:\\w.bin",
    "//server/share",
    "http://example.org/w.bin",
    "file:w.bin",
    "w.bin\0.txt",
    "w\n.bin",
    ".. /w.bin",
    ".../w.bin",
    "%2e%2e/w.bin",
    ".%2E/w.bin",
  ])("%j is refused", (location) => {
    try {
      checkLocation(location);
    } catch (error) {
      expect((error as AdderNetError).code).toBe("ADN_EXTERNAL_DATA");
      return;
    }
    throw new Error("nothing was thrown");
  });
});

describe("what is taken", () => {
  const read = () => file;
  test("offset and length", () => {
    const data = weights(modelAt({ location: "w.bin", offset: "3", length: "8" }), read).data;
    expect(data).toEqual(Int32Array.of(0x06050403, 0x0a090807));
  });
  test("from the start, when there is no offset", () => {
    expect(weights(modelAt({ location: "w.bin" }), read).data).toEqual(Int32Array.of(0x03020100, 0x07060504));
  });
  test("up to the last byte", () => {
    expect(weights(modelAt({ location: "w.bin", offset: "56" }), read).data).toHaveLength(2);
  });
  test("every file is asked for once, by its location", () => {
    const asked: string[] = [];
    const tensor = (name: string, offset: string) => ({
      name,
      dataType: 2,
      dims: [1],
      dataLocation: 1,
      externalData: [
        { key: "location", value: "sub/w.bin" },
        { key: "offset", value: offset },
      ],
    });
    const bytes = writeWire(wireModel({ initializer: [tensor("a", "1"), tensor("b", "2")] }));
    const { initializers } = decodeModel(bytes, {
      externalData: (location) => {
        asked.push(location);
        return file;
      },
    }).graph;
    expect(asked).toEqual(["sub/w.bin"]);
    expect([...initializers.values()].map(({ data }) => data)).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    expect(externalLocations(bytes)).toEqual(["sub/w.bin"]);
  });
  test("the tensor does not share memory with the file", () => {
    const copy = file.slice();
    const { data } = weights(modelAt({ location: "w.bin" }), () => copy);
    copy.fill(0);
    expect(data[0]).toBe(0x03020100);
  });
});

describe("what is refused", () => {
  const refused: readonly (readonly [
    string,
    Record<string, string>,
    (() => Uint8Array | undefined) | undefined,
    RegExp,
  ])[] = [
    [
      "a missing file",
      { location: "w.bin" },
      () => undefined,
      /initialiser "w": there is no file w\.bin; put it beside/,
    ],
    ["no way to read files", { location: "w.bin" }, undefined, /the weights are in another file, w\.bin/],
    [
      "a location outside the folder",
      { location: "../w.bin" },
      () => file,
      /leaves the model's folder .*"\.\.\/w\.bin"/,
    ],
    ["no location", { offset: "0" }, () => file, /the location of external data is empty/],
    [
      "an end beyond the file",
      { location: "w.bin", offset: "57" },
      () => file,
      /beyond the end of w\.bin \(expected at least 65 bytes in the file, found 64\)/,
    ],
    ["a huge offset", { location: "w.bin", offset: "9007199254740991" }, () => file, /beyond the end/],
    ["a negative offset", { location: "w.bin", offset: "-8" }, () => file, /bad offset .*"-8"/],
    ["an offset that is no number", { location: "w.bin", offset: "1e3" }, () => file, /bad offset/],
    [
      "a length that does not fit",
      { location: "w.bin", length: "4" },
      () => file,
      /expected 8 bytes, found length 4/,
    ],
  ];
  test.each(refused)("%s", (_, entries, read, message) => {
    expect(() => weights(modelAt(entries), read)).toThrow(message);
    expect(() => weights(modelAt(entries), read)).toThrow(
      expect.objectContaining({ code: "ADN_EXTERNAL_DATA" }),
    );
  });
  test("dims that the file cannot hold, before anything is allocated", () => {
    const bytes = modelAt({ location: "w.bin" }, [2 ** 40]);
    expect(() => weights(bytes, () => file)).toThrow(/beyond the end/);
  });
  test("a location twice", () => {
    const externalData = ["a", "b"].map((value) => ({ key: "location", value }));
    const bytes = writeWire(
      wireModel({ initializer: [{ name: "w", dataType: 1, dataLocation: 1, externalData }] }),
    );
    expect(() => weights(bytes, () => file)).toThrow(/location twice/);
  });
});

describe("writing", () => {
  const model = decodeModel(writeWire(wireModel()));
  const add = (name: string, length: number) =>
    model.graph.initializers.set(name, {
      type: "float32",
      data: Float32Array.from({ length }, (_, index) => index + length),
      dims: [length],
    });
  for (const [name, length] of [
    ["small", 10],
    ["medium", 300],
    ["large", 2 ** 18],
  ] as const)
    add(name, length);
  model.graph.initializers.set("text", { type: "string", data: ["x".repeat(5000)], dims: [1] });
  const { bytes, externalData } = encodeModel(model, { externalData: { location: "net.onnx.data" } });
  const initializers = readWire(bytes).graph!.initializer!;
  const entriesOf = (name: string) =>
    Object.fromEntries(
      initializers
        .find((tensor) => tensor.name === name)!
        .externalData!.map(({ key, value }) => [key, value]),
    );

  test("tensors below the threshold and strings stay inside", () => {
    const inside = initializers.filter(({ dataLocation }) => dataLocation !== 1).map(({ name }) => name);
    expect(inside).toEqual(["small", "text"]);
    expect(bytes.length).toBeLessThan(6000);
  });
  test("the others say where they are, large ones on a page", () => {
    expect(entriesOf("medium")).toEqual({ location: "net.onnx.data", offset: "0", length: "1200" });
    expect(entriesOf("large")).toEqual({ location: "net.onnx.data", offset: "4096", length: `${2 ** 20}` });
    const view = new DataView(externalData!.buffer, externalData!.byteOffset);
    expect(externalData).toHaveLength(4096 + 2 ** 20);
    expect([view.getFloat32(0, true), view.getFloat32(4096 + 4, true)]).toEqual([300, 2 ** 18 + 1]);
  });
  test("both together are read back", () => {
    expect(
      decodeModel(bytes, { externalData: (name) => (name === "net.onnx.data" ? externalData : undefined) }),
    ).toEqual(model);
  });
  test("no second file when nothing is large enough", () => {
    const result = encodeModel(model, { externalData: { location: "w", thresholdBytes: 2 ** 30 } });
    expect(result.externalData).toBeUndefined();
  });
  test("a location outside the folder is refused", () => {
    expect(() => encodeModel(model, { externalData: { location: "../w" } })).toThrow(AdderNetError);
  });
});
