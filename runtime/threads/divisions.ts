// How a call of each kernel is divided among threads: which argument counts what is divided, and how far the pointers of a part
// advance. Parts are computed exactly as in the whole, so that results do not depend on the number of threads.

import { type KernelName, kernelTable } from "../../custom-ops/kernels/table.ts";
import { type Call, shifted } from "../builder.ts";

/** A product of numbers, of arguments by name, and of a call's "liveTaps". */
type Product = readonly (number | string)[];

interface Division {
  readonly count: string;
  /** Counts that a kernel handles together: a part that begins at a multiple sees the tiles and lanes of the whole. */
  readonly unit: number;
  /** Bytes that each pointer advances per count. A pointer of 0 means "none" and stays 0. */
  readonly advance: Readonly<Record<string, Product>>;
  /** Work that every part does again, in counts. */
  readonly repeated?: number;
  /** Arguments that must be 1 for the parts to lie one after the other. */
  readonly ones?: readonly string[];
}

interface KernelDivisions {
  /** What a call's time grows with, and nanoseconds for each of it on a fast core. */
  readonly work: Product;
  readonly nanoseconds: number;
  readonly divisions: readonly Division[];
}

/** Output channels whose scale and bias, and often weights, lie one after the other. */
const perChannel = { scale: [4], bias: [4] } as const;
const rowsOfZAndY = { z: ["yStride"], y: ["yStride"] } as const;

/** Parts over pixels go through all the weights again, parts over filters pack all the pixels again. */
const image: KernelDivisions = {
  work: ["k", "m", "p"],
  nanoseconds: 0.05,
  divisions: [
    { count: "p", unit: 8, advance: { x: ["step"], z: [4], y: [4] }, repeated: 6 },
    { count: "m", unit: 4, advance: { w: ["k", 4], ...perChannel, ...rowsOfZAndY }, repeated: 6 },
  ],
};
/** Four rows go through a tile together, single ones are summed in another order: parts are whole tiles. */
const linear: KernelDivisions = {
  work: ["k", "m", "rows"],
  nanoseconds: 0.05,
  divisions: [
    { count: "rows", unit: 4, advance: { x: ["xStride"], ...rowsOfZAndY } },
    { count: "m", unit: 8, advance: { w: ["k", 4], ...perChannel, z: [4], y: [4] }, repeated: 8 },
  ],
};
/** Lists of taps have lengths of their own: only pixels can be divided. */
const sparse = (unit: number, xBytes: number, yBytes: number, nanoseconds: number): KernelDivisions => ({
  work: ["m", "p", "liveTaps"],
  nanoseconds,
  divisions: [{ count: "p", unit, advance: { x: [xBytes], sums: [4], z: [yBytes], y: [yBytes] } }],
});
const codesLinear = (yBytes: number): KernelDivisions => ({
  work: ["k", "m", "rows"],
  nanoseconds: 0.03,
  divisions: [
    { count: "rows", unit: 1, advance: { x: ["xStride"], ...rowsOfZAndY } },
    {
      count: "m",
      unit: 64,
      advance: { w: ["k"], ...perChannel, sums: [4], z: [yBytes], y: [yBytes] },
      repeated: 64,
    },
  ],
});
const depthwise: KernelDivisions = {
  work: ["k", "m", "p"],
  nanoseconds: 0.15,
  divisions: [
    {
      count: "m",
      unit: 1,
      advance: { x: ["xStride"], w: ["k", 4], ...perChannel, ...rowsOfZAndY },
      ones: ["multiplier"],
    },
    { count: "p", unit: 4, advance: { x: [4], z: [4], y: [4] } },
  ],
};
const pool = (bytes: number): KernelDivisions => ({
  work: ["k", "channels", "p", bytes],
  nanoseconds: 0.03,
  divisions: [
    { count: "channels", unit: 1, advance: { x: ["xStride"], y: ["yStride"] } },
    { count: "p", unit: 16, advance: { x: [bytes], divisors: [4], y: [bytes] } },
  ],
});
const windowSums = (bytes: number): KernelDivisions => ({
  work: ["channels", "groups", "length", bytes],
  nanoseconds: 0.02,
  divisions: [{ count: "groups", unit: 1, advance: { x: ["channels", "length", bytes], y: ["yStride"] } }],
});
/** Layouts are written in whole vectors, over the ends of planes: a part would write into the next. */
const expand: KernelDivisions = {
  work: ["planes", "taps", "phases", "rows", "columns"],
  nanoseconds: 0.1,
  divisions: [],
};
const copy: KernelDivisions = {
  work: ["n0", "n1", "n2", "n3"],
  nanoseconds: 0.3,
  divisions: [
    { count: "n0", unit: 1, advance: { x: ["x0"], y: ["y0"] } },
    { count: "n1", unit: 1, advance: { x: ["x1"], y: ["y1"] } },
    { count: "n2", unit: 1, advance: { x: ["x2"], y: ["y2"] } },
    { count: "n3", unit: 16, advance: { x: ["x3"], y: ["y3"] } },
  ],
};
/** y is written from front to back: an axis may be divided when those before it are 1. */
const broadcast: KernelDivisions = {
  work: ["n0", "n1", "n2", "n3"],
  nanoseconds: 0.15,
  divisions: [
    { count: "n0", unit: 1, advance: { a: ["a0"], b: ["b0"], y: ["n1", "n2", "n3", 4] } },
    { count: "n1", unit: 1, advance: { a: ["a1"], b: ["b1"], y: ["n2", "n3", 4] }, ones: ["n0"] },
    { count: "n2", unit: 1, advance: { a: ["a2"], b: ["b2"], y: ["n3", 4] }, ones: ["n0", "n1"] },
    { count: "n3", unit: 16, advance: { a: ["a3"], b: ["b3"], y: [4] }, ones: ["n0", "n1", "n2"] },
  ],
};
const elements = (
  nanoseconds: number,
  advance: Division["advance"] = { x: [4], y: [4] },
): KernelDivisions => ({
  work: ["count"],
  nanoseconds,
  divisions: [{ count: "count", unit: 16, advance }],
});
const elementwise = elements(0.5);
const packRows: KernelDivisions = {
  work: ["count", "k"],
  nanoseconds: 0.5,
  divisions: [{ count: "count", unit: 4, advance: { x: ["xStride"], y: ["k", 4] } }],
};
const affine: KernelDivisions = {
  work: ["outer", "channels", "inner"],
  nanoseconds: 0.15,
  divisions: [
    { count: "outer", unit: 1, advance: { x: ["channels", "inner", 4], y: ["channels", "inner", 4] } },
    {
      count: "channels",
      unit: 1,
      advance: { x: ["inner", 4], ...perChannel, y: ["inner", 4] },
      ones: ["outer"],
    },
  ],
};
const reduction: KernelDivisions = {
  work: ["outer", "count", "inner"],
  nanoseconds: 0.3,
  divisions: [{ count: "outer", unit: 1, advance: { x: ["count", "inner", 4], y: ["inner", 4] } }],
};
const softmax: KernelDivisions = {
  work: ["outer", "count", "inner"],
  nanoseconds: 5,
  divisions: [{ count: "outer", unit: 1, advance: { x: ["count", "inner", 4], y: ["count", "inner", 4] } }],
};

const paramsOf = (kernel: KernelName): readonly string[] => kernelTable[kernel];

/** Families of kernels by a part of their names, which are their specifications; the first that fits counts. */
const families: readonly (readonly [part: string, divisions: KernelDivisions])[] = [
  ["f32_adder_sparse", sparse(4, 4, 4, 0.05)],
  ["sparse_1x64", sparse(16, 1, 1, 0.02)],
  ["sparse", sparse(16, 1, 4, 0.02)],
  ["u8_adder_linear_1x64", codesLinear(1)],
  ["u8_adder_linear", codesLinear(4)],
  ["linear", linear],
  ["depthwise", depthwise],
  ["4x8", image],
  ["u8_max_pool", pool(1)],
  ["pool", pool(4)],
  ["u8_window_sums", windowSums(1)],
  ["window_sums", windowSums(4)],
  ["expand", expand],
  ["pack_rows", packRows],
  ["fill", elements(0.1, { y: [4] })],
  ["copy", copy],
  ["b8_gather", elements(0.7, { indices: [4], y: [1] })],
  ["gather", elements(0.7, { indices: [4], y: [4] })],
  ["dequantize", elements(0.5, { x: [1], y: [4] })],
  ["quantize", elements(0.2, { x: [4], y: [1] })],
  ["affine", affine],
  ["reduce", reduction],
  ["softmax", softmax],
];

/** Broadcasting kernels have strides for a; what is left goes element by element. */
function divisionsOf(kernel: KernelName): KernelDivisions {
  const family = families.find(([part]) => kernel.includes(part));
  return family?.[1] ?? (paramsOf(kernel).includes("a0") ? broadcast : elementwise);
}

function product(factors: Product, { kernel, args, liveTaps }: Call): number {
  const params = paramsOf(kernel);
  const factorOf = (name: string) => (name === "liveTaps" ? liveTaps : args[params.indexOf(name)]);
  return factors.reduce<number>(
    (result, factor) => result * Number(typeof factor === "number" ? factor : factorOf(factor)),
    1,
  );
}

/** Roughly how long a call takes on one thread. */
export function nanosecondsOf(call: Call): number {
  const { work, nanoseconds } = divisionsOf(call.kernel);
  return nanoseconds * product(work, call);
}

function part(division: Division, call: Call, first: number, end: number): Call {
  const args = [...call.args];
  for (const [index, param] of paramsOf(call.kernel).entries()) {
    if (param === division.count) args[index] = end - first;
    const advance = division.advance[param];
    if (advance !== undefined && args[index] !== 0) {
      args[index] = shifted(args[index]!, first * product(advance, call));
    }
  }
  return { ...call, args };
}

/** One way to divide a call: into so many parts for each thread, along one axis. */
interface Cut {
  readonly division: Division;
  readonly perThread: number;
  /** How long it takes all threads together, as a share of the time of one. */
  readonly time: number;
}

function cutsOf(call: Call, threads: number, mostPerThread: number): Cut[] {
  const cuts: Cut[] = [];
  for (const division of divisionsOf(call.kernel).divisions) {
    const { count, unit, ones = [], repeated = 0 } = division;
    const units = Math.ceil(product([count], call) / unit);
    if (units < 2 || ones.some((name) => product([name], call) !== 1)) continue;
    for (let perThread = 1; perThread <= mostPerThread; perThread++) {
      const longest = Math.ceil(units / (threads * perThread)) * unit + repeated;
      cuts.push({ division, perThread, time: (perThread * longest) / (units * unit + repeated) });
    }
  }
  return cuts;
}

/** Time that more parts may cost: with them a thread that is late or slow leaves more of its share to the others. */
const priceOfParts = 1.04;

/** As many parts as cost little more than the fastest cut; undefined where none is faster than one thread. */
function chooseCut(cuts: readonly Cut[]): Cut | undefined {
  const fastest = Math.min(1, ...cuts.map(({ time }) => time));
  const fair = cuts.filter(({ time }) => time < 1 && time <= fastest * priceOfParts);
  return fair.sort((a, b) => b.perThread - a.perThread || a.time - b.time)[0];
}

/** A call as calls that together do the same, at most `mostPerThread` for each thread; the call itself where that does not help. */
export function divideCall(call: Call, threads: number, mostPerThread: number): Call[] {
  const cut = chooseCut(cutsOf(call, threads, mostPerThread));
  if (cut === undefined) return [call];
  const { division, perThread } = cut;
  const whole = product([division.count], call);
  const units = Math.ceil(whole / division.unit);
  const count = Math.min(units, threads * perThread);
  return Array.from({ length: count }, (_, index) => {
    const first = Math.floor((units * index) / count) * division.unit;
    const end = Math.min(whole, Math.floor((units * (index + 1)) / count) * division.unit);
    return part(division, call, first, end);
  });
}
