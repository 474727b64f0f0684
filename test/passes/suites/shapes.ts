// Constants, identities, shapes, padding and pooling, and what is left behind.

import { averagePoolToGlobal } from "../../../converter/passes/average-pool-to-global.ts";
import { foldConstants } from "../../../converter/passes/fold-constants.ts";
import { mergePads } from "../../../converter/passes/merge-pads.ts";
import { mergeReshapes } from "../../../converter/passes/merge-reshapes.ts";
import { mergeTransposes } from "../../../converter/passes/merge-transposes.ts";
import { normaliseGemm } from "../../../converter/passes/normalise-gemm.ts";
import { removeDead } from "../../../converter/passes/remove-dead.ts";
import { removeIdentities } from "../../../converter/passes/remove-identities.ts";
import { shareInitializers } from "../../../converter/passes/share-initializers.ts";
import { simplifyShapeChains } from "../../../converter/passes/simplify-shape-chains.ts";
import type { PassSuite } from "./pass-case.ts";

const map = "input %x: float64[N,4,6,5]";

/** x.view(x.size(0), -1) as TorchScript writes it. */
const flattenChain = `%zero = int64[]{0}
  %axis = int64[1]{0}
  %rest = int64[1]{-1}
  %shape = Shape(%x)
  %batch = Gather[axis=0](%shape, %zero)
  %first = Unsqueeze(%batch, %axis)
  %target = Concat[axis=0](%first, %rest)
  %y = Reshape(%x, %target)
  output %y`;

export const shapeSuites: readonly PassSuite[] = [
  {
    pass: foldConstants,
    cases: [
      {
        name: "a chain of constants in one run",
        before: `${map}
          %a = float64[4,1,1]
          %b = float64[4,1,1]
          %c = Add(%a, %b)
          %d = Neg(%c)
          %y = Mul(%x, %d)
          output %y`,
        expect: "%y = Mul(%x, %d)",
      },
      {
        name: "an output of the graph stays the output of a node",
        before: `%a = float64[2]
          %y = Neg(%a)
          output %y`,
        expect: "%y = Identity(%y_value)",
      },
      {
        name: "an Identity that makes an output is as simple as it gets",
        before: `%a = float64[2]
          %y = Identity(%a)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "the shape of a constant",
        before: `input %x: float64[1,3]
          %w = float64[4,3]
          %s = Shape(%w)
          %t = Expand(%x, %s)
          %k = float64[4,3]
          %y = Add(%t, %k)
          output %y`,
        expect: `%t = Expand(%x, %s)
          %y = Add(%t, %k)`,
        constants: { s: [4, 3] },
      },
      {
        name: "results that grow by more than 16 MiB stay nodes",
        before: `%n = int64[2]{2048,1025}
          %v = float64[]{1}
          %big = Expand(%v, %n)
          %y = ReduceMax[keepdims=0](%big)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: removeIdentities,
    cases: [
      {
        name: "Identity, Dropout, Transpose, Cast, Concat, Sum of one, point pools, double Neg",
        before: `${map}
          %a = Identity(%x)
          %ratio = float32[]{0.5}
          %b, %mask = Dropout(%a, %ratio)
          %c = Transpose[perm=0,1,2,3](%b)
          %d = Cast[to=11](%c)
          %e = Concat[axis=1](%d)
          %f = Sum(%e)
          %g = MaxPool[kernel_shape=1,1](%f)
          %h = AveragePool[kernel_shape=1,1](%g)
          %i = Neg(%h)
          %j = Neg(%i)
          %y = Relu(%j)
          output %y`,
        expect: `%i = Neg(%x)
          %y = Relu(%x)`,
      },
      {
        name: "Reshape, Pad, Slice, Expand and Tile that change nothing",
        before: `${map}
          %t = int64[4]{0,4,-1,5}
          %a = Reshape(%x, %t)
          %p = int64[8]{0}
          %b = Pad(%a, %p)
          %starts = int64[2]{0}
          %ends = int64[2]{9223372036854775807,5}
          %axes = int64[2]{2,3}
          %c = Slice(%b, %starts, %ends, %axes)
          %o = int64[1]{1}
          %d = Expand(%c, %o)
          %r = int64[4]{1}
          %e = Tile(%d, %r)
          %y = Relu(%e)
          output %y`,
        expect: "%y = Relu(%x)",
      },
      {
        name: "·1, /1, +0, -0, ^1",
        before: `${map}
          %one = float64[]{1}
          %ones = float64[4,1,1]{1}
          %zero = float64[1]{0}
          %a = Mul(%one, %x)
          %b = Div(%a, %ones)
          %c = Add(%zero, %b)
          %d = Sub(%c, %zero)
          %e = Pow(%d, %one)
          %y = Relu(%e)
          output %y`,
        expect: "%y = Relu(%x)",
      },
      {
        name: "the maker of the value makes the output instead",
        before: `${map}
          %a = Relu(%x)
          %b = Neg(%a)
          %y = Identity(%a)
          output %y
          output %b`,
        expect: `%y = Relu(%x)
          %b = Neg(%y)`,
      },
      {
        name: "an input that is an output needs its Identity",
        before: `${map}
          %y = Identity(%x)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "of two names for one output one stays an Identity",
        before: `${map}
          %a = Relu(%x)
          %y = Identity(%a)
          output %a
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not x·1 that enlarges x, nor 0 - x, nor 1/x",
        before: `input %x: float64[1,4]
          %ones = float64[3,4]{1}
          %zero = float64[]{0}
          %one = float64[]{1}
          %a = Mul(%x, %ones)
          %b = Sub(%zero, %a)
          %y = Div(%one, %b)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not a Reshape with the same rank that moves lengths",
        before: `input %x: float64[N,4,6]
          %t = int64[3]{0,6,4}
          %a = Relu(%x)
          %y = Reshape(%a, %t)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not a Slice that runs backwards over the whole",
        before: `input %x: float64[N,4]
          %starts = int64[1]{-1}
          %ends = int64[1]{-9223372036854775807}
          %axes = int64[1]{1}
          %steps = int64[1]{-1}
          %a = Relu(%x)
          %y = Slice(%a, %starts, %ends, %axes, %steps)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: mergeTransposes,
    cases: [
      {
        name: "two become one",
        before: `${map}
          %a = Transpose[perm=0,2,3,1](%x)
          %y = Transpose[perm=0,3,2,1](%a)
          output %y`,
        expect: `%a = Transpose[perm=0,2,3,1](%x)
          %y = Transpose[perm=0,1,3,2](%x)`,
      },
    ],
  },
  {
    pass: simplifyShapeChains,
    cases: [
      {
        name: "view(size(0), -1) of a symbolic batch is Flatten",
        before: `${map}\n${flattenChain}`,
        expect: `%shape = Shape(%x)
          %batch = Gather[axis=0](%shape, %zero)
          %first = Unsqueeze(%batch, %axis)
          %target = Concat[axis=0](%first, %rest)
          %y = Flatten(%x)`,
      },
      {
        name: "and of a static batch too, so that other batches work",
        before: `input %x: float64[1,4,6,5]\n${flattenChain}`,
        expect: "%y = Flatten(%x)",
      },
      {
        name: "a constant target with the exported batch is opened",
        before: `input %x: float64[1,4,6]
          %t = int64[4]{1,2,2,6}
          %y = Reshape(%x, %t)
          output %y`,
        expect: "%y = Reshape(%x, %y_shape)",
        constants: { y_shape: [0, 2, 2, 6] },
      },
      {
        name: "a computed target of rank 3 becomes constant",
        before: `input %x: float64[N,4,H,W]
          %zero = int64[1]{0}
          %four = int64[1]{4}
          %rest = int64[1]{-1}
          %shape = Shape(%x)
          %batch = Gather(%shape, %zero)
          %target = Concat[axis=0](%batch, %four, %rest)
          %y = Reshape(%x, %target)
          output %y`,
        expect: `%shape = Shape(%x)
          %batch = Gather(%shape, %zero)
          %target = Concat[axis=0](%batch, %four, %rest)
          %y = Reshape(%x, %y_shape)`,
        constants: { y_shape: [0, 4, -1] },
      },
      {
        name: "a target that says it already stays",
        before: `input %x: float64[N,4,6,5]
          %t = int64[3]{0,4,-1}
          %y = Reshape(%x, %t)
          output %y`,
        expect: "unchanged",
      },
      {
        name: "not two open lengths",
        before: `input %x: float64[N,H,W]
          input %t: int64[2]
          %y = Reshape(%x, %t)
          %z = Flatten(%x)
          output %z`,
        expect: "unchanged",
      },
      {
        name: "a known length becomes a constant",
        before: `input %x: float64[N,4,6,5]
          %two = int64[]{2}
          %shape = Shape(%x)
          %height = Gather(%shape, %two)
          %as = Cast[to=11](%height)
          %y = Div(%x, %as)
          output %y`,
        expect: `%shape = Shape(%x)
          %y = Div(%x, %as)`,
        constants: { as: [6] },
      },
    ],
  },
  {
    pass: mergeReshapes,
    cases: [
      {
        name: "Squeeze and Unsqueeze meet in one Reshape, or in nothing",
        before: `input %x: float64[N,4,1,1]
          %axes = int64[2]{2,3}
          %last = int64[1]{2}
          %a = Squeeze(%x, %axes)
          %b = Unsqueeze(%a, %last)
          %c = Unsqueeze(%a, %axes)
          %y = Add(%b, %b)
          %z = Relu(%c)
          output %y
          output %z`,
        expect: `%a = Squeeze(%x, %axes)
          %b = Reshape(%x, %b_shape)
          %y = Add(%b, %b)
          %z = Relu(%x)`,
        constants: { b_shape: [0, 4, 1] },
      },
      {
        name: "the later target holds, its zeros are resolved",
        before: `input %x: float64[N,4,6]
          %s = int64[3]{0,6,4}
          %t = int64[4]{0,0,2,2}
          %a = Reshape(%x, %s)
          %y = Reshape(%a, %t)
          output %y`,
        expect: `%a = Reshape(%x, %s)
          %y = Reshape(%x, %y_shape)`,
        constants: { y_shape: [0, 6, 2, 2] },
      },
      {
        name: "Flatten of a Reshape",
        before: `input %x: float64[N,4,6]
          %s = int64[3]{0,6,4}
          %a = Reshape(%x, %s)
          %y = Flatten(%a)
          output %y`,
        expect: `%a = Reshape(%x, %s)
          %y = Flatten(%x)`,
      },
      {
        name: "a batch that moved and comes back",
        before: `input %x: float64[N,4]
          %s = int64[3]{1,-1,4}
          %t = int64[2]{-1,4}
          %a = Reshape(%x, %s)
          %b = Reshape(%a, %t)
          %y = Relu(%b)
          output %y`,
        expect: `%a = Reshape(%x, %s)
          %y = Relu(%x)`,
      },
    ],
  },
  {
    pass: mergePads,
    cases: [
      {
        name: "into Conv and Adder2d, added to their own",
        before: `${map}
          %w = float64[4,4,3,3]
          %p = int64[8]{0,0,1,2,0,0,0,1}
          %a = Pad(%x, %p)
          %b = addernet::Adder2d[pads=1,1,1,1](%a, %w)
          %c = Pad[mode="constant"](%b, %p)
          %y = Conv[auto_pad="VALID"](%c, %w)
          output %y`,
        expect: `%b = addernet::Adder2d[pads=2,3,1,2](%x, %w)
          %y = Conv[pads=1,2,0,1](%b, %w)`,
      },
      {
        name: "into AveragePool, which then counts them",
        before: `${map}
          %p = int64[8]{0,0,1,1,0,0,1,1}
          %a = Pad(%x, %p)
          %y = AveragePool[kernel_shape=3,3](%a)
          output %y`,
        expect: "%y = AveragePool[count_include_pad=1 kernel_shape=3,3 pads=1,1,1,1](%x)",
      },
      {
        name: "axes as an input, from the back",
        opset: 18,
        before: `${map}
          %w = float64[4,4,3,3]
          %p = int64[4]{1,2,3,4}
          %axes = int64[2]{-1,2}
          %a = Pad(%x, %p, _, %axes)
          %y = Conv(%a, %w)
          output %y`,
        expect: "%y = Conv[pads=2,1,4,3](%x, %w)",
      },
      ...[
        ["channels", "%p = int64[8]{0,1,0,0,0,0,0,0}", "[kernel_shape=2,2](%a)"],
        [
          "an average with pads of its own that it does not count",
          "%p = int64[8]{0,0,1,1,0,0,1,1}",
          "[kernel_shape=3,3 pads=1,1,1,1](%a)",
        ],
        ["an average that rounds up", "%p = int64[8]{0,0,1,1,0,0,1,1}", "[kernel_shape=3,3 ceil_mode=1](%a)"],
        ["more than a pool can pad", "%p = int64[8]{0,0,3,3,0,0,3,3}", "[kernel_shape=3,3](%a)"],
        ["a crop", "%p = int64[8]{0,0,-1,0,0,0,0,0}", "[kernel_shape=3,3](%a)"],
      ].map(([name, constant, call]) => ({
        name: `not ${name}`,
        before: `${map}
          ${constant}
          %a = Pad(%x, %p)
          %y = AveragePool${call}
          output %y`,
        expect: "unchanged",
      })),
      {
        name: "not padding with another value or by reflection",
        before: `${map}
          %w = float64[4,4,3,3]
          %p = int64[8]{0,0,1,1,0,0,1,1}
          %one = float64[]{1}
          %a = Pad(%x, %p, %one)
          %b = Conv(%a, %w)
          %c = Pad[mode="reflect"](%b, %p)
          %y = Conv(%c, %w)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: averagePoolToGlobal,
    cases: [
      {
        name: "AveragePool over the whole map",
        before: `${map}
          %y = AveragePool[kernel_shape=6,5 strides=2,1](%x)
          output %y`,
        expect: "%y = GlobalAveragePool(%x)",
      },
      {
        name: "the mean over height and width, axes as attribute",
        before: `${map}
          %y = ReduceMean[axes=-1,2](%x)
          output %y`,
        expect: "%y = GlobalAveragePool(%x)",
      },
      {
        name: "the mean without its axes, which are an input",
        opset: 18,
        before: `${map}
          %axes = int64[2]{2,3}
          %y = ReduceMean[keepdims=0](%x, %axes)
          output %y`,
        expect: `%y_pooled = GlobalAveragePool(%x)
          %y = Flatten(%y_pooled)`,
      },
      ...[
        ["a part of the map", "AveragePool[kernel_shape=5,5](%x)"],
        ["a padded map", "AveragePool[kernel_shape=6,5 pads=1,1,1,1](%x)"],
        ["channels", "ReduceMean[axes=1,2](%x)"],
        ["everything", "ReduceMean(%x)"],
      ].map(([name, call]) => ({
        name: `not ${name}`,
        before: `${map}
          %y = ${call}
          output %y`,
        expect: "unchanged",
      })),
    ],
  },
  {
    pass: normaliseGemm,
    cases: [
      {
        name: "MatMul becomes Gemm with the weights turned",
        before: `input %x: float64[N,3]
          %w = float64[3,4]
          %y = MatMul(%x, %w)
          output %y`,
        expect: "%y = Gemm[transB=1](%x, %w)",
      },
      {
        name: "alpha and beta go into the constants",
        before: `input %x: float64[N,3]
          %w = float64[4,3]
          %b = float64[4]
          %y = Gemm[alpha=0.5 beta=2 transB=1](%x, %w, %b)
          output %y`,
        expect: "%y = Gemm[transB=1](%x, %w, %b)",
      },
      {
        name: "weights that another node reads are turned in a copy",
        before: `input %x: float64[3,3]
          %w = float64[3,3]
          %a = Gemm(%x, %w)
          %y = Add(%a, %w)
          output %y`,
        expect: `%a = Gemm[transB=1](%x, %w_1)
          %y = Add(%a, %w)`,
      },
      {
        name: "not a batch of matrices",
        before: `input %x: float64[N,2,3]
          %w = float64[3,4]
          %y = MatMul(%x, %w)
          output %y`,
        expect: "unchanged",
      },
    ],
  },
  {
    pass: shareInitializers,
    cases: [
      {
        name: "equal constants of equal type and dims",
        before: `input %x: float64[N,4]
          %a = float64[4]{1,2,3,4}
          %b = float64[4]{1,2,3,4}
          %c = float64[1,4]{1,2,3,4}
          %d = float64[4]{1,2,5,4}
          %s = Add(%x, %a)
          %t = Mul(%s, %b)
          %u = Add(%t, %c)
          %y = Mul(%u, %d)
          output %y`,
        expect: `%s = Add(%x, %a)
          %t = Mul(%s, %a)
          %u = Add(%t, %c)
          %y = Mul(%u, %d)`,
      },
    ],
  },
  {
    pass: removeDead,
    cases: [
      {
        name: "nodes and constants that no output needs",
        before: `${map}
          %a = float64[4]
          %b = Neg(%a)
          %c = Relu(%x)
          %y = Neg(%x)
          output %y`,
        expect: "%y = Neg(%x)",
      },
    ],
  },
];
