// The reference interpreter: feeds, functions, float64, memory, and sums of differences that are never held.

import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { ops } from "../../custom-ops/index.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { type InterpretOptions, interpret } from "../../src/core/interpret.ts";
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  tensorAttribute,
} from "../../src/core/ir/attributes.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import { elementCount, type Tensor } from "../../src/core/tensor.ts";
import { emptyModel } from "./one-node-model.ts";
import { functionOf, graphOf, op, opsets, value } from "./small-graph.ts";
import { randomTensor } from "./suites/op-case.ts";
import { counting, doubles, floats, int64s } from "./suites/tensors.ts";

function run(graph: Graph, feeds: Readonly<Record<string, Tensor>>, options: InterpretOptions = {}) {
  return interpret(graph, opsets, ops, new Map(Object.entries(feeds)), options);
}

function errorOf(action: () => unknown): AdderNetError {
  try {
    action();
  } catch (error) {
    if (error instanceof AdderNetError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** y = relu(x·w) + x·w, so that one value has two readers. */
const forked = graphOf({
  inputs: [value("x", ["N", 2])],
  constants: { w: floats([2, -1]) },
  nodes: [op("Mul", ["x", "w"], ["p"]), op("Relu", ["p"], ["r"]), op("Add", ["r", "p"], ["y"])],
  outputs: ["y"],
});

describe("a run", () => {
  test("answers the outputs", () => {
    const y = run(forked, { x: floats([1, 2, -3, -4], [2, 2]) });
    expect([...y.keys()]).toEqual(["y"]);
    expect(y.get("y")).toEqual(floats([4, -2, -6, 8], [2, 2]));
  });

  test("does not depend on the order of nodes", () => {
    const y = run({ ...forked, nodes: forked.nodes.toReversed() }, { x: floats([1, 2], [1, 2]) });
    expect(y.get("y")).toEqual(floats([4, -2], [1, 2]));
  });

  test("answers kept values too, and tells of every node", () => {
    const seen: string[] = [];
    const onNode = (node: Node, outputs: readonly (Tensor | undefined)[]) => {
      seen.push(`${node.opType} [${outputs[0]!.dims.join(", ")}]`);
    };
    const y = run(forked, { x: floats([1, 2], [1, 2]) }, { keep: new Set(["p", "w"]), onNode });
    expect([...y.keys()].sort()).toEqual(["p", "w", "y"]);
    expect(y.get("p")).toEqual(floats([2, -2], [1, 2]));
    expect(seen).toEqual(["Mul [1, 2]", "Relu [1, 2]", "Add [1, 2]"]);
  });

  test("answers inputs and initialisers that are outputs", () => {
    const graph = { ...forked, outputs: [value("x"), value("w")] };
    const x = floats([1, 2], [1, 2]);
    expect(run(graph, { x }).get("x")).toBe(x);
    expect(run(graph, { x }).get("w")).toEqual(floats([2, -1]));
  });

  test("reads every output of a node, and leaves absent ones out", () => {
    const graph = graphOf({
      inputs: [value("x", [4])],
      nodes: [op("Split", ["x"], ["", "b"], { axis: intAttribute(0) }), op("Neg", ["b"], ["y"])],
      outputs: ["y"],
    });
    expect(run(graph, { x: counting([4]) }).get("y")).toEqual(floats([-2, -3]));
  });

  test("takes a feed in place of a default, where the graph allows it", () => {
    const graph = { ...forked, overridable: [value("w", [2])] };
    const x = floats([1, 1], [1, 2]);
    expect(run(graph, { x }).get("y")).toEqual(floats([4, -1], [1, 2]));
    expect(run(graph, { x, w: floats([3, 3]) }).get("y")).toEqual(floats([6, 6], [1, 2]));
    expect(errorOf(() => run(forked, { x, w: floats([3, 3]) })).code).toBe("ADN_FEED");
  });
});

describe("refusals", () => {
  // biome-ignore format: a table
  const unfit: readonly (readonly [string, Readonly<Record<string, Tensor>>, RegExp])[] = [
    ["a missing feed", {}, /nothing is fed to "x"/],
    ["an unknown feed", { x: floats([1, 2], [1, 2]), z: floats([1]) }, /input "z": the graph has no such input .*x/],
    ["another type", { x: doubles([1, 2], [1, 2]) }, /expected float32, found float64/],
    ["another rank", { x: floats([1, 2]) }, /expected \[N, 2\], found \[2\]/],
    ["another length", { x: floats([1, 2, 3], [1, 3]) }, /expected \[N, 2\], found \[1, 3\]/],
    ["too little data", { x: floats([1], [1, 2]) }, /expected 2 elements, found 1/],
    ["an array of another type", { x: { type: "float32", data: new Float64Array(2), dims: [1, 2] } }, /Float32Array/],
  ];

  test.each(unfit)("%s", (_, feeds, message) => {
    const error = errorOf(() => run(forked, feeds));
    expect(error.code).toBe("ADN_FEED");
    expect(error.message).toMatch(message);
  });

  test("every node without a reference is named before anything runs", () => {
    const body = functionOf("Outer", ["x"], ["y"], [op("custom::Inner", ["x"], ["y"])]);
    const graph = graphOf({
      inputs: [value("x", [1])],
      nodes: [
        op("Relu", ["x"], ["a"]),
        op("custom::First", ["a"], ["b"]),
        op("local::Outer", ["b"], ["c"]),
        op("Resize", ["c"], ["d"]),
      ],
      outputs: ["d"],
    });
    const seen: Node[] = [];
    const options = { functions: [body], onNode: (node: Node) => void seen.push(node) };
    const error = errorOf(() => run(graph, { x: floats([1]) }, options));
    expect(error.code).toBe("ADN_OP_UNSUPPORTED");
    for (const name of ["First", "Inner", "Resize"]) expect(error.message).toContain(name);
    expect(seen).toEqual([]);
  });

  test("an op of an opset before its implemented meaning is unsupported", () => {
    const graph = graphOf({
      inputs: [value("x", [1])],
      nodes: [op("Add", ["x", "x"], ["y"])],
      outputs: ["y"],
    });
    const error = errorOf(() => interpret(graph, new Map([["", 6]]), ops, new Map([["x", floats([1])]])));
    expect(error.message).toMatch(/Add "y" \(opset 6\)/);
  });

  test("a window whose padding alone has more rows than can be listed is refused before it is walked through", () => {
    const graph = graphOf({
      inputs: [value("x", [1, 1, 1, 1])],
      constants: { w: { type: "float32", data: new Float32Array(64).fill(1), dims: [1, 1, 64, 1] } },
      nodes: [op("Conv", ["x", "w"], ["y"], { pads: intsAttribute([2 ** 20, 0, 62, 0]) })],
      outputs: ["y"],
    });
    const error = errorOf(() =>
      run(graph, { x: { type: "float32", data: new Float32Array(1), dims: [1, 1, 1, 1] } }),
    );
    expect(error.code).toBe("ADN_LIMIT");
    expect(error.message).toContain("kernel 64x1, output 1048576x1");
  });

  test("a tensor that would be too large is refused before it is made", () => {
    const graph = graphOf({
      inputs: [value("n", [2], "int64")],
      nodes: [op("ConstantOfShape", ["n"], ["y"])],
      outputs: ["y"],
    });
    expect(errorOf(() => run(graph, { n: int64s([2 ** 30, 2 ** 30]) })).code).toBe("ADN_LIMIT");
    expect(errorOf(() => run(graph, { n: int64s([10, 11]) }, { maxElements: 109 })).code).toBe("ADN_LIMIT");
    expect(run(graph, { n: int64s([10, 11]) }, { maxElements: 110 }).get("y")?.dims).toEqual([10, 11]);
  });

  test("values that nothing makes", () => {
    const graph = graphOf({
      inputs: [value("x", [1])],
      nodes: [op("Add", ["x", "q"], ["y"])],
      outputs: ["y"],
    });
    expect(errorOf(() => run(graph, { x: floats([1]) })).message).toContain('"q"');
    const lost = graphOf({ inputs: [value("x", [1])], nodes: [], outputs: ["y"] });
    expect(errorOf(() => run(lost, { x: floats([1]) })).code).toBe("ADN_ONNX_MODEL");
  });
});

describe("float64", () => {
  const third = floats([1 / 3]);

  test("constants, feeds, casts and Constant nodes are widened", () => {
    const graph = graphOf({
      inputs: [value("x", [1])],
      constants: { w: third },
      nodes: [
        op("Constant", [], ["c"], { value_float: floatAttribute(0.1) }),
        op("Constant", [], ["t"], { value: tensorAttribute(third) }),
        op("ConstantOfShape", ["one"], ["o"], { value: tensorAttribute(third) }),
        op("Shape", ["x"], ["one"]),
        op("Cast", ["one"], ["f"], { to: intAttribute(1) }),
        op("Cast", ["x"], ["h"], { to: intAttribute(10) }),
        op("Sum", ["x", "w", "c", "t", "o", "f", "h"], ["y"]),
      ],
      outputs: ["y"],
    });
    const y = run(graph, { x: floats([1e-9]) }, { float64: true }).get("y")!;
    const thirdInSingle = Math.fround(1 / 3);
    const tiny = Math.fround(1e-9);
    expect(y.type).toBe("float64");
    expect(y.data[0]).toBeCloseTo(2 * tiny + 3 * thirdInSingle + Math.fround(0.1) + 1, 15);
    expect(graph.initializers.get("w")?.type).toBe("float32");
    expect(graph.nodes[4]!.attributes.get("to")).toEqual(intAttribute(1));
  });

  test("feeds may be given in float64", () => {
    expect(run(forked, { x: doubles([1e-20, 1], [1, 2]) }, { float64: true }).get("y")).toEqual(
      doubles([4e-20, -1], [1, 2]),
    );
  });

  test("keeps what float32 would round away", () => {
    const graph = graphOf({
      inputs: [value("x", [1]), value("z", [1])],
      nodes: [op("Add", ["x", "z"], ["s"]), op("Sub", ["s", "x"], ["y"])],
      outputs: ["y"],
    });
    const feeds = { x: floats([2 ** 24]), z: floats([1]) };
    expect(run(graph, feeds).get("y")).toEqual(floats([0]));
    expect(run(graph, feeds, { float64: true }).get("y")).toEqual(doubles([1]));
  });
});

describe("functions", () => {
  const scaled = functionOf(
    "Scaled",
    ["x", "shift"],
    ["y"],
    [
      op("Constant", [], ["f"], { value_float: { type: "REF", name: "factor", of: "FLOAT" } }),
      op("Mul", ["x", "f"], ["p"]),
      op("Clip", ["p", "shift"], ["y"]),
    ],
    { attributeDefaults: new Map([["factor", floatAttribute(10)]]) },
  );
  const twice = functionOf(
    "Twice",
    ["p"],
    ["y"],
    [
      op("local::Scaled", ["p"], ["f"], { factor: { type: "REF", name: "by", of: "FLOAT" } }),
      op("local::Scaled", ["f"], ["y"], { factor: { type: "REF", name: "by", of: "FLOAT" } }),
    ],
  );
  const functions = [scaled, twice];
  const calling = (call: Node) =>
    graphOf({ inputs: [value("x", [2])], constants: { s: floats([0], []) }, nodes: [call], outputs: ["y"] });

  test("run with given and default attributes, with and without optional inputs", () => {
    const x = floats([1, -2]);
    const call = (inputs: string[], attributes = {}) =>
      run(calling(op("local::Scaled", inputs, ["y"], attributes)), { x }, { functions }).get("y");
    expect(call(["x"])).toEqual(floats([10, -20]));
    expect(call(["x", "s"])).toEqual(floats([10, 0]));
    expect(call(["x", ""], { factor: floatAttribute(3) })).toEqual(floats([3, -6]));
  });

  test("may call each other, under names of their own", () => {
    const graph = calling(op("local::Twice", ["x"], ["y"], { by: floatAttribute(3) }));
    expect(run(graph, { x: floats([1, -2]) }, { functions }).get("y")).toEqual(floats([9, -18]));
  });

  test("a call with too many inputs, or of itself, is refused", () => {
    const graph = calling(op("local::Twice", ["x", "s"], ["y"]));
    expect(errorOf(() => run(graph, { x: floats([1, 2]) }, { functions })).code).toBe("ADN_ONNX_MODEL");
    const loop = functionOf("Twice", ["x"], ["y"], [op("local::Twice", ["x"], ["y"])]);
    const error = errorOf(() =>
      run(calling(op("local::Twice", ["x"], ["y"])), { x: floats([1, 2]) }, { functions: [loop] }),
    );
    expect(error.code).toBe("ADN_ONNX_MODEL");
  });

  test("an op's own reference goes before a function of the same name", () => {
    const wrong = { ...functionOf("Relu", ["x"], ["y"], [op("Neg", ["x"], ["y"])]), domain: "" };
    const y = run(calling(op("Relu", ["x"], ["y"])), { x: floats([1, -2]) }, { functions: [wrong] });
    expect(y.get("y")).toEqual(floats([1, 0]));
  });
});

type Chain = readonly [
  name: string,
  left: readonly number[],
  right: readonly number[],
  nodes: readonly Node[],
  constants: Readonly<Record<string, Tensor>>,
];

const reduce = (opType: string, input: string, axes: string, attributes = {}) =>
  op(opType, [input, axes], ["y"], attributes);
const drop = { keepdims: intAttribute(0) };

// biome-ignore format: a table
const chains: readonly Chain[] = [
  ["adder with the weight first", [40, 75, 1], [1, 75, 100], [
    op("Sub", ["a", "b"], ["d"]), op("Abs", ["d"], ["e"]), reduce("ReduceSum", "e", "axes", drop),
  ], {}],
  ["adder with the weight last, batched", [2, 1, 50, 90], [1, 30, 50, 1], [
    op("Sub", ["a", "b"], ["d"]), op("Abs", ["d"], ["e"]), reduce("ReduceSum", "e", "two", drop),
  ], { two: int64s([2]) }],
  ["ReduceL1 over the last axis", [300, 1, 60], [1, 40, 60], [
    op("Sub", ["a", "b"], ["d"]), op("ReduceL1", ["d"], ["y"], { axes: intsAttribute([-1]) }),
  ], {}],
  ["mean of squares", [300, 60, 1], [60, 40], [
    op("Add", ["a", "b"], ["d"]), op("Pow", ["d", "squared"], ["e"]), op("ReduceMean", ["e"], ["y"], { axes: intsAttribute([1, 2]) }),
  ], { squared: floats([2], []) }],
  ["several functions over every axis", [300, 60, 1], [60, 40], [
    op("Sub", ["a", "b"], ["d"]), op("Neg", ["d"], ["e"]), op("LeakyRelu", ["e"], ["f"]), op("Sqrt", ["g"], ["h"]),
    op("Abs", ["f"], ["g"]), op("ReduceSum", ["h"], ["y"], drop),
  ], {}],
];

const chainFeeds = (left: readonly number[], right: readonly number[]) => ({
  a: randomTensor(left, 1),
  b: randomTensor(right, 2),
});

function chainGraph(left: Chain[1], right: Chain[2], nodes: Chain[3], constants: Chain[4]): Graph {
  return graphOf({
    inputs: [value("a", left), value("b", right)],
    constants: { axes: int64s([1]), ...constants },
    nodes,
    outputs: ["y"],
  });
}

async function runOnnxruntime(graph: Graph, feeds: Readonly<Record<string, Tensor>>): Promise<ort.Tensor> {
  const session = await ort.InferenceSession.create(encodeModel(emptyModel(graph, 17)).bytes, {
    logSeverityLevel: 3,
  });
  const tensors = Object.entries(feeds).map(
    ([name, { data, dims }]) => [name, new ort.Tensor(data as Float32Array, dims)] as const,
  );
  const { y } = await session.run(Object.fromEntries(tensors));
  await session.release();
  return y!;
}

describe("sums of differences", () => {
  test.each(chains)("%s: as onnxruntime, and never held", async (_, left, right, nodes, constants) => {
    const graph = chainGraph(left, right, nodes, constants);
    const feeds = chainFeeds(left, right);
    const wanted = await runOnnxruntime(graph, feeds);
    const broadcast = 240_000;
    for (const float64 of [false, true]) {
      const held: number[] = [];
      const onNode = (__: Node, outputs: readonly (Tensor | undefined)[]) => {
        held.push(elementCount(outputs[0]!.dims));
      };
      const y = run(graph, feeds, { float64, maxElements: broadcast - 1, onNode }).get("y")!;
      expect(y.dims).toEqual(wanted.dims);
      const scale = Math.max(...(wanted.data as Float32Array).map(Math.abs));
      (wanted.data as Float32Array).forEach((number, index) => {
        expect(Math.abs(Number(y.data[index]) - number)).toBeLessThan(3e-5 * scale);
      });
      expect(held).toEqual([elementCount(wanted.dims)]);
    }
  });

  test("in float64 they are exact to the last bits", () => {
    const [, left, right, nodes] = chains[0]!;
    const { a, b } = chainFeeds(left, right);
    const y = run(chainGraph(left, right, nodes, {}), { a, b }, { float64: true }).get("y")!;
    const [x, z] = [a.data as Float32Array, b.data as Float32Array];
    for (const [o, l] of [
      [0, 0],
      [17, 63],
      [39, 99],
    ] as const) {
      let sum = 0;
      for (let k = 0; k < 75; k++) sum += Math.abs(x[o * 75 + k]! - z[k * 100 + l]!);
      expect(y.data[o * 100 + l]).toBeCloseTo(sum, 11);
    }
  });

  test("a difference that something else reads is held", () => {
    const [, left, right, nodes] = chains[0]!;
    const { a, b } = chainFeeds(left, right);
    const graph = chainGraph(left, right, nodes, {});
    expect(run(graph, { a, b }, { keep: new Set(["d"]) }).get("d")?.dims).toEqual([40, 75, 100]);
    graph.nodes.push(op("ReduceMax", ["d"], ["m"]));
    expect(errorOf(() => run(graph, { a, b }, { maxElements: 299_999 })).code).toBe("ADN_LIMIT");
  });
});
