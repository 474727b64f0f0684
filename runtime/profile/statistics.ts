// Medians, quantiles, how sure they are, and ratios of paired times.

/** Value below which a share of the numbers lies, linear between neighbours. */
export function quantile(numbers: Iterable<number>, share: number): number {
  const sorted = Float64Array.from(numbers).sort();
  const place = (sorted.length - 1) * Math.min(Math.max(share, 0), 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}

export const median = (numbers: Iterable<number>): number => quantile(numbers, 0.5);

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
}

/** Standard deviation of a sample. */
export function deviation(numbers: readonly number[]): number {
  if (numbers.length < 2) return 0;
  const middle = mean(numbers);
  const squares = numbers.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt(squares / (numbers.length - 1));
}

/** How much a number is like the one before it, 0 to 0.95: of ranks, so that single slow runs do not decide. */
function persistence(numbers: readonly number[]): number {
  const order = numbers.map((_, index) => index).sort((a, b) => numbers[a]! - numbers[b]!);
  const ranks = new Float64Array(numbers.length);
  for (const [rank, index] of order.entries()) ranks[index] = rank - (numbers.length - 1) / 2;
  let [products, squares] = [0, 0];
  for (let index = 0; index < ranks.length; index++) {
    squares += ranks[index]! ** 2;
    if (index > 0) products += ranks[index]! * ranks[index - 1]!;
  }
  return squares === 0 ? 0 : Math.min(Math.max(products / squares, 0), 0.95);
}

/**
 * The interval that holds the true median 95 times of 100, by order statistics. Runs that resemble their neighbours count as
 * fewer: n·(1 - r)/(1 + r) of them for a rank correlation r of neighbours.
 */
export function medianInterval(numbers: readonly number[]): readonly [number, number] {
  const likeness = persistence(numbers);
  const independent = Math.max(1, (numbers.length * (1 - likeness)) / (1 + likeness));
  const reach = 0.98 / Math.sqrt(independent);
  return [quantile(numbers, 0.5 - reach), quantile(numbers, 0.5 + reach)];
}

/** Times of single runs in a few numbers, in ms. */
export interface Distribution {
  readonly n: number;
  readonly min: number;
  readonly mean: number;
  readonly std: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** Of the median. */
  readonly ci95: readonly [number, number];
}

export function distribution(numbers: readonly number[]): Distribution {
  const at = (share: number) => quantile(numbers, share);
  return {
    n: numbers.length,
    min: at(0),
    mean: mean(numbers),
    std: deviation(numbers),
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    max: at(1),
    ci95: medianInterval(numbers),
  };
}

/** Half the width of an interval, as a share of its middle value. */
export function relativeWidth({ p50, ci95: [low, high] }: Pick<Distribution, "p50" | "ci95">): number {
  return (high - low) / (2 * p50);
}

export function summarise(numbers: readonly number[]): {
  readonly median: number;
  readonly quartiles: readonly [number, number];
  readonly least: number;
  readonly count: number;
} {
  return {
    median: median(numbers),
    quartiles: [quantile(numbers, 0.25), quantile(numbers, 0.75)],
    least: quantile(numbers, 0),
    count: numbers.length,
  };
}

export interface Ratio {
  /** Of the medians. */
  readonly ratio: number;
  /** Of the ratios within each round. */
  readonly quartiles: readonly [number, number];
  /** Of the median of the ratios within each round. */
  readonly ci95: readonly [number, number];
  readonly rounds: number;
}

/** Compares two candidates over the rounds both took part in. Times are by round. */
export function ratioOf(ours: ReadonlyMap<number, number>, peer: ReadonlyMap<number, number>): Ratio {
  const rounds = [...ours.keys()].filter((round) => peer.has(round));
  const paired = rounds.map((round) => ours.get(round)! / peer.get(round)!);
  const medianOf = (times: ReadonlyMap<number, number>) => median(rounds.map((round) => times.get(round)!));
  return {
    ratio: medianOf(ours) / medianOf(peer),
    quartiles: [quantile(paired, 0.25), quantile(paired, 0.75)],
    ci95: medianInterval(paired),
    rounds: rounds.length,
  };
}
