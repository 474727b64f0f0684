// PyTorch's own operators in an ONNX file (ATen nodes): written as standard ops, so that everything after knows one language.

import { floatAttribute, getString, intAttribute, intsAttribute } from "../../src/core/ir/attributes.ts";
import type { Attribute, Node } from "../../src/core/ir/model.ts";
import { int64Tensor, toNumbers } from "../../src/core/tensor.ts";
import type { OpWriter } from "./op-writer.ts";
import { uniformValue } from "./tracing/sums.ts";
import type { Scope, Translator } from "./translate.ts";

/** A call of an ATen operator: arguments by position in its schema, or by name as attributes in old files. */
interface Call {
  readonly node: Node;
  readonly scope: Scope;
  readonly write: OpWriter;
  /** The value of the whole call. */
  readonly output: string;
  value(position: number): string;
  has(position: number): boolean;
  ints(position: number, name: string): number[] | undefined;
  number(position: number, name: string): number | undefined;
  rank(position: number): number | undefined;
}

/** Writes the call's nodes, the last of which makes `call.output`. Answers undefined when the call cannot be translated. */
type Translation = (call: Call) => string | undefined;

type Attributes = readonly (readonly [string, Attribute])[];

const range = (from: number, length: number): number[] => Array.from({ length }, (_, at) => from + at);
const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
const pair = (values: readonly number[] | undefined, fallback: number): [number, number] => [
  values?.[0] ?? fallback,
  values?.[1] ?? values?.[0] ?? fallback,
];

/** An op that takes the first `count` arguments as they are. */
function plain(opType: string, count: number, attributes: Attributes = []): Translation {
  return ({ write, value, output }) => write.op(opType, range(0, count).map(value), attributes, output);
}

/** first ± alpha · second. */
function scaledSum(opType: string, first: number, second: number): Translation {
  return ({ write, value, number, output }) => {
    const alpha = number(2, "alpha") ?? 1;
    const scaled = alpha === 1 ? value(second) : write.op("Mul", [value(second), write.float(alpha)]);
    return write.op(opType, [value(first), scaled], [], output);
  };
}

const size: Translation = ({ write, value, has, number, output }) => {
  const dim = has(1) ? number(1, "dim") : undefined;
  const shape = write.op("Shape", [value(0)], [], dim === undefined ? output : undefined);
  return dim === undefined
    ? shape
    : write.op("Gather", [shape, write.int(dim)], [["axis", intAttribute(0)]], output);
};

const permute: Translation = ({ write, value, ints, output }) => {
  const dims = ints(1, "dims");
  if (dims === undefined) return undefined;
  const perm = dims.map((axis) => fromFront(axis, dims.length));
  return write.op("Transpose", [value(0)], [["perm", intsAttribute(perm)]], output);
};

/** x with two axes swapped. */
function swapped(
  { write, value, rank }: Call,
  first: number,
  second: number,
  output?: string,
): string | undefined {
  const count = rank(0);
  if (count === undefined) return undefined;
  const perm = range(0, count);
  const [a, b] = [fromFront(first, count), fromFront(second, count)];
  [perm[a], perm[b]] = [perm[b]!, perm[a]!];
  return write.op("Transpose", [value(0)], [["perm", intsAttribute(perm)]], output);
}

const transpose: Translation = (call) => {
  const [first, second] = [call.number(1, "dim0"), call.number(2, "dim1")];
  return first === undefined || second === undefined ? undefined : swapped(call, first, second, call.output);
};

const unsqueeze: Translation = ({ write, value, number, output }) => {
  const dim = number(1, "dim");
  return dim === undefined ? undefined : write.unsqueeze(value(0), [dim], output);
};

const squeeze: Translation = ({ write, value, number, output }) => {
  const dim = number(1, "dim");
  return dim === undefined
    ? write.op("Squeeze", [value(0)], [], output)
    : write.squeeze(value(0), [dim], output);
};

const sum: Translation = ({ write, value, ints, number, rank, output }) => {
  const axes = ints(1, "dim") ?? range(0, rank(0) ?? 0);
  return axes.length === 0 ? undefined : write.reduceSum(value(0), axes, number(2, "keepdim") === 1, output);
};

const mean: Translation = ({ write, value, ints, number, output, scope }) => {
  const axes = ints(1, "dim");
  const keepdims = ["keepdims", intAttribute(number(2, "keepdim") === 1 ? 1 : 0)] as const;
  if (axes === undefined) return undefined;
  const isInput = (scope.context.model.opsetImports.get("") ?? 1) >= 18;
  return isInput
    ? write.op("ReduceMean", [value(0), write.ints(axes)], [keepdims], output)
    : write.op("ReduceMean", [value(0)], [["axes", intsAttribute(axes)], keepdims], output);
};

/** norm(p = 1) over some axes. */
const norm: Translation = ({ write, value, ints, number, output }) => {
  const axes = ints(2, "dim");
  if (number(1, "p") !== 1 || axes === undefined) return undefined;
  return write.reduceSum(write.op("Abs", [value(0)]), axes, number(3, "keepdim") === 1, output);
};

/** Σ|a - b| for all pairs of rows of [.., P, K] and [.., R, K]. */
const cdist: Translation = ({ write, value, number, output, rank }) => {
  if (number(2, "p") !== 1) return undefined;
  const axes = [rank(0), rank(1)];
  if (axes[0] === undefined || axes[1] === undefined) return undefined;
  const [rows, columns] = [
    write.unsqueeze(value(0), [axes[0] - 1]),
    write.unsqueeze(value(1), [axes[1] - 2]),
  ];
  const difference = write.op("Abs", [write.op("Sub", [rows, columns])]);
  return write.reduceSum(difference, [-1], false, output);
};

/** Length of axis `axis` of x as a scalar. */
function lengthOf({ write }: Call, x: string, axis: number): string {
  return write.op("Gather", [write.op("Shape", [x]), write.int(axis)], [["axis", intAttribute(0)]]);
}

/** Positions [kernel, windows] that windows of an axis read, the axis already padded. */
function windowPositions(
  call: Call,
  x: string,
  axis: number,
  kernel: number,
  stride: number,
  dilation: number,
): string {
  const { write } = call;
  const end = write.op("Sub", [lengthOf(call, x, axis), write.int(dilation * (kernel - 1))]);
  const starts = write.op("Range", [write.int(0), end, write.int(stride)]);
  const taps = write.constant(
    int64Tensor(
      range(0, kernel).map((tap) => tap * dilation),
      [kernel, 1],
    ),
  );
  return write.op("Add", [write.unsqueeze(starts, [0]), taps]);
}

const im2col: Translation = (call) => {
  const { write, value, ints, output } = call;
  const kernel = ints(1, "kernel_size");
  if (kernel === undefined) return undefined;
  const [kh, kw] = pair(kernel, 1);
  const [dilation, padding, stride] = [
    pair(ints(2, "dilation"), 1),
    pair(ints(3, "padding"), 0),
    pair(ints(4, "stride"), 1),
  ];
  const padded = write.op("Pad", [value(0), write.ints([0, 0, ...padding, 0, 0, ...padding])]);
  const rows = windowPositions(call, padded, 2, kh, stride[0], dilation[0]);
  const columns = windowPositions(call, padded, 3, kw, stride[1], dilation[1]);
  const byRow = write.op("Gather", [padded, rows], [["axis", intAttribute(2)]]);
  const windows = write.op("Gather", [byRow, columns], [["axis", intAttribute(4)]]);
  const ordered = write.op("Transpose", [windows], [["perm", intsAttribute([0, 1, 2, 4, 3, 5])]]);
  const taps = write.op("Mul", [lengthOf(call, value(0), 1), write.int(kh * kw)]);
  const target = [lengthOf(call, value(0), 0), taps, write.int(-1)].map((length) =>
    write.unsqueeze(length, [0]),
  );
  return write.op("Reshape", [ordered, write.op("Concat", target, [["axis", intAttribute(0)]])], [], output);
};

/** tensor.unfold: windows of an axis, the place in the window as a new last axis. */
const unfold: Translation = (call) => {
  const { write, value, number, rank, output } = call;
  const [dim, length, step, count] = [number(1, "dimension"), number(2, "size"), number(3, "step"), rank(0)];
  if (dim === undefined || length === undefined || step === undefined || count === undefined)
    return undefined;
  const axis = fromFront(dim, count);
  const positions = windowPositions(call, value(0), axis, length, step, 1);
  const windows = write.op("Gather", [value(0), positions], [["axis", intAttribute(axis)]]);
  const order = [...range(0, count + 1).filter((each) => each !== axis), axis];
  return write.op("Transpose", [windows], [["perm", intsAttribute(order)]], output);
};

const batchNorm: Translation = ({ write, value, number, output }) => {
  if ((number(5, "training") ?? 0) !== 0) return undefined;
  const epsilon = floatAttribute(number(7, "eps") ?? 1e-5);
  return write.op("BatchNormalization", range(0, 5).map(value), [["epsilon", epsilon]], output);
};

function poolAttributes({ ints, number }: Call, ceilPosition: number): Attributes {
  const kernel = pair(ints(1, "kernel_size"), 1);
  const given = ints(2, "stride");
  const stride = given === undefined || given.length === 0 ? kernel : pair(given, 1);
  const padding = pair(ints(3, "padding"), 0);
  return [
    ["kernel_shape", intsAttribute(kernel)],
    ["strides", intsAttribute(stride)],
    ["pads", intsAttribute([...padding, ...padding])],
    ["ceil_mode", intAttribute(number(ceilPosition, "ceil_mode") ?? 0)],
  ];
}

const maxPool: Translation = (call) => {
  const dilations = ["dilations", intsAttribute(pair(call.ints(4, "dilation"), 1))] as const;
  return call.write.op("MaxPool", [call.value(0)], [...poolAttributes(call, 5), dilations], call.output);
};

const averagePool: Translation = (call) => {
  if (call.has(6)) return undefined;
  const counted = ["count_include_pad", intAttribute(call.number(5, "count_include_pad") ?? 1)] as const;
  return call.write.op("AveragePool", [call.value(0)], [...poolAttributes(call, 4), counted], call.output);
};

const adaptiveAveragePool: Translation = ({ write, value, ints, output }) =>
  ints(1, "output_size")?.every((length) => length === 1)
    ? write.op("GlobalAveragePool", [value(0)], [], output)
    : undefined;

const flatten: Translation = ({ write, value, number, rank, output }) => {
  const [start, end, count] = [number(1, "start_dim") ?? 0, number(2, "end_dim") ?? -1, rank(0)];
  if (count === undefined || fromFront(end, count) !== count - 1) return undefined;
  const kept = fromFront(start, count);
  return write.op("Reshape", [value(0), write.ints([...new Array<number>(kept).fill(0), -1])], [], output);
};

const linear: Translation = ({ write, value, has, output }) => {
  const turned = write.op("Transpose", [value(1)], [["perm", intsAttribute([1, 0])]]);
  const product = write.op("MatMul", [value(0), turned], [], has(2) ? undefined : output);
  return has(2) ? write.op("Add", [product, value(2)], [], output) : product;
};

const addmm: Translation = ({ write, value, number, output }) => {
  const factors = [
    ["beta", floatAttribute(number(3, "beta") ?? 1)],
    ["alpha", floatAttribute(number(4, "alpha") ?? 1)],
  ] as const;
  return write.op("Gemm", [value(1), value(2), value(0)], factors, output);
};

/** conv2d and, with `groupPosition` 8, _convolution, which can be transposed as well. */
function convolution(groupPosition: number): Translation {
  return ({ write, value, has, ints, number, output }) => {
    if (groupPosition === 8 && (number(6, "transposed") ?? 0) !== 0) return undefined;
    const padding = pair(ints(4, "padding"), 0);
    const attributes: Attributes = [
      ["strides", intsAttribute(pair(ints(3, "stride"), 1))],
      ["pads", intsAttribute([...padding, ...padding])],
      ["dilations", intsAttribute(pair(ints(5, "dilation"), 1))],
      ["group", intAttribute(number(groupPosition, "groups") ?? 1)],
    ];
    return write.op("Conv", range(0, has(2) ? 3 : 2).map(value), attributes, output);
  };
}

/** PyTorch lists padding from the last axis on, before and after each. */
const pad: Translation = ({ write, value, ints, number, rank, output }) => {
  const [amounts, count] = [ints(1, "pad"), rank(0)];
  if (amounts === undefined || count === undefined) return undefined;
  const pads = new Array<number>(2 * count).fill(0);
  for (let at = 0; at < amounts.length; at += 2) {
    const axis = count - 1 - at / 2;
    pads[axis] = amounts[at]!;
    pads[axis + count] = amounts[at + 1]!;
  }
  return write.op("Pad", [value(0), write.ints(pads), write.float(number(2, "value") ?? 0)], [], output);
};

const slice: Translation = ({ write, value, number, output }) => {
  const [dim, start, end, step] = [number(1, "dim"), number(2, "start"), number(3, "end"), number(4, "step")];
  const bounds = [start ?? 0, end ?? Number.MAX_SAFE_INTEGER, dim ?? 0, step ?? 1];
  return write.op("Slice", [value(0), ...bounds.map((bound) => write.ints([bound]))], [], output);
};

const select: Translation = ({ write, value, number, output }) => {
  const [dim, index] = [number(1, "dim"), number(2, "index")];
  if (dim === undefined || index === undefined) return undefined;
  return write.op("Gather", [value(0), write.int(index)], [["axis", intAttribute(dim)]], output);
};

const cat: Translation = ({ node, write, number, output }) => {
  const last = node.inputs.length - 1;
  const dim = number(last, "dim");
  return dim === undefined
    ? undefined
    : write.op("Concat", node.inputs.slice(0, last), [["axis", intAttribute(dim)]], output);
};

const expand: Translation = ({ write, value, ints, output }) => {
  const lengths = ints(1, "size");
  return (
    lengths &&
    write.op("Expand", [value(0), write.ints(lengths.map((length) => Math.max(1, length)))], [], output)
  );
};

const clamp: Translation = ({ write, value, number, output }) => {
  const [least, most] = [number(1, "min"), number(2, "max")];
  const bounds = [least === undefined ? "" : write.float(least), most === undefined ? "" : write.float(most)];
  return write.op("Clip", [value(0), ...bounds], [], output);
};

const leakyRelu: Translation = ({ write, value, number, output }) =>
  write.op("LeakyRelu", [value(0)], [["alpha", floatAttribute(number(1, "negative_slope") ?? 0.01)]], output);

function softmax(opType: string): Translation {
  return ({ write, value, number, output }) =>
    write.op(opType, [value(0)], [["axis", intAttribute(number(1, "dim") ?? -1)]], output);
}

const identity = plain("Identity", 1);

const translations: Readonly<Record<string, Translation>> = {
  _convolution: convolution(8),
  _unsafe_view: plain("Reshape", 2),
  abs: plain("Abs", 1),
  adaptive_avg_pool2d: adaptiveAveragePool,
  add: scaledSum("Add", 0, 1),
  addmm,
  alias: identity,
  avg_pool2d: averagePool,
  batch_norm: batchNorm,
  cat,
  cdist,
  clamp,
  clone: identity,
  constant_pad_nd: pad,
  contiguous: identity,
  conv2d: convolution(6),
  convolution: convolution(8),
  detach: identity,
  div: plain("Div", 2),
  dropout: identity,
  expand,
  flatten,
  hardtanh: clamp,
  im2col,
  leaky_relu: leakyRelu,
  linear,
  log_softmax: softmax("LogSoftmax"),
  matmul: plain("MatMul", 2),
  max_pool2d: maxPool,
  maximum: plain("Max", 2),
  mean,
  minimum: plain("Min", 2),
  mm: plain("MatMul", 2),
  mul: plain("Mul", 2),
  neg: plain("Neg", 1),
  norm,
  permute,
  pow: plain("Pow", 2),
  relu: plain("Relu", 1),
  relu6: ({ write, value, output }) =>
    write.op("Clip", [value(0), write.float(0), write.float(6)], [], output),
  reshape: plain("Reshape", 2),
  rsub: scaledSum("Sub", 1, 0),
  select,
  sigmoid: plain("Sigmoid", 1),
  size,
  slice,
  softmax: softmax("Softmax"),
  sqrt: plain("Sqrt", 1),
  squeeze,
  sub: scaledSum("Sub", 0, 1),
  sum,
  t: (call) => swapped(call, 0, 1, call.output),
  tanh: plain("Tanh", 1),
  transpose,
  unfold,
  unsqueeze,
  view: plain("Reshape", 2),
};

/** The operator a node calls: ATen nodes name it in an attribute, ATen fallback makes it the op type. */
function operatorOf(node: Node): string | undefined {
  const isAten = node.opType === "ATen" && (node.domain === "" || /aten|caffe2/.test(node.domain));
  const name = isAten
    ? getString(node, "operator")
    : node.domain === "org.pytorch.aten"
      ? node.opType
      : undefined;
  // In-place variants end in "_" and compute the same.
  return name?.replace(/(?<=[a-z0-9])_$/, "");
}

function callOf(node: Node, scope: Scope): Call {
  const constant = (position: number) => {
    const name = node.inputs[position];
    return name ? scope.facts.constant(name) : undefined;
  };
  const attribute = (name: string): number[] | undefined => {
    const given = node.attributes.get(name);
    if (given?.type === "INT") return [Number(given.value)];
    if (given?.type === "FLOAT") return [given.value];
    if (given?.type === "INTS") return given.value.map(Number);
    return undefined;
  };
  const ints = (position: number, name: string): number[] | undefined => {
    const tensor = constant(position);
    return tensor === undefined ? attribute(name) : toNumbers(tensor);
  };
  return {
    node,
    scope,
    write: scope.writer(node),
    output: node.outputs[0]!,
    value: (position) => node.inputs[position] ?? "",
    has: (position) => (node.inputs[position] ?? "") !== "",
    ints,
    number: (position, name) => uniformValue(constant(position)) ?? attribute(name)?.[0],
    rank: (position) => scope.facts.shape(node.inputs[position] ?? "")?.length,
  };
}

function warnOfUnknown(node: Node, operator: string, scope: Scope): void {
  scope.context.warnings.push({
    code: "ADN_ATEN_UNKNOWN",
    node: node.name || node.outputs[0]!,
    message: `the PyTorch operator aten::${operator} has no translation into standard ops here; the node stays as it is`,
    fix: "export with operator_export_type=torch.onnx.OperatorExportTypes.ONNX",
  });
}

function translate(node: Node, scope: Scope): readonly Node[] | undefined {
  const operator = operatorOf(node);
  if (operator === undefined) return undefined;
  const call = callOf(node, scope);
  const translation = Object.hasOwn(translations, operator) ? translations[operator] : undefined;
  const output = translation?.(call);
  if (output === undefined) {
    warnOfUnknown(node, operator, scope);
    return undefined;
  }
  for (const made of call.write.nodes) scope.context.forms.set(made, "ATen");
  return call.write.nodes;
}

export const aten: Translator = { family: "ATen", translate };
