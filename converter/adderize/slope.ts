// Slope matching: weights of an adder layer from those of a convolution, in closed form. Over the values x of an input channel,
// -|x - w| has on average the slope k(w) = cov(-|x - w|, x) / var(x): -1 where w lies below all x, 1 above, and rising between.

/** k(w) of a channel at rising places. */
export interface SlopeCurve {
  readonly places: Float64Array;
  readonly slopes: Float64Array;
}

const curvePoints = 256;

/** The curve over values of a channel, which are sorted in place; undefined where they are all alike. */
export function slopeCurve(values: Float32Array): SlopeCurve | undefined {
  values.sort();
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
  const [low, high] = [values[0]!, values[count - 1]!];
  if (!(variance > 1e-12 * Math.max(1, high * high))) return undefined;
  // cov(-|x - w|, x)·n = Σ_{x > w} -(x - w)(x - mean) + Σ_{x <= w} (x - w)(x - mean), from sums over the values up to w.
  const first = values.reduce((sum, value) => sum + (value - mean), 0);
  const second = values.reduce((sum, value) => sum + value * (value - mean), 0);
  const [places, slopes] = [new Float64Array(curvePoints), new Float64Array(curvePoints)];
  let [at, below1, below2] = [0, 0, 0];
  for (let point = 0; point < curvePoints; point++) {
    const w = low + ((high - low) * point) / (curvePoints - 1);
    for (; at < count && values[at]! <= w; at++) {
      below1 += values[at]! - mean;
      below2 += values[at]! * (values[at]! - mean);
    }
    const covariance = 2 * (below2 - w * below1) - (second - w * first);
    places[point] = w;
    slopes[point] = Math.max(covariance / count / variance, slopes[point - 1] ?? -1);
  }
  return { places, slopes };
}

/** The w with slope `wanted`, linear between the places of the curve. */
export function placeOfSlope({ places, slopes }: SlopeCurve, wanted: number): number {
  let [low, high] = [0, slopes.length - 1];
  if (wanted <= slopes[low]!) return places[low]!;
  if (wanted >= slopes[high]!) return places[high]!;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (slopes[middle]! <= wanted) low = middle;
    else high = middle;
  }
  const share = (wanted - slopes[low]!) / (slopes[high]! - slopes[low]!);
  return places[low]! + share * (places[high]! - places[low]!);
}

/** Share of a filter's weights that keep their proportions; larger ones saturate. */
const proportionalShare = 0.8;

function quantile(values: Float32Array, share: number): number {
  const sorted = values.map(Math.abs).sort();
  return sorted[Math.floor(share * (sorted.length - 1))]!;
}

/**
 * Adder weights for a filter: the tap of weight c gets the w with k(w) = clip(c/α, -1, 1), α the 80 % quantile of |c|. `channelOf` tells
 * the input channel of a tap; in a channel whose values are all alike w is `level` of it, where it adds nothing.
 */
export function matchSlopes(
  filter: Float32Array,
  channelOf: (tap: number) => number,
  curves: readonly (SlopeCurve | undefined)[],
  level: (channel: number) => number,
): Float32Array {
  const largest = filter.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const alpha = quantile(filter, proportionalShare) || largest || 1;
  return filter.map((weight, tap) => {
    const channel = channelOf(tap);
    const curve = curves[channel];
    return curve ? placeOfSlope(curve, Math.max(-1, Math.min(1, weight / alpha))) : level(channel);
  });
}
