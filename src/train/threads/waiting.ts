// Waiting for a counter that other threads count up: a look or more, then sleep.

const hasReached = (words: Int32Array, word: number, count: number): boolean =>
  ((Atomics.load(words, word) - count) | 0) >= 0;

/** Looks for a moment; true once the counter is there. */
export function lookFor(words: Int32Array, word: number, count: number, milliseconds: number): boolean {
  if (hasReached(words, word, count)) return true;
  const end = performance.now() + milliseconds;
  do {
    for (let looks = 0; looks < 200; looks++) if (hasReached(words, word, count)) return true;
  } while (performance.now() < end);
  return false;
}

/** Sleeps until the counter is there, or `milliseconds` have gone by without a change; answers which. */
export function sleepFor(words: Int32Array, word: number, count: number, milliseconds: number): boolean {
  Atomics.add(words, word + 1, 1);
  let isAwake = true;
  while (isAwake && !hasReached(words, word, count)) {
    const seen = Atomics.load(words, word);
    if (((seen - count) | 0) < 0)
      isAwake =
        Atomics.wait(words, word, seen, milliseconds) !== "timed-out" || hasReached(words, word, count);
  }
  Atomics.sub(words, word + 1, 1);
  return hasReached(words, word, count);
}

/** Adds to a counter and wakes who sleeps on it. */
export function countUp(words: Int32Array, word: number): number {
  const count = (Atomics.add(words, word, 1) + 1) | 0;
  if (Atomics.load(words, word + 1) > 0) Atomics.notify(words, word);
  return count;
}
