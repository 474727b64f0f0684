// One call at a time; of those that come meanwhile, the newest alone is kept.

/** `act(input)` answers a promise; `onResult` and `onError` hear of those that ran. Answers `push(input)`. */
export function keepNewest(act, { onResult, onError }) {
  let isBusy = false;
  let waiting;
  async function run(input) {
    isBusy = true;
    try {
      onResult(await act(input));
    } catch (error) {
      onError(error);
    }
    isBusy = false;
    if (waiting === undefined) return;
    const [newest] = waiting;
    waiting = undefined;
    run(newest);
  }
  return (input) => {
    if (isBusy) waiting = [input];
    else run(input);
  };
}
