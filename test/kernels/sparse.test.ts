// Adder kernels over live taps alone, and those over rows of codes, against the formulas written plainly: floats in float64, codes
// with every rounding in its place, bit for bit.

import { describe, expect, it } from "vitest";
import { isLevelAvailable, simdLevels } from "../../custom-ops/kernels/load.ts";
import {
  codesLinearScratchBytes,
  listBytes,
  listScratchBytes,
  sparseScratchBytes,
  windowSumsScratchBytes,
} from "../../custom-ops/kernels/table.ts";
import { panelsOfColumns } from "../../runtime/pack.ts";
import { type KernelRig, makeRandom, makeRig, randomFloats } from "./rig.ts";

interface SparseCase {
  readonly m: number;
  readonly p: number;
  /** Input channels of a group, and taps of each. */
  readonly channels: number;
  readonly window: number;
  readonly groups?: number;
  readonly residual?: boolean;
  /** Share of weights that are 0. */
  readonly dead?: number;
  /** Largest code of x, and of w. */
  readonly mostCode?: number;
  readonly mostWeight?: number;
  /** Codes of x and w are 0 or the largest. */
  readonly extremes?: boolean;
}

const cases: readonly SparseCase[] = [
  ...[1, 2, 3, 4, 15, 16, 17, 27, 28, 29, 31, 32, 33, 47, 48, 49, 63, 64, 65, 100, 128, 193].map(
    (p): SparseCase => ({ m: 3, p, channels: 4, window: 9, residual: p % 2 === 0 }),
  ),
  ...[1, 2, 7].map((m): SparseCase => ({ m, p: 50, channels: 3, window: 9 })),
  { m: 4, p: 40, channels: 2, window: 9, groups: 2 },
  { m: 6, p: 20, channels: 1, window: 9, groups: 3 },
  ...[0, 0.3, 1].map((dead): SparseCase => ({ m: 3, p: 64, channels: 5, window: 9, dead })),
  ...[15, 63, 64, 127, 128, 200, 255].map(
    (mostCode): SparseCase => ({ m: 3, p: 64, channels: 8, window: 9, mostCode }),
  ),
  ...[3, 31, 63, 85, 127, 130].map(
    (mostWeight): SparseCase => ({ m: 3, p: 64, channels: 8, window: 9, mostWeight }),
  ),
  // Bundles of all sizes, with taps left over.
  ...[1, 2, 3, 5, 7, 15, 16, 31, 63, 85, 127].flatMap((mostCode): SparseCase[] => [
    { m: 3, p: 65, channels: 11, window: 9, mostCode, mostWeight: mostCode },
    { m: 2, p: 64, channels: 37, window: 3, mostCode, mostWeight: mostCode, extremes: true, dead: 0 },
  ]),
  ...[9, 16, 31, 48].map(
    (p): SparseCase => ({ m: 2, p, channels: 7, window: 9, mostCode: 15, mostWeight: 40 }),
  ),
  { m: 2, p: 33, channels: 150, window: 9, mostCode: 15, mostWeight: 16 },
  // Sums that leave 16 bits: several segments.
  ...[256, 257, 258, 600].map(
    (channels): SparseCase => ({ m: 2, p: 20, channels, window: 1, extremes: true, dead: 0 }),
  ),
  { m: 3, p: 80, channels: 300, window: 9, extremes: true },
  { m: 2, p: 17, channels: 3000, window: 9 },
  { m: 1, p: 16, channels: 3655, window: 9, extremes: true, dead: 0 },
];

const label = (given: SparseCase): string =>
  Object.entries(given)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

const codeEnd = { low: -20, high: 228, yZero: 23, zZero: 100, zScale: 0.37 } as const;

/** The definition: every step rounded to float32. */
function codeOf(sum: number, scale: number, bias: number, z: number | undefined): number {
  let value = Math.fround(Math.fround(sum) * Math.fround(scale));
  value = Math.fround(value + Math.fround(bias));
  if (z !== undefined) {
    const residual = Math.fround(Math.fround(z - codeEnd.zZero) * Math.fround(codeEnd.zScale));
    value = Math.fround(value + residual);
  }
  const code = roundHalfEven(value) + codeEnd.yZero;
  return Math.min(Math.max(code, codeEnd.low + codeEnd.yZero), codeEnd.high + codeEnd.yZero);
}

/** Random codes of a case, and -Σ|x - w| for each output. */
function codeProblem(given: SparseCase, seed: number) {
  const {
    m,
    p,
    channels,
    window,
    groups = 1,
    dead = 0.4,
    mostCode = 255,
    mostWeight = 255,
    extremes,
  } = given;
  const random = makeRandom(seed);
  const length = p + window + 3;
  const k = channels * window;
  const code = (most: number) => (extremes ? (random() < 0.5 ? 0 : most) : Math.floor(random() * (most + 1)));
  const x = Uint8Array.from({ length: groups * channels * length }, () => code(mostCode));
  const w = Uint8Array.from({ length: m * k }, () => (random() < dead ? 0 : code(mostWeight)));
  const windowTaps = Array.from({ length: window }, (_, i) => (i * 2) % (window + 3));
  const offsets = Uint32Array.from(
    { length: k },
    (_, i) => Math.floor(i / window) * length + windowTaps[i % window]!,
  );
  const starts = (r: number) => Math.floor(r / (m / groups)) * channels * length;
  const sums = Int32Array.from({ length: m * p }, (_, i) => {
    const [r, c] = [Math.floor(i / p), i % p];
    let sum = 0;
    for (let t = 0; t < k; t++) sum -= Math.abs(x[starts(r) + offsets[t]! + c]! - w[r * k + t]!);
    return sum;
  });
  const halfSums = Float32Array.from(
    { length: m },
    (_, r) => w.subarray(r * k, (r + 1) * k).reduce((s, v) => s + v, 0) / 2,
  );
  return { k, length, x, w, windowTaps, offsets, starts, sums, halfSums, random };
}

interface ListPlan {
  readonly m: number;
  readonly groups: number;
  readonly offsets: Uint32Array;
  /** Elements of the planes of one group. */
  readonly groupElements: number;
  readonly span?: number;
}

/** Makes lists with the kernel for them and checks what it says about them; answers their address. */
function placeLists(
  rig: KernelRig,
  w: Float32Array | Uint8Array,
  { m, groups, offsets, groupElements, span = 512 }: ListPlan,
  mostCode?: number,
): number {
  const [k, isCodes] = [offsets.length, w instanceof Uint8Array];
  const most = listBytes(k, m, span, isCodes);
  const [y, sums] = [rig.byteOutput("lists", most), rig.byteOutput("sums", 8 * m)];
  const scratch = rig.scratch(listScratchBytes(span));
  const shared = {
    ...{ offsets: rig.words("offsets", offsets), y, sums, scratch, k, m, first: 0 },
    ...{ perGroup: m / groups, groupElements, span },
  };
  if (isCodes) rig.call("u8_list_taps", { ...shared, w: rig.bytes("w", w), mostCode: mostCode ?? 255 });
  else rig.call("f32_list_taps", { ...shared, w: rig.floats("w", w) });
  const [end, live] = rig.readIntegers(scratch, 2);
  expect(end! - y).toBeLessThanOrEqual(most);
  expect(live).toBe(Array.from(w).filter((weight) => weight > 0).length);
  const totals = Array.from({ length: m }, (_, r) =>
    Array.from(w.subarray(r * k, (r + 1) * k)).reduce((sum, weight) => sum + Math.abs(weight), 0),
  );
  const made = new Float64Array(rig.readBytes(sums, 8 * m).buffer);
  for (const [r, total] of totals.entries()) expect(made[r]).toBeCloseTo(total, 6);
  return y;
}

/** Scale and bias that spread the sums over the codes. */
function affineOf(sums: Int32Array, m: number, p: number, random: () => number) {
  const [scale, bias] = [new Float32Array(m), new Float32Array(m)];
  for (let r = 0; r < m; r++) {
    const row = sums.subarray(r * p, (r + 1) * p);
    const [least, most] = [Math.min(...row), Math.max(...row)];
    scale[r] = (300 * (random() < 0.2 ? -1 : 1)) / Math.max(10, most - least);
    bias[r] = -Math.fround(scale[r]! * ((least + most) / 2)) + 100 * random();
  }
  return { scale, bias };
}

const double = (values: Float32Array): Float32Array => values.map((value) => 2 * value);

describe.each(simdLevels.filter(isLevelAvailable))("%s", (level) => {
  it.each(cases.map((given) => ({ given, label: label(given) })))("codes: $label", async ({ given }) => {
    const { m, p, channels, window, groups = 1, residual = false, mostCode = 255 } = given;
    const problem = codeProblem(given, p * 7 + m);
    const { k, length, x, w, sums, random } = problem;
    const { scale, bias } = affineOf(sums, m, p, random);
    const rig = await makeRig(level);
    const from = rig.bytes("x", x);
    const sumsStride = Math.ceil(p / 16) * 64;
    const windowSums = rig.scratch(groups * sumsStride);
    rig.call("u8_window_sums", {
      x: from,
      taps: rig.words(
        "taps",
        problem.windowTaps.map((tap) => tap * 4),
      ),
      y: windowSums,
      scratch: rig.scratch(windowSumsScratchBytes(length)),
      channels,
      groups,
      length,
      k: window,
      p,
      yStride: sumsStride,
    });
    const z = Uint8Array.from({ length: m * p }, () => Math.floor(256 * random()));
    const floatZ = randomFloats(random, m * p, -9, 9);
    const [codes, floats] = [rig.byteOutput("codes", m * p), rig.output("floats", m * p)];
    const integers = rig.output("integers", m * p);
    const shared = {
      x: from,
      lists: placeLists(rig, w, { ...problem, m, groups, groupElements: channels * length }, mostCode),
      sums: windowSums,
      sumsStride,
      scratch: rig.scratch(sparseScratchBytes(m)),
      m,
      perGroup: m / groups,
      p,
      shift: rig.floats("shift", problem.halfSums),
    };
    const affine = { scale: rig.floats("scale", double(scale)), bias: rig.floats("bias", bias) };
    rig.call("u8_adder_sparse_i32_1x64", { ...shared, y: integers, yStride: p * 4 });
    const codesZ = residual ? rig.bytes("z", z) : 0;
    rig.call("u8_adder_sparse_1x64", { ...shared, ...affine, ...codeEnd, z: codesZ, y: codes, yStride: p });
    rig.call("u8_adder_sparse_f32_1x64", {
      ...shared,
      ...affine,
      z: residual ? rig.floats("floatZ", floatZ) : 0,
      y: floats,
      yStride: p * 4,
      low: -50,
      high: Infinity,
    });
    expect(rig.readIntegers(integers, m * p)).toEqual(sums);
    const wantedCodes = Uint8Array.from(sums, (sum, i) => {
      const r = Math.floor(i / p);
      return codeOf(sum, scale[r]!, bias[r]!, residual ? z[i] : undefined);
    });
    expect(rig.readBytes(codes, m * p)).toEqual(wantedCodes);
    const wantedFloats = Float32Array.from(sums, (sum, i) => {
      const r = Math.floor(i / p);
      const value = Math.fround(Math.fround(sum * scale[r]!) + bias[r]!);
      return Math.max(-50, residual ? Math.fround(value + floatZ[i]!) : value);
    });
    expect(rig.read(floats, m * p)).toEqual(wantedFloats);
    expect(rig.damage()).toEqual([]);
    expect(k).toBe(channels * window);
  });

  it.each(cases.map((given) => ({ given, label: label(given) })))("floats: $label", async ({ given }) => {
    const { m, p, channels, window, groups = 1, residual = false } = given;
    const { k, length, x, w, windowTaps, offsets, starts, random } = codeProblem(given, p * 3 + m);
    const xs = Float32Array.from(x, (code) => code / 50 + random() / 50);
    // Weights below 0 are dead; their distance is in the bias.
    const ws = Float32Array.from(w, (code) => (code === 0 ? -3 * random() : code / 40));
    const rig = await makeRig(level, 128);
    const from = rig.floats("x", xs);
    const sumsStride = Math.ceil(p / 16) * 64;
    const windowSums = rig.scratch(groups * sumsStride);
    const taps = rig.words(
      "taps",
      windowTaps.map((tap) => tap * 4),
    );
    rig.call("f32_window_sums", {
      ...{ x: from, taps, y: windowSums, scratch: rig.scratch(windowSumsScratchBytes(length)) },
      ...{ channels, groups, length, k: window, p, yStride: sumsStride },
    });
    const [scale, bias] = [randomFloats(random, m), randomFloats(random, m, -9, 9)];
    const givenBias = bias.map((value, r) => {
      const row = ws.subarray(r * k, (r + 1) * k);
      return value - scale[r]! * row.reduce((sum, weight) => sum + Math.abs(weight), 0);
    });
    const z = randomFloats(random, m * p, -9, 9);
    const y = rig.output("y", m * p);
    rig.call("f32_adder_sparse_1x28", {
      x: from,
      lists: placeLists(rig, ws, { m, groups, offsets, groupElements: channels * length, span: 128 }),
      scale: rig.floats("scale", double(scale)),
      bias: rig.floats("bias", givenBias),
      sums: windowSums,
      z: residual ? rig.floats("z", z) : 0,
      y,
      scratch: rig.scratch(sparseScratchBytes(m)),
      m,
      perGroup: m / groups,
      p,
      sumsStride,
      yStride: p * 4,
      low: -1e5,
      high: 1e5,
    });
    const got = rig.read(y, m * p);
    for (let i = 0; i < m * p; i++) {
      const [r, c] = [Math.floor(i / p), i % p];
      let [sum, size] = [0, 0];
      for (let t = 0; t < k; t++) {
        const [value, weight] = [xs[starts(r) + offsets[t]! + c]!, ws[r * k + t]!];
        sum -= Math.abs(value - weight);
        size += value + Math.abs(weight);
      }
      const wanted = Math.min(1e5, Math.max(-1e5, scale[r]! * sum + bias[r]! + (residual ? z[i]! : 0)));
      if (!(Math.abs(got[i]! - wanted) <= 1e-5 + size * 2 ** -21))
        expect.fail(`${i}: ${got[i]} for ${wanted}`);
    }
    expect(rig.damage()).toEqual([]);
  });

  interface LinearCase {
    readonly k: number;
    readonly m: number;
    readonly rows: number;
    readonly extremes?: boolean;
  }
  const linearCases: readonly LinearCase[] = [
    ...[1, 15, 16, 17, 63, 64, 65, 130].map((m) => ({ k: 40, m, rows: 2 })),
    ...[1, 2, 256, 257, 258, 515, 2000].map((k) => ({ k, m: 20, rows: 1 })),
    { k: 700, m: 10, rows: 3, extremes: true },
    { k: 32_000, m: 3, rows: 1, extremes: true },
  ];
  it.each<LinearCase>(linearCases)(
    "$rows rows of $k codes to $m features",
    async ({ k, m, rows, extremes }) => {
      const random = makeRandom(k + m);
      const code = () =>
        extremes ? (random() < 0.1 ? 0 : 255) : random() < 0.4 ? 0 : Math.floor(256 * random());
      const xStride = k + 5;
      const x = Uint8Array.from({ length: rows * xStride }, code);
      const w = Uint8Array.from({ length: m * k }, code);
      const sums = Int32Array.from({ length: m * rows }, (_, i) => {
        const [row, r] = [Math.floor(i / m), i % m];
        let sum = 0;
        for (let t = 0; t < k; t++) sum -= Math.abs(x[row * xStride + t]! - w[r * k + t]!);
        return sum;
      });
      const scale = randomFloats(random, m, 1e-4, 0.02);
      const bias = Float32Array.from({ length: m }, (_, r) => 120 - scale[r]! * sums[r]!);
      const filled = (values: Float32Array) => [...values, ...Array(Math.ceil(m / 64) * 64 - m).fill(0)];
      const weightSums = Float32Array.from({ length: m }, (_, r) =>
        w.subarray(r * k, (r + 1) * k).reduce((sum, weight) => sum - weight / 2, 0),
      );
      const rig = await makeRig(level, 128);
      const z = Uint8Array.from({ length: m * rows }, code);
      const [codes, floats] = [rig.byteOutput("codes", m * rows), rig.output("floats", m * rows)];
      const integers = rig.output("integers", m * rows);
      const shared = {
        x: rig.bytes("x", x),
        w: rig.bytes("w", panelsOfColumns(w, m, k)),
        sums: rig.floats("sums", filled(weightSums)),
        scratch: rig.scratch(codesLinearScratchBytes(k)),
        k,
        m,
        rows,
        xStride,
      };
      const affine = {
        scale: rig.floats("scale", filled(double(scale))),
        bias: rig.floats("bias", filled(bias)),
      };
      rig.call("u8_adder_linear_i32_1x64", { ...shared, y: integers, yStride: m * 4 });
      rig.call("u8_adder_linear_1x64", {
        ...shared,
        ...affine,
        ...codeEnd,
        z: rig.bytes("z", z),
        y: codes,
        yStride: m,
      });
      rig.call("u8_adder_linear_f32_1x64", {
        ...shared,
        ...affine,
        z: 0,
        y: floats,
        yStride: m * 4,
        low: 0,
        high: 200,
      });
      expect(rig.readIntegers(integers, m * rows)).toEqual(sums);
      const wantedCodes = Uint8Array.from(sums, (sum, i) => codeOf(sum, scale[i % m]!, bias[i % m]!, z[i]));
      expect(rig.readBytes(codes, m * rows)).toEqual(wantedCodes);
      const wantedFloats = Float32Array.from(sums, (sum, i) =>
        Math.min(200, Math.max(0, Math.fround(Math.fround(sum * scale[i % m]!) + bias[i % m]!))),
      );
      expect(rig.read(floats, m * rows)).toEqual(wantedFloats);
      expect(rig.damage()).toEqual([]);
    },
  );

  it("halves go to the even code", async () => {
    const rig = await makeRig(level, 16);
    const p = 40;
    const x = Uint8Array.from({ length: p }, (_, i) => i);
    const y = rig.byteOutput("y", p);
    const sums = rig.scratch(192);
    const from = rig.bytes("x", x);
    const taps = rig.words("taps", [0]);
    rig.call("u8_window_sums", {
      ...{ x: from, taps, y: sums, scratch: rig.scratch(windowSumsScratchBytes(p)) },
      ...{ channels: 1, groups: 1, length: p, k: 1, p, yStride: 192 },
    });
    rig.call("u8_adder_sparse_1x64", {
      x: from,
      lists: placeLists(rig, Uint8Array.of(0), {
        m: 1,
        groups: 1,
        offsets: Uint32Array.of(0),
        groupElements: p,
      }),
      scale: rig.floats("scale", [-1]),
      bias: rig.floats("bias", [0]),
      sums,
      z: 0,
      y,
      scratch: rig.scratch(sparseScratchBytes(1)),
      ...{ m: 1, perGroup: 1, p, sumsStride: 192, yStride: p },
      ...{ low: 0, high: 255, yZero: 0, zZero: 0, zScale: 0 },
      shift: rig.floats("shift", [0]),
    });
    // -Σ|x - 0|·(-1/2) = x/2.
    const wanted = Array.from(x, (code) => roundHalfEven(code / 2));
    expect([...rig.readBytes(y, p)]).toEqual(wanted);
  });
});
