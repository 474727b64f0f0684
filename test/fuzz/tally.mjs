// What a run of the fuzzer has seen so far, as data that can be written to a file and gone on from.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

const emptyKind = (first) => ({
  first,
  next: first,
  cases: 0,
  findings: 0,
  outcomes: {},
  took: 0,
  slowest: 0,
  peak: 0,
});

/** A tally kept in `path`, where one is given; one that is already there is continued. */
export function openTally(path) {
  const isKept = path !== undefined && existsSync(path);
  return isKept ? JSON.parse(readFileSync(path, "utf8")) : { kinds: {}, findings: [], seconds: 0, stops: 0 };
}

export function writeTally(path, tally) {
  if (path === undefined) return;
  writeFileSync(`${path}.part`, JSON.stringify(tally));
  renameSync(`${path}.part`, path);
}

export function kindIn(tally, kind, firstSeed) {
  tally.kinds[kind] ??= emptyKind(firstSeed);
  return tally.kinds[kind];
}

/** Adds one case. */
export function count(tally, kind, { seed, finding, outcome, took = 0, peak = 0 }) {
  const sums = tally.kinds[kind];
  sums.next = seed + 1;
  sums.cases++;
  if (finding) {
    sums.findings++;
    tally.findings.push({ kind, ...finding });
    return;
  }
  sums.outcomes[outcome] = (sums.outcomes[outcome] ?? 0) + 1;
  sums.took += took / 1000;
  sums.slowest = Math.max(sums.slowest, took);
  sums.peak = Math.max(sums.peak, peak);
}

const perKind = (kind, { first, next, cases, findings, outcomes, took, slowest, peak }) => [
  `${kind}: ${cases} cases, seeds ${first} to ${next - 1}, ${findings} findings; ${Math.round(took)} s of a processor, ` +
    `at most ${Math.round(slowest)} ms a case and ${Math.round(peak)} MB`,
  ...Object.entries(outcomes)
    .sort()
    .map(([outcome, number]) => `  ${outcome}: ${number}`),
];

/** The lines a run ends with. */
export function summaryOf({ kinds, findings, seconds, stops }) {
  const cases = Object.values(kinds).reduce((sum, one) => sum + one.cases, 0);
  const again = stops > 0 ? `, continued ${stops} times` : "";
  return [
    ...Object.entries(kinds).flatMap(([kind, sums]) => perKind(kind, sums)),
    `${cases} cases: ${findings.length} findings, ${Math.round(seconds)} s${again}`,
  ].join("\n");
}
