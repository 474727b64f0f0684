// Plans of random graphs: no two values that are needed at once overlap, and what they compute is what the references compute.

import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { makeArena } from "../../runtime/arena.ts";
import { bind } from "../../runtime/bind.ts";
import { fuseEpilogues } from "../../runtime/fuse.ts";
import { createExecutor } from "../../runtime/index.ts";
import type { ListSource } from "../../runtime/lists.ts";
import { type Plan, planGraph } from "../../runtime/plan.ts";
import { rangesOf } from "../../runtime/ranges.ts";
import { floatAttribute, intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Model, Node } from "../../src/core/ir/model.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../src/core/tensor.ts";
import { emptyGraph, emptyModel } from "../core/one-node-model.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import { float64Outputs, kernelCalls, largestError } from "./compare.ts";

const dims = [2, 4, 5, 6] as const;
const same = intsAttribute([1, 1, 1, 1]);

/** One step of a random graph: every value has the shape `dims`, so that any value can feed any op. */
type Growth = (inputs: readonly [string, string], output: string, constants: Map<string, Tensor>) => Node[];

function layer(op: "Conv" | "Adder2d"): Growth {
  return ([x], y, constants) => {
    constants.set(`${y}.w`, randomTensor([4, 4, 3, 3], y.length));
    const domain = op === "Conv" ? "" : "addernet";
    return [makeNode(op, [x, `${y}.w`], [y], [["pads", same]], { domain })];
  };
}

function pointwise(op: "Conv" | "Adder2d"): Growth {
  return ([x], y, constants) => {
    constants.set(`${y}.w`, randomTensor([4, 4, 1, 1], y.length));
    const domain = op === "Conv" ? "" : "addernet";
    return [
      makeNode(op, [x, `${y}.w`], [`${y}.p`], [], { domain }),
      // Its own input as residual: nothing may be written over it before it is read to the end.
      makeNode("Add", [`${y}.p`, x], [y]),
    ];
  };
}

const growths: Readonly<Record<string, Growth>> = {
  conv: layer("Conv"),
  adder: layer("Adder2d"),
  pointConv: pointwise("Conv"),
  pointAdder: pointwise("Adder2d"),
  add: (inputs, y) => [makeNode("Add", inputs, [y])],
  sub: (inputs, y) => [makeNode("Sub", inputs, [y])],
  max: (inputs, y) => [makeNode("Max", inputs, [y])],
  twice: ([x], y) => [makeNode("Add", [x, x], [y])],
  perChannel: ([x], y, constants) => {
    constants.set(`${y}.s`, randomTensor([4, 1, 1], 5));
    return [makeNode("Mul", [x, `${y}.s`], [y])];
  },
  relu: ([x], y) => [makeNode("Relu", [x], [y])],
  normalization: ([x], y, constants) => {
    const names = ["scale", "b", "mean", "var"].map((part) => `${y}.${part}`);
    for (const [index, name] of names.entries()) {
      constants.set(name, float32Tensor([1, 2, 3, 4].map((value) => value / (index + 2))));
    }
    return [makeNode("BatchNormalization", [x, ...names], [y])];
  },
  pool: ([x], y) => [
    makeNode(
      "MaxPool",
      [x],
      [y],
      [
        ["kernel_shape", intsAttribute([3, 3])],
        ["pads", same],
      ],
    ),
  ],
  identity: ([x], y) => [makeNode("Identity", [x], [y])],
  thereAndBack: ([x], y, constants) => {
    constants.set(`${y}.flat`, int64Tensor([2, 120]));
    constants.set(`${y}.dims`, int64Tensor(dims));
    return [
      makeNode("Reshape", [x, `${y}.flat`], [`${y}.f`]),
      makeNode("Reshape", [`${y}.f`, `${y}.dims`], [y]),
    ];
  },
  swapped: ([x, z], y) => [
    makeNode("Split", [x], [`${y}.0`, `${y}.1`], [["axis", intAttribute(1)]]),
    makeNode("Transpose", [z], [`${y}.t`], [["perm", intsAttribute([0, 1, 3, 2])]]),
    makeNode("Transpose", [`${y}.t`], [`${y}.u`], [["perm", intsAttribute([0, 1, 3, 2])]]),
    makeNode("Concat", [`${y}.1`, `${y}.0`], [`${y}.c`], [["axis", intAttribute(1)]]),
    makeNode("Add", [`${y}.c`, `${y}.u`], [y]),
  ],
  small: ([x], y) => [makeNode("Clip", [x], [`${y}.c`]), makeNode("Tanh", [`${y}.c`], [y])],
};

interface Growing {
  readonly kind: string;
  readonly from: readonly [number, number];
}

/** Steps that read the values made so far, the latest more often. */
const growing: fc.Arbitrary<Growing[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...Object.keys(growths)),
    from: fc.tuple(fc.nat(3), fc.nat(3)),
  }),
  { minLength: 1, maxLength: 14 },
);

/** The last value and those nobody reads are the outputs. */
function modelOf(steps: readonly Growing[]): Model {
  const values = ["x", "z"];
  const constants = new Map<string, Tensor>();
  const nodes: Node[] = [];
  const read = new Set<string>();
  for (const [index, { kind, from }] of steps.entries()) {
    const inputs = from.map((back) => values.at(-1 - Math.min(back, values.length - 1))!) as [string, string];
    const output = `v${index}`;
    const made = growths[kind]!(inputs, output, constants);
    for (const node of made) for (const name of node.inputs) read.add(name);
    nodes.push(...made);
    values.push(output);
  }
  const outputs = values.slice(2).filter((name, index) => !read.has(name) || index === steps.length - 1);
  const info = (name: string) =>
    ({ name, type: { kind: "tensor", elemType: "float32", shape: dims } }) as const;
  const model = emptyModel(emptyGraph(nodes, [info("x"), info("z")], outputs.map(info)), 13);
  model.opsetImports.set("addernet", 1);
  model.graph.initializers = constants;
  return model;
}

function planOf(model: Model): Plan {
  const shapes = new Map(model.graph.inputs.map(({ name }) => [name, dims]));
  let next = 0;
  const count = (_key: string, make: () => { byteLength: number }) => {
    make();
    return ++next;
  };
  const lists = (_key: string, source: () => ListSource) => {
    const { channels } = source();
    return {
      parts: [{ first: 0, count: channels, address: ++next }],
      sums: new Float64Array(channels),
      live: 0,
    };
  };
  return planGraph(fuseEpilogues(bind(model, shapes)), { weights: count, table: count, lists });
}

/** Pairs of buffers that share bytes while both are needed, apart from an output written over its own input. */
function overlaps({ buffers, steps }: Plan): string[] {
  const replaced = new Set(
    steps.flatMap(({ replaces }) => replaces.map(({ output, input }) => `${output} ${input}`)),
  );
  const found: string[] = [];
  for (const [i, a] of buffers.entries()) {
    for (const [j, b] of buffers.entries()) {
      const sharesBytes = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      const sharesTime = a.first <= b.last && b.first <= a.last;
      if (i >= j || !sharesBytes || !sharesTime) continue;
      if (a.offset === b.offset && isChained(i, j, replaced, buffers.length)) continue;
      found.push(`${a.label} and ${b.label}`);
    }
  }
  return found;
}

/** Whether j took i's place, at once or one after the other. */
function isChained(i: number, j: number, replaced: ReadonlySet<string>, count: number): boolean {
  const reached = new Set([i]);
  for (let from = i; from < count; from++) {
    if (!reached.has(from)) continue;
    for (let to = from + 1; to < count; to++) if (replaced.has(`${to} ${from}`)) reached.add(to);
  }
  return reached.has(j);
}

/** In every step no buffer that is written may share bytes with one that is read, but for a declared replacement of one reading. */
function clashes({ buffers, steps }: Plan): string[] {
  return steps.flatMap(({ reads, writes, replaces, where }) =>
    writes.flatMap((w) => {
      const shared = reads.filter((r) => {
        const [a, b] = [buffers[w]!, buffers[r]!];
        return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      });
      const isDeclared = replaces.some(({ output, input }) => output === w && input === shared[0]);
      return shared.length === 0 || (isDeclared && shared.length === 1)
        ? []
        : [`${where} over what it reads`];
    }),
  );
}

describe("random graphs", () => {
  it("never let two values overlap that are needed at once", () => {
    fc.assert(
      fc.property(growing, (steps) => {
        const plan = planOf(modelOf(steps));
        expect(overlaps(plan)).toEqual([]);
        expect(clashes(plan)).toEqual([]);
        for (const { offset, bytes } of plan.buffers)
          expect(offset + bytes).toBeLessThanOrEqual(plan.arenaBytes);
      }),
      { numRuns: 300, seed: 11 },
    );
  });

  it("compute what the references compute", async () => {
    const feeds = { x: randomTensor(dims, 1), z: randomTensor(dims, 2) };
    await fc.assert(
      fc.asyncProperty(growing, async (steps) => {
        const model = modelOf(steps);
        const session = await createExecutor(model);
        const found = await session.run(feeds);
        for (const [name, wanted] of float64Outputs(model, feeds)) {
          // Adder layers on adder layers grow by a hundred each; errors grow with them.
          const size = (wanted.data as Float64Array).reduce(
            (most, value) => Math.max(most, Math.abs(value)),
            1,
          );
          const scaled = (tensor: Tensor): Tensor => ({
            type: "float64",
            dims: tensor.dims,
            data: Float64Array.from(tensor.data as Float32Array, (value) => value / size),
          });
          expect(largestError(scaled(found[name]!), scaled(wanted)), name).toBeLessThan(2e-5);
        }
        expect(await session.run(feeds)).toEqual(found);
      }),
      { numRuns: 120, seed: 12 },
    );
  });

  it("claim >= 0 only for values that are", () => {
    const feeds = { x: randomTensor(dims, 1), z: randomTensor(dims, 2) };
    fc.assert(
      fc.property(growing, (steps) => {
        const model = modelOf(steps);
        const bound = bind(model, new Map([["x", dims] as const, ["z", dims] as const]));
        const { isNotNegative } = rangesOf(bound);
        const values = bound.nodes.flatMap(({ outputs }) => outputs.flatMap((value) => value ?? []));
        model.graph.outputs = values.filter(isNotNegative).map(({ name }) => ({ name }));
        for (const [name, { data }] of float64Outputs(model, feeds)) {
          expect(
            (data as Float64Array).every((value) => value >= 0),
            name,
          ).toBe(true);
        }
      }),
      { numRuns: 100, seed: 13 },
    );
  });
});

describe("the arena of a chain", () => {
  it("is as large as two values when nothing else is alive", () => {
    const steps = Array.from({ length: 12 }, () => ({ kind: "small", from: [0, 0] as const }));
    const bytes = 2 * 4 * 5 * 6 * 4;
    const plan = planOf(modelOf(steps));
    expect(plan.arenaBytes).toBeLessThanOrEqual(2 * (bytes + 64));
  });
});

interface FusionCase {
  readonly name: string;
  readonly nodes: readonly Node[];
  /** Nodes taken into the first layer. */
  readonly fused: readonly string[];
}

const conv = makeNode("Conv", ["x", "w"], ["c"], [["pads", same]]);
const fusionCases: readonly FusionCase[] = [
  { name: "Conv, Relu", nodes: [conv, makeNode("Relu", ["c"], ["y"])], fused: ['Relu "y"'] },
  {
    name: "Conv, normalisation, Add, Clip",
    nodes: [
      conv,
      makeNode("BatchNormalization", ["c", "s", "s", "s", "s"], ["n"]),
      makeNode("Add", ["z", "n"], ["a"]),
      makeNode("Clip", ["a", "low", "high"], ["y"]),
    ],
    fused: ['BatchNormalization "n"', 'Add "a"', 'Clip "y"'],
  },
  {
    name: "normalisation after normalisation",
    nodes: [
      conv,
      makeNode("BatchNormalization", ["c", "s", "s", "s", "s"], ["n"]),
      makeNode("BatchNormalization", ["n", "s", "s", "s", "s"], ["y"]),
    ],
    fused: ['BatchNormalization "n"', 'BatchNormalization "y"'],
  },
  {
    name: "Relu, then Clip from below 0 and from above",
    nodes: [conv, makeNode("Relu", ["c"], ["r"]), makeNode("Clip", ["r", "low", "high"], ["y"])],
    fused: ['Relu "r"', 'Clip "y"'],
  },
  {
    name: "not normalisation after Relu",
    nodes: [
      conv,
      makeNode("Relu", ["c"], ["r"]),
      makeNode("BatchNormalization", ["r", "s", "s", "s", "s"], ["y"]),
    ],
    fused: ['Relu "r"'],
  },
  {
    name: "not a second residual",
    nodes: [conv, makeNode("Add", ["c", "z"], ["a"]), makeNode("Add", ["a", "x"], ["y"])],
    fused: ['Add "a"'],
  },
  {
    name: "not a value that something else reads",
    nodes: [conv, makeNode("Relu", ["c"], ["r"]), makeNode("Add", ["r", "c"], ["y"])],
    fused: [],
  },
  { name: "not itself", nodes: [conv, makeNode("Add", ["c", "c"], ["y"])], fused: [] },
  {
    name: "not a residual of another shape",
    nodes: [conv, makeNode("Add", ["c", "s4"], ["y"])],
    fused: [],
  },
];

test.each(fusionCases)("fusion: $name", async ({ nodes, fused }) => {
  const model = modelOf([{ kind: "relu", from: [0, 0] }]);
  model.graph.nodes = nodes.map((node) => structuredClone(node));
  model.graph.outputs = [{ name: "y" }];
  const constants = {
    w: randomTensor([4, 4, 3, 3], 3),
    s: float32Tensor([0.5, 1, 2, 3]),
    s4: float32Tensor([0.5, 1, 2, 3], [4, 1, 1]),
    low: float32Tensor([-1], []),
    high: float32Tensor([1.5], []),
  };
  for (const [name, tensor] of Object.entries(constants)) model.graph.initializers.set(name, tensor);
  const feeds = { x: randomTensor(dims, 1), z: randomTensor(dims, 2) };
  const session = await createExecutor(model);
  const { y } = await session.run(feeds);
  expect(largestError(y!, float64Outputs(model, feeds).get("y")!)).toBeLessThan(3e-6);
  expect(session.explain().plans[0]!.steps[0]!.fused).toEqual(fused);
});

test.each(["Conv", "Adder2d"])(
  "%s with its own input as residual, in several blocks of pixels",
  async (op) => {
    const shape = [1, 128, 30, 30] as const;
    const info = { name: "x", type: { kind: "tensor", elemType: "float32", shape } } as const;
    const domain = op === "Conv" ? "" : "addernet";
    const nodes = [
      makeNode("Identity", ["x"], ["i"]),
      makeNode(op, ["i", "w"], ["p"], [], { domain }),
      makeNode("Add", ["p", "i"], ["y"]),
    ];
    const model = emptyModel(emptyGraph(nodes, [info], [{ name: "y" }]), 13);
    model.opsetImports.set("addernet", 1);
    model.graph.initializers.set("w", randomTensor([128, 128, 1, 1], 3));
    const feeds = { x: randomTensor(shape, 4) };
    const { y } = await (await createExecutor(model)).run(feeds);
    expect(largestError(y!, float64Outputs(model, feeds).get("y")!)).toBeLessThan(1e-5);
  },
);

const proofs: readonly { name: string; before: Node[]; isProven: boolean }[] = [
  { name: "nothing", before: [makeNode("Identity", ["x"], ["p"])], isProven: false },
  { name: "ReLU", before: [makeNode("Relu", ["x"], ["p"])], isProven: true },
  { name: "leaky ReLU", before: [makeNode("LeakyRelu", ["x"], ["p"])], isProven: false },
  {
    name: "ReLU and max pool with padding",
    before: [
      makeNode("Relu", ["x"], ["r"]),
      makeNode(
        "MaxPool",
        ["r"],
        ["p"],
        [
          ["kernel_shape", intsAttribute([3, 3])],
          ["pads", same],
        ],
      ),
    ],
    isProven: true,
  },
  { name: "sigmoid", before: [makeNode("Sigmoid", ["x"], ["p"])], isProven: true },
  {
    name: "a difference",
    before: [makeNode("Relu", ["x"], ["r"]), makeNode("Sub", ["r", "z"], ["p"])],
    isProven: false,
  },
  {
    name: "a sum of one that may be negative",
    before: [makeNode("Relu", ["x"], ["r"]), makeNode("Add", ["r", "z"], ["p"])],
    isProven: false,
  },
  {
    name: "two ReLUs joined",
    before: [
      makeNode("Relu", ["x"], ["r"]),
      makeNode("Abs", ["z"], ["q"]),
      makeNode("Add", ["r", "q"], ["p"]),
    ],
    isProven: true,
  },
  {
    name: "a quotient",
    before: [
      makeNode("Relu", ["x"], ["r"]),
      makeNode("Abs", ["z"], ["q"]),
      makeNode("Div", ["r", "q"], ["p"]),
    ],
    isProven: false,
  },
  { name: "a clip below 0", before: [makeNode("Clip", ["x", "low"], ["p"])], isProven: false },
  {
    name: "an adder that clips at 0",
    before: [
      makeNode(
        "Adder2d",
        ["x", "w"],
        ["p"],
        [
          ["activation_min", floatAttribute(0)],
          ["pads", same],
        ],
        { domain: "addernet" },
      ),
    ],
    isProven: true,
  },
  {
    name: "an adder that clips below 0",
    before: [
      makeNode(
        "Adder2d",
        ["x", "w"],
        ["p"],
        [
          ["activation_min", floatAttribute(-1)],
          ["pads", same],
        ],
        { domain: "addernet" },
      ),
    ],
    isProven: false,
  },
];

test.each(proofs)("x >= 0 by $name: $isProven", async ({ before, isProven }) => {
  const model = modelOf([{ kind: "relu", from: [0, 0] }]);
  const last = makeNode("Adder2d", ["p", "w"], ["y"], [["pads", same]], { domain: "addernet" });
  model.graph.nodes = [...before, last].map((node) => structuredClone(node));
  model.graph.outputs = [{ name: "y" }];
  model.graph.initializers.set("w", randomTensor([4, 4, 3, 3], 3));
  model.graph.initializers.set("low", float32Tensor([-1], []));
  const feeds = { x: randomTensor(dims, 1), z: randomTensor(dims, 2) };
  const session = await createExecutor(model);
  const { y } = await session.run(feeds);
  expect(largestError(y!, float64Outputs(model, feeds).get("y")!)).toBeLessThan(2e-6);
  expect(/adder_(min|sparse)/.test(Object.keys(kernelCalls(session)).join())).toBe(isProven);
});

describe("the arena's allocator", () => {
  it("hands out disjoint blocks, takes them back, and grows only when it must", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 200_000 })), { maxLength: 60 }),
        (moves) => {
          const arena = makeArena();
          const held: { address: number; bytes: number }[] = [];
          for (const [isRelease, bytes] of moves) {
            if (isRelease && held.length > 0) arena.release(held.splice(bytes % held.length, 1)[0]!.address);
            else held.push({ address: arena.allocate(bytes), bytes });
            const sorted = [...held].sort((a, b) => a.address - b.address);
            sorted.forEach((block, index) => {
              const end = sorted[index + 1]?.address ?? arena.memory.buffer.byteLength;
              expect(block.address % 64).toBe(0);
              expect(block.address).toBeGreaterThanOrEqual(512);
              expect(block.address + block.bytes).toBeLessThanOrEqual(end);
              expect(block.address + block.bytes).toBeLessThanOrEqual(arena.memory.buffer.byteLength - 512);
            });
          }
          for (const { address } of held) arena.release(address);
          expect(arena.usedBytes()).toBe(0);
          const whole = arena.memory.buffer.byteLength - 1024;
          expect(arena.allocate(whole)).toBe(512);
          expect(arena.memory.buffer.byteLength).toBe(whole + 1024);
        },
      ),
      { numRuns: 100, seed: 14 },
    );
  });

  it("refuses what no memory holds, and goes on", () => {
    const arena = makeArena();
    expect(() => arena.allocate(2 ** 33)).toThrow(/no memory for/);
    expect(arena.allocate(64)).toBe(512);
  });
});

it("a residual of zeros costs nothing", async () => {
  const model = modelOf([{ kind: "relu", from: [0, 0] }]);
  const inputs = ["x", "w", "bias", "scale", "zeros"];
  model.graph.nodes = [makeNode("Adder2d", inputs, ["y"], [["pads", same]], { domain: "addernet" })];
  model.graph.outputs = [{ name: "y" }];
  model.graph.initializers.set("w", randomTensor([4, 4, 3, 3], 3));
  for (const name of ["bias", "scale"]) model.graph.initializers.set(name, randomTensor([4], 4));
  model.graph.initializers.set("zeros", float32Tensor([0], [1]));
  const feeds = { x: randomTensor(dims, 1), z: randomTensor(dims, 2) };
  const session = await createExecutor(model);
  const { y } = await session.run(feeds);
  expect(largestError(y!, float64Outputs(model, feeds).get("y")!)).toBeLessThan(2e-6);
  expect(kernelCalls(session)).not.toHaveProperty("b32_copy");
});
