// Times of runs.

export function median(times) {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** Milliseconds of single runs, after three that do not count. */
export async function timeRuns(run, { milliseconds, most }) {
  for (let warmUp = 0; warmUp < 3; warmUp++) await run();
  const times = [];
  const end = performance.now() + milliseconds;
  do {
    const begin = performance.now();
    await run();
    times.push(performance.now() - begin);
  } while (performance.now() < end && times.length < most);
  return times;
}
