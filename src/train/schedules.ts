// Learning rates over time.

/** How far training is; `step` counts from the very first one. */
export interface Progress {
  readonly step: number;
  readonly stepsPerEpoch: number;
  readonly epochs: number;
}

export type Schedule = (progress: Progress) => number;

const epochOf = ({ step, stepsPerEpoch }: Progress): number => Math.floor(step / stepsPerEpoch);

export const constant =
  (rate: number): Schedule =>
  () =>
    rate;

/** From `rate` to 0 along half a cosine; changed after every epoch, as the AdderNet code does, or after every step. */
export function cosine(
  rate: number,
  { every = "epoch" }: { readonly every?: "epoch" | "step" } = {},
): Schedule {
  return (progress) => {
    const { step, stepsPerEpoch, epochs } = progress;
    const share = every === "epoch" ? epochOf(progress) / epochs : step / (epochs * stepsPerEpoch);
    return (rate / 2) * (1 + Math.cos(Math.PI * share));
  };
}

/** `rate`, times `factor` from each of these epochs on (0 is the first). */
export function steps(
  rate: number,
  { at, factor = 0.1 }: { readonly at: readonly number[]; readonly factor?: number },
): Schedule {
  return (progress) => rate * factor ** at.filter((epoch) => epochOf(progress) >= epoch).length;
}

/** Rises from 0 to what `schedule` says over the first `count` steps. */
export function warmUp(count: number, schedule: Schedule): Schedule {
  return (progress) => schedule(progress) * Math.min(1, (progress.step + 1) / count);
}
