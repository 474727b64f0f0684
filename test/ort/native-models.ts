// Models that every strategy must agree on, with what they are fed.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect } from "vitest";
import { readCheckpoint } from "../../converter/checkpoints/index.ts";
import { convert } from "../../converter/index.ts";
import { quantize } from "../../converter/quantize/index.ts";
import { buildModel } from "../../converter/topologies/index.ts";
import { attachFunctions } from "../../custom-ops/attach-functions.ts";
import { ops } from "../../custom-ops/index.ts";
import { interpret } from "../../src/core/interpret.ts";
import { floatAttribute } from "../../src/core/ir/attributes.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import type { Model, TensorType } from "../../src/core/ir/model.ts";
import { newModel } from "../../src/core/ir/new-model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { parseModel, randomTensor } from "../passes/parse-model.ts";
import { mixedGraphs } from "./suites.ts";

export interface NativeCase {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** float64 by the plain meaning of every op. */
  readonly expected: Readonly<Record<string, Tensor>>;
}

/** The ops' own meaning; `model` has no function bodies. */
function meaningOf(model: Model, feeds: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  const { graph, opsetImports } = model;
  return Object.fromEntries(
    interpret(graph, opsetImports, ops, new Map(Object.entries(feeds)), { float64: true }),
  );
}

function caseOf(name: string, model: Model, feeds: Readonly<Record<string, Tensor>>): NativeCase {
  const expected = meaningOf(model, feeds);
  const written = cloneModel(model);
  attachFunctions(written);
  return { name, bytes: encodeModel(written).bytes, feeds, expected };
}

const codes = (seed: string, dims: readonly number[]): Tensor => {
  const { data } = randomTensor(seed, "float32", dims);
  return { type: "uint8", data: Uint8Array.from(data as Float32Array, (value) => (value + 1) * 127.5), dims };
};

const wanted = ["only adder layers", "two branches, one of them foreign, added", "a foreign op first"];

function mixedCases(): NativeCase[] {
  const chosen = mixedGraphs.filter(({ name }) => wanted.some((start) => name.startsWith(start)));
  return chosen.map(({ name, text, opset, feeds }) =>
    caseOf(
      name,
      parseModel(text, opset),
      Object.fromEntries(
        Object.entries(feeds).map(([key, dims]) => [key, randomTensor(key, "float32", dims)]),
      ),
    ),
  );
}

/** Every fused form, with a window of every kind. */
function fusedForms(images: number): NativeCase {
  const model = parseModel(`input %x: float32[N,4,9,7]
    %a.w = float32[8,4,3,3]
    %b = float32[8]
    %scale = float32[8]
    %one = float32[1]
    %g.w = float32[8,2,3,3]
    %d.w = float32[8,1,3,3]
    %p.w = float32[6,8,1,1]
    %f.w = float32[5,8,5,4]
    %a = addernet::Adder2d[pads=1,1,1,1](%x, %a.w, %b, %scale)
    %r = Relu(%a)
    %s = addernet::Adder2d[strides=2,2 pads=1,1,1,1](%x, %a.w, _, %scale)
    %g = addernet::Adder2d[group=2 pads=1,1,1,1](%x, %g.w, %b, _, %r)
    %d = addernet::Adder2d[group=8 pads=2,2,2,2 dilations=2,2](%r, %d.w, %b, %scale, %one)
    %p = addernet::Adder2d(%d, %p.w)
    %f = addernet::Adder2d(%s, %f.w)
    %e = Erf(%f)
    output %e
    output %p
    output %g`);
  for (const node of model.graph.nodes) {
    if (!["a", "g"].includes(node.outputs[0]!)) continue;
    node.attributes.set("activation_min", floatAttribute(-20));
    node.attributes.set("activation_max", floatAttribute(3));
  }
  return caseOf(`every fused form and window, ${images} images`, model, {
    x: randomTensor("x", "float32", [images, 4, 9, 7]),
  });
}

function codeLayers(images: number): NativeCase {
  const model = parseModel(`input %x: uint8[N,4,9,7]
    %zero = uint8[]{9}
    %z.scale = float32[]{0.5}
    %steps = float32[8]{0.02}
    %b = float32[8]{90}
    %a = addernet::QLinearAdder2d[pads=1,1,1,1](%x, %zero, %a.w, %steps, %b, %zero)
    %q = addernet::QLinearAdder2d[pads=1,1,1,1 y_min=9 y_max=200](%a, %zero, %c.w, %steps, %b, %zero, %a, %z.scale, %zero)
    %i = addernet::AdderInteger2d[strides=2,2](%q, %c.w, %zero)
    %f = Cast[to=1](%i)
    %e = Erf(%f)
    output %q
    output %i
    output %e`);
  model.graph.initializers.set("a.w", codes("a.w", [8, 4, 3, 3]));
  model.graph.initializers.set("c.w", codes("c.w", [8, 8, 3, 3]));
  return caseOf(`layers of codes, ${images} images`, model, { x: codes("x", [images, 4, 9, 7]) });
}

const fixtures = join(import.meta.dirname, "../topologies/fixtures");

/** The released network: trained weights, all channels. Beside the project; without it the narrow fixture stands alone. */
const official = resolve(import.meta.dirname, "../../../shared/models/huawei-resnet20-cifar10.pth");

const tensorType = (elemType: TensorType["elemType"], shape: TensorType["shape"]): TensorType => ({
  kind: "tensor",
  elemType,
  ...(shape && { shape }),
});

/** What lies between the first and the last adder layer of a quantized network: codes in, codes out, no float between. */
function integerPart({ graph }: Model, [n, size]: readonly [number, number]): NativeCase {
  const isLayer = ({ opType }: { opType: string }) => opType === "QLinearAdder2d";
  const layers = graph.nodes.filter(isLayer);
  const [x, y] = [layers[0]!.inputs[0]!, layers.at(-1)!.outputs[0]!];
  const channels = graph.initializers.get(layers[0]!.inputs[2]!)!.dims[1]!;
  const used = new Set(layers.flatMap(({ inputs }) => inputs));
  const model = newModel(
    {
      name: "codes",
      inputs: [{ name: x, type: tensorType("uint8", [n, channels, size, size]) }],
      outputs: [{ name: y, type: tensorType("uint8", undefined) }],
      nodes: layers,
      initializers: new Map([...graph.initializers].filter(([name]) => used.has(name))),
    },
    { "": 17, addernet: 1 },
  );
  return caseOf("", model, { [x]: codes("codes", [n, channels, size, size]) });
}

/** A ResNet-20 as PyTorch saved it, as floats, on 8-bit codes, and the part of those that is integers alone. */
async function resnet20(name: string, file: string, images: number): Promise<NativeCase[]> {
  const checkpoint = await readCheckpoint(readFileSync(file), file);
  const x = randomTensor("image", "float32", [images, 3, 32, 32]);
  const converted = await convert(buildModel("resnet20", checkpoint), { check: false });
  const quantized = await quantize(converted.model, { samples: [new Map([["input", x]])] });
  return [
    {
      name,
      bytes: converted.bytes,
      feeds: { input: x },
      expected: meaningOf(converted.model, { input: x }),
    },
    {
      name: `${name} on codes`,
      bytes: quantized.bytes,
      feeds: { input: x },
      expected: meaningOf(quantized.model, { input: x }),
    },
    { ...integerPart(quantized.model, [images, 32]), name: `${name}, its integer part` },
  ];
}

export async function nativeCases(): Promise<NativeCase[]> {
  return [
    ...mixedCases(),
    fusedForms(2),
    fusedForms(37),
    codeLayers(2),
    codeLayers(37),
    ...(await resnet20("ResNet-20", join(fixtures, "resnet20-adder.pth"), 1)),
    ...(existsSync(official) ? await resnet20("the released ResNet-20", official, 4) : []),
  ];
}

const isInteger = ({ type }: Tensor): boolean => type !== "float32" && type !== "float64";

/** The largest distance; infinite where there is a NaN. */
function distance(a: Tensor, b: Tensor): number {
  const [found, expected] = [Array.from(a.data, Number), Array.from(b.data, Number)];
  return found.reduce((most, value, index) => {
    const each = Math.abs(value - expected[index]!);
    return Math.max(most, Number.isNaN(each) ? Number.POSITIVE_INFINITY : each);
  }, 0);
}

/** From float64, so that no two strategies are further than 1e-3 from each other. */
const largestDistance = 4e-4;

type Outputs = Readonly<Record<string, Tensor>>;

/** Integers bit for bit, floats within 4e-4 of what they mean. */
export function expectMeaning(what: string, found: Outputs, expected: Outputs): void {
  for (const [name, meant] of Object.entries(expected)) {
    const output = found[name]!;
    expect(output.dims, `${what}: ${name}`).toEqual(meant.dims);
    expect(distance(output, meant), `${what}: ${name}`).toBeLessThanOrEqual(
      isInteger(meant) ? 0 : largestDistance,
    );
  }
}
