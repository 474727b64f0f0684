// Attaching, detaching and inlining as edits of a model: what changes, what stays, what is refused.

import { describe, expect, test } from "vitest";
import { attachFunctions, detachFunctions, inlineFunctions } from "../../custom-ops/attach-functions.ts";
import { adder2dFunction } from "../../custom-ops/function-body.ts";
import { floatAttribute, intsAttribute, stringAttribute } from "../../src/core/ir/attributes.ts";
import { makeNode } from "../../src/core/ir/edit.ts";
import type { FunctionBody, Model, Node } from "../../src/core/ir/model.ts";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import { emptyGraph } from "../core/one-node-model.ts";
import { type AdderCase, adderModel, chosenCases } from "./adder-case.ts";

const plain = chosenCases[0]!;
const named = (name: string): AdderCase => chosenCases.find((adder) => adder.name === name)!;

function copyOf(model: Model): Model {
  return decodeModel(encodeModel(model).bytes);
}

function adders(model: Model): Node[] {
  return model.graph.nodes.filter(({ opType }) => opType === "Adder2d");
}

const foreign: FunctionBody = {
  ...adder2dFunction({ inputs: 2, clips: false }, 17),
  name: "Other",
  domain: "somebody",
};

describe("attachFunctions", () => {
  test.each([
    [[plain], 2, false],
    [[plain, named("bias")], 3, false],
    [[plain, named("scale")], 5, false],
    [[plain, named("residual")], 5, false],
    [[plain, named("clip on both sides, nothing else")], 2, true],
    [chosenCases, 5, true],
  ] as const)("case %#: every node gets %i inputs, bounds: %s", (cases, inputs, clips) => {
    const model = adderModel(cases);
    attachFunctions(model);
    expect(model.functions).toHaveLength(1);
    expect(model.functions[0]!.inputs).toHaveLength(inputs);
    for (const node of adders(model)) {
      expect(node.inputs).toHaveLength(inputs);
      expect(node.inputs).not.toContain("");
      expect(node.attributes.has("activation_min")).toBe(clips);
      for (const name of ["strides", "pads", "dilations", "group"])
        expect([...node.attributes.keys()]).toContain(name);
    }
    expect(model.opsetImports.get("addernet")).toBe(1);
  });

  test("twice is once", () => {
    const model = adderModel(chosenCases);
    attachFunctions(model);
    const once = copyOf(model);
    attachFunctions(model);
    expect(copyOf(model)).toEqual(once);
  });

  test("a body for a larger variant gives way when the model has shrunk", () => {
    const model = adderModel(chosenCases.slice(0, 2));
    model.functions.push(adder2dFunction({ inputs: 5, clips: true }, 17));
    attachFunctions(model);
    expect(model.functions.map(({ inputs }) => inputs.length)).toEqual([2]);
  });

  test("nodes of the same width share their constants, under names that are free", () => {
    const model = adderModel([plain, plain, named("scale"), named("everything")]);
    model.graph.initializers.set("addernet_zeros_4", model.graph.initializers.get("w0")!);
    attachFunctions(model);
    const [first, second, third] = adders(model);
    expect(first!.inputs.slice(2)).toEqual(["addernet_zeros_4_1", "addernet_ones_4", "addernet_zeros"]);
    expect(second!.inputs.slice(2)).toEqual(first!.inputs.slice(2));
    expect(third!.inputs.slice(2)).toEqual(["addernet_zeros_4_1", "scale2", "addernet_zeros"]);
  });

  test("a model without adder layers keeps no trace; functions of others stay", () => {
    const model = adderModel([]);
    model.functions.push(foreign, adder2dFunction({ inputs: 2, clips: false }, 17));
    attachFunctions(model);
    expect(model.functions).toEqual([foreign]);
    expect([...model.opsetImports.keys()]).toEqual([""]);
  });

  test("nodes in branches get the same inputs", () => {
    const model = adderModel([named("bias"), plain]);
    const inner = model.graph.nodes.pop()!;
    const branch = emptyGraph([inner], [], [{ name: inner.outputs[0]! }]);
    const attributes = [["then_branch", { type: "GRAPH", value: branch }] as const];
    model.graph.nodes.push(makeNode("If", ["flag"], ["chosen"], attributes));
    attachFunctions(model);
    expect(inner.inputs).toEqual(["x1", "w1", "addernet_zeros_4"]);
    expect(model.graph.initializers.has("addernet_zeros_4")).toBe(true);
  });

  test("SAME padding becomes pads where the size is known, and is refused where it is not", () => {
    const same = (symbolic: boolean) => {
      const model = adderModel([plain], { symbolic });
      const [node] = adders(model);
      node!.attributes.delete("pads");
      node!.attributes.set("auto_pad", stringAttribute("SAME_UPPER"));
      node!.attributes.set("strides", intsAttribute([2, 2]));
      return model;
    };
    const model = same(false);
    attachFunctions(model);
    expect(adders(model)[0]!.attributes.get("pads")).toEqual(intsAttribute([0, 1, 1, 1]));
    expect(adders(model)[0]!.attributes.has("auto_pad")).toBe(false);
    expect(() => attachFunctions(same(true))).toThrow(expect.objectContaining({ code: "ADN_SHAPE" }));
  });

  test("opsets without EyeLike are refused", () => {
    const model = adderModel([plain], { opset: 8 });
    expect(() => attachFunctions(model)).toThrow(expect.objectContaining({ code: "ADN_OPSET" }));
  });

  test("filters that nothing tells the number of are refused", () => {
    const model = adderModel([plain, named("bias")]);
    model.graph.initializers.delete("w0");
    model.graph.inputs.push({ name: "w0" });
    expect(() => attachFunctions(model)).toThrow(expect.objectContaining({ code: "ADN_SHAPE" }));
  });
});

describe("detachFunctions", () => {
  test("takes back all that attachFunctions added", () => {
    const model = adderModel(chosenCases);
    const before = copyOf(model);
    attachFunctions(model);
    detachFunctions(model);
    expect(model.functions).toEqual([]);
    expect(adders(model).map(({ inputs }) => inputs)).toEqual(adders(before).map(({ inputs }) => inputs));
    expect([...model.graph.initializers.keys()]).toEqual([...before.graph.initializers.keys()]);
    adders(before).forEach((node, index) => {
      for (const name of ["activation_min", "activation_max"]) {
        expect(adders(model)[index]!.attributes.get(name)).toEqual(node.attributes.get(name));
      }
    });
  });

  test("keeps functions of others, and constants that others read", () => {
    const model = adderModel([plain, named("bias")]);
    attachFunctions(model);
    model.functions.push(foreign);
    model.graph.nodes.push(makeNode("Neg", ["addernet_zeros_4"], ["negated"]));
    detachFunctions(model);
    expect(model.functions).toEqual([foreign]);
    expect(model.graph.initializers.has("addernet_zeros_4")).toBe(true);
  });
});

describe("inlineFunctions", () => {
  test("leaves no addernet name in ops, imports or functions, and no reference to attributes", () => {
    const model = adderModel(chosenCases);
    attachFunctions(model);
    inlineFunctions(model);
    expect(model.graph.nodes.every(({ domain }) => domain === "")).toBe(true);
    expect(model.functions).toEqual([]);
    expect([...model.opsetImports.keys()]).toEqual([""]);
    const attributes = model.graph.nodes.flatMap((node) => [...node.attributes.values()]);
    expect(attributes.filter(({ type }) => type === "REF")).toEqual([]);
  });

  test("writes only what a node needs", () => {
    const model = adderModel([plain]);
    inlineFunctions(model);
    const ops = model.graph.nodes.map(({ opType }) => opType);
    for (const absent of ["Mul", "Add", "Max", "Min"]) {
      expect(ops.filter((op) => op === absent)).toHaveLength(absent === "Mul" ? 1 : 0);
    }
  });

  test("two nodes of one name do not share values", () => {
    const model = adderModel([plain, plain]);
    for (const node of adders(model)) node.name = "same";
    inlineFunctions(model);
    const outputs = model.graph.nodes.flatMap((node) => node.outputs);
    expect(new Set(outputs).size).toBe(outputs.length);
  });

  test("bounds become constants", () => {
    const model = adderModel([named("clip on both sides, nothing else")]);
    adders(model)[0]!.attributes.set("activation_min", floatAttribute(-9));
    inlineFunctions(model);
    const least = model.graph.nodes.find(({ outputs }) => outputs[0]!.endsWith("/least"))!;
    expect(least.attributes.get("value")).toMatchObject({
      value: { type: "float32", dims: [], data: Float32Array.of(-9) },
    });
  });
});
