// The kernels, one row each: a kernel's name is its specification, <dtype>_<kernel>[_<dtype of y>]_<rows>x<columns of its tile>, its
// value the names of its parameters. Written by hand; a test holds it against the exports of every binary.
//
// Pointers are byte addresses in the one memory, counts are elements, strides and steps are bytes. A kernel allocates nothing, keeps
// nothing and trusts its caller: sizes, alignment and packing are the planner's work. Vectors run over the ends of rows: 512 bytes
// before and behind every operand can be read, and what `spareBytes` says can be written behind a layout.

// biome-ignore format: lists of names, several to a line
const list = {
  image: ["x", "taps", "w", "scale", "bias", "z", "y", "scratch", "k", "m", "p", "step", "panels", "yStride", "low", "high"],
  linear: ["x", "w", "scale", "bias", "z", "y", "scratch", "k", "m", "rows", "xStride", "yStride", "low", "high"],
  depthwise: ["x", "taps", "w", "scale", "bias", "z", "y", "k", "m", "p", "multiplier", "xStride", "yStride", "low", "high"],
  sparse: ["x", "lists", "scale", "bias", "sums", "z", "y", "scratch", "m", "perGroup", "p", "sumsStride", "yStride", "low", "high"],
  codesLinear: ["x", "w", "scale", "bias", "sums", "z", "y", "scratch", "k", "m", "rows", "xStride", "yStride", "low", "high"],
  codes: ["yZero", "zZero", "zScale"],
  listTaps: ["w", "offsets", "y", "sums", "scratch", "k", "m", "first", "perGroup", "groupElements", "span"],
  windowSums: ["x", "taps", "y", "scratch", "channels", "groups", "length", "k", "p", "yStride"],
  expand: [
    "x", "masks", "y", "planes", "height", "width", "firstRow", "phases", "rows", "rowStride", "taps", "firstColumn", "dilation",
    "columns", "stride", "value",
  ],
  pool: ["x", "taps", "y", "k", "channels", "p", "xStride", "yStride"],
  broadcast: ["a", "b", "y", "n0", "n1", "n2", "n3", "a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"],
  copy: ["x", "y", "n0", "n1", "n2", "n3", "x0", "x1", "x2", "x3", "y0", "y1", "y2", "y3"],
  gather: ["x", "indices", "y", "count", "fill"],
  unary: ["x", "y", "count", "a", "b"],
  alongAxis: ["x", "y", "outer", "count", "inner"],
} as const;

// biome-ignore format: one row per kernel
export const kernelTable = {
  // y[m][p] = clip(scale[m]·S + bias[m] + z[m][p], low, high), S summed over k taps at x + taps[k] + p·step; z = 0: none;
  // w is [ceil(m/4)][k][4].
  /** S = -Σ|x - w| */
  f32_adder_4x8: list.image,
  /** S = 2·Σmin(x, w) - Σx; x >= 0 and w >= 0 */
  f32_adder_min_4x8: list.image,
  /** S = Σx·w */
  f32_conv_4x8: list.image,

  // y[r][m] = clip(scale[m]·S + bias[m] + z[r][m], low, high), S summed over k of x[r][k]; w is [ceil(m/8)][k][8].
  /** S = -Σ|x - w| */
  f32_adder_linear_4x8: list.linear,
  /** S = 2·Σmin(x, w) - Σx; x >= 0 and w >= 0 */
  f32_adder_min_linear_4x8: list.linear,
  /** S = Σx·w */
  f32_linear_4x8: list.linear,

  // Over live taps alone: S = Σmin(x, w) + sums[m/perGroup][p] over all taps of `lists` (see sparse.ts); scale is doubled.
  /** y = clip(scale[m]·S + bias[m] + z, low, high); x >= 0 */
  f32_adder_sparse_1x28: list.sparse,
  /** y = clip(round(v), low, high) + yZero, v = scale[m]·(S - shift[m]) + bias[m] + (z - zZero)·zScale rounded to float32 at every step; sums below 2^23 */
  u8_adder_sparse_1x64: [...list.sparse, "shift", ...list.codes],
  /** y = clip(scale[m]·(S - shift[m]) + bias[m] + z, low, high); sums below 2^23 */
  u8_adder_sparse_f32_1x64: [...list.sparse, "shift"],
  /** y = 2·(S - shift[m]); sums below 2^23 */
  u8_adder_sparse_i32_1x64: ["x", "lists", "sums", "y", "scratch", "m", "perGroup", "p", "sumsStride", "yStride", "shift"],

  // Lists of live taps out of weights [m][k]; scratch says where they end and how many there are (see list-taps.ts).
  f32_list_taps: list.listTaps,
  u8_list_taps: [...list.listTaps, "mostCode"],

  // Rows of codes: S = Σmin(x[r][k], w) + sums[m] - Σx[r]/2; w is [ceil(m/64)][k][64]; scale (doubled), bias, sums to whole panels.
  /** y as u8_adder_sparse_1x64 */
  u8_adder_linear_1x64: [...list.codesLinear, ...list.codes],
  /** y as u8_adder_sparse_f32_1x64 */
  u8_adder_linear_f32_1x64: list.codesLinear,
  /** y = 2·S */
  u8_adder_linear_i32_1x64: ["x", "w", "sums", "y", "scratch", "k", "m", "rows", "xStride", "yStride"],

  // One channel at a time, as image; w is [m][k], x[m/multiplier] + taps[k] + p.
  /** S = -Σ|x - w| */
  f32_adder_depthwise_1x4: list.depthwise,
  /** S = Σx·w */
  f32_conv_depthwise_1x4: list.depthwise,

  // y[c][p] over k >= 1 taps at x[c] + taps[k] + p
  /** the largest */
  f32_max_pool_1x4: list.pool,
  /** the largest */
  u8_max_pool_1x16: list.pool,
  /** the sum / divisors[p] */
  f32_average_pool_1x4: [...list.pool, "divisors"],

  // y[g][p] = -Σx/2 over the `channels` of a group, `length` elements each, and k taps at taps[k]/4 + p
  /** sums below 2^23 */
  u8_window_sums: list.windowSums,
  f32_window_sums: list.windowSums,

  // y[planes][taps][phases][rows][columns] = x[firstRow + phase + row·rowStride][firstColumn + tap·dilation + column·stride], value
  // outside x. Masks say what is outside for strides 1 and 2; masks = 0: any stride, slowly.
  u8_expand: list.expand,
  f32_expand: list.expand,

  /** x [count][k] to y [ceil(count/4)][k][4], missing rows 0 */
  f32_pack_rows: ["x", "y", "count", "k", "xStride"],
  /** y = value */
  f32_fill: ["y", "count", "value"],
  // Elements of four bytes, or of one; x and y do not overlap.
  /** y[Σ index·y stride] = x[Σ index·x stride] */
  b32_copy: list.copy,
  b8_copy: list.copy,
  /** y[i] = x[indices[i]]; fill where the index is 2^32 - 1 */
  b32_gather: list.gather,
  b8_gather: list.gather,

  /** y = clip(round(x / scale), low, high) + zero, halves to even */
  u8_quantize: ["x", "y", "count", "scale", "zero", "low", "high"],
  /** y = (x - zero)·scale */
  u8_dequantize: ["x", "y", "count", "scale", "zero"],
  /** y = x */
  i32_to_f32: ["x", "y", "count"],

  /** y[o][c][i] = x[o][c][i]·scale[c] + bias[c] */
  f32_affine: ["x", "scale", "bias", "y", "outer", "channels", "inner"],

  // y of a and b over four axes; a3 and b3 are 0 or 4
  f32_add: list.broadcast,
  f32_sub: list.broadcast,
  f32_mul: list.broadcast,
  f32_div: list.broadcast,
  f32_min: list.broadcast,
  f32_max: list.broadcast,
  /** y = a < 0 ? a·b : a */
  f32_prelu: list.broadcast,

  /** y = clip(x, a, b) */
  f32_clip: list.unary,
  /** y = x < 0 ? a·x : x */
  f32_leaky_relu: list.unary,
  /** y = clip(a·x + b, 0, 1) */
  f32_hard_sigmoid: list.unary,
  /** y = x·clip(a·x + b, 0, 1) */
  f32_hard_swish: list.unary,
  f32_abs: list.unary,
  f32_neg: list.unary,
  f32_sqrt: list.unary,
  f32_reciprocal: list.unary,
  f32_exp: list.unary,
  f32_log: list.unary,
  f32_sigmoid: list.unary,
  f32_tanh: list.unary,
  /** y = x < 0 ? a·(e^x - 1) : x */
  f32_elu: list.unary,

  /** y[o][i] = (Σ_c x[o][c][i]) / divisor */
  f32_reduce_sum: [...list.alongAxis, "divisor"],
  /** y[o][i] = max_c x[o][c][i]; count >= 1 */
  f32_reduce_max: list.alongAxis,
  /** y[o][c][i] = e^x / Σ_c e^x */
  f32_softmax: list.alongAxis,
  /** y[o][c][i] = x - ln Σ_c e^x */
  f32_log_softmax: list.alongAxis,
} as const satisfies Record<string, readonly string[]>;

export type KernelName = keyof typeof kernelTable;

/** The parameters of a kernel, by name. */
export type ParamOf<K extends KernelName> = (typeof kernelTable)[K][number];

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

/** Scratch of the sparse kernels: the sums of a block for m channels, a spare vector. */
export function sparseScratchBytes(m: number): number {
  return 256 * m + 16;
}

/** Scratch of the fully connected kernels over codes: a block's sums, a spare vector, and a row as a list of taps. */
export function codesLinearScratchBytes(k: number): number {
  return 276 + 4 * k + 12 * Math.ceil(k / 257) + 4;
}

/** Taps of the largest bundle in a list. */
const bundleTaps = 16;

/** Scratch of the list makers: two answers, two open bundles, the sizes there are, the taps of one segment by size. */
export function listScratchBytes(span: number): number {
  return 8 + 2 * 4 * bundleTaps + 4 + (bundleTaps + 1) * 4 * (span + 1);
}

/** What lists of m channels over k taps take at most. */
export function listBytes(k: number, m: number, span: number, isCodes: boolean): number {
  const chunks = Math.ceil(k / span);
  // A segment has a count of plain and of single taps, one of sizes, and two words for each size: those of two and more taps, and two
  // of plain taps; all but the last segment have 257 taps at least.
  const segments = Math.ceil(Math.min(k, span) / 257) + 1;
  const headers = isCodes ? 1 + (3 + 2 * (bundleTaps + 1)) * segments : 1;
  return 4 * (1 + m * ((isCodes ? 1 : 2) * k + chunks * headers));
}

/** Scratch of the window sums: one plane of `length` elements. */
export function windowSumsScratchBytes(length: number): number {
  return 4 * Math.ceil(length / 16) * 16;
}

/** Bytes that expanding writes behind a layout: the rest of a vector. */
export const spareBytes = 15;
