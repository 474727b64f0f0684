// The roofline of this machine in this engine: how many taps per second each mix of instructions reaches in WebAssembly on one
// thread with its operands in the first-level cache, and how many bytes per second memory gives.

import { rooflineBinaries, vectors } from "./generated/roofline.ts";

interface Mix {
  readonly name: string;
  /** Taps one step makes. */
  readonly lanes: number;
  /** Rows of the tile, each some vectors wide. */
  readonly pixels: number;
  /** Loads of x and w that one step takes. */
  readonly group: number;
}

/** Bytes of weights that the steps go through: with x well inside a first-level cache. */
const weightBytes = 12 * 1024;

/** The mixes that layers may be made of, by what they compute. */
export const mixesOf = {
  "adder float32": ["f32 min (on the bits) + add", "f32 |x - w| + add"],
  "adder codes": [
    "8 bit: i16 min + add",
    "8 bit: u8 min + widen + add",
    "8 bit: min + dot with ones, relaxed",
  ],
  "products float32": ["f32 multiply + add"],
} as const;

export type LayerKind = keyof typeof mixesOf;

/** The mixes of kernels that leave out taps which add nothing: their rates count those they go through. */
const liveMixOf: Partial<Record<LayerKind, string>> = {
  "adder float32": "f32 live taps: list + min (on the bits) + add",
  "adder codes": "8 bit live taps: list + u8 min + add, every fourth widened",
};

/** All mixes of a kind. */
export function mixNames(kind: LayerKind): readonly string[] {
  return [...mixesOf[kind], ...(liveMixOf[kind] === undefined ? [] : [liveMixOf[kind]])];
}

/** G taps per second by mix. */
export type MixRates = Readonly<Record<string, number>>;

const passes = 4;

type Kernel = (x: number, w: number, y: number, steps: number, repeats: number) => void;

export interface RooflineOptions {
  /** Mixes to measure; all of them unless given. */
  readonly names?: readonly string[];
  /** Of a single measurement. */
  readonly milliseconds?: number;
  readonly times?: number;
}

/** Best of several measurements in G taps per second, each of some milliseconds: short ones are less often interrupted. */
function measureMix(
  kernel: Kernel,
  { lanes, pixels, group }: Mix,
  milliseconds: number,
  times: number,
): number {
  const steps = weightBytes / (16 * vectors * group);
  const taps = lanes * pixels * vectors * steps;
  const run = (repeats: number): number => {
    const start = performance.now();
    kernel(4096, 4096 + weightBytes, 1024, steps, repeats);
    return performance.now() - start;
  };
  let repeats = 1;
  while (run(repeats) < milliseconds) repeats *= 2;
  let best = Number.POSITIVE_INFINITY;
  for (let time = 0; time < times; time++) best = Math.min(best, run(repeats));
  return (taps * repeats) / best / 1e6;
}

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** G taps per second by mix; mixes this engine cannot compile are left out. */
export async function measureRoofline({
  names,
  milliseconds = 2,
  times = 20,
}: RooflineOptions = {}): Promise<Record<string, number>> {
  const rates: Record<string, number> = {};
  for (const { mixes, binary } of rooflineBinaries) {
    const bytes = bytesOf(binary);
    const isWanted = ({ name }: Mix) => names === undefined || names.includes(name);
    if (!mixes.some(isWanted) || !WebAssembly.validate(bytes)) continue;
    const memory = new WebAssembly.Memory({ initial: 2 });
    // A number as float32 (0.75), as 16 bits and as 6 bits alike, far from the denormal ones that processors are slow with.
    new Uint8Array(memory.buffer, 4096, 4 * weightBytes).fill(0x3f);
    new Uint8Array(memory.buffer, 1024, 16).fill(1);
    const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
    // Passes over all of them: whatever else the machine does seldom lasts that long.
    for (let pass = 0; pass < passes; pass++) {
      for (const [index, mix] of mixes.entries()) {
        if (!isWanted(mix)) continue;
        const kernel = instance.exports[`mix${index}`] as Kernel;
        const rate = measureMix(kernel, mix, milliseconds, Math.ceil(times / passes));
        rates[mix.name] = Math.max(rates[mix.name] ?? 0, rate);
      }
    }
  }
  return rates;
}

const copiedBytes = 16 * 2 ** 20;

/** G bytes per second read and written by a copy that no cache below the last level holds. */
export function measureBandwidth(milliseconds = 40): number {
  const [from, to] = [new Uint8Array(copiedBytes).fill(1), new Uint8Array(copiedBytes).fill(2)];
  let best = Number.POSITIVE_INFINITY;
  const start = performance.now();
  for (let now = start; now - start < milliseconds; ) {
    to.set(from);
    const after = performance.now();
    best = Math.min(best, after - now);
    now = after;
  }
  return (2 * copiedBytes) / best / 1e6;
}

/**
 * The least milliseconds that `taps` of a kind can take, of which a kernel goes through the share `live` (all where it leaves out none);
 * undefined where no mix was measured.
 */
export function leastMilliseconds(
  kind: LayerKind,
  taps: number,
  live: number | undefined,
  rates: MixRates,
): number | undefined {
  const names = live === undefined ? mixesOf[kind] : [liveMixOf[kind] ?? ""];
  const known = names.flatMap((name) => rates[name] ?? []);
  return known.length === 0 ? undefined : (taps * (live ?? 1)) / Math.max(...known) / 1e6;
}
