// Reports from several machines side by side.

import type { ProfileReport } from "../report.ts";
import { markdownTable } from "./markdown.ts";
import { bytes, plainMs, ratio, time } from "./numbers.ts";
import { htmlPage, htmlSection } from "./page.ts";
import { type Bar, barPlot, escapeHtml } from "./plots.ts";
import type { Section } from "./sections.ts";

/** The board's own name where it has one, else its processor's. */
function machineName({ environment: { board, cpu, host } }: ProfileReport): string {
  return [board ?? cpu.model, host].filter(Boolean).join(", ");
}

/** What tells two reports of one machine apart, shortest first. */
const namings: readonly ((report: ProfileReport) => string)[] = [
  machineName,
  (report) => `${machineName(report)}, threads: ${report.settings.threads}`,
  (report) =>
    `${machineName(report)}, threads: ${report.settings.threads}, ${report.settings.kernels}, ${report.made}`,
];

/** A name for each report, as short as keeps it apart from the others. */
function columnNames(reports: readonly ProfileReport[]): string[] {
  return reports.map((report) => {
    const isOwn = (name: (report: ProfileReport) => string) =>
      reports.every((other) => other === report || name(other) !== name(report));
    return (namings.find(isOwn) ?? namings.at(-1)!)(report);
  });
}

function row(report: ProfileReport): string[] {
  const { environment: e, settings, latencyMs, startUpMs, memory, comparison, noise, model } = report;
  const ratios = (comparison?.ratios ?? []).map(({ peer, ratio: value }) => `${ratio(value)} of ${peer}`);
  return [
    machineName(report),
    model.name,
    `${e.cpu.model}, ${e.engine}`,
    settings.kernels,
    `${settings.threads}`,
    plainMs(latencyMs.p50),
    `${plainMs(latencyMs.ci95[0])} to ${plainMs(latencyMs.ci95[1])}`,
    plainMs(latencyMs.p95),
    time(startUpMs.coldStart),
    memory.peakBytes === null ? "" : bytes(memory.peakBytes),
    ratios.join("; "),
    noise.verdict,
  ];
}

/** Fastest first, networks together. */
function ordered(reports: readonly ProfileReport[]): ProfileReport[] {
  return [...reports].sort(
    (a, b) => a.model.name.localeCompare(b.model.name) || a.latencyMs.p50 - b.latencyMs.p50,
  );
}

export function mergedSection(reports: readonly ProfileReport[]): Section {
  return {
    id: "summary",
    title: "Machines",
    head: [
      "machine",
      "model",
      "processor",
      "kernels",
      "threads",
      "median ms",
      "95 %",
      "p95 ms",
      "cold start",
      "peak memory",
      "AdderNet's time",
      "noise",
    ],
    rows: ordered(reports).map(row),
    notes: [],
  };
}

/** Milliseconds of every layer, machine by machine, for reports of one network. */
function layersSection(reports: readonly ProfileReport[]): Section {
  const first = reports[0]!;
  return {
    id: "layers",
    title: `Layers of ${first.model.name}, ms`,
    head: ["layer", ...columnNames(reports)],
    rows: first.layers.map(({ name }, index) => [
      name,
      ...reports.map(({ layers }) => plainMs(layers[index]!.ms)),
    ]),
    notes: [],
  };
}

const layerNames = ({ layers }: ProfileReport): string => layers.map(({ name }) => name).join("\n");

/** Reports whose layers are the same, by the names of the layers. */
function byNetwork(reports: readonly ProfileReport[]): ProfileReport[][] {
  const groups = new Map<string, ProfileReport[]>();
  for (const report of ordered(reports)) {
    const known = groups.get(layerNames(report));
    if (known) known.push(report);
    else groups.set(layerNames(report), [report]);
  }
  return [...groups.values()];
}

export function mergedHtml(reports: readonly ProfileReport[]): string {
  const plots = byNetwork(reports).map((group) => {
    const names = columnNames(group);
    const bars = group.map(
      (report, index): Bar => ({
        label: names[index]!,
        value: report.latencyMs.p50,
        interval: report.latencyMs.ci95,
        told: `${plainMs(report.latencyMs.p50)} ms`,
        kind: "adder",
      }),
    );
    const plot = barPlot(bars, `Median milliseconds of ${group[0]!.model.name} by machine`);
    const title = `<h2>${escapeHtml(group[0]!.model.name)}: median ms</h2>`;
    return `<section>${title}<div class="plot">${plot}</div></section>${htmlSection(layersSection(group))}`;
  });
  const body = [`<h1>${reports.length} profiles</h1>`, htmlSection(mergedSection(reports)), ...plots].join(
    "\n",
  );
  return htmlPage(`${reports.length} profiles`, body);
}

export function mergedMarkdown(reports: readonly ProfileReport[]): string {
  const sections = [mergedSection(reports), ...byNetwork(reports).map(layersSection)];
  return `${sections.map((section) => `### ${section.title}\n\n${markdownTable(section)}`).join("\n\n")}\n`;
}
