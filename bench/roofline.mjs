// The roofline of this machine: how many taps per second each mix of instructions reaches in WebAssembly, one thread, operands in the
// first-level cache. A mix is written as a tile of pixels by vectors of weights, every sum in a register.

import asc from "assemblyscript/asc";

/**
 * `lanes`: taps one step makes; `group`: loads of x and w that one step takes; `pixels`: rows of the tile, two vectors wide. `step` is
 * the new sum from the sum `a` and the operands x[i], w[i].
 */
const mixes = {
  "f32 min (on the bits) + add": {
    lanes: 4,
    splat: 32,
    pixels: 4,
    step: "f32x4.add(a, i32x4.min_s(x0, w0))",
  },
  "f32 |x - w| + add": { lanes: 4, splat: 32, pixels: 4, step: "f32x4.add(a, f32x4.abs(f32x4.sub(x0, w0)))" },
  "f32 multiply + add": { lanes: 4, splat: 32, pixels: 4, step: "f32x4.add(a, f32x4.mul(x0, w0))" },
  "8 bit: i16 min + add": { lanes: 8, splat: 16, pixels: 4, step: "i16x8.add(a, i16x8.min_s(x0, w0))" },
  "8 bit: u8 min + widen + add": {
    lanes: 16,
    splat: 32,
    pixels: 4,
    step: "i16x8.add(a, i16x8.extadd_pairwise_i8x16_u(i8x16.min_u(x0, w0)))",
  },
  "7 bit: two u8 min, then widen + add": {
    lanes: 32,
    splat: 32,
    pixels: 4,
    group: 2,
    step: "i16x8.add(a, i16x8.extadd_pairwise_i8x16_u(i8x16.add(i8x16.min_u(x0, w0), i8x16.min_u(x1, w1))))",
  },
  "6 bit: four u8 min, then widen + add": {
    lanes: 64,
    splat: 32,
    pixels: 2,
    group: 4,
    step: `i16x8.add(a, i16x8.extadd_pairwise_i8x16_u(i8x16.add(
      i8x16.add(i8x16.min_u(x0, w0), i8x16.min_u(x1, w1)), i8x16.add(i8x16.min_u(x2, w2), i8x16.min_u(x3, w3)))))`,
  },
  "8 bit: min + dot with ones, relaxed": {
    lanes: 16,
    splat: 32,
    pixels: 4,
    relaxed: true,
    step: "i32x4.relaxed_dot_i8x16_i7x16_add_s(i8x16.min_s(x0, w0), ones, a)",
  },
  "8 bit multiply: dot, relaxed": {
    lanes: 16,
    splat: 32,
    pixels: 4,
    relaxed: true,
    step: "i32x4.relaxed_dot_i8x16_i7x16_add_s(x0, w0, a)",
  },
};

const vectors = 2;
const range = (count) => Array.from({ length: count }, (_, index) => index);

/** One exported function: `steps` steps over x and w, `repeats` times. */
function kernelSource(name, { splat, pixels, step, group = 1 }) {
  const width = splat / 8;
  const sums = range(pixels).flatMap((pixel) => range(vectors).map((vector) => `a${pixel}${vector}`));
  const loadWeights = range(vectors).flatMap((vector) =>
    range(group).map((g) => `const w${vector}${g} = v128.load(pw, ${16 * (vector * group + g)});`),
  );
  const rows = range(pixels).flatMap((pixel) => [
    ...range(group).map((g) => `x${g} = v128.load${splat}_splat(px, ${width * (pixel * group + g)});`),
    ...range(vectors).map((vector) => {
      const operands = step
        .replaceAll(/\bw(\d)/g, (_, g) => `w${vector}${g}`)
        .replaceAll(/\ba\b/g, `a${pixel}${vector}`);
      return `a${pixel}${vector} = ${operands};`;
    }),
  ]);
  return `export function ${name}(x: usize, w: usize, y: usize, steps: i32, repeats: i32): void {
    const ones = v128.load(y);
    ${sums.map((sum) => `let ${sum} = v128.load(y, 16);`).join(" ")}
    ${range(group)
      .map((g) => `let x${g} = ones;`)
      .join(" ")}
    for (let repeat = 0; repeat < repeats; repeat++) {
      let px = x, pw = w;
      for (let at = 0; at < steps; at++) {
        ${loadWeights.join("\n        ")}
        ${rows.join("\n        ")}
        px += ${width * pixels * group};
        pw += ${16 * vectors * group};
      }
    }
    ${sums.map((sum, index) => `v128.store(y, ${sum}, ${16 * (index + 2)});`).join(" ")}
  }`;
}

async function compile(names) {
  const source = names.map((name, index) => kernelSource(`mix${index}`, mixes[name])).join("\n");
  let binary;
  const features = ["simd", "relaxed-simd"].flatMap((feature) => ["--enable", feature]);
  const { error, stderr } = await asc.main(
    [
      "mixes.ts",
      "--outFile",
      "mixes.wasm",
      "-O3",
      "--noAssert",
      "--runtime",
      "stub",
      "--importMemory",
      ...features,
    ],
    {
      readFile: (name) => (name === "mixes.ts" ? source : null),
      writeFile: (name, contents) => {
        if (name === "mixes.wasm") binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error) throw new Error(`the roofline does not compile:\n${stderr}`);
  return binary;
}

/** The mixes' binaries, made once for all Node binaries: with and without relaxed SIMD. */
export async function compileRoofline() {
  const isRelaxed = (name) => mixes[name].relaxed === true;
  const groups = [
    Object.keys(mixes).filter((name) => !isRelaxed(name)),
    Object.keys(mixes).filter(isRelaxed),
  ];
  return Promise.all(
    groups.map(async (names) => ({ names, binary: Buffer.from(await compile(names)).toString("base64") })),
  );
}

/** Bytes of weights that the steps go through: with x well inside a first-level cache. */
const weightBytes = 12 * 1024;

/** Best of several measurements, each of some milliseconds, in G taps per second. */
function measureMix(kernel, { lanes, pixels, group = 1 }) {
  const steps = weightBytes / (16 * vectors * group);
  const taps = lanes * pixels * vectors * steps;
  const run = (repeats) => {
    const start = performance.now();
    kernel(4096, 4096 + weightBytes, 1024, steps, repeats);
    return performance.now() - start;
  };
  let repeats = 16;
  while (run(repeats) < 5) repeats *= 2;
  const times = Array.from({ length: 25 }, () => run(repeats));
  return (taps * repeats) / Math.min(...times) / 1e6;
}

/** G taps per second by mix; mixes this engine cannot compile are left out. */
export async function measureRoofline(binaries) {
  const rates = {};
  for (const { names, binary } of binaries) {
    const bytes = Buffer.from(binary, "base64");
    if (!WebAssembly.validate(bytes)) continue;
    const memory = new WebAssembly.Memory({ initial: 2 });
    // A number as float32 (0.75), as 16 bits and as 6 bits alike, far from the denormal ones that processors are slow with.
    new Uint8Array(memory.buffer, 4096, 4 * weightBytes).fill(0x3f);
    new Uint8Array(memory.buffer, 1024, 16).fill(1);
    const { exports } = (await WebAssembly.instantiate(bytes, { env: { memory } })).instance;
    for (const [index, name] of names.entries())
      rates[name] = measureMix(exports[`mix${index}`], mixes[name]);
  }
  return rates;
}

/** The mixes that a network's adder layers may be made of, by the width of its values. */
export const adderMixes = {
  fp32: ["f32 min (on the bits) + add"],
  int8: ["8 bit: i16 min + add", "8 bit: u8 min + widen + add", "8 bit: min + dot with ones, relaxed"],
};
