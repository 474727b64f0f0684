// The adder convolution of AdderNet (arXiv 1912.13200): its meaning, shapes and reference.

import { getFloat } from "../src/core/ir/attributes.ts";
import type { Dim, Node } from "../src/core/ir/model.ts";
import type { Inputs, OpContext, OpDefinition, ValueFact } from "../src/core/ops/define-op.ts";
import { computedFloats, numbersOf, requireTensor, tensorFrom } from "../src/core/ops/operands.ts";
import type { Tensor } from "../src/core/tensor.ts";
import {
  type AdderWindow,
  adderWindow,
  inferAdderShape,
  negatedDistances,
  residualReader,
} from "./adder-window.ts";

export interface Adder2dAttributes extends AdderWindow {
  readonly activationMin: number;
  readonly activationMax: number;
}

/** Attributes with their defaults, `auto_pad` resolved for an input of height and width `size` and a kernel `kernel`. */
export function adder2dAttributes(
  node: Node,
  size: readonly Dim[],
  kernel: readonly Dim[],
  where: string,
): Adder2dAttributes {
  return {
    ...adderWindow(node, size, kernel, where),
    activationMin: getFloat(node, "activation_min") ?? Number.NEGATIVE_INFINITY,
    activationMax: getFloat(node, "activation_max") ?? Number.POSITIVE_INFINITY,
  };
}

function infer(
  node: Node,
  [x, w, b, scale]: readonly (ValueFact | undefined)[],
  { where }: OpContext,
): (ValueFact | undefined)[] {
  if (x === undefined || w === undefined) return [undefined];
  return [{ elemType: x.elemType, shape: inferAdderShape(node, x, w, { B: b, scale }, where) }];
}

function reference(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const { where } = context;
  const [x, w] = [requireTensor(inputs, 0, "X", where), requireTensor(inputs, 1, "W", where)];
  const facts = inputs.map((tensor) => tensor && { elemType: tensor.type, shape: tensor.dims });
  const dims = infer(node, facts, context)[0]!.shape as [number, number, number, number];
  const attributes = adder2dAttributes(node, x.dims.slice(2), w.dims.slice(2), where);
  const [xData, wData, b, scale] = ["X", "W", "B", "scale"].map(
    (name, index) => inputs[index] && numbersOf(inputs[index], name, computedFloats, where),
  );
  const z = inputs[4];
  const residual = z && residualReader(numbersOf(z, "Z", computedFloats, where), z.dims, dims, where);
  const y = negatedDistances(xData!, wData!, x.dims, w.dims, dims, attributes);
  let index = 0;
  for (let n = 0; n < dims[0]; n++) {
    for (let m = 0; m < dims[1]; m++) {
      const [factor, shift] = [scale?.[m] ?? 1, b?.[m] ?? 0];
      for (let oy = 0; oy < dims[2]; oy++) {
        for (let ox = 0; ox < dims[3]; ox++) {
          const value = factor * y[index]! + shift + (residual?.(n, m, oy, ox) ?? 0);
          y[index++] = Math.min(Math.max(value, attributes.activationMin), attributes.activationMax);
        }
      }
    }
  }
  return [tensorFrom(x.type, y, dims)];
}

/** Taps (one |x - w| each) per image of an adder layer: M·OH·OW·(C/group)·KH·KW. */
export function adder2dTaps(output: readonly number[], weights: readonly number[]): number {
  return output[1]! * output[2]! * output[3]! * weights[1]! * weights[2]! * weights[3]!;
}

/**
 * Adder convolution: Y[n,m,y,x] = clip(scale[m]·(-Σ_{c,i,j} |X[n,c,y·s+i·d-p,x·s+j·d-p] - W[m,c,i,j]|) + B[m] + Z[n,m,y,x]).
 * X (N,C,H,W), W (M,C/group,KH,KW), B (M)?, scale (M)?, Z broadcastable to Y? -> Y (N,M,OH,OW). Attributes are those of ONNX Conv, and
 * `activation_min`, `activation_max` (no clip when absent). Padding pads X with 0, and |0 - W| counts. Source: arXiv 1912.13200.
 */
export const Adder2d: OpDefinition = { domain: "addernet", opType: "Adder2d", first: 1, infer, reference };
