// What a run says while it goes on: one line that changes, and one that stays for every epoch.

import type { EpochRecord, StepReport } from "../../train/index.ts";
import type { Context } from "../context.ts";

export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export interface Pace {
  /** Images per second since the start of this process, in steps alone. */
  readonly imagesPerSecond: () => number;
  readonly told: (report: StepReport) => void;
}

const momentsApart = { terminal: 250, elsewhere: 5000 } as const;

/** Tells of steps now and then. */
export function makePace(context: Context, batch: number, now: () => number = () => performance.now()): Pace {
  const start = now();
  let [steps, last] = [0, Number.NEGATIVE_INFINITY];
  const pause = context.stderr.isTTY ? momentsApart.terminal : momentsApart.elsewhere;
  const rate = (): number => (1000 * steps * batch) / (now() - start);
  return {
    imagesPerSecond: rate,
    told(report) {
      steps++;
      if (now() - last < pause) return;
      last = now();
      const { step, epoch, epochs, stepsPerEpoch, loss, correct, images } = report;
      const left = ((epochs * stepsPerEpoch - step) * batch) / rate();
      const parts = [
        `epoch ${epoch}/${epochs}`,
        `step ${step - (epoch - 1) * stepsPerEpoch}/${stepsPerEpoch}`,
        `loss ${(loss / images).toFixed(4)}`,
        `accuracy ${percent(correct / images)}`,
        `${Math.round(rate())} images/s`,
        `${duration(left)} left`,
      ];
      context.progress(parts.join(", "), 0, 1);
    },
  };
}

export function epochLine({ epoch, loss, accuracy, validation }: EpochRecord, epochs: number): string {
  const seen = `epoch ${epoch}/${epochs}: loss ${loss.toFixed(4)}, accuracy ${percent(accuracy)}`;
  if (validation === undefined) return seen;
  return `${seen}; validation loss ${validation.loss.toFixed(4)}, accuracy ${percent(validation.accuracy)}`;
}
