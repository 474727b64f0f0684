// Conditions and baselines on recorded data.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { judgeNoise } from "../../runtime/profile/noise.ts";
import type { ProfileReport } from "../../runtime/profile/report.ts";
import {
  checkBaseline,
  checkConditions,
  differences,
  parseCondition,
  thresholdFailure,
} from "../../runtime/profile/thresholds.ts";

const report = JSON.parse(
  readFileSync(new URL("../fixtures/profile/resnet20-x64.json", import.meta.url), "utf8"),
) as ProfileReport;

const crossed = (text: string): boolean => checkConditions(report, [parseCondition(text)!])[0]!.crossed;
const { p50, p95 } = report.latencyMs;

describe("conditions", () => {
  // biome-ignore format: a table
  it.each([
    [`p95>${p95 * 1.01}ms`, false], [`p95>${p95 * 0.99}ms`, true], [`p95 >= ${p95}ms`, true],
    [`median<${p50 * 1.01} ms`, true], [`p50 > ${p50 / 1000 / 2}s`, true], [`p50>${p50 * 1000 * 2}us`, false],
    [`p75>${report.latencyMs.max}ms`, false], ["min<1us", false], ["memory>1GiB", false], ["memory>1KB", true],
    ["cold>1000s", false], ["ratio-web>0.9", false], ["ratio-web>10%", true], ["unaccounted>50%", false], ["ci>0.5", false],
  ])("%s", (text, expected) => {
    expect(crossed(text)).toBe(expected);
  });

  it.each([
    "p95",
    "p95>",
    "p95>12",
    "p95=12ms",
    "speed>1ms",
    "memory>3ms",
    "p95>twelve ms",
    "p100>1ms",
    ">12ms",
    "p95>12 m s",
  ])("refuses %s", (text) => {
    expect(parseCondition(text)).toBeUndefined();
  });

  it("a figure the report lacks is no pass", () => {
    expect(() => checkConditions({ ...report, comparison: null }, [parseCondition("ratio-web>2")!])).toThrow(
      /ADN_USAGE|no such figure/,
    );
  });
});

describe("baseline", () => {
  const slower = (factor: number): ProfileReport => ({
    ...report,
    latencyMs: { ...report.latencyMs, p50: p50 * factor },
  });

  // biome-ignore format: a table
  it.each([[1, 0.05, false], [1.04, 0.05, false], [1.06, 0.05, true], [0.5, 0, false], [1.001, 0, true]])("times %d, at most %d more", (factor, most, expected) => {
    expect(checkBaseline(slower(factor), report, most).crossed).toBe(expected);
  });

  it("tells crossed thresholds as one failure with the code of exit 5", () => {
    const failure = thresholdFailure([
      checkBaseline(slower(2), report, 0.05),
      checkBaseline(report, report, 0.05),
    ]);
    expect(failure?.code).toBe("ADN_THRESHOLD");
    expect(failure?.message).toMatch(/1 of 2 thresholds crossed.*100(\.0)? %/);
    expect(thresholdFailure([checkBaseline(report, report, 0.05)])).toBeUndefined();
  });

  it("tells what differs besides", () => {
    expect(differences(report, report)).toEqual([]);
    const other = { ...report, settings: { ...report.settings, threads: 4 } };
    expect(differences(report, other)).toEqual([
      "the number of threads is not the baseline's: 1 now, 4 then",
    ]);
  });
});

describe("noise", () => {
  const state = {
    temperatureC: 50,
    frequencyMHz: 2000,
    governor: "performance",
    throttled: "no",
    load: 0.1,
    stolenShare: 0,
  };
  const quiet = {
    times: Array.from({ length: 90 }, (_, index) => 5 + (index % 3) / 100),
    interval: 0.001,
    cores: 4,
    before: state,
    after: state,
  };
  const kinds = (facts: Partial<typeof quiet>) =>
    judgeNoise({ ...quiet, ...facts }).findings.map(({ kind, weight }) => `${weight} ${kind}`);

  it("is quiet when nothing stands against it", () => {
    expect(judgeNoise(quiet)).toMatchObject({ verdict: "quiet", findings: [] });
  });

  // biome-ignore format: a table
  it.each<[string, Partial<typeof quiet>, string[]]>([
    ["drift", { times: quiet.times.map((ms, index) => ms * (1 + index / 250)) }, ["mild spread", "serious drift"]],
    ["a wide interval", { interval: 0.05 }, ["mild interval"]],
    ["a busy machine", { before: { ...state, load: 8 } }, ["mild load"]],
    ["a hypervisor", { after: { ...state, stolenShare: 0.2 } }, ["serious stolen"]],
    ["a governor", { after: { ...state, governor: "ondemand" } }, ["note governor"]],
    ["a clock that falls", { after: { ...state, frequencyMHz: 1500 } }, ["serious frequency"]],
    ["heat", { after: { ...state, temperatureC: 82 } }, ["mild heat"]],
    ["throttling before", { after: { ...state, throttled: "throttled since the start" } }, ["mild throttling"]],
    ["throttling now", { after: { ...state, throttled: "throttled now" } }, ["serious throttling"]],
    ["a long tail", { times: [...quiet.times, 60, 61, 62] }, ["mild tail"]],
  ])("finds %s", (_name, facts, expected) => {
    expect(kinds(facts)).toEqual(expected);
  });

  it("a note alone does not make it less quiet", () => {
    expect(judgeNoise({ ...quiet, after: { ...state, governor: "ondemand" } }).verdict).toBe("quiet");
  });
});
