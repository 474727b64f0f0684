// The kernels, one row each: a kernel's name is its specification, <dtype>_<kernel>_<rows>x<columns of its tile>. Written by hand; a
// test holds it against the exports of every binary.
//
// Pointers are byte addresses in the one memory, counts are elements, strides are bytes. A kernel allocates nothing, keeps nothing
// and trusts its caller: sizes, alignment to 4 bytes and packing are the planner's work.

const image = [
  "x",
  "taps",
  "pixels",
  "w",
  "scale",
  "bias",
  "z",
  "y",
  "scratch",
  "k",
  "m",
  "p",
  "panels",
  "yStride",
  "low",
  "high",
] as const;
const linear = [
  "x",
  "w",
  "scale",
  "bias",
  "z",
  "y",
  "scratch",
  "k",
  "m",
  "rows",
  "xStride",
  "yStride",
  "low",
  "high",
] as const;
const depthwise = [
  "x",
  "taps",
  "pixels",
  "w",
  "scale",
  "bias",
  "z",
  "y",
  "k",
  "m",
  "p",
  "multiplier",
  "xStride",
  "yStride",
  "low",
  "high",
] as const;
// biome-ignore format: two rows of strides
const broadcast = ["a", "b", "y", "n0", "n1", "n2", "n3", "a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"] as const;
const unary = ["x", "y", "count", "a", "b"] as const;
const alongAxis = ["x", "y", "outer", "count", "inner"] as const;

/** What the tiles share: x padded beforehand, offsets in bytes, w packed [ceil(m/4)][k][4]. */
const imageForm =
  "y[m][p] = clip(scale[m]·S + bias[m] + z[m][p], low, high), S summed over k taps at x + taps[k] + pixels[p]; z = 0: none; w is [ceil(m/4)][k][4]";
const linearForm =
  "y[r][m] = clip(scale[m]·S + bias[m] + z[r][m], low, high), S summed over k of x[r][k]; z = 0: none; w is [ceil(m/8)][k][8]";
const depthwiseForm =
  "y[m][p] = clip(scale[m]·S + bias[m] + z[m][p], low, high), S summed over k taps of plane m/multiplier; w is [m][k]";
const inputsNotNegative = "x >= 0 and w >= 0 throughout";

interface KernelRow {
  readonly params: readonly string[];
  /** What it computes. */
  readonly computes: string;
  /** Output rows and columns made at once, for kernels that tile. */
  readonly tile?: readonly [number, number];
  /** What the caller guarantees beyond valid addresses. */
  readonly requires?: string;
}

// biome-ignore format: a table, one row per kernel
export const kernelTable = {
  f32_adder_4x8: { params: image, tile: [4, 8], computes: `${imageForm}; S = -Σ|x - w|` },
  f32_adder_min_4x8: { params: image, tile: [4, 8], computes: `${imageForm}; S = 2·Σmin(x, w) - Σx`, requires: inputsNotNegative },
  f32_conv_4x8: { params: image, tile: [4, 8], computes: `${imageForm}; S = Σx·w` },
  f32_adder_linear_4x8: { params: linear, tile: [4, 8], computes: `${linearForm}; S = -Σ|x - w|` },
  f32_adder_min_linear_4x8: { params: linear, tile: [4, 8], computes: `${linearForm}; S = 2·Σmin(x, w) - Σx`, requires: inputsNotNegative },
  f32_linear_4x8: { params: linear, tile: [4, 8], computes: `${linearForm}; S = Σx·w` },
  f32_adder_depthwise_1x4: { params: depthwise, tile: [1, 4], computes: `${depthwiseForm}; S = -Σ|x - w|` },
  f32_conv_depthwise_1x4: { params: depthwise, tile: [1, 4], computes: `${depthwiseForm}; S = Σx·w` },
  f32_max_pool_1x4: { params: ["x", "taps", "pixels", "y", "k", "channels", "p", "xStride", "yStride"], tile: [1, 4], computes: "y[c][p] = max over k taps at x[c] + taps[k] + pixels[p]", requires: "k >= 1" },
  f32_average_pool_1x4: { params: ["x", "taps", "pixels", "divisors", "y", "k", "channels", "p", "xStride", "yStride"], tile: [1, 4], computes: "y[c][p] = (Σ over k taps at x[c] + taps[k] + pixels[p]) / divisors[p]" },
  f32_pack_rows: { params: ["x", "y", "count", "k", "xStride"], computes: "x [count][k] to y [ceil(count/4)][k][4], missing rows 0" },
  f32_pad_planes: { params: ["x", "y", "planes", "height", "width", "top", "left", "paddedHeight", "paddedWidth", "value"], computes: "y[planes][paddedHeight][paddedWidth] = x inside, value outside" },
  f32_fill: { params: ["y", "count", "value"], computes: "y = value" },
  b32_copy: { params: ["x", "y", "n0", "n1", "n2", "n3", "x0", "x1", "x2", "x3", "y0", "y1", "y2", "y3"], computes: "y[Σ index·y stride] = x[Σ index·x stride], 4-byte elements", requires: "x and y do not overlap" },
  b32_gather: { params: ["x", "indices", "y", "count", "fill"], computes: "y[i] = x[indices[i]], 4-byte elements; fill where the index is 2^32 - 1", requires: "x and y do not overlap" },
  f32_affine: { params: ["x", "scale", "bias", "y", "outer", "channels", "inner"], computes: "y[o][c][i] = x[o][c][i]·scale[c] + bias[c]" },
  f32_add: { params: broadcast, computes: "y = a + b, broadcast", requires: "a3 and b3 are 0 or 4" },
  f32_sub: { params: broadcast, computes: "y = a - b, broadcast", requires: "a3 and b3 are 0 or 4" },
  f32_mul: { params: broadcast, computes: "y = a·b, broadcast", requires: "a3 and b3 are 0 or 4" },
  f32_div: { params: broadcast, computes: "y = a / b, broadcast", requires: "a3 and b3 are 0 or 4" },
  f32_min: { params: broadcast, computes: "y = min(a, b), broadcast", requires: "a3 and b3 are 0 or 4" },
  f32_max: { params: broadcast, computes: "y = max(a, b), broadcast", requires: "a3 and b3 are 0 or 4" },
  f32_prelu: { params: broadcast, computes: "y = a < 0 ? a·b : a, broadcast", requires: "a3 and b3 are 0 or 4" },
  f32_clip: { params: unary, computes: "y = clip(x, a, b)" },
  f32_leaky_relu: { params: unary, computes: "y = x < 0 ? a·x : x" },
  f32_hard_sigmoid: { params: unary, computes: "y = clip(a·x + b, 0, 1)" },
  f32_hard_swish: { params: unary, computes: "y = x·clip(a·x + b, 0, 1)" },
  f32_abs: { params: unary, computes: "y = |x|" },
  f32_neg: { params: unary, computes: "y = -x" },
  f32_sqrt: { params: unary, computes: "y = √x" },
  f32_reciprocal: { params: unary, computes: "y = 1 / x" },
  f32_exp: { params: unary, computes: "y = e^x" },
  f32_log: { params: unary, computes: "y = ln x" },
  f32_sigmoid: { params: unary, computes: "y = 1 / (1 + e^-x)" },
  f32_tanh: { params: unary, computes: "y = tanh x" },
  f32_elu: { params: unary, computes: "y = x < 0 ? a·(e^x - 1) : x" },
  f32_reduce_sum: { params: [...alongAxis, "divisor"], computes: "y[o][i] = (Σ_c x[o][c][i]) / divisor" },
  f32_reduce_max: { params: alongAxis, computes: "y[o][i] = max_c x[o][c][i]", requires: "count >= 1" },
  f32_softmax: { params: alongAxis, computes: "y[o][c][i] = e^x / Σ_c e^x" },
  f32_log_softmax: { params: alongAxis, computes: "y[o][c][i] = x - ln Σ_c e^x" },
} as const satisfies Record<string, KernelRow>;

export type KernelName = keyof typeof kernelTable;

/** The parameters of a kernel, by name. */
export type ParamOf<K extends KernelName> = (typeof kernelTable)[K]["params"][number];

export const kernelNames = Object.keys(kernelTable) as KernelName[];

/** Bytes that one tile's totals take at the start of a scratch block. */
const totalsBytes = 128;

/** Scratch of the image kernels: totals, and for each panel of eight pixels its input sums and its k taps. */
export function imageScratchBytes(k: number, panels: number): number {
  return totalsBytes + panels * 32 * (1 + k);
}

/** Scratch of the fully connected kernels: totals and four packed rows. */
export function linearScratchBytes(k: number): number {
  return totalsBytes + 16 * k;
}
