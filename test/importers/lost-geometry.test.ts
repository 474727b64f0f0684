// Layers whose stride or padding is not in the file, or cannot be read: asked for by name, with values that fit, never guessed.

import { describe, expect, it } from "vitest";
import { importAdders } from "../../converter/importers/index.ts";
import { ops } from "../../custom-ops/index.ts";
import type { AdderNetError } from "../../src/core/errors.ts";
import { parseModel } from "../passes/parse-model.ts";

function refusal(text: string): AdderNetError {
  try {
    importAdders(parseModel(text), { ops });
  } catch (error) {
    return error as AdderNetError;
  }
  throw new Error("nothing was refused");
}

/** Flags of a message as settings, as a user would copy them. */
function settingsOf(message: string): Map<string, Record<string, number[]>> {
  const settings = new Map<string, Record<string, number[]>>();
  for (const [, node, attribute, values] of message.matchAll(/--set (\S+)\.(\w+)=([\d,]+)/g)) {
    const known = settings.get(node!) ?? {};
    settings.set(node!, { ...known, [attribute!]: values!.split(",").map(Number) });
  }
  return settings;
}

const lenet = `input %x: float32[1,1,28,28]
  %c1.adder = float32[6,1,5,5]
  %c2.adder = float32[16,6,5,5]
  %c3.adder = float32[120,16,5,5]
  %f1.adder = float32[10,120,1,1]
  %shape = int64[2]{1,-1}
  %a = prim::PythonOp(%x, %c1.adder)
  %b = MaxPool[kernel_shape=2,2 strides=2,2](%a)
  %c = prim::PythonOp(%b, %c2.adder)
  %d = MaxPool[kernel_shape=2,2 strides=2,2](%c)
  %e = prim::PythonOp(%d, %c3.adder)
  %f = prim::PythonOp(%e, %f1.adder)
  %y = Reshape(%f, %shape)
  output %y`;

const residual = `input %x: float32[1,8,32,32]
  %a.adder = float32[8,8,3,3]
  %b.adder = float32[16,8,3,3]
  %c.adder = float32[16,8,1,1]
  %a = prim::PythonOp(%x, %a.adder)
  %s = Add(%a, %x)
  %b = prim::PythonOp(%s, %b.adder)
  %c = prim::PythonOp(%s, %c.adder)
  %t = Add(%b, %c)
  %p = GlobalAveragePool(%t)
  %y = Flatten(%p)
  output %y`;

describe("lost strides and pads", () => {
  it("are asked for with values under which a classifier ends in one place", () => {
    const { code, message } = refusal(lenet);
    expect(code).toBe("ADN_ADDER_INCOMPLETE");
    expect(settingsOf(message)).toEqual(
      new Map([
        ["a", { strides: [1, 1], pads: [2, 2, 2, 2] }],
        ["c", { strides: [1, 1], pads: [0, 0, 0, 0] }],
        ["e", { strides: [1, 1], pads: [0, 0, 0, 0] }],
        ["f", { strides: [1, 1], pads: [0, 0, 0, 0] }],
      ]),
    );
  });

  it("make layers when given, with the values given", () => {
    const set = settingsOf(refusal(lenet).message);
    const { layers } = importAdders(parseModel(lenet), { ops, set });
    expect(layers.map(({ strides, pads }) => ({ strides, pads }))).toEqual([...set.values()]);
  });

  it("are proposed so that what is added fits", () => {
    const set = settingsOf(refusal(residual).message);
    const { layers } = importAdders(parseModel(residual), { ops, set });
    expect(layers).toHaveLength(3);
  });
});

const custom = (attributes: string): string => `input %x: float32[1,3,8,8]
  %w = float32[4,3,3,3]
  %y = mylib::Adder2D[${attributes}](%x, %w)
  output %y`;

describe("attributes that cannot be read", () => {
  it.each([
    { attributes: "strides=0,1 pads=1,1,1,1", asked: ["strides"] },
    { attributes: 'stride="x" pads=1,1,1,1', asked: ["strides"] },
    { attributes: "strides=1,1 pads=-1,0,0,0", asked: ["pads"] },
    { attributes: "strides=1,1,1 pads=1,1", asked: ["strides"] },
  ])("$attributes: $asked is asked for", ({ attributes, asked }) => {
    const { code, message } = refusal(custom(attributes));
    expect(code).toBe("ADN_ADDER_INCOMPLETE");
    expect([...settingsOf(message).values()].flatMap(Object.keys)).toEqual(asked);
  });

  it.each(["group=0", "dilations=0,0", 'kernel_shape="3"'])("%s is refused by name", (attribute) => {
    const { code, message } = refusal(custom(`strides=1,1 pads=1,1,1,1 ${attribute}`));
    expect(code).toBe("ADN_ADDER_UNRECOGNISED");
    expect(message).toContain(attribute.split("=")[0]);
  });
});
