// Seeded random numbers: the same seed gives the same case on every machine.

/** A generator of numbers in [0, 1), by SplitMix32. */
export function makeRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
  const below = (count) => Math.floor(next() * count);
  return {
    next,
    /** An integer from 0 to count - 1. */
    below,
    between: (least, most) => least + below(most - least + 1),
    pick: (list) => list[below(list.length)],
    chance: (share) => next() < share,
    /** About normal, with spread 1. */
    normal: () => (next() + next() + next() + next() - 2) * Math.sqrt(3),
  };
}
