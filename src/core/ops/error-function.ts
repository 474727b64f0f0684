// The error function to nearly the last bit of float64, for Erf and Gelu.

const scale = 2 / Math.sqrt(Math.PI);

/** erf(x) = 2/√π · exp(-x²) · Σ 2^n x^(2n+1) / (2n+1)!!, of which every term is positive. */
function series(x: number): number {
  const square = x * x;
  let term = x;
  let sum = x;
  for (let odd = 3; term > sum * 1e-17; odd += 2) {
    term *= (2 * square) / odd;
    sum += term;
  }
  return scale * Math.exp(-square) * sum;
}

/** 1 - erf(x) for x >= 2.5, by its continued fraction read from the far end. */
function complement(x: number): number {
  let tail = x;
  for (let level = 60; level > 0; level--) tail = x + level / 2 / tail;
  return Math.exp(-x * x) / (tail * Math.sqrt(Math.PI));
}

/** erf(x) = 2/√π ∫ exp(-t²) dt from 0 to x. */
export function errorFunction(x: number): number {
  const size = Math.abs(x);
  if (!(size > 0)) return x;
  if (size > 6) return Math.sign(x);
  const value = size < 2.5 ? series(size) : 1 - complement(size);
  return x < 0 ? -value : value;
}
