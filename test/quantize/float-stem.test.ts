// A stem of floats, as in ImageNet's ResNets: convolution, Relu and pool before the first adder layer.

import { expect, it } from "vitest";
import { quantize } from "../../converter/index.ts";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import { parseModel, randomTensor } from "../passes/parse-model.ts";

it("rounds after the pool, which stays float", async () => {
  const model = parseModel(`input %x: float32[N,3,8,8]
    %c.weight = float32[4,3,3,3]
    %a.adder = float32[5,4,3,3]
    %a.bias = float32[5]
    %a.scale = float32[5]
    %c = Conv[pads=1,1,1,1](%x, %c.weight)
    %r = Relu(%c)
    %p = MaxPool[kernel_shape=2,2 strides=2,2](%r)
    %y = addernet::Adder2d[pads=1,1,1,1](%p, %a.adder, %a.bias, %a.scale)
    output %y`);
  const samples = ["s", "t", "u"].map(
    (seed) => new Map([["x", randomTensor(seed, "float32", [2, 3, 8, 8])]]),
  );
  const { model: quantized } = await quantize(model, { samples });
  const nodes = decodeModel(encodeModel(quantized).bytes).graph.nodes;
  const pool = nodes.find(({ opType }) => opType === "MaxPool");
  const rounding = nodes.find(({ opType }) => opType === "QuantizeLinear");
  expect(pool?.inputs).toEqual(["r"]);
  expect(rounding?.inputs[0]).toBe("p");
  expect(nodes.map(({ opType }) => opType)).toContain("AdderInteger2d");
});
