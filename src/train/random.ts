// Random numbers by seed: the same seed gives the same numbers on every machine, and a stream can be had for any (seed, epoch, image)
// without drawing those before it.

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** An integer in [0, count). */
  below(count: number): number;
}

const mix = (value: number): number => {
  let h = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return (h ^ (h >>> 15)) >>> 0;
};

/** A stream of its own for every list of keys. */
export function randomStream(...keys: readonly number[]): Random {
  let state = keys.reduce(
    (hash, key) => mix((hash + Math.imul(key | 0, 0x9e3779b9) + 0x7f4a7c15) | 0),
    0x2545f491,
  );
  const bits = (): number => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state);
  };
  const next = (): number => ((bits() >>> 5) * 67108864 + (bits() >>> 6)) / 9007199254740992;
  return { next, below: (count) => Math.floor(next() * count) };
}

/** 0 … count - 1 in an order drawn from the stream. */
export function shuffled(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1);
    const kept = order[last]!;
    order[last] = order[other]!;
    order[other] = kept;
  }
  return order;
}

/** A function that draws from the normal distribution with mean 0 and variance 1. */
export function normals(random: Random): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
