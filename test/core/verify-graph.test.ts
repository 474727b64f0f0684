// The structural check finds what a careless edit breaks.

import { describe, expect, it } from "vitest";
import type { AdderNetError } from "../../src/core/errors.ts";
import { addInitializer, makeNode } from "../../src/core/ir/edit.ts";
import type { Attribute, Model } from "../../src/core/ir/model.ts";
import { verifyGraph } from "../../src/core/ir/verify-graph.ts";
import { parseModel } from "../passes/parse-model.ts";

const sound = (): Model =>
  parseModel(`input %x: float32[N,4]
    %w = float32[4]
    %a = Add(%x, %w)
    %y = Relu(%a)
    output %y`);

const breakages: readonly [string, (model: Model) => void, RegExp][] = [
  [
    "a value with two makers",
    ({ graph }) => graph.nodes.push(makeNode("Neg", ["x"], ["y"])),
    /"y" is defined twice/,
  ],
  [
    "a reader of nothing",
    ({ graph }) => graph.nodes.push(makeNode("Neg", ["q"], ["z"])),
    /"q" is made by no/,
  ],
  ["a node before its input", ({ graph }) => graph.nodes.reverse(), /Relu "y" reads "a" before it is made/],
  ["an output that is gone", ({ graph }) => graph.nodes.pop(), /"y" is made by no node/],
  [
    "a domain not imported",
    ({ graph }) => graph.nodes.push(makeNode("F", ["x"], ["z"], [], { domain: "d" })),
    /imports no version/,
  ],
  [
    "a tensor shorter than its dims",
    ({ graph }) => addInitializer(graph, "short", { type: "float32", data: new Float32Array(2), dims: [3] }),
    /initialiser "short" of dims \[3\] holds 2 elements/,
  ],
  [
    "negative dims",
    ({ graph }) =>
      addInitializer(graph, "odd", { type: "float32", data: new Float32Array(0), dims: [-1, 0] }),
    /initialiser "odd" has dims \[-1,0\]/,
  ],
  [
    "a default for an input that has none",
    ({ graph }) => graph.overridable.push({ name: "nothing" }),
    /overridable input "nothing" has no default/,
  ],
  ...(
    [
      ["INT", 1],
      ["FLOAT", 1n],
      ["INTS", [1]],
      ["STRING", "text"],
      ["TENSOR", {}],
      ["TENSORS", [1]],
    ] as const
  ).map(([type, value]): [string, (model: Model) => void, RegExp] => [
    `an attribute ${type} that holds something else`,
    ({ graph }) => graph.nodes[0]!.attributes.set("axis", { type, value } as unknown as Attribute),
    new RegExp(`attribute axis of Add "a" does not hold ${type}`),
  ]),
];

describe("verifyGraph", () => {
  it("accepts a sound model", () => {
    expect(() => verifyGraph(sound())).not.toThrow();
  });

  it.each(breakages)("reports %s", (_, spoil, message) => {
    const model = sound();
    spoil(model);
    expect(() => verifyGraph(model)).toThrow(
      expect.objectContaining<Partial<AdderNetError>>({ code: "ADN_ONNX_MODEL" }) as unknown as Error,
    );
    expect(() => verifyGraph(model)).toThrow(message);
  });

  it("names five problems at once and counts the rest", () => {
    const model = sound();
    for (let index = 0; index < 7; index++) {
      addInitializer(model.graph, "short", { type: "float32", data: new Float32Array(0), dims: [1] });
    }
    expect(() => verifyGraph(model)).toThrow(/"short_4".* and 2 more/);
  });
});
