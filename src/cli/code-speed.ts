// How much faster codes are than floats here: one layer timed both ways on our runtime.

import { performance } from "node:perf_hooks";
import { createSession } from "../../runtime/index.ts";
import { AdderNetError } from "../core/errors.ts";
import { intsAttribute } from "../core/ir/attributes.ts";
import { makeNode } from "../core/ir/edit.ts";
import type { Model, Node, ValueInfo } from "../core/ir/model.ts";
import { newModel } from "../core/ir/new-model.ts";
import { elementCount, float32Tensor, type Tensor } from "../core/tensor.ts";

export interface CodeSpeed {
  readonly floatMs: number;
  readonly codesMs: number;
}

/** The network's own most frequent kind: 64 filters of 3x3 over 64 channels, on 16x16 positions. */
const [xDims, wDims] = [
  [1, 64, 16, 16],
  [64, 64, 3, 3],
];

function modelOf(node: Node, x: Tensor, constants: Record<string, Tensor>): Model {
  const info = (name: string, elemType: Tensor["type"]): ValueInfo => ({
    name,
    type: { kind: "tensor", elemType, shape: xDims! },
  });
  return newModel(
    {
      name: "layer",
      inputs: [info("x", x.type)],
      outputs: [{ name: "y" }],
      nodes: [node],
      initializers: new Map(Object.entries(constants)),
    },
    { "": 17, addernet: 1 },
  );
}

const adder = (opType: string, inputs: readonly string[]): Node =>
  makeNode(opType, inputs, ["y"], [["pads", intsAttribute([1, 1, 1, 1])]], { domain: "addernet" });

/** Codes that depend on the place alone and take every value. */
const spread = (count: number, levels: number) =>
  Uint8Array.from({ length: count }, (_, index) => (index * 167) % levels);

function layers(bits: number): readonly { readonly model: Model; readonly x: Tensor }[] {
  const [x, w] = [spread(elementCount(xDims!), 2 ** bits), spread(elementCount(wDims!), 2 ** bits)];
  const codes = (data: Uint8Array<ArrayBuffer>, dims: readonly number[]): Tensor => ({
    type: "uint8",
    data,
    dims,
  });
  const floats: Tensor = float32Tensor(x, xDims!);
  const zero = codes(Uint8Array.of(0), []);
  return [
    { model: modelOf(adder("Adder2d", ["x", "w"]), floats, { w: float32Tensor(w, wDims!) }), x: floats },
    {
      model: modelOf(adder("AdderInteger2d", ["x", "w", "zero"]), codes(x, xDims!), {
        w: codes(w, wDims!),
        zero,
      }),
      x: codes(x, xDims!),
    },
  ];
}

/** The shortest of several runs, in ms. */
async function fastest(model: Model, x: Tensor): Promise<number> {
  const session = await createSession(model);
  try {
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 20; run++) {
      const from = performance.now();
      await session.run({ x });
      best = Math.min(best, performance.now() - from);
    }
    return best;
  } finally {
    await session.dispose();
  }
}

/** Undefined where the runtime has no kernel for one of the two. */
export async function measureCodeSpeed(bits: number): Promise<CodeSpeed | undefined> {
  const [floats, codes] = layers(bits);
  try {
    return {
      floatMs: await fastest(floats!.model, floats!.x),
      codesMs: await fastest(codes!.model, codes!.x),
    };
  } catch (error) {
    if (error instanceof AdderNetError && error.code === "ADN_OP_UNSUPPORTED") return undefined;
    throw error;
  }
}
