// Compiles the roofline's mixes of instructions, with and without relaxed SIMD, and writes them to a TypeScript module. A mix is written
// as a tile of pixels by vectors of weights, every sum in a register.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
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

const range = (count) => Array.from({ length: count }, (_, index) => index);

/** `count` lines of a text with # for their number and @ for the offset of their vector. */
const lines = (count, text) =>
  range(count)
    .map((index) => text.replaceAll("#", index).replaceAll("@", 16 * index))
    .join(" ");

/**
 * Mixes over live taps alone, as the kernels with lists have them: each tap is read from a list that says where its pixels lie and what
 * its weight is, for many pixels. `listed` writes the tap number `at`, of so many bytes, whose pixels lie `offset` bytes into w. Lists lie
 * at y + 512, sums at y + 32.
 */
const listMixes = {
  "f32 live taps: list + min (on the bits) + add": {
    ...{ lanes: 14, pixels: 1, group: 4, bytes: 8, offset: 112 },
    listed: "store<u32>(tap, offset); store<u32>(tap, 0x3f3f3f3f, 4);",
    sums: lines(7, "let a# = v128.load(y, 16);"),
    loop: `while (tap < end) {
      const at = w + <usize>load<u32>(tap);
      const splat = v128.load32_splat(tap, 4);
      ${lines(7, "a# = f32x4.add(a#, i32x4.min_s(v128.load(at, @), splat));")}
      tap += 8;
    }`,
    store: lines(7, "v128.store(y + 32, a#, @);"),
  },
  "8 bit live taps: list + u8 min + add, every fourth widened": {
    ...{ lanes: 32, pixels: 1, group: 2, bytes: 4, offset: 64 },
    listed: "store<u32>(tap, (offset << 8) | 0x3f);",
    sums: lines(4, "let a# = v128.load(y, 16); let h# = a#;"),
    loop: `while (tap < end) {
      let at = w + <usize>(load<u32>(tap) >> 8);
      let splat = v128.load8_splat(tap);
      ${lines(4, "let v# = i8x16.min_u(v128.load(at, @), splat);")}
      const last = tap + 16;
      tap += 4;
      while (tap < last) {
        at = w + <usize>(load<u32>(tap) >> 8);
        splat = v128.load8_splat(tap);
        ${lines(4, "v# = i8x16.add(v#, i8x16.min_u(v128.load(at, @), splat));")}
        tap += 4;
      }
      ${lines(4, "a# = i16x8.add(a#, v#); h# = i16x8.add(h#, i16x8.shr_u(v#, 8));")}
    }`,
    store: lines(4, "v128.store(y + 32, i16x8.add(a#, h#), @);"),
  },
};

const vectors = 2;

/** One exported function: `steps` steps over x and w, `repeats` times. */
function kernelSource(name, mix) {
  return mix.loop ? listSource(name, mix) : tileSource(name, mix);
}

function listSource(name, { bytes, offset, listed, sums, loop, store }) {
  return `export function ${name}(x: usize, w: usize, y: usize, steps: i32, repeats: i32): void {
    const list = y + 512;
    const end = list + ${bytes} * <usize>steps;
    for (let tap = list, offset: u32 = 0; tap < end; tap += ${bytes}, offset += ${offset}) { ${listed} }
    ${sums}
    for (let repeat = 0; repeat < repeats; repeat++) {
      let tap = list;
      ${loop}
    }
    ${store}
  }`;
}

function tileSource(name, { splat, pixels, step, group = 1 }) {
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

const all = { ...mixes, ...listMixes };

async function compile(names) {
  const source = names.map((name, index) => kernelSource(`mix${index}`, all[name])).join("\n");
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

const isRelaxed = (name) => all[name].relaxed === true;
const groups = [Object.keys(all).filter((name) => !isRelaxed(name)), Object.keys(all).filter(isRelaxed)];
const binaries = await Promise.all(
  groups.map(async (names) => ({
    mixes: names.map((name) => {
      const { lanes, pixels, group = 1 } = all[name];
      return { name, lanes, pixels, group };
    }),
    binary: Buffer.from(await compile(names)).toString("base64"),
  })),
);
const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "runtime", "profile", "generated");
await mkdir(folder, { recursive: true });
await writeFile(
  join(folder, "roofline.ts"),
  `// Written by scripts/build-roofline.mjs.

/** Binaries whose exports mix0, mix1, … are the mixes in order. */
export const rooflineBinaries = ${JSON.stringify(binaries, null, 2)} as const;

/** Vectors of weights in every tile. */
export const vectors = ${vectors};
`,
);
console.log(`roofline: ${binaries.reduce((sum, { binary }) => sum + binary.length, 0)} characters`);
