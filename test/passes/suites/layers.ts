// Batch norm, bias, scale, residual and Relu into the layer before.

import { batchNormToAffine } from "../../../converter/passes/batch-norm-to-affine.ts";
import { foldBatchNormIntoConv } from "../../../converter/passes/fold-batch-norm-into-conv.ts";
import { fuseBias } from "../../../converter/passes/fuse-bias.ts";
import { fuseChannelScale } from "../../../converter/passes/fuse-channel-scale.ts";
import { fuseRelu } from "../../../converter/passes/fuse-relu.ts";
import { fuseResidualAdd } from "../../../converter/passes/fuse-residual-add.ts";
import { hoistRelu } from "../../../converter/passes/hoist-relu.ts";
import { sinkReshapes } from "../../../converter/passes/sink-reshapes.ts";
import type { PassSuite } from "./pass-case.ts";

const input = "input %x: float64[N,3,6,5]";
const weights = "%c.adder = float64[4,3,3,3]";
const batchNorm = `%gamma = float64[4]
  %beta = float64[4]
  %mean = float64[4]
  %var = float64[4]`;
/** X, W and the four parameters of a batch norm for 4 channels. */
const layer = `${input}
  ${weights}
  ${batchNorm}`;

export const layerSuites: readonly PassSuite[] = [
  {
    pass: batchNormToAffine,
    cases: [
      {
        name: "gives a plain layer bias and scale named after it",
        before: `${layer}
          %a = addernet::Adder2d[pads=1,1,1,1](%x, %c.adder)
          %y = BatchNormalization[epsilon=0.001](%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "%y = addernet::Adder2d[pads=1,1,1,1](%x, %c.adder, %c.bias, %c.scale)",
      },
      {
        name: "folds into bias and scale that are there",
        before: `${layer}
          %b = float64[4]
          %s = float64[4]
          %a = addernet::Adder2d(%x, %c.adder, %b, %s)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "%y = addernet::Adder2d(%x, %c.adder, %b, %s)",
      },
      {
        name: "leaves a bias that another layer reads as it is",
        before: `${layer}
          %b = float64[4]
          %a = addernet::Adder2d(%x, %c.adder, %b)
          %other = addernet::Adder2d(%x, %c.adder, %b)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y
          output %other`,
        expect: `%other = addernet::Adder2d(%x, %c.adder, %b)
          %y = addernet::Adder2d(%x, %c.adder, %b_1, %c.scale)`,
      },
      {
        name: "takes two batch norms in a row",
        before: `${layer}
          %a = addernet::Adder2d(%x, %c.adder)
          %n = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          %y = BatchNormalization(%n, %beta, %mean, %gamma, %var)
          output %y`,
        expect: "%y = addernet::Adder2d(%x, %c.adder, %c.bias, %c.scale)",
      },
      ...[
        ["a second reader", "%z = Relu(%a)\noutput %z"],
        ["an output of the graph in between", "output %a"],
      ].map(([name, extra]) => ({
        name: `stays behind ${name}`,
        before: `${layer}
          %a = addernet::Adder2d(%x, %c.adder)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          ${extra}
          output %y`,
        expect: "unchanged",
      })),
      {
        name: "stays behind a clip",
        before: `${layer}
          %a = addernet::Adder2d[activation_min=0](%x, %c.adder)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "stays behind a residual",
        before: `${layer}
          input %z: float64[N,4,4,3]
          %a = addernet::Adder2d(%x, %c.adder, _, _, %z)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "stays when a parameter is computed",
        before: `${layer}
          input %beta2: float64[4]
          %a = addernet::Adder2d(%x, %c.adder)
          %y = BatchNormalization(%a, %gamma, %beta2, %mean, %var)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "stays before a layer",
        before: `${input}
          ${weights}
          %gamma = float64[3]
          %beta = float64[3]
          %mean = float64[3]
          %var = float64[3]
          %n = BatchNormalization(%x, %gamma, %beta, %mean, %var)
          %y = addernet::Adder2d(%n, %c.adder)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "leaves convolutions to the other pass",
        before: `${layer}
          %a = Conv(%x, %c.adder)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: foldBatchNormIntoConv,
    cases: [
      {
        name: "Conv without bias",
        before: `${layer}
          %a = Conv[pads=1,1,1,1](%x, %c.adder)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "%y = Conv[pads=1,1,1,1](%x, %c.adder, %c.bias)",
      },
      {
        name: "Conv with bias",
        before: `${layer}
          %b = float64[4]
          %a = Conv(%x, %c.adder, %b)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "%y = Conv(%x, %c.adder, %b)",
      },
      {
        name: "grouped Conv whose weights another layer reads",
        before: `input %x: float64[N,4,6,5]
          %w.weight = float64[4,1,3,3]
          ${batchNorm}
          %a = Conv[group=4](%x, %w.weight)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          %z = Conv[group=4](%x, %w.weight)
          output %y
          output %z`,
        expect: `%y = Conv[group=4](%x, %w.weight_1, %w.bias)
          %z = Conv[group=4](%x, %w.weight)`,
      },
      {
        name: "Conv over one axis",
        before: `input %x: float64[N,3,7]
          %w = float64[4,3,2]
          ${batchNorm}
          %a = Conv(%x, %w)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "%y = Conv(%x, %w, %w.bias)",
      },
      {
        name: "Gemm in both layouts, with alpha, beta and a bias row",
        before: `input %x: float64[N,3]
          %w = float64[4,3]
          %v = float64[4,4]
          %b = float64[1,4]
          ${batchNorm}
          %a = Gemm[transB=1](%x, %w)
          %n = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          %g = Gemm[alpha=0.5 beta=0.25](%n, %v, %b)
          %y = BatchNormalization(%g, %beta, %gamma, %mean, %var)
          output %y`,
        expect: `%n = Gemm[transB=1](%x, %w, %w.bias)
          %y = Gemm[alpha=0.5 beta=1](%n, %v, %b)`,
      },
      {
        name: "not Gemm with a bias per row",
        before: `input %x: float64[4,3]
          %w = float64[4,3]
          %b = float64[4,1]
          ${batchNorm}
          %a = Gemm[transB=1](%x, %w, %b)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not with computed weights",
        before: `${input}
          input %w: float64[4,3,3,3]
          ${batchNorm}
          %a = Conv(%x, %w)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not Adder2d, which is not linear in its weights",
        before: `${layer}
          %a = addernet::Adder2d(%x, %c.adder)
          %y = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: fuseBias,
    cases: [
      {
        name: "adds to Adder2d, from either side",
        before: `${input}
          ${weights}
          %p = float64[1,4,1,1]
          %q = float64[4,1,1]
          %a = addernet::Adder2d(%x, %c.adder)
          %s = Add(%a, %p)
          %y = Add(%q, %s)
          output %y`,
        expect: "%y = addernet::Adder2d(%x, %c.adder, %c.bias)",
      },
      {
        name: "adds behind a scale and a residual, both kept",
        before: `${input}
          input %z: float64[N,4,4,3]
          ${weights}
          %scale = float64[4]
          %p = float64[1,4,1,1]
          %a = addernet::Adder2d(%x, %c.adder, _, %scale, %z)
          %y = Add(%a, %p)
          output %y`,
        expect: "%y = addernet::Adder2d(%x, %c.adder, %c.bias, %scale, %z)",
      },
      {
        name: "a scalar goes to every channel of Conv; Sub takes away",
        before: `${input}
          ${weights}
          %b = float64[4]
          %p = float64[]{0.5}
          %a = Conv(%x, %c.adder, %b)
          %y = Sub(%a, %p)
          output %y`,
        expect: "%y = Conv(%x, %c.adder, %b)",
      },
      {
        name: "Gemm",
        before: `input %x: float64[N,3]
          %w = float64[4,3]
          %p = float64[4]
          %a = Gemm[transB=1](%x, %w)
          %y = Add(%a, %p)
          output %y`,
        expect: "%y = Gemm[transB=1](%x, %w, %w.bias)",
      },
      ...[
        ["along the width", "%p = float64[3]"],
        ["of a higher rank", "%p = float64[1,1,4,1,1]"],
        ["that varies over the map", "%p = float64[4,4,3]"],
        ["that enlarges the batch", "%p = float64[2,4,1,1]"],
      ].map(([name, constant]) => ({
        name: `not a constant ${name}`,
        before: `input %x: float64[1,3,6,5]
          ${weights}
          ${constant}
          %a = addernet::Adder2d(%x, %c.adder)
          %y = Add(%a, %p)
          output %y`,
        expect: "unchanged",
      })),
      {
        name: "not a constant that turns one channel into four",
        before: `${input}
          %w = float64[1,3,3,3]
          %p = float64[1,4,1,1]
          %a = Conv(%x, %w)
          %y = Add(%a, %p)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not constant - layer",
        before: `${input}
          ${weights}
          %p = float64[4,1,1]
          %a = addernet::Adder2d(%x, %c.adder)
          %y = Sub(%p, %a)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: fuseChannelScale,
    cases: [
      {
        name: "Mul, Div, Neg and constant - y",
        before: `${input}
          ${weights}
          %b = float64[4]
          %p = float64[4,1,1]
          %var = float64[1,4,1,1]
          %q = float64[1]{0.75}
          %a = addernet::Adder2d(%x, %c.adder, %b)
          %m = Mul(%p, %a)
          %d = Div(%m, %var)
          %n = Neg(%d)
          %y = Sub(%q, %n)
          output %y`,
        expect: "%y = addernet::Adder2d(%x, %c.adder, %b, %c.scale)",
      },
      {
        name: "two negations leave the plain op",
        before: `${input}
          ${weights}
          %a = addernet::Adder2d(%x, %c.adder)
          %n = Neg(%a)
          %y = Neg(%n)
          output %y`,
        expect: "%y = addernet::Adder2d(%x, %c.adder)",
      },
      {
        name: "Conv",
        before: `${input}
          ${weights}
          %p = float64[4,1,1]
          %a = Conv(%x, %c.adder)
          %y = Mul(%a, %p)
          output %y`,
        expect: "%y = Conv(%x, %c.adder)",
      },
      {
        name: "not a division by zero",
        before: `${input}
          ${weights}
          %p = float64[1]{0}
          %q = float64[1]{1}
          %a = addernet::Adder2d(%x, %c.adder)
          %d = Div(%a, %p)
          %y = Min(%d, %q)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not behind a residual",
        before: `${input}
          input %z: float64[N,4,4,3]
          ${weights}
          %a = addernet::Adder2d(%x, %c.adder, _, _, %z)
          %y = Neg(%a)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not constant / y",
        before: `${input}
          ${weights}
          %p = float64[4,1,1]
          %a = addernet::Adder2d(%x, %c.adder)
          %y = Div(%p, %a)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: fuseResidualAdd,
    cases: [
      {
        name: "moves the layer to the addition, where the other summand exists",
        before: `input %x: float64[N,4,6,5]
          %w = float64[4,4,3,3]
          %a = addernet::Adder2d[pads=1,1,1,1](%x, %w)
          %r = Relu(%x)
          %y = Add(%a, %r)
          output %y`,
        expect: `%r = Relu(%x)
          %y = addernet::Adder2d[pads=1,1,1,1](%x, %w, _, _, %r)`,
      },
      {
        name: "of two layers the later takes the earlier",
        before: `input %x: float64[N,4,6,5]
          %w = float64[4,4,1,1]
          %b = float64[4]
          %a = addernet::Adder2d(%x, %w)
          %c = addernet::Adder2d(%x, %w, %b)
          %y = Sum(%a, %c)
          output %y`,
        expect: `%a = addernet::Adder2d(%x, %w)
          %y = addernet::Adder2d(%x, %w, %b, _, %a)`,
      },
      {
        name: "one summand per channel and batch broadcasts",
        before: `input %x: float64[N,4,6,5]
          %w = float64[4,4,1,1]
          %a = addernet::Adder2d(%x, %w)
          %p = GlobalAveragePool(%x)
          %y = Add(%p, %a)
          output %y`,
        expect: `%p = GlobalAveragePool(%x)
          %y = addernet::Adder2d(%x, %w, _, _, %p)`,
      },
      {
        name: "a map may read the layer's own input through a chain",
        before: `input %x: float64[1,4,6,5]
          %w = float64[4,4,1,1]
          %a = addernet::Adder2d(%x, %w)
          %c = Conv(%x, %w)
          %n = Neg(%c)
          %y = Add(%n, %a)
          output %y`,
        expect: `%c = Conv(%x, %w)
          %n = Neg(%c)
          %y = addernet::Adder2d(%x, %w, _, _, %n)`,
      },
      ...[
        ["a clip", "[activation_max=1](%x, %w)"],
        ["a residual", "(%x, %w, _, _, %x)"],
      ].map(([name, call]) => ({
        name: `not behind ${name}`,
        before: `input %x: float64[N,4,6,5]
          %w = float64[4,4,1,1]
          %a = addernet::Adder2d${call}
          %y = Add(%a, %x)
          output %y`,
        expect: "unchanged",
      })),
      {
        name: "not a layer that is read twice",
        before: `input %x: float64[N,4,6,5]
          %w = float64[4,4,1,1]
          %a = addernet::Adder2d(%x, %w)
          %y = Add(%a, %a)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not an output of the graph",
        before: `input %x: float64[N,4,6,5]
          %w = float64[4,4,1,1]
          %a = addernet::Adder2d(%x, %w)
          %y = Add(%a, %x)
          output %y
          output %a`,
        expect: "unchanged",
      },
      {
        name: "not when the other summand enlarges the layer",
        before: `input %x: float64[1,4,6,5]
          input %z: float64[2,4,6,5]
          %w = float64[4,4,1,1]
          %a = addernet::Adder2d(%x, %w)
          %y = Add(%a, %z)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not when two symbols could differ",
        before: `input %x: float64[N,4,6,5]
          input %z: float64[M,4,6,5]
          %w = float64[4,4,1,1]
          %a = addernet::Adder2d(%x, %w)
          %y = Add(%a, %z)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: fuseRelu,
    cases: [
      {
        name: "Relu bounds from below",
        before: `${input}
          ${weights}
          %a = addernet::Adder2d(%x, %c.adder)
          %y = Relu(%a)
          output %y`,
        expect: "%y = addernet::Adder2d[activation_min=0](%x, %c.adder)",
      },
      {
        name: "Clip to 0 … 6, then tighter, then Relu",
        before: `${input}
          ${weights}
          %b = float64[4]{20}
          %zero = float64[]{-2}
          %six = float64[]{6}
          %five = float64[]{5}
          %a = addernet::Adder2d(%x, %c.adder, %b)
          %c = Clip(%a, %zero, %six)
          %d = Clip(%c, _, %five)
          %y = Relu(%d)
          output %y`,
        expect: "%y = addernet::Adder2d[activation_max=5 activation_min=0](%x, %c.adder, %b)",
      },
      {
        name: "Clip of an opset whose bounds are attributes",
        opset: 10,
        before: `${input}
          ${weights}
          %a = addernet::Adder2d(%x, %c.adder)
          %y = Clip[max=1.5 min=-0.5](%a)
          output %y`,
        expect: "%y = addernet::Adder2d[activation_max=1.5 activation_min=-0.5](%x, %c.adder)",
      },
      {
        name: "clips that do not meet give the later one's nearer bound",
        before: `${input}
          ${weights}
          %zero = float64[]{0}
          %six = float64[]{6}
          %eight = float64[]{8}
          %ten = float64[]{10}
          %a = addernet::Adder2d(%x, %c.adder)
          %c = Clip(%a, %zero, %six)
          %y = Clip(%c, %eight, %ten)
          output %y`,
        expect: "%y = addernet::Adder2d[activation_max=8 activation_min=8](%x, %c.adder)",
      },
      {
        name: "not a bound that float32 cannot hold",
        before: `${input}
          ${weights}
          %most = float64[]{0.1}
          %a = addernet::Adder2d(%x, %c.adder)
          %y = Clip(%a, _, %most)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not a computed bound",
        before: `${input}
          input %most: float64[]
          ${weights}
          %a = addernet::Adder2d(%x, %c.adder)
          %y = Clip(%a, _, %most)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not a layer that others read before the Relu",
        before: `${input}
          ${weights}
          %a = addernet::Adder2d(%x, %c.adder)
          %y = Relu(%a)
          %z = Neg(%a)
          output %y
          output %z`,
        expect: "unchanged",
      },
      {
        name: "not Conv, which has no bounds",
        before: `${input}
          ${weights}
          %a = Conv(%x, %c.adder)
          %y = Relu(%a)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: hoistRelu,
    cases: [
      {
        name: "before the MaxPool of a layer",
        before: `${input}
          ${weights}
          %a = addernet::Adder2d(%x, %c.adder)
          %p = MaxPool[kernel_shape=2,2 pads=1,1,1,1](%a)
          %y = Relu(%p)
          output %y`,
        expect: `%a = addernet::Adder2d(%x, %c.adder)
          %p = Relu(%a)
          %y = MaxPool[kernel_shape=2,2 pads=1,1,1,1](%p)`,
      },
      {
        name: "not where others read the pooled map",
        before: `${input}
          ${weights}
          %a = addernet::Adder2d(%x, %c.adder)
          %p = MaxPool[kernel_shape=2,2](%a)
          %y = Relu(%p)
          output %y
          output %p`,
        expect: "unchanged",
      },
      {
        name: "not behind a convolution, which could not take it",
        before: `${input}
          ${weights}
          %a = Conv(%x, %c.adder)
          %p = MaxPool[kernel_shape=2,2](%a)
          %y = Relu(%p)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: sinkReshapes,
    cases: [
      {
        name: "batch norm and Relu of a flattened fully connected layer",
        before: `input %x: float64[N,3,1,1]
          %w = float64[4,3,1,1]
          ${batchNorm}
          %a = addernet::Adder2d(%x, %w)
          %f = Flatten(%a)
          %n = BatchNormalization(%f, %gamma, %beta, %mean, %var)
          %y = Relu(%n)
          output %y`,
        expect: `%a = addernet::Adder2d(%x, %w)
          %n_before_Flatten = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          %n = Flatten(%n_before_Flatten)
          %y = Relu(%n)`,
      },
      {
        name: "a bias row gets the axes that were dropped",
        before: `input %x: float64[N,3,1,1]
          %w = float64[4,3,1,1]
          %p = float64[1,4]
          %t = int64[2]{0,4}
          %a = addernet::Adder2d(%x, %w)
          %f = Reshape(%a, %t)
          %y = Add(%p, %f)
          output %y`,
        expect: `%a = addernet::Adder2d(%x, %w)
          %y_before_Reshape = Add(%p_1, %a)
          %y = Reshape(%y_before_Reshape, %t)`,
      },
      {
        name: "Relu commutes with any change of shape",
        before: `input %x: float64[N,3,2,1]
          %w = float64[4,3,1,1]
          %a = addernet::Adder2d(%x, %w)
          %f = Flatten(%a)
          %y = Relu(%f)
          output %y`,
        expect: `%a = addernet::Adder2d(%x, %w)
          %y_before_Flatten = Relu(%a)
          %y = Flatten(%y_before_Flatten)`,
      },
      {
        name: "a map made a sequence, its channels kept",
        before: `input %x: float64[N,3,2,2]
          %w = float64[4,3,1,1]
          ${batchNorm}
          %t = int64[3]{0,4,-1}
          %p = float64[4,1]
          %a = addernet::Adder2d(%x, %w)
          %f = Reshape(%a, %t)
          %n = BatchNormalization(%f, %gamma, %beta, %mean, %var)
          %y = Mul(%n, %p)
          output %y`,
        expect: `%a = addernet::Adder2d(%x, %w)
          %n_before_Reshape = BatchNormalization(%a, %gamma, %beta, %mean, %var)
          %n = Reshape(%n_before_Reshape, %t)
          %y = Mul(%n, %p)`,
      },
      {
        name: "a bias along the last axis of channels-last maps",
        before: `input %x: float64[N,3,6,5]
          %w = float64[4,3,1,1]
          %p = float64[4]
          %a = addernet::Adder2d(%x, %w)
          %f = Transpose[perm=0,2,3,1](%a)
          %y = Sub(%f, %p)
          output %y`,
        expect: `%a = addernet::Adder2d(%x, %w)
          %y_before_Transpose = Sub(%a, %p_1)
          %y = Transpose[perm=0,2,3,1](%y_before_Transpose)`,
      },
      {
        name: "not a batch norm of transposed channels",
        before: `input %x: float64[N,3,4,5]
          %w = float64[4,3,1,1]
          ${batchNorm}
          %a = addernet::Adder2d(%x, %w)
          %f = Transpose[perm=0,2,1,3](%a)
          %y = BatchNormalization(%f, %gamma, %beta, %mean, %var)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not a bias of flattened larger maps",
        before: `input %x: float64[N,3,2,1]
          %w = float64[4,3,1,1]
          %p = float64[8]
          %a = addernet::Adder2d(%x, %w)
          %f = Flatten(%a)
          %y = Add(%f, %p)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not an operand per row",
        before: `input %x: float64[2,3,1,1]
          %w = float64[4,3,1,1]
          %p = float64[2,1]
          %a = addernet::Adder2d(%x, %w)
          %f = Flatten(%a)
          %y = Add(%f, %p)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
];
