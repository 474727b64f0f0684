// The affine that brings sums nearest to targets, per filter: t ≈ scale·a + bias.

export interface Line {
  readonly scale: number;
  readonly bias: number;
  /** Share of the targets' variance that is explained. */
  readonly r2: number;
}

/** Moments of pairs (a, t), counted from the first pair, which keeps float64 exact for sums near -3000. */
export interface Moments {
  count: number;
  readonly origin: [a: number, t: number];
  a: number;
  t: number;
  aa: number;
  at: number;
  tt: number;
}

export function startMoments(): Moments {
  return { count: 0, origin: [0, 0], a: 0, t: 0, aa: 0, at: 0, tt: 0 };
}

/** Takes `count` pairs from `start` on in both arrays. */
export function addPairs(
  moments: Moments,
  sums: Float32Array,
  targets: Float32Array,
  start: number,
  count: number,
): void {
  if (moments.count === 0) {
    moments.origin[0] = sums[start]!;
    moments.origin[1] = targets[start]!;
  }
  const [originA, originT] = moments.origin;
  let [a, t, aa, at, tt] = [0, 0, 0, 0, 0];
  for (let index = start; index < start + count; index++) {
    const da = sums[index]! - originA;
    const dt = targets[index]! - originT;
    a += da;
    t += dt;
    aa += da * da;
    at += da * dt;
    tt += dt * dt;
  }
  moments.a += a;
  moments.t += t;
  moments.aa += aa;
  moments.at += at;
  moments.tt += tt;
  moments.count += count;
}

/** Mean and population variance of the sums. */
export function statisticsOf({ count, origin, a, aa }: Moments): { mean: number; variance: number } {
  const mean = a / count;
  return { mean: origin[0] + mean, variance: Math.max(0, aa / count - mean * mean) };
}

/** The line of least squares. Where sums or targets do not vary, the scale is 0. */
export function solveLine({ count, origin, a, t, aa, at, tt }: Moments): Line {
  const [meanA, meanT] = [a / count, t / count];
  const varianceA = Math.max(0, aa / count - meanA * meanA);
  const varianceT = Math.max(0, tt / count - meanT * meanT);
  const covariance = at / count - meanA * meanT;
  const isFlat = !(varianceA > 1e-12 * Math.max(1, aa / count)) || varianceT === 0;
  const scale = isFlat ? 0 : covariance / varianceA;
  return {
    scale,
    bias: origin[1] + meanT - scale * (origin[0] + meanA),
    r2: varianceT > 0 ? (scale * covariance) / varianceT : 1,
  };
}
