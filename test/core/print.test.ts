// The text form of models.

import { expect, test } from "vitest";
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  tensorAttribute,
} from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { Graph, Model } from "../../src/core/ir/model.ts";
import { printModel } from "../../src/core/ir/print.ts";
import { float32Tensor, int64Tensor } from "../../src/core/tensor.ts";

function graphOf(parts: Partial<Graph>): Graph {
  return {
    name: "g",
    inputs: [],
    outputs: [],
    nodes: [],
    initializers: new Map(),
    overridable: [],
    valueInfo: new Map(),
    ...parts,
  };
}

function modelOf(graph: Partial<Graph>, parts: Partial<Model> = {}): Model {
  return {
    irVersion: 8,
    producerName: "",
    producerVersion: "",
    domain: "",
    modelVersion: 0n,
    docString: "",
    opsetImports: new Map(),
    graph: graphOf(graph),
    functions: [],
    metadata: new Map(),
    ...parts,
  };
}

test("one line for every input, initialiser, node and output", () => {
  const adder = makeNode(
    "Adder2d",
    ["x", "w", "", "s"],
    ["y"],
    [
      ["strides", intsAttribute([2, 2])],
      ["auto_pad", stringAttribute("VALID")],
    ],
    {
      domain: "addernet",
      name: "conv1",
    },
  );
  const model = modelOf({
    inputs: [
      { name: "x", type: { kind: "tensor", elemType: "float32", shape: ["n", 3, null] } },
      { name: "untyped" },
    ],
    initializers: new Map([
      [
        "w",
        float32Tensor(
          Array.from({ length: 12 }, (_, index) => index / 3),
          [3, 4],
        ),
      ],
      ["s", int64Tensor([7], [])],
    ]),
    nodes: [adder, makeNode("Split", ["y"], ["a", "", "b"], [["axis", intAttribute(-1)]])],
    outputs: [
      { name: "a", type: { kind: "tensor", elemType: "float16" } },
      { name: "b", type: { kind: "opaque", proto: {} } },
    ],
  });
  expect(printModel(model)).toBe(`\
input %x: float32[n,3,?]
input %untyped
%w = float32[3,4]{0,0.3333333,0.6666667,1,1.333333,1.666667,2,2.333333,…}
%s = int64[]{7}
%y = addernet::Adder2d[auto_pad="VALID" strides=2,2](%x, %w, _, %s)  # conv1
%a, _, %b = Split[axis=-1](%y)
output %a: float16[…]
output %b: opaque`);
});

test("subgraphs and functions are indented", () => {
  const branch = graphOf({ nodes: [makeNode("Neg", ["x"], ["t"])], outputs: [{ name: "t" }] });
  const body = {
    name: "Twice",
    domain: "test",
    inputs: ["a"],
    outputs: ["b"],
    attributes: ["k"],
    attributeDefaults: new Map([["alpha", floatAttribute(0.1)]]),
    nodes: [makeNode("Scale", ["a"], ["b"], [["by", { type: "REF", name: "alpha", of: "FLOAT" } as const]])],
    opsetImports: new Map(),
    valueInfo: new Map(),
  };
  const model = modelOf(
    {
      nodes: [makeNode("If", ["c"], ["y"], [["then_branch", { type: "GRAPH", value: branch } as const]])],
      outputs: [{ name: "y" }],
    },
    { functions: [body] },
  );
  expect(printModel(model)).toBe(`\
%y = If[then_branch={
  %t = Neg(%x)
  output %t
}](%c)
output %y
function test::Twice[k alpha](%a) {
  %b = Scale[by=@alpha](%a)
  output %b
}`);
});

test("the order in which attributes were set does not show", () => {
  const pairs = [
    ["b", floatAttribute(-0)],
    ["a", tensorAttribute(float32Tensor([0.1], [1]))],
  ] as const;
  const text = (list: typeof pairs | readonly (typeof pairs)[number][]) =>
    printModel(modelOf({ nodes: [makeNode("Op", [], ["y"], list)] }));
  expect(text(pairs)).toBe("%y = Op[a=float32[1]{0.1} b=-0]()");
  expect(text([...pairs].reverse())).toBe(text(pairs));
});
