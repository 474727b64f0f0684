// What importAdders refuses, and in which words.

import { describe, expect, it } from "vitest";
import { AdderNetError } from "../../src/core/errors.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import { importNet, type NetWriter, netWriter } from "./net-writer.ts";

function lossy(): NetWriter {
  const net = netWriter();
  net.input("x", [1, 3, 9, 9]);
  const first = net.op("prim::PythonOp", ["x", net.constant(randomTensor([4, 3, 3, 5], 1), "a.adder")], {
    inplace: 0,
  });
  net.node().name = "/a/PythonOp";
  const second = net.op("other::adder_f", [
    net.op("Relu", [first]),
    net.constant(randomTensor([2, 4, 1, 1], 2), "b w"),
  ]);
  net.node().name = "/b c/adder_f";
  net.output(second);
  return net;
}

function messageOf(act: () => unknown): { code: string; message: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof AdderNetError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("layers that lost attributes", () => {
  it("are all named in one error, with the flags to pass", () => {
    expect(messageOf(() => importNet(lossy()))).toEqual({
      code: "ADN_ADDER_INCOMPLETE",
      message:
        '2 adder layers lost attributes in the export: prim::PythonOp "/a/PythonOp" (weight a.adder 4x3x3x5, but no strides and pads), ' +
        'other::adder_f "/b c/adder_f" (weight b w 2x4x1x1, but no strides and pads); ' +
        "pass what the network has, pads as top,left,bottom,right; these fit all shapes, so try them first:\n" +
        "  --set /a/PythonOp.strides=1,1 --set /a/PythonOp.pads=1,2,1,2\n" +
        "  --set '/b c/adder_f.strides=1,1' --set '/b c/adder_f.pads=0,0,0,0'",
    });
  });

  it("ask only for what is missing", () => {
    const set = new Map([
      ["/a/PythonOp", { strides: [1, 1], pads: [0] }],
      ["/b c/adder_f", { pads: [0] }],
    ]);
    expect(messageOf(() => importNet(lossy(), { set })).message).toBe(
      '1 adder layer lost attributes in the export: other::adder_f "/b c/adder_f" (weight b w 2x4x1x1, but no strides); ' +
        "pass what the network has, pads as top,left,bottom,right; these fit all shapes, so try them first:\n  --set '/b c/adder_f.strides=1,1'",
    );
  });

  it("are imported with the flags", () => {
    const set = new Map([
      ["/a/PythonOp", { strides: [1, 1], pads: [0, 0, 0, 0] }],
      ["/b c/adder_f", { strides: [2, 2], pads: [0, 0, 0, 0] }],
    ]);
    expect(importNet(lossy(), { set }).layers.map(({ strides }) => strides)).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });
});

describe("settings", () => {
  it("for a name that no layer has are refused", () => {
    const set = new Map([
      ["/a/PythonOp", { strides: [1], pads: [0] }],
      ["/b c/adder_f", { strides: [1], pads: [0] }],
      ["/c/PythonOp", { strides: [1] }],
    ]);
    expect(messageOf(() => importNet(lossy(), { set }))).toEqual({
      code: "ADN_USAGE",
      message:
        "no adder layer takes attributes under the name /c/PythonOp; use the node names that the error without --set lists",
    });
  });

  it.each([
    ["a stride of 0", { strides: [0, 1], pads: [0] }],
    ["three pads", { strides: [1], pads: [0, 1, 2] }],
    ["a negative pad", { strides: [1], pads: [-1] }],
  ])("%s is refused", (_name, settings) => {
    const set = new Map([["/a/PythonOp", settings]]);
    expect(messageOf(() => importNet(lossy(), { set }))).toMatchObject({
      code: "ADN_USAGE",
      message: expect.stringContaining("/a/PythonOp"),
    });
  });
});

describe("nodes that must be adder layers and cannot be", () => {
  const one = (op: string, inputs: (net: NetWriter) => string[], attributes = {}): NetWriter => {
    const net = netWriter();
    net.input("x", [1, 3, 9, 9]);
    net.output(net.op(op, inputs(net), attributes));
    net.node().name = "layer";
    return net;
  };

  it.each([
    ["no weight", one("x::Adder2d", () => ["x"]), /layer" \(no constant weight among its inputs\)/],
    [
      "a weight that is no kernel",
      one("x::Adder2d", (net) => ["x", net.constant(randomTensor([4, 3, 3], 1))]),
      /a weight of 4x3x3, which is no MxCxKHxKW/,
    ],
    [
      "a kernel that is not the weight's",
      one("x::Adder2d", (net) => ["x", net.constant(randomTensor([4, 3, 3, 3], 1))], {
        kernel_size: 5,
        stride: 1,
      }),
      /kernel 5x5, but a weight of 4x3x3x3/,
    ],
    [
      "a third input that is no bias",
      one(
        "x::Adder2d",
        (net) => [
          "x",
          net.constant(randomTensor([4, 3, 3, 3], 1)),
          net.constant(randomTensor([7], 2), "odd"),
        ],
        { stride: 1 },
      ),
      /a third input \(odd\) that is no bias per filter/,
    ],
    [
      "a named function with operands of no layer",
      one("prim::PythonOp", (net) => ["x", net.constant(randomTensor([4], 1))], { name: "adder" }),
      /no weight and feature map/,
    ],
  ])("%s", (_name, net, message) => {
    expect(messageOf(() => importNet(net))).toEqual({
      code: "ADN_ADDER_UNRECOGNISED",
      message: expect.stringMatching(message),
    });
  });
});
