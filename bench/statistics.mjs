// Medians, quartiles and ratios of paired times.

/** Value below which a share of the numbers lies, linear between neighbours. */
export function quantile(numbers, share) {
  const sorted = Float64Array.from(numbers).sort();
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

export const median = (numbers) => quantile(numbers, 0.5);

export function summarise(numbers) {
  return {
    median: median(numbers),
    quartiles: [quantile(numbers, 0.25), quantile(numbers, 0.75)],
    least: Math.min(...numbers),
    count: numbers.length,
  };
}

/** Ratio of the medians, and the quartiles of the ratios within each round both took part in. Times are by round. */
export function ratioOf(ours, peer) {
  const rounds = [...ours.keys()].filter((round) => peer.has(round));
  const paired = rounds.map((round) => ours.get(round) / peer.get(round));
  const medianOf = (times) => median(rounds.map((round) => times.get(round)));
  return {
    ratio: medianOf(ours) / medianOf(peer),
    quartiles: [quantile(paired, 0.25), quantile(paired, 0.75)],
    rounds: rounds.length,
  };
}
