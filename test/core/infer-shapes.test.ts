// Shape inference over whole graphs: what exporters write around views, unknown ops, functions, overridden inputs.

import { describe, expect, test } from "vitest";
import { ops } from "../../custom-ops/index.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { inferShapes } from "../../src/core/infer-shapes.ts";
import { intAttribute, intsAttribute, tensorAttribute } from "../../src/core/ir/attributes.ts";
import type { Graph, Node } from "../../src/core/ir/model.ts";
import { functionOf, graphOf, op, opsets, value } from "./small-graph.ts";
import { counting, floats, int64s } from "./suites/tensors.ts";

const axis0 = { axis: intAttribute(0) };

function shapeOf(graph: Graph, name: string, options: Parameters<typeof inferShapes>[3] = {}) {
  return inferShapes(graph, opsets, ops, options).get(name)?.shape;
}

/** x.view(x.size(0), -1) as the TorchScript exporter writes it for a dynamic batch. */
const flattening: readonly Node[] = [
  op("Shape", ["x"], ["shape"]),
  op("Constant", [], ["first"], { value: tensorAttribute(int64s([0], [])) }),
  op("Gather", ["shape", "first"], ["batch"], axis0),
  op("Unsqueeze", ["batch", "zero"], ["batches"]),
  op("Concat", ["batches", "rest"], ["target"], axis0),
  op("Reshape", ["x", "target"], ["y"]),
];

function flatten(rest: number, nodes = flattening): Graph {
  return graphOf({
    inputs: [value("x", ["N", 16, 5, 5])],
    constants: { zero: int64s([0]), rest: int64s([rest]) },
    nodes,
    outputs: ["y"],
  });
}

/** The gather indices of unfold along one axis: Range(0, length - kernel + 1, stride) + Range(kernel). */
const unfolding: readonly Node[] = [
  op("Shape", ["x"], ["shape"]),
  op("Gather", ["shape", "two"], ["length"], axis0),
  op("Add", ["length", "padding"], ["padded"]),
  op("Sub", ["padded", "taps"], ["stop"]),
  op("Range", ["from", "stop", "stride"], ["starts"]),
  op("Unsqueeze", ["starts", "front"], ["row"]),
  op("Add", ["row", "column"], ["indices"]),
  op("Gather", ["x", "indices"], ["windows"], { axis: intAttribute(2) }),
];

describe("shapes of a graph", () => {
  test("a flattened dynamic batch keeps its symbol", () => {
    expect(shapeOf(flatten(-1), "y")).toEqual(["N", 400]);
    expect(shapeOf(flatten(400), "y")).toEqual(["N", 400]);
  });

  test("index chains of unfold are computed on the way", () => {
    const scalar = (number: number) => int64s([number], []);
    const graph = graphOf({
      inputs: [value("x", ["N", 3, 28, 28])],
      constants: {
        two: scalar(2),
        padding: scalar(4),
        taps: scalar(4),
        from: scalar(0),
        stride: scalar(2),
        front: int64s([0]),
        column: int64s([0, 1, 2, 3, 4], [5, 1]),
      },
      nodes: unfolding,
      outputs: ["windows"],
    });
    const facts = inferShapes(graph, opsets, ops);
    expect(facts.get("windows")?.shape).toEqual(["N", 3, 5, 14, 28]);
    const indices = facts.get("indices")?.constant;
    expect(indices?.dims).toEqual([5, 14]);
    expect(Array.from(indices?.data as BigInt64Array, Number)).toEqual(
      [0, 1, 2, 3, 4].flatMap((tap) => Array.from({ length: 14 }, (_, at) => 2 * at + tap)),
    );
  });

  test("nodes may stand in any order", () => {
    expect(shapeOf(flatten(-1, flattening.toReversed()), "y")).toEqual(["N", 400]);
  });

  test("inputs may be given other shapes", () => {
    const inputs = new Map([["x", [8, 16, 5, 5]]]);
    const facts = inferShapes(flatten(-1), opsets, ops, { inputs });
    expect(facts.get("x")?.shape).toEqual([8, 16, 5, 5]);
    expect(facts.get("y")?.shape).toEqual([8, 400]);
    expect(facts.get("target")?.constant?.data).toEqual(BigInt64Array.of(8n, -1n));
  });

  test("initialisers are constants, large computed tensors are not", () => {
    const graph = graphOf({
      constants: { small: counting([10]), large: counting([2000]) },
      nodes: [op("Neg", ["small"], ["a"]), op("Neg", ["large"], ["b"])],
      outputs: ["a", "b"],
    });
    const facts = inferShapes(graph, opsets, ops);
    expect(facts.get("large")?.constant).toBe(graph.initializers.get("large"));
    expect(facts.get("a")?.constant?.data).toEqual(Float32Array.from({ length: 10 }, (_, i) => -i));
    expect(facts.get("b")).toEqual({ elemType: "float32", shape: [2000] });
  });

  test("an expand to a shape that was compared with -1 keeps its symbol", () => {
    const graph = graphOf({
      inputs: [value("x", ["N", 7])],
      constants: { one: floats([1], [1, 1]), minus: int64s([-1]), ones: int64s([1, 1]) },
      nodes: [
        op("Shape", ["x"], ["shape"]),
        op("Equal", ["shape", "minus"], ["open"]),
        op("Where", ["open", "ones", "shape"], ["target"]),
        op("Expand", ["one", "target"], ["y"]),
      ],
      outputs: ["y"],
    });
    expect(shapeOf(graph, "y")).toEqual(["N", 7]);
  });
});

describe("what the file declares", () => {
  const unknown = (valueInfo: Parameters<typeof graphOf>[0]["valueInfo"] = []) =>
    graphOf({
      inputs: [value("x", [1, 3, 8, 8])],
      nodes: [op("custom::Mystery", ["x"], ["m"]), op("Relu", ["m"], ["y"])],
      outputs: [value("y", [1, 4, "H", "W"])],
      valueInfo,
    });

  test("an unknown op leaves no fact, and the declared graph output counts", () => {
    const facts = inferShapes(unknown(), opsets, ops);
    expect(facts.has("m")).toBe(false);
    expect(facts.get("y")).toEqual({ elemType: "float32", shape: [1, 4, "H", "W"] });
  });

  test("value_info stands in for an unknown op", () => {
    const facts = inferShapes(unknown([value("m", [1, 4, 6, 6])]), opsets, ops);
    expect(facts.get("y")?.shape).toEqual([1, 4, 6, 6]);
  });

  test("lengths declared for other inputs are forgotten, the rank is not", () => {
    const inputs = new Map([["x", [5, 3, 8, 8]]]);
    const facts = inferShapes(unknown([value("m", [1, 4, 6, 6])]), opsets, ops, { inputs });
    expect(facts.get("m")?.shape).toEqual([null, null, null, null]);
  });

  test("inference overrules the file, which fills in what inference does not know", () => {
    const graph = graphOf({
      inputs: [value("x", [2, 3]), value("n", [2], "int64")],
      nodes: [op("Relu", ["x"], ["a"]), op("Reshape", ["x", "n"], ["b"])],
      outputs: [value("a", [9, 9])],
      valueInfo: [value("b", [3, "K"])],
    });
    expect(shapeOf(graph, "a")).toEqual([2, 3]);
    expect(shapeOf(graph, "b")).toEqual([3, "K"]);
  });

  test("an op older than its implemented meaning is an unknown op", () => {
    const graph = graphOf({
      inputs: [value("x", [2, 3])],
      nodes: [op("Add", ["x", "x"], ["y"])],
      outputs: [value("y", [7])],
    });
    expect(inferShapes(graph, new Map([["", 6]]), ops).get("y")?.shape).toEqual([7]);
  });
});

describe("functions", () => {
  const flat = functionOf(
    "Flat",
    ["x", "keep"],
    ["y"],
    [
      op("Shape", ["x"], ["shape"], { end: { type: "REF", name: "axes", of: "INT" } }),
      op("Constant", [], ["open"], { value_ints: intsAttribute([-1]) }),
      op("Concat", ["shape", "open"], ["target"], axis0),
      op("Reshape", ["x", "target"], ["y"]),
    ],
  );
  const calling = (attributes: Node["attributes"]) => {
    const call = { ...op("local::Flat", ["x"], ["y"]), attributes };
    return graphOf({ inputs: [value("x", ["N", 3, 4])], nodes: [call], outputs: ["y"] });
  };

  test("are inferred through, with the call's attributes", () => {
    const graph = calling(new Map([["axes", intAttribute(1)]]));
    expect(shapeOf(graph, "y", { functions: [flat] })).toEqual(["N", 12]);
    expect(shapeOf(graph, "y")).toBeUndefined();
    expect(inferShapes(graph, opsets, ops, { functions: [flat] }).has("target")).toBe(false);
  });

  test("attributes that the call leaves out are absent, or take their default", () => {
    expect(shapeOf(calling(new Map()), "y", { functions: [flat] })).toEqual(["N", 3, 4, 1]);
    const withDefault = { ...flat, attributeDefaults: new Map([["axes", intAttribute(2)]]) };
    expect(shapeOf(calling(new Map()), "y", { functions: [withDefault] })).toEqual(["N", 3, 4]);
  });

  test("that call themselves are refused", () => {
    const loop = functionOf("Flat", ["x"], ["y"], [op("local::Flat", ["x"], ["y"])]);
    expect(() => shapeOf(calling(new Map()), "y", { functions: [loop] })).toThrowError(
      expect.objectContaining({ code: "ADN_ONNX_MODEL" }),
    );
  });
});

test("an error names the node", () => {
  const wrong = { ...op("Reshape", ["x", "target"], ["y"]), name: "/head/view" };
  const graph = graphOf({
    inputs: [value("x", [2, 3])],
    constants: { target: int64s([4, 2]) },
    nodes: [wrong],
    outputs: ["y"],
  });
  expect(() => inferShapes(graph, opsets, ops)).toThrowError(AdderNetError);
  expect(() => inferShapes(graph, opsets, ops)).toThrowError(/^Reshape "\/head\/view": .*\[2, 3\].*\[4, 2\]/);
});
