// A report as one page with plots.

import type { LayerReport, ProfileReport } from "../report.ts";
import { energy, percent, plainMs, ratio, time } from "./numbers.ts";
import { type Card, cardRow, htmlPage, htmlSection } from "./page.ts";
import { type Bar, barPlot, escapeHtml, runsPlot } from "./plots.ts";
import { type Section, sectionsOf } from "./sections.ts";

function cardsOf({
  latencyMs,
  noise,
  comparison,
  costs,
  startUpMs,
  environment,
  settings,
}: ProfileReport): Card[] {
  const halfWidth = (latencyMs.ci95[1] - latencyMs.ci95[0]) / (2 * latencyMs.p50);
  const ratios = (comparison?.ratios ?? []).map(({ peer, ratio: value }) => ({
    value: `${ratio(value)}x`,
    told: `time of the ${peer}`,
  }));
  return [
    { value: time(latencyMs.p50), told: `median, ± ${percent(halfWidth)} (95 %), ${latencyMs.n} runs` },
    { value: time(latencyMs.p95), told: "p95" },
    { value: time(startUpMs.coldStart), told: "cold start" },
    ...ratios,
    {
      value: energy(costs.adder.energyMicrojoules),
      told: `energy, 45 nm model; CNN ${energy(costs.cnn.energyMicrojoules)}`,
    },
    { value: noise.verdict, told: "noise", kind: noise.verdict },
    { value: `${settings.threads}`, told: `threads, of ${environment.cpu.cores ?? "?"} cores` },
  ];
}

const kindOf = ({ opType, taps }: LayerReport): Bar["kind"] =>
  taps === 0 ? "other" : /Adder/.test(opType) ? "adder" : "products";

function layerBars({ layers, reconciliation }: ProfileReport): Bar[] {
  const bars = layers.map(
    (layer): Bar => ({
      label: layer.name,
      value: layer.ms,
      told: `${time(layer.ms)}, ${percent(layer.share)}`,
      kind: kindOf(layer),
      title: `${layer.opType} ${layer.name}: ${time(layer.ms)}; ${Object.keys(layer.kernels).join(", ")}${layer.why ? `; ${layer.why}` : ""}`,
    }),
  );
  const rest = Math.max(0, reconciliation.unaccountedMs);
  return [
    ...bars,
    { label: "unaccounted", value: rest, told: percent(reconciliation.unaccountedShare), kind: "other" },
  ];
}

const key = `<p class="key"><i class="a"></i>adder layers<i class="p"></i>products<i class="o"></i>others</p>`;

function compareBars({ comparison }: ProfileReport): Bar[] {
  return (comparison?.candidates ?? []).map(({ name, network, latencyMs }) => ({
    label: name,
    value: latencyMs.p50,
    interval: latencyMs.ci95,
    told: `${plainMs(latencyMs.p50)} ms`,
    kind: network === "AdderNet" ? "adder" : "products",
  }));
}

function plotFor({ id }: Section, report: ProfileReport): string {
  const wrapped = (plot: string): string => `<div class="plot">${plot}</div>`;
  if (id === "layers") return key + wrapped(barPlot(layerBars(report), "Milliseconds by layer"));
  if (id === "comparison") return wrapped(barPlot(compareBars(report), "Median milliseconds by engine"));
  return "";
}

/** One page that needs nothing beside itself. */
export function toHtml(report: ProfileReport): string {
  const { model, environment, made, tool, latencyMs, samples } = report;
  const title = `Profile of ${model.name}`;
  const where = [environment.board, environment.cpu.model, environment.engine].filter(Boolean).join(", ");
  const runs = `<section><h2>Single runs</h2><div class="plot">${runsPlot(samples.runs, latencyMs.p50)}</div><p>Milliseconds of each run over time, the median as a line, and how often each came. Runs beyond the 97th percentile stand at the top.</p></section>`;
  const [first, ...others] = sectionsOf(report);
  const body = [
    `<h1>${escapeHtml(title)}</h1><p>${escapeHtml(where)}</p>`,
    cardRow(cardsOf(report)),
    runs,
    ...others.map((section) => htmlSection(section, plotFor(section, report))),
    htmlSection({ ...first!, title: "How it was measured" }),
    `<footer>addernet ${escapeHtml(tool.version)}, ${escapeHtml(made)}</footer>`,
  ];
  return htmlPage(title, body.join("\n"));
}
