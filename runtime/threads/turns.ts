// One act after the other.

/** Answers a function that starts an act when all acts given to it before have ended, well or not; at once when there are none. */
export function makeTurns(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> | undefined;
  return async (act) => {
    const turn = last === undefined ? act() : last.then(act, act);
    last = turn;
    try {
      return await turn;
    } finally {
      if (last === turn) last = undefined;
    }
  };
}
