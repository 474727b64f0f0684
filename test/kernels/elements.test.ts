// Kernels that work element by element, along an axis, or that only move elements, against float64 written plainly.

import { describe, expect, it } from "vitest";
import { isLevelAvailable, simdLevels } from "../../custom-ops/kernels/load.ts";
import type { KernelName } from "../../custom-ops/kernels/table.ts";
import { makeRandom, makeRig, randomFloats } from "./rig.ts";

const counts = [0, 1, 3, 4, 5, 7, 8, 31];
const clip = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

/** Values at which functions bend, overflow or vanish. */
const special = [0, -0, 1, -1, 0.6249, 0.6251, -3, 3, 20, -20, 88.5, -87, -100, 1e-8, -1e-8, 1e30, -1e30];

interface UnaryCase {
  readonly kernel: KernelName;
  readonly f: (x: number, a: number, b: number) => number;
  readonly a?: number;
  readonly b?: number;
  /** Units in the last place of float32 that the result may be off by. */
  readonly ulps: number;
  readonly positive?: boolean;
}

const unaryCases: readonly UnaryCase[] = [
  { kernel: "f32_clip", f: clip, a: 0, b: Infinity, ulps: 0 },
  { kernel: "f32_clip", f: clip, a: -0.5, b: 0.5, ulps: 0 },
  { kernel: "f32_leaky_relu", f: (x, a) => (x < 0 ? a * x : x), a: 0.25, ulps: 0 },
  { kernel: "f32_hard_sigmoid", f: (x, a, b) => clip(a * x + b, 0, 1), a: 0.25, b: 0.5, ulps: 1 },
  { kernel: "f32_hard_swish", f: (x, a, b) => x * clip(a * x + b, 0, 1), a: 1 / 8, b: 0.5, ulps: 2 },
  { kernel: "f32_abs", f: Math.abs, ulps: 0 },
  { kernel: "f32_neg", f: (x) => -x, ulps: 0 },
  { kernel: "f32_sqrt", f: Math.sqrt, ulps: 0.5, positive: true },
  { kernel: "f32_reciprocal", f: (x) => 1 / x, ulps: 0.5 },
  { kernel: "f32_exp", f: Math.exp, ulps: 2 },
  { kernel: "f32_log", f: Math.log, ulps: 0.51, positive: true },
  { kernel: "f32_sigmoid", f: (x) => 1 / (1 + Math.exp(-x)), ulps: 3 },
  { kernel: "f32_tanh", f: Math.tanh, ulps: 3 },
  { kernel: "f32_elu", f: (x, a) => (x < 0 ? a * Math.expm1(x) : x), a: 1, ulps: 4 },
];

function unitInLastPlace(value: number): number {
  const size = Math.max(Math.abs(value), 2 ** -126);
  return 2 ** (Math.floor(Math.log2(size)) - 23);
}

function expectClose(got: number, exact: number, ulps: number, what: string): void {
  const nearest = Math.fround(exact);
  if (got === nearest) return;
  // A subnormal may come out as another, or as 0.
  if (Math.max(Math.abs(got), Math.abs(exact)) < 2 ** -126) return;
  expect(Number.isFinite(got) && Number.isFinite(nearest), `${what}: ${got} for ${exact}`).toBe(true);
  const error = Math.abs(got - exact) / unitInLastPlace(exact);
  expect(error, `${what}: ${got} for ${exact}`).toBeLessThanOrEqual(ulps + 1e-9);
}

interface BinaryCase {
  readonly kernel: KernelName;
  readonly f: (a: number, b: number) => number;
}
const binaryCases: readonly BinaryCase[] = [
  { kernel: "f32_add", f: (a, b) => a + b },
  { kernel: "f32_sub", f: (a, b) => a - b },
  { kernel: "f32_mul", f: (a, b) => a * b },
  { kernel: "f32_div", f: (a, b) => a / b },
  { kernel: "f32_min", f: Math.min },
  { kernel: "f32_max", f: Math.max },
  { kernel: "f32_prelu", f: (a, b) => (a < 0 ? a * b : a) },
];

/** Shapes over four axes; a length of 1 against a longer one broadcasts. */
const broadcasts: readonly { a: number[]; b: number[] }[] = [
  { a: [1, 1, 1, 1], b: [1, 1, 1, 1] },
  ...[3, 4, 5, 9].map((n) => ({ a: [1, 1, 1, n], b: [1, 1, 1, n] })),
  { a: [1, 1, 1, 7], b: [1, 1, 1, 1] },
  { a: [1, 1, 1, 1], b: [1, 1, 1, 9] },
  { a: [2, 3, 1, 5], b: [1, 3, 1, 1] },
  { a: [2, 1, 4, 1], b: [1, 3, 1, 6] },
  { a: [2, 3, 4, 5], b: [2, 3, 4, 5] },
  { a: [1, 1, 3, 8], b: [2, 1, 1, 8] },
];

function offsetsOf(
  dims: readonly number[],
  out: readonly number[],
): { strides: number[]; at: (i: number[]) => number } {
  const strides = dims.map((dim, axis) =>
    dim === 1 && out[axis] !== 1 ? 0 : dims.slice(axis + 1).reduce((product, length) => product * length, 1),
  );
  return { strides, at: (index) => index.reduce((sum, i, axis) => sum + i * strides[axis]!, 0) };
}

function* indices([n0, n1, n2, n3]: readonly number[]): Generator<[number, number, number, number]> {
  for (let i = 0; i < n0!; i++) {
    for (let j = 0; j < n1!; j++) {
      for (let k = 0; k < n2!; k++) for (let l = 0; l < n3!; l++) yield [i, j, k, l];
    }
  }
}
const product = (dims: readonly number[]) => dims.reduce((total, dim) => total * dim, 1);

describe.each(simdLevels.filter(isLevelAvailable))("%s", (level) => {
  describe.each(unaryCases)("$kernel($a, $b)", ({ kernel, f, a = 0, b = 0, ulps, positive = false }) => {
    const run = async (values: Float32Array, inPlace: boolean) => {
      const rig = await makeRig(level, 8);
      const y = rig.output("y", values.length);
      const x = inPlace ? y : rig.floats("x", values);
      if (inPlace) rig.write(y, values);
      rig.call(kernel, { x, y, count: values.length, a, b } as never);
      expect(rig.damage()).toEqual([]);
      return rig.read(y, values.length);
    };

    it.each(counts)("%i elements, also in place", async (count) => {
      const values = randomFloats(makeRandom(count), count, positive ? 0 : -6, 6);
      const got = await run(values, false);
      values.forEach((x, i) => {
        expectClose(got[i]!, f(x, a, b), ulps, `f(${x})`);
      });
      expect(await run(values, true)).toEqual(got);
    });

    it("special and many values", async () => {
      const wide = randomFloats(makeRandom(5), 4000, positive ? 0 : -90, 90);
      const fine = randomFloats(makeRandom(6), 4000, positive ? 0 : -1.5, 1.5);
      const values = Float32Array.from([...special.filter((x) => !positive || x >= 0), ...wide, ...fine]);
      const got = await run(values, false);
      values.forEach((x, i) => {
        expectClose(got[i]!, f(x, a, b), ulps, `f(${x})`);
      });
    });

    it("keeps NaN", async () => {
      const got = await run(new Float32Array(9).fill(Number.NaN), false);
      expect([...got].every(Number.isNaN)).toBe(true);
    });
  });

  describe.each(binaryCases)("$kernel", ({ kernel, f }) => {
    it.each(broadcasts)("$a with $b", async ({ a, b }) => {
      const rig = await makeRig(level, 8);
      const random = makeRandom(product(a) + product(b));
      const [left, right] = [randomFloats(random, product(a)), randomFloats(random, product(b))];
      const dims = a.map((dim, axis) => Math.max(dim, b[axis]!));
      const [from, other] = [offsetsOf(a, dims), offsetsOf(b, dims)];
      const [a0, a1, a2, a3] = from.strides.map((stride) => stride * 4) as [number, number, number, number];
      const [b0, b1, b2, b3] = other.strides.map((stride) => stride * 4) as [number, number, number, number];
      const [n0, n1, n2, n3] = dims as [number, number, number, number];
      const y = rig.output("y", product(dims));
      const args = { n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3 };
      rig.call(kernel, { a: rig.floats("a", left), b: rig.floats("b", right), y, ...args } as never);
      const got = rig.read(y, product(dims));
      let i = 0;
      for (const index of indices(dims)) {
        expect(got[i++]).toBe(Math.fround(f(left[from.at(index)]!, right[other.at(index)]!)));
      }
      expect(rig.damage()).toEqual([]);
    });
  });

  it.each([
    { outer: 2, channels: 3, inner: 7 },
    { outer: 1, channels: 5, inner: 4 },
    { outer: 3, channels: 2, inner: 1 },
  ])("f32_affine over $outer x $channels x $inner", async ({ outer, channels, inner }) => {
    const rig = await makeRig(level, 8);
    const random = makeRandom(3);
    const x = randomFloats(random, outer * channels * inner);
    const [scale, bias] = [randomFloats(random, channels), randomFloats(random, channels)];
    const y = rig.output("y", x.length);
    const operands = {
      x: rig.floats("x", x),
      scale: rig.floats("scale", scale),
      bias: rig.floats("bias", bias),
    };
    rig.call("f32_affine", { ...operands, y, outer, channels, inner });
    rig.read(y, x.length).forEach((value, i) => {
      const channel = Math.floor(i / inner) % channels;
      expect(value).toBeCloseTo(x[i]! * scale[channel]! + bias[channel]!, 6);
    });
    expect(rig.damage()).toEqual([]);
  });

  const alongAxis = [
    { outer: 1, count: 1, inner: 1 },
    { outer: 3, count: 7, inner: 1 },
    { outer: 2, count: 300, inner: 1 },
    { outer: 2, count: 5, inner: 6 },
    { outer: 1, count: 130, inner: 3 },
  ];
  const foldCases: readonly { kernel: KernelName; f: (values: number[]) => number[]; extra?: object }[] = [
    { kernel: "f32_reduce_sum", f: (v) => [v.reduce((s, x) => s + x, 0) / 3], extra: { divisor: 3 } },
    { kernel: "f32_reduce_max", f: (v) => [Math.max(...v)] },
    {
      kernel: "f32_softmax",
      f: (v) => v.map((x) => Math.exp(x) / v.reduce((s, other) => s + Math.exp(other), 0)),
    },
    {
      kernel: "f32_log_softmax",
      f: (v) => v.map((x) => x - Math.log(v.reduce((s, other) => s + Math.exp(other), 0))),
    },
  ];
  describe.each(foldCases)("$kernel", ({ kernel, f, extra = {} }) => {
    it.each(alongAxis)("$outer x $count x $inner", async ({ outer, count, inner }) => {
      const rig = await makeRig(level, 8);
      const x = randomFloats(makeRandom(count), outer * count * inner, -4, 4);
      const keeps = kernel.includes("softmax");
      const length = keeps ? x.length : outer * inner;
      const y = rig.output("y", length);
      rig.call(kernel, { x: rig.floats("x", x), y, outer, count, inner, ...extra } as never);
      const got = rig.read(y, length);
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          const row = Array.from({ length: count }, (_, c) => x[(o * count + c) * inner + i]!);
          f(row).forEach((expected, c) => {
            const at = keeps ? (o * count + c) * inner + i : o * inner + i;
            expect(Math.abs(got[at]! - expected)).toBeLessThan(2e-6 * Math.max(1, Math.abs(expected)));
          });
        }
      }
      expect(rig.damage()).toEqual([]);
    });
  });

  it("softmax does not overflow", async () => {
    const rig = await makeRig(level, 8);
    const y = rig.output("y", 3);
    const x = rig.floats("x", [1000, 999, -1000]);
    rig.call("f32_softmax", { x, y, outer: 1, count: 3, inner: 1 });
    const [first, second, third] = rig.read(y, 3);
    expect(first).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
    expect(second).toBeCloseTo(Math.exp(-1) / (1 + Math.exp(-1)), 6);
    expect(third).toBe(0);
  });

  it.each([1, 3, 4, 5, 8, 13])("pools of %i pixels", async (p) => {
    const [k, channels] = [5, 3];
    const rig = await makeRig(level, 8);
    const plane = k + p + 4;
    const x = randomFloats(makeRandom(p), channels * plane);
    const divisors = randomFloats(makeRandom(p + 1), p, 1, 5);
    const [most, mean] = [rig.output("most", channels * p), rig.output("mean", channels * p)];
    const shared = {
      x: rig.floats("x", x),
      taps: rig.words(
        "taps",
        Array.from({ length: k }, (_, i) => i * 4),
      ),
      k,
      channels,
      p,
      xStride: plane * 4,
      yStride: p * 4,
    };
    rig.call("f32_max_pool_1x4", { ...shared, y: most });
    rig.call("f32_average_pool_1x4", { ...shared, y: mean, divisors: rig.floats("divisors", divisors) });
    const [largest, average] = [rig.read(most, channels * p), rig.read(mean, channels * p)];
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < p; i++) {
        const seen = Array.from({ length: k }, (_, tap) => x[c * plane + i + tap]!);
        expect(largest[c * p + i]).toBe(Math.max(...seen));
        expect(average[c * p + i]).toBeCloseTo(seen.reduce((s, v) => s + v, 0) / divisors[i]!, 5);
      }
    }
    expect(rig.damage()).toEqual([]);
  });

  it.each([
    { n: [2, 3, 4, 5], x: [60, 20, 5, 1], y: [60, 20, 5, 1] },
    { n: [1, 3, 4, 5], x: [0, 1, 3, 12], y: [0, 20, 5, 1] },
    { n: [1, 1, 3, 8], x: [0, 0, 8, 1], y: [0, 0, 10, 1] },
    { n: [1, 1, 3, 4], x: [0, 0, 0, 1], y: [0, 0, 4, 1] },
  ])("b32_copy $n", async ({ n, x, y }) => {
    const rig = await makeRig(level, 8);
    const values = randomFloats(makeRandom(1), 140);
    const target = rig.output("y", 140);
    const [n0, n1, n2, n3] = n as [number, number, number, number];
    const [x0, x1, x2, x3] = x.map((stride) => stride * 4) as [number, number, number, number];
    const [y0, y1, y2, y3] = y.map((stride) => stride * 4) as [number, number, number, number];
    const expected = new Float32Array(140).fill(Number.NaN);
    for (const index of indices(n)) {
      const at = (steps: readonly number[]) => index.reduce((sum, i, axis) => sum + i * steps[axis]!, 0);
      expected[at(y)] = values[at(x)]!;
    }
    const from = rig.floats("x", values);
    rig.call("b32_copy", { x: from, y: target, n0, n1, n2, n3, x0, x1, x2, x3, y0, y1, y2, y3 });
    expect(rig.read(target, 140)).toEqual(expected);
    expect(rig.damage()).toEqual([]);
  });

  it("b32_copy runs backwards with negative strides", async () => {
    const rig = await makeRig(level, 8);
    const y = rig.output("y", 3);
    const x = rig.floats("x", [1, 2, 3]) + 8;
    const strides = { x0: 0, x1: 0, x2: 0, x3: -4, y0: 0, y1: 0, y2: 0, y3: 4 };
    rig.call("b32_copy", { x, y, n0: 1, n1: 1, n2: 1, n3: 3, ...strides });
    expect([...rig.read(y, 3)]).toEqual([3, 2, 1]);
  });

  it("b32_gather takes elements by index and fills elsewhere", async () => {
    const rig = await makeRig(level, 8);
    const y = rig.output("y", 5);
    const indexTable = rig.words("indices", [2, 0, 0xffffffff, 1, 2]);
    rig.call("b32_gather", { x: rig.floats("x", [5, 6, 7]), indices: indexTable, y, count: 5, fill: -1 });
    expect([...rig.read(y, 5)]).toEqual([7, 5, -1, 6, 7]);
    expect(rig.damage()).toEqual([]);
  });

  it.each([1, 3, 4, 6])("f32_pack_rows of %i rows", async (count) => {
    const rig = await makeRig(level, 8);
    const x = randomFloats(makeRandom(count), count * 9);
    const blocks = Math.ceil(count / 4);
    const y = rig.output("y", blocks * 4 * 7);
    rig.call("f32_pack_rows", { x: rig.floats("x", x), y, count, k: 7, xStride: 36 });
    rig.read(y, blocks * 4 * 7).forEach((value, i) => {
      const [row, tap] = [Math.floor(i / 28) * 4 + (i % 4), Math.floor(i / 4) % 7];
      expect(value).toBe(row < count ? x[row * 9 + tap]! : 0);
    });
    expect(rig.damage()).toEqual([]);
  });

  it("f32_fill", async () => {
    const rig = await makeRig(level, 8);
    const y = rig.output("y", 5);
    rig.call("f32_fill", { y, count: 5, value: 2.5 });
    expect([...rig.read(y, 5)]).toEqual([2.5, 2.5, 2.5, 2.5, 2.5]);
    expect(rig.damage()).toEqual([]);
  });
});
