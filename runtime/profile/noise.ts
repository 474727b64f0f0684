// Whether a measurement can be believed: its own spread and drift, and what the system says about clock, heat and other work.

import { median, quantile } from "./statistics.ts";

/** What a system tells at one moment; null where it does not. */
export interface MachineState {
  readonly temperatureC: number | null;
  readonly frequencyMHz: number | null;
  readonly governor: string | null;
  /** What holds the processor back, in words; "no" when the system says that nothing does. */
  readonly throttled: string | null;
  /** Programs that want to run, averaged over a minute. */
  readonly load: number | null;
  /** Share of the processor's time that a hypervisor gave to others, since boot or since the state before. */
  readonly stolenShare: number | null;
}

export interface Finding {
  readonly kind:
    | "interval"
    | "spread"
    | "drift"
    | "tail"
    | "load"
    | "stolen"
    | "governor"
    | "frequency"
    | "heat"
    | "throttling";
  /** "note" explains, "mild" costs precision, "serious" makes figures unreliable. */
  readonly weight: "note" | "mild" | "serious";
  readonly text: string;
}

export interface Noise {
  readonly verdict: "quiet" | "usable" | "noisy";
  /** The median of the last third over that of the first, minus 1. */
  readonly drift: number;
  /** The middle half of the runs, as a share of the median. */
  readonly spread: number;
  readonly findings: readonly Finding[];
}

export interface NoiseFacts {
  readonly times: readonly number[];
  /** Half the interval of the median, as a share of it. */
  readonly interval: number;
  readonly cores: number | null;
  readonly before: MachineState | null;
  readonly after: MachineState | null;
}

const percent = (share: number): string => `${(100 * share).toFixed(Math.abs(share) < 0.1 ? 1 : 0)} %`;

type Weight = Finding["weight"] | undefined;

/** The weight of a value that is mild from one limit on and serious from another. */
const weigh = (value: number, mild: number, serious: number): Weight =>
  value >= serious ? "serious" : value >= mild ? "mild" : undefined;

function driftOf(times: readonly number[]): number {
  const third = Math.floor(times.length / 3);
  if (third < 3) return 0;
  return median(times.slice(-third)) / median(times.slice(0, third)) - 1;
}

function ownFindings(
  { times, interval }: NoiseFacts,
  drift: number,
  spread: number,
): [Finding["kind"], Weight, string][] {
  const tail = quantile(times, 0.99) / median(times);
  const direction = drift > 0 ? "slower" : "faster";
  return [
    ["interval", weigh(interval, 0.03, 0.1), `the median is known to ±${percent(interval)} only`],
    [
      "spread",
      weigh(spread, 0.15, 0.5),
      `the middle half of the runs spreads over ${percent(spread)} of the median`,
    ],
    [
      "drift",
      weigh(Math.abs(drift), 0.05, 0.2),
      `runs became ${percent(Math.abs(drift))} ${direction} meanwhile`,
    ],
    ["tail", weigh(tail, 3, 20), `one run of a hundred takes ${tail.toFixed(1)} times the median or more`],
  ];
}

function systemFindings({ before, after, cores }: NoiseFacts): [Finding["kind"], Weight, string][] {
  const found: [Finding["kind"], Weight, string][] = [];
  const load = before?.load;
  if (typeof load === "number") {
    const share = Math.max(0, load / (cores ?? 1));
    found.push([
      "load",
      weigh(share, 0.7, Number.POSITIVE_INFINITY),
      `other programs kept the machine busy before (load ${load.toFixed(1)})`,
    ]);
  }
  const stolen = after?.stolenShare;
  if (typeof stolen === "number") {
    found.push([
      "stolen",
      weigh(stolen, 0.01, 0.1),
      `the hypervisor gave ${percent(stolen)} of the time to others`,
    ]);
  }
  const governor = after?.governor;
  if (typeof governor === "string" && governor !== "performance") {
    found.push([
      "governor",
      "note",
      `the frequency governor is "${governor}": the clock may change with the load`,
    ]);
  }
  if (before?.frequencyMHz && after?.frequencyMHz) {
    const fall = 1 - after.frequencyMHz / before.frequencyMHz;
    const text = `the clock fell from ${before.frequencyMHz.toFixed(0)} to ${after.frequencyMHz.toFixed(0)} MHz`;
    found.push(["frequency", weigh(fall, 0.05, 0.2), text]);
  }
  if (typeof after?.temperatureC === "number") {
    const text = `the processor is at ${after.temperatureC.toFixed(0)} °C`;
    found.push(["heat", weigh(after.temperatureC, 75, 95), text]);
  }
  const throttled = after?.throttled;
  if (typeof throttled === "string" && throttled !== "no") {
    found.push([
      "throttling",
      /\bnow\b/.test(throttled) ? "serious" : "mild",
      `the system tells: ${throttled}`,
    ]);
  }
  return found;
}

export function judgeNoise(facts: NoiseFacts): Noise {
  const { times } = facts;
  const drift = driftOf(times);
  const spread = (quantile(times, 0.75) - quantile(times, 0.25)) / median(times);
  const findings = [...ownFindings(facts, drift, spread), ...systemFindings(facts)].flatMap(
    ([kind, weight, text]): Finding[] => (weight === undefined ? [] : [{ kind, weight, text }]),
  );
  const has = (weight: Finding["weight"]) => findings.some((finding) => finding.weight === weight);
  const verdict = has("serious") ? "noisy" : has("mild") ? "usable" : "quiet";
  return { verdict, drift, spread, findings };
}
