// The proof before the first use: a small model with every op of ours, whose numbers are known from the ops' own definitions.

import { AdderInteger2d } from "../../../custom-ops/adder-integer2d.ts";
import { Adder2d } from "../../../custom-ops/adder2d.ts";
import { QLinearAdder2d } from "../../../custom-ops/qlinear-adder2d.ts";
import { AdderNetError } from "../../core/errors.ts";
import { floatAttribute, intAttribute, intsAttribute } from "../../core/ir/attributes.ts";
import type { Attribute, Model, Node } from "../../core/ir/model.ts";
import { newModel } from "../../core/ir/new-model.ts";
import { encodeModel } from "../../core/onnx/index.ts";
import type { OpDefinition } from "../../core/ops/define-op.ts";
import { elementCount, type Tensor } from "../../core/tensor.ts";
import type { NativeEngine } from "./engine.ts";

/** Numbers without a pattern, the same every time: in [-2, 2), or codes. */
function numbers(type: "float32" | "uint8", dims: readonly number[], seed: number): Tensor {
  const data = type === "float32" ? new Float32Array(elementCount(dims)) : new Uint8Array(elementCount(dims));
  let state = seed;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = type === "uint8" ? state >>> 24 : (state >>> 8) / 2 ** 22 - 2;
  }
  return { type, data, dims };
}

const code = (value: number): Tensor => ({ type: "uint8", data: Uint8Array.of(value), dims: [] });

const constants: Readonly<Record<string, Tensor>> = {
  w: numbers("float32", [5, 3, 3, 3], 1),
  b: numbers("float32", [5], 2),
  scale: numbers("float32", [5], 3),
  codes: numbers("uint8", [5, 3, 3, 3], 4),
  zero: code(7),
  steps: { type: "float32", data: new Float32Array(5).fill(0.01), dims: [5] },
  zScale: { type: "float32", data: Float32Array.of(0.5), dims: [] },
};

const window: [string, Attribute][] = [
  ["pads", intsAttribute([1, 1, 1, 1])],
  ["strides", intsAttribute([1, 1])],
];

function node(opType: string, inputs: string[], output: string, more: [string, Attribute][] = []): Node {
  const attributes = new Map([...window, ...more]);
  return { opType, domain: "addernet", name: output, inputs, outputs: [output], attributes };
}

const nodes: readonly Node[] = [
  node("Adder2d", ["x", "w"], "plain"),
  node("Adder2d", ["x", "w", "b", "scale", "plain"], "fused", [
    ["activation_min", floatAttribute(0)],
    ["activation_max", floatAttribute(60)],
  ]),
  node("Adder2d", ["x", "w", "", "scale"], "scaled"),
  node("AdderInteger2d", ["q", "codes", "zero"], "sums"),
  node("QLinearAdder2d", ["q", "zero", "codes", "steps", "b", "zero"], "quantized", [
    ["y_max", intAttribute(200)],
  ]),
  node(
    "QLinearAdder2d",
    ["q", "zero", "codes", "steps", "b", "zero", "quantized", "zScale", "zero"],
    "added",
  ),
];

const definitions: Readonly<Record<string, OpDefinition>> = { Adder2d, AdderInteger2d, QLinearAdder2d };
const outputs = nodes.map(({ outputs: [name] }) => name!);

function probeModel(): Uint8Array {
  const shape = ["N", 3, 6, "W"];
  const model: Model = newModel(
    {
      name: "probe",
      inputs: [
        { name: "x", type: { kind: "tensor", elemType: "float32", shape } },
        { name: "q", type: { kind: "tensor", elemType: "uint8", shape } },
      ],
      outputs: outputs.map((name) => ({ name })),
      nodes: [...nodes],
      initializers: new Map(Object.entries(constants)),
    },
    { "": 13, addernet: 1 },
  );
  const type = (opType: string) =>
    ({ Adder2d: "float32", AdderInteger2d: "int32", QLinearAdder2d: "uint8" })[opType] as "float32";
  model.graph.outputs = nodes.map(({ opType, outputs: [name] }) => ({
    name: name!,
    type: { kind: "tensor", elemType: type(opType) },
  }));
  return encodeModel(model).bytes;
}

/** What the definitions say. */
function expectedFor(feeds: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  const values: Record<string, Tensor> = { ...constants, ...feeds };
  for (const each of nodes) {
    const inputs = each.inputs.map((name) => (name === "" ? undefined : values[name]));
    const [result] = definitions[each.opType]!.reference!(each, inputs, { opset: 1, where: each.name });
    values[each.outputs[0]!] = result!;
  }
  return values;
}

/** float32 sums of 27 terms differ by less, codes and integers not at all. */
const tolerance = 1e-4;

function requireEqual(name: string, found: Tensor | undefined, expected: Tensor): void {
  const isAlike = found?.type === expected.type && found.dims.join() === expected.dims.join();
  const worst = isAlike ? largestDifference(found, expected) : Number.POSITIVE_INFINITY;
  if (worst <= (expected.type === "float32" ? tolerance : 0)) return;
  throw new AdderNetError("ADN_NATIVE", `the custom op gives other numbers than it should for "${name}"`, {
    expected: `a difference of at most ${tolerance}`,
    found: `${worst}`,
  });
}

function largestDifference(found: Tensor, expected: Tensor): number {
  const [a, b] = [found.data, expected.data] as [Float32Array, Float32Array];
  let worst = 0;
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!) / (1 + Math.abs(b[i]!));
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return worst;
}

/** Feeds of both signs and without, of two shapes. */
function probeFeeds(): Record<string, Tensor>[] {
  const x = numbers("float32", [2, 3, 6, 5], 5);
  const q = numbers("uint8", [2, 3, 6, 5], 6);
  const narrow = numbers("float32", [1, 3, 6, 9], 7);
  return [
    { x, q },
    {
      x: { ...narrow, data: (narrow.data as Float32Array).map(Math.abs) },
      q: numbers("uint8", [1, 3, 6, 9], 8),
    },
  ];
}

/** Throws unless sessions of `engine` give the numbers that the ops mean. `tensor` makes a tensor of onnxruntime's. */
export async function probe(engine: NativeEngine, tensor: (value: Tensor) => object): Promise<void> {
  const session = await engine.createSession(probeModel(), {});
  try {
    for (const feeds of probeFeeds()) {
      const given = Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, tensor(value)]));
      const fetches = Object.fromEntries(outputs.map((name) => [name, null]));
      const results = (await session.run(given, fetches, {})) as Record<string, Tensor>;
      const expected = expectedFor(feeds);
      for (const name of outputs) requireEqual(name, results[name], expected[name]!);
    }
  } finally {
    await session.dispose();
  }
}
