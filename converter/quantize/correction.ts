// Refitting the affine behind the sums of a layer, per filter, from what its quantized and its float form answer.

export const corrections = ["affine", "bias", "none"] as const;
/** "affine" refits scale and bias by least squares, "bias" makes the means agree. */
export type Correction = (typeof corrections)[number];

/** y = scale[m]·sum + bias[m], in units of the layer's output. */
export interface ChannelAffine {
  readonly scale: Float64Array;
  readonly bias: Float64Array;
}

/** Moments of sums a and targets t, one entry per filter; a is counted from `origin`, which keeps the squares small. */
interface Moments {
  readonly origin: Float64Array;
  readonly a: Float64Array;
  readonly t: Float64Array;
  readonly aa: Float64Array;
  readonly at: Float64Array;
  readonly tt: Float64Array;
  count: number;
}

export interface Fit extends ChannelAffine {
  /** Mean squared error of the fit over the variance of the targets. */
  readonly error: number;
}

export interface FitBuilder {
  /** Elements of shape (N, filters, plane); sums and targets one for one. */
  add(sums: Float32Array, targets: Float32Array, batch: number): void;
  solve(base: ChannelAffine, correction: Correction): Fit;
}

/** As many samples as this count as much as the scale that the float layer has. */
const priorCount = 64;
/** A scale is never changed by more than this factor. */
const mostChange = 2;

function refitted(scale: number, covariance: number, variance: number, count: number): number {
  if (scale === 0 || !(variance > 0)) return scale;
  const ratio = covariance / variance / scale;
  const trusted = 1 + (ratio - 1) * (count / (count + priorCount));
  return scale * Math.min(Math.max(trusted, 1 / mostChange), mostChange);
}

function addChannel(
  moments: Moments,
  m: number,
  sums: Float32Array,
  targets: Float32Array,
  start: number,
  plane: number,
) {
  const origin = moments.origin[m]!;
  let [a, t, aa, at, tt] = [0, 0, 0, 0, 0];
  for (let index = start; index < start + plane; index++) {
    const sum = sums[index]! - origin;
    const target = targets[index]!;
    a += sum;
    t += target;
    aa += sum * sum;
    at += sum * target;
    tt += target * target;
  }
  moments.a[m]! += a;
  moments.t[m]! += t;
  moments.aa[m]! += aa;
  moments.at[m]! += at;
  moments.tt[m]! += tt;
}

function fitChannels(moments: Moments, base: ChannelAffine, correction: Correction): Fit {
  const filters = moments.a.length;
  const [scale, bias] = [new Float64Array(filters), new Float64Array(filters)];
  let [squares, spread] = [0, 0];
  for (let m = 0; m < filters; m++) {
    const n = Math.max(1, moments.count);
    const [meanA, meanT] = [moments.a[m]! / n, moments.t[m]! / n];
    const varianceA = Math.max(0, moments.aa[m]! / n - meanA * meanA);
    const varianceT = Math.max(0, moments.tt[m]! / n - meanT * meanT);
    const covariance = moments.at[m]! / n - meanA * meanT;
    const own = base.scale[m]!;
    scale[m] = correction === "affine" ? refitted(own, covariance, varianceA, n) : own;
    const offset = scale[m]! * (meanA + moments.origin[m]!);
    bias[m] = correction === "none" ? base.bias[m]! : meanT - offset;
    const shift = meanT - offset - bias[m]!;
    squares += varianceT - 2 * scale[m]! * covariance + scale[m]! ** 2 * varianceA + shift * shift;
    spread += varianceT;
  }
  return { scale, bias, error: Math.max(0, squares) / Math.max(spread, Number.MIN_VALUE) };
}

/** Collects what a layer of `filters` filters answers, in one pass and constant memory. */
export function makeFit(filters: number): FitBuilder {
  const zeros = () => new Float64Array(filters);
  const moments: Moments = {
    origin: zeros(),
    a: zeros(),
    t: zeros(),
    aa: zeros(),
    at: zeros(),
    tt: zeros(),
    count: 0,
  };
  return {
    add(sums, targets, batch) {
      const plane = sums.length / batch / filters;
      for (let row = 0; row < batch * filters; row++) {
        if (moments.count === 0 && row < filters) moments.origin[row] = sums[row * plane]!;
        addChannel(moments, row % filters, sums, targets, row * plane, plane);
      }
      moments.count += batch * plane;
    },
    solve: (base, correction) => fitChannels(moments, base, correction),
  };
}
