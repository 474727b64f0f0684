// Conditions on a report, for machines that watch over time: "p95>12ms", and nothing slower than a report made before.

import { AdderNetError } from "../../src/core/errors.ts";
import type { ProfileReport, Threshold } from "./report.ts";
import { quantile } from "./statistics.ts";

const toMs: Readonly<Record<string, number>> = { us: 1e-3, µs: 1e-3, ms: 1, s: 1000 };
const toBytes: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};
const toShare: Readonly<Record<string, number>> = { "%": 0.01, "": 1 };

interface Metric {
  readonly units: Readonly<Record<string, number>>;
  /** Of a value in a crossing's message. */
  readonly unit: string;
  readonly of: (report: ProfileReport) => number | null | undefined;
}

const timeMetric = (of: Metric["of"]): Metric => ({ units: toMs, unit: "ms", of });
const byteMetric = (of: Metric["of"]): Metric => ({ units: toBytes, unit: "B", of });
const shareMetric = (of: Metric["of"]): Metric => ({ units: toShare, unit: "", of });

function ratioAgainst(engine: RegExp): Metric["of"] {
  return ({ comparison }) =>
    comparison?.ratios.find(({ ours, peer }) => /^AdderNet/.test(ours) && engine.test(peer))?.ratio;
}

const metrics: Readonly<Record<string, Metric>> = {
  min: timeMetric(({ latencyMs }) => latencyMs.min),
  mean: timeMetric(({ latencyMs }) => latencyMs.mean),
  median: timeMetric(({ latencyMs }) => latencyMs.p50),
  max: timeMetric(({ latencyMs }) => latencyMs.max),
  first: timeMetric(({ startUpMs }) => startUpMs.firstRun),
  cold: timeMetric(({ startUpMs }) => startUpMs.coldStart),
  memory: byteMetric(({ memory }) => memory.wasmBytes),
  peak: byteMetric(({ memory }) => memory.peakBytes),
  ci: shareMetric(({ latencyMs: { ci95, p50 } }) => (ci95[1] - ci95[0]) / (2 * p50)),
  drift: shareMetric(({ noise }) => noise.drift),
  unaccounted: shareMetric(({ reconciliation }) => reconciliation.unaccountedShare),
  "ratio-web": shareMetric(ratioAgainst(/onnxruntime-web/)),
  "ratio-node": shareMetric(ratioAgainst(/onnxruntime-node/)),
  "ratio-addernet": shareMetric(ratioAgainst(/, addernet/)),
};

/** p50, p90, p95 and p99 as reported, others from the runs kept in the report. */
function percentile(name: string): Metric | undefined {
  const match = /^p(\d{1,2}(?:\.\d+)?)$/.exec(name);
  if (match === null) return undefined;
  const known = name as "p50";
  return timeMetric(({ latencyMs, samples }) =>
    known in latencyMs
      ? latencyMs[known]
      : quantile(
          samples.runs.map(([, ms]) => ms),
          Number(match[1]) / 100,
        ),
  );
}

export interface Condition {
  readonly text: string;
  readonly metric: Metric;
  readonly operator: keyof typeof comparisons;
  readonly limit: number;
}

const comparisons = {
  ">": (a: number, b: number) => a > b,
  ">=": (a: number, b: number) => a >= b,
  "<": (a: number, b: number) => a < b,
  "<=": (a: number, b: number) => a <= b,
} as const;

/** "p95>12ms", "cold >= 80 ms", "memory>64MiB", "ratio-web>0.5"; undefined for anything else. */
export function parseCondition(text: string): Condition | undefined {
  const match =
    /^\s*([a-z][a-z0-9.-]*)\s*(>=|<=|>|<)\s*([0-9]*\.?[0-9]+(?:e[+-]?\d+)?)\s*([a-zµ%]*)\s*$/i.exec(text);
  if (match === null) return undefined;
  const [, name, operator, number, unit] = match;
  const key = name!.toLowerCase();
  const metric = Object.hasOwn(metrics, key) ? metrics[key] : percentile(key);
  const given = unit!.toLowerCase();
  if (metric === undefined || !Object.hasOwn(metric.units, given)) return undefined;
  return {
    text: text.trim(),
    metric,
    operator: operator as Condition["operator"],
    limit: Number(number) * metric.units[given]!,
  };
}

/** In words, for a message. */
export const conditionForm = `a metric (${[...Object.keys(metrics), "pNN"].join(", ")}), one of > >= < <=, and a number with a unit (us ms s, KB MB KiB MiB, %), as "p95>12ms"`;

/** What the conditions make of a report. Throws ADN_USAGE for a metric the report does not have. */
export function checkConditions(report: ProfileReport, conditions: readonly Condition[]): Threshold[] {
  return conditions.map(({ text, metric, operator, limit }) => {
    const found = metric.of(report);
    if (found === null || found === undefined) {
      throw new AdderNetError("ADN_USAGE", `the report has no such figure: ${text}`, {
        where: "--fail-if",
        fix: "ratios need --compare and the engine; peak memory is told on some systems only",
      });
    }
    return { condition: text, found, unit: metric.unit, crossed: comparisons[operator](found, limit) };
  });
}

/** Slower than before by more than a share of it: the medians are compared. */
export function checkBaseline(report: ProfileReport, baseline: ProfileReport, maxRegress: number): Threshold {
  const found = report.latencyMs.p50 / baseline.latencyMs.p50 - 1;
  return {
    condition: `median at most ${(100 * maxRegress).toPrecision(3)} % above the baseline's ${baseline.latencyMs.p50.toPrecision(4)} ms`,
    found,
    unit: "",
    crossed: found > maxRegress,
  };
}

/** What makes two reports hard to compare. */
export function differences(report: ProfileReport, baseline: ProfileReport): string[] {
  const pairs = [
    ["the processor", report.environment.cpu.model, baseline.environment.cpu.model],
    ["the engine", report.environment.engine, baseline.environment.engine],
    ["the number of threads", report.settings.threads, baseline.settings.threads],
    ["the kernels", report.settings.kernels, baseline.settings.kernels],
    ["the model", report.model.sha256, baseline.model.sha256],
    ["the input", JSON.stringify(report.model.inputs), JSON.stringify(baseline.model.inputs)],
  ] as const;
  return pairs.flatMap(([what, now, before]) =>
    now === before ? [] : [`${what} is not the baseline's: ${now} now, ${before} then`],
  );
}

/** The crossed ones as one failure; undefined when there are none. */
export function thresholdFailure(thresholds: readonly Threshold[]): AdderNetError | undefined {
  const crossed = thresholds.filter((threshold) => threshold.crossed);
  if (crossed.length === 0) return undefined;
  const found = crossed.map(({ condition, found: value, unit }) => {
    const told =
      unit === "" ? `${(100 * value).toPrecision(3)} %` : `${Number(value.toPrecision(4))} ${unit}`;
    return `${condition}: ${told}`;
  });
  return new AdderNetError("ADN_THRESHOLD", `${crossed.length} of ${thresholds.length} thresholds crossed`, {
    found: found.join("; "),
  });
}
