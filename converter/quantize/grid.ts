// Integer codes of values and weights on one shared grid.

/** Code q stands for step·(q - zeroPoint); codes run from 0 to maxCode. The step is a float32 number. */
export interface Grid {
  readonly step: number;
  readonly zeroPoint: number;
  readonly maxCode: number;
}

/** The grid over [min, max], widened to hold 0, which always has a code of its own: padding needs one. */
export function gridOver(min: number, max: number, maxCode: number): Grid {
  const [low, high] = [Math.min(min, 0), Math.max(max, 0)];
  const step = Math.fround((high - low) / maxCode);
  if (!(step > 0) || !Number.isFinite(step)) return { step: 1, zeroPoint: 0, maxCode };
  return { step, zeroPoint: Math.min(maxCode, Math.round(Math.abs(low) / step)), maxCode };
}

/** Adding and taking away 1.5·2^23 in float32 rounds to an integer, halves to even. */
const rounder = 12582912;

/** The codes of values: saturate(round(value / step) + zeroPoint). */
export function encode(values: Float32Array, { step, zeroPoint, maxCode }: Grid): Uint8Array {
  const codes = new Uint8Array(values.length);
  const [least, most] = [-zeroPoint, maxCode - zeroPoint];
  for (let index = 0; index < codes.length; index++) {
    const scaled = Math.fround(values[index]! / step);
    const kept = scaled < least ? least : scaled > most ? most : scaled;
    codes[index] = Math.fround(kept + rounder) - rounder + zeroPoint;
  }
  return codes;
}

/** step·(code - zeroPoint) in float32. */
export function decode(codes: Uint8Array, { step, zeroPoint }: Grid): Float32Array {
  const values = new Float32Array(codes.length);
  for (let index = 0; index < codes.length; index++) values[index] = (codes[index]! - zeroPoint) * step;
  return values;
}

/** Codes minus their zero point, as numbers: what a float kernel can sum exactly. */
export function centre(codes: Uint8Array, { zeroPoint }: Grid): Float32Array {
  const centred = new Float32Array(codes.length);
  for (let index = 0; index < centred.length; index++) centred[index] = codes[index]! - zeroPoint;
  return centred;
}

export interface EncodedWeights {
  readonly codes: Uint8Array;
  /** Per filter, Σ|w - clip(w)|: what the clip to the grid's range takes from -Σ|x - w| for every x of that range. */
  readonly excess: Float64Array;
  /** How many weights lay outside. */
  readonly clipped: number;
}

/** Weights of `filters` filters clipped to the range of the grid of their input, which loses nothing, and rounded to its codes. */
export function encodeWeights(weights: Float32Array, filters: number, grid: Grid): EncodedWeights {
  const { step, zeroPoint, maxCode } = grid;
  const [low, high] = [-zeroPoint * step, (maxCode - zeroPoint) * step];
  const codes = encode(weights, grid);
  const excess = new Float64Array(filters);
  const perFilter = weights.length / filters;
  let clipped = 0;
  for (let index = 0; index < weights.length; index++) {
    const weight = weights[index]!;
    const beyond = weight < low ? low - weight : weight > high ? weight - high : 0;
    if (beyond === 0) continue;
    excess[Math.floor(index / perFilter)]! += beyond;
    clipped++;
  }
  return { codes, excess, clipped };
}
