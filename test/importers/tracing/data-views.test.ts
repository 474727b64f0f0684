// Labels through movement ops against the ops' own references: the label of every element is the number that really arrives there.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concreteFacts } from "../../../converter/importers/tracing/concrete-facts.ts";
import { dataViews } from "../../../converter/importers/tracing/data-views.ts";
import type { LabelView } from "../../../converter/importers/tracing/label-view.ts";
import { decodeLabel } from "../../../converter/importers/tracing/source-labels.ts";
import { ops } from "../../../custom-ops/index.ts";
import { elementCount, stridesOf, type Tensor } from "../../../src/core/tensor.ts";
import { type NetWriter, netWriter, runNet } from "../net-writer.ts";

const range = (length: number): number[] => Array.from({ length }, (_, at) => at);

/** Every label of a view, element by element. */
function expand(view: LabelView): number[] {
  const strides = stridesOf(view.dims);
  return range(elementCount(view.dims)).map((at) => {
    const index = view.dims.map((size, axis) => Math.floor(at / strides[axis]!) % size);
    return view.tables.reduce((sum, { axes, values }) => {
      const offset = axes.reduce((place, axis) => place * view.dims[axis]! + index[axis]!, 0);
      return sum + values[offset]!;
    }, view.base);
  });
}

interface Value {
  readonly name: string;
  readonly dims: readonly number[];
}

type Step = (net: NetWriter, value: Value, pick: (below: number) => number) => Value;

function orderOf(rank: number, pick: (below: number) => number): number[] {
  const left = range(rank);
  return range(rank).map(() => left.splice(pick(left.length), 1)[0]!);
}

/** Factors of a product in some order, for a new shape. */
function reshapeTarget(dims: readonly number[], pick: (below: number) => number): number[] {
  const primes = dims.flatMap((size) => {
    const factors: number[] = [];
    let rest = size;
    for (let factor = 2; rest > 1; factor++) for (; rest % factor === 0; rest /= factor) factors.push(factor);
    return factors;
  });
  const target = new Array<number>(1 + pick(5)).fill(1);
  for (const prime of primes) {
    const axis = pick(target.length);
    target[axis] = target[axis]! * prime;
  }
  return target;
}

const steps: Readonly<Record<string, Step>> = {
  Reshape: (net, { name, dims }, pick) => {
    const target = reshapeTarget(dims, pick);
    return { name: net.op("Reshape", [name, net.ints(target)]), dims: target };
  },
  Transpose: (net, { name, dims }, pick) => {
    const perm = orderOf(dims.length, pick);
    return { name: net.op("Transpose", [name], { perm }), dims: perm.map((axis) => dims[axis]!) };
  },
  Gather: (net, { name, dims }, pick) => {
    const axis = pick(dims.length);
    const shape = [1 + pick(3), 1 + pick(2)].slice(0, 1 + pick(2));
    const positions = range(elementCount(shape)).map(() => pick(dims[axis]!));
    const result = [...dims.slice(0, axis), ...shape, ...dims.slice(axis + 1)];
    return { name: net.op("Gather", [name, net.ints(positions, shape)], { axis }), dims: result };
  },
  Slice: (net, { name, dims }, pick) => {
    const axis = pick(dims.length);
    const [start, step] = [pick(dims[axis]!), 1 + pick(2)];
    const bounds = [[start], [dims[axis]!], [axis], [step]].map((values) => net.ints(values));
    const length = Math.ceil((dims[axis]! - start) / step);
    return {
      name: net.op("Slice", [name, ...bounds]),
      dims: dims.map((size, each) => (each === axis ? length : size)),
    };
  },
  backwards: (net, { name, dims }, pick) => {
    const axis = pick(dims.length);
    const bounds = [[-1], [-1000], [axis], [-1]].map((values) => net.ints(values));
    return { name: net.op("Slice", [name, ...bounds]), dims };
  },
  Tile: (net, { name, dims }, pick) => {
    const repeats = dims.map(() => 1 + (pick(3) === 0 ? 1 : 0));
    return {
      name: net.op("Tile", [name, net.ints(repeats)]),
      dims: dims.map((size, axis) => size * repeats[axis]!),
    };
  },
  Expand: (net, { name, dims }, pick) => {
    const target = [1 + pick(2), ...dims.map((size) => (size === 1 ? 1 + pick(3) : size))];
    return { name: net.op("Expand", [name, net.ints(target)]), dims: target };
  },
  Concat: (net, { name, dims }, pick) => {
    const axis = pick(dims.length);
    const other = net.op("Transpose", [name], { perm: range(dims.length) });
    const result = dims.map((size, each) => (each === axis ? 2 * size : size));
    return { name: net.op("Concat", [name, other], { axis }), dims: result };
  },
  "cut by Pad": (net, { name, dims }, pick) => {
    const axis = pick(dims.length);
    if (dims[axis]! < 2) return { name, dims };
    const pads = new Array<number>(2 * dims.length).fill(0);
    pads[axis] = -1;
    return {
      name: net.op("Pad", [name, net.ints(pads)]),
      dims: dims.map((size, each) => (each === axis ? size - 1 : size)),
    };
  },
};

/** Views of the net's last value from its input x. */
function viewOf(net: NetWriter, name: string) {
  const facts = concreteFacts(net.model, ops, new Map());
  const producer = new Map(
    net.model.graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)),
  );
  const views = dataViews({ producer, facts, source: "x", layout: "nchw", barriers: new Set() });
  return { views, view: views.view(name) };
}

const dims = [2, 3, 4, 3];

/** The labels themselves as a tensor to be moved. */
function labelTensor(code: ReturnType<typeof dataViews>["code"]): Tensor {
  const strides = stridesOf(dims);
  const weights = [code.steps.n, code.steps.c, code.steps.h, code.steps.w];
  const data = Float64Array.from(range(elementCount(dims)), (at) =>
    weights.reduce((sum, weight, axis) => sum + weight * (Math.floor(at / strides[axis]!) % dims[axis]!), 0),
  );
  return { type: "float64", dims, data };
}

describe("labels arrive where elements arrive", () => {
  it("in random chains of movement ops", () => {
    const chain = fc.array(fc.tuple(fc.constantFrom(...Object.keys(steps)), fc.infiniteStream(fc.nat())), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(chain, (chosen) => {
        const net = netWriter();
        net.model.graph.inputs.push({
          name: "x",
          type: { kind: "tensor", elemType: "float64", shape: dims },
        });
        let value: Value = { name: "x", dims };
        for (const [name, numbers] of chosen) {
          const next = steps[name]!(net, value, (below) => numbers.next().value! % below);
          if (elementCount(next.dims) <= 20_000 && next.dims.length <= 8) value = next;
        }
        net.output(net.op("Identity", [value.name]));
        const { views, view } = viewOf(net, value.name);
        expect(view).toBeDefined();
        expect(view!.dims).toEqual(value.dims);
        expect(expand(view!)).toEqual(runNet(net, { x: labelTensor(views.code) }));
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  it("padding stands for places outside", () => {
    const net = netWriter();
    net.input("x", dims);
    const padded = net.op("Pad", ["x", net.ints([0, 0, 1, 2, 0, 0, 0, 1])]);
    const { views, view } = viewOf(net, padded);
    const places = expand(view!).map((label) => decodeLabel(views.code, label));
    const [height, width] = [5, 6];
    expect(view!.dims).toEqual([2, 3, height, width]);
    for (const [at, place] of places.entries()) {
      expect(place).toEqual({
        n: Math.floor(at / (3 * height * width)),
        c: Math.floor(at / (height * width)) % 3,
        h: (Math.floor(at / width) % height) - 1,
        w: (at % width) - 2,
      });
    }
    expect(views.padEnd).toEqual({ h: 0, w: 1 });
  });

  it.each([
    [
      "with ones",
      (net: NetWriter) => net.op("Pad", ["x", net.ints([0, 0, 1, 1, 0, 0, 1, 1]), net.floats([1], [])]),
    ],
    ["of channels", (net: NetWriter) => net.op("Pad", ["x", net.ints([0, 1, 0, 0, 0, 0, 0, 0])])],
    [
      "of a part of the height",
      (net: NetWriter) => {
        const part = net.op("Slice", ["x", net.ints([1]), net.ints([4]), net.ints([2])]);
        return net.op("Pad", [part, net.ints([0, 0, 1, 0, 0, 0, 0, 0])]);
      },
    ],
    [
      "after a flip",
      (net: NetWriter) => {
        const turned = net.op("Slice", ["x", net.ints([-1]), net.ints([-9]), net.ints([2]), net.ints([-1])]);
        return net.op("Pad", [turned, net.ints([0, 0, 1, 0, 0, 0, 0, 0])]);
      },
    ],
  ])("padding %s cannot be told by labels", (_name, write) => {
    const net = netWriter();
    net.input("x", dims);
    expect(viewOf(net, write(net)).view).toBeUndefined();
  });

  it.each([
    ["arithmetic", (net: NetWriter) => net.op("Add", ["x", net.floats([1], [])])],
    [
      "positions that are fed",
      (net: NetWriter) => {
        net.model.graph.inputs.push({ name: "at", type: { kind: "tensor", elemType: "int64", shape: [2] } });
        return net.op("Gather", ["x", "at"], { axis: 1 });
      },
    ],
    [
      "a Concat with another value",
      (net: NetWriter) => net.op("Concat", ["x", net.op("Relu", ["x"])], { axis: 1 }),
    ],
    ["a cast to integers", (net: NetWriter) => net.op("Cast", [net.op("Cast", ["x"], { to: 7 })], { to: 1 })],
  ])("%s ends a trace", (_name, write) => {
    const net = netWriter();
    net.input("x", dims);
    expect(viewOf(net, write(net)).view).toBeUndefined();
  });
});
