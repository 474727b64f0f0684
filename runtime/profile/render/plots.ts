// Plots as SVG text: bars with intervals, single runs over time with their histogram. Colours come from the page's style.

import { quantile } from "../statistics.ts";
import { plainMs } from "./numbers.ts";

export const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Text behind the bar. */
  readonly told: string;
  readonly kind: "adder" | "products" | "other";
  readonly interval?: readonly [number, number];
  /** Shown when pointed at. */
  readonly title?: string;
}

const width = 720;
const rowHeight = 22;
/** Characters of a label beside its bar. */
const labelLength = 26;
const labelWidth = 190;
const toldWidth = 130;

const n = (value: number): string => Number(value.toFixed(1)).toString();

const shortened = (label: string): string =>
  label.length <= labelLength ? label : `…${label.slice(1 - labelLength)}`;

function barRow(bar: Bar, index: number, scale: number): string {
  const y = index * rowHeight;
  const length = Math.max(1, bar.value * scale);
  const middle = y + rowHeight / 2;
  const [low, high] = (bar.interval ?? [bar.value, bar.value]).map((bound) => labelWidth + bound * scale);
  const whisker =
    bar.interval === undefined
      ? ""
      : `<path class="whisker" d="M${n(low!)} ${n(middle)}H${n(high!)}M${n(low!)} ${n(middle - 4)}v8M${n(high!)} ${n(middle - 4)}v8"/>`;
  const end = Math.max(labelWidth + length, bar.interval ? high! : 0);
  return `<g><title>${escapeHtml(bar.title ?? `${bar.label}: ${bar.told}`)}</title>
<text class="label" x="${labelWidth - 8}" y="${n(middle + 4)}" text-anchor="end">${escapeHtml(shortened(bar.label))}</text>
<rect class="${bar.kind}" x="${labelWidth}" y="${n(y + 3)}" width="${n(length)}" height="${rowHeight - 6}" rx="2"/>${whisker}
<text x="${n(end + 6)}" y="${n(middle + 4)}">${escapeHtml(bar.told)}</text></g>`;
}

/** Horizontal bars, one below the other. */
export function barPlot(bars: readonly Bar[], title: string): string {
  const most = Math.max(...bars.map(({ value, interval }) => Math.max(value, interval?.[1] ?? 0)), 1e-12);
  const scale = (width - labelWidth - toldWidth) / most;
  const rows = bars.map((bar, index) => barRow(bar, index, scale)).join("\n");
  const height = bars.length * rowHeight + 4;
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">${rows}</svg>`;
}

const plotHeight = 220;
const margin = { left: 58, right: 130, top: 10, bottom: 28 } as const;
const bins = 28;

function histogram(times: readonly number[], low: number, high: number, y: (ms: number) => number): string {
  const counts = new Array<number>(bins).fill(0);
  for (const ms of times) {
    const bin = Math.floor(((ms - low) / (high - low)) * bins);
    if (bin >= 0 && bin < bins) counts[bin]!++;
  }
  const most = Math.max(...counts, 1);
  const left = width - margin.right + 12;
  return counts
    .map((count, bin) => {
      const [from, to] = [low + (bin * (high - low)) / bins, low + ((bin + 1) * (high - low)) / bins];
      const height = Math.max(1, y(from) - y(to) - 1);
      const length = (count / most) * (margin.right - 24);
      return `<rect class="histogram" x="${left}" y="${n(y(to))}" width="${n(length)}" height="${n(height)}"><title>${count} runs, ${plainMs(from)} to ${plainMs(to)} ms</title></rect>`;
    })
    .join("");
}

/** Single runs as dots over time, the median as a line, and how often each time came beside them. Far outliers stand at the top. */
export function runsPlot(runs: readonly (readonly [number, number])[], medianMs: number): string {
  const times = runs.map(([, ms]) => ms);
  const [least, usual] = [quantile(times, 0), quantile(times, 0.97)];
  const pad = Math.max((usual - least) * 0.08, medianMs * 0.005);
  const [low, high] = [Math.max(0, least - pad), usual + pad];
  const last = Math.max(...runs.map(([at]) => at), 1);
  const x = (at: number): number => margin.left + (at / last) * (width - margin.left - margin.right);
  const bottom = plotHeight - margin.bottom;
  const y = (ms: number): number =>
    bottom - ((Math.min(ms, high) - low) / (high - low)) * (bottom - margin.top);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  const grid = ticks.map(
    (ms) =>
      `<path class="grid" d="M${margin.left} ${n(y(ms))}H${width - margin.right}"/><text class="label" x="${margin.left - 6}" y="${n(y(ms) + 4)}" text-anchor="end">${plainMs(ms)}</text>`,
  );
  const dots = runs.map(
    ([at, ms]) => `<circle class="${ms > high ? "far" : "dot"}" cx="${n(x(at))}" cy="${n(y(ms))}" r="2"/>`,
  );
  return `<svg viewBox="0 0 ${width} ${plotHeight}" role="img" aria-label="Milliseconds of single runs over time">${grid.join("")}${dots.join("")}
<path class="median" d="M${margin.left} ${n(y(medianMs))}H${width - margin.right}"/>${histogram(times, low, high, y)}
<text class="label" x="${margin.left}" y="${plotHeight - 8}">0 s</text><text class="label" x="${width - margin.right}" y="${plotHeight - 8}" text-anchor="end">${(last / 1000).toPrecision(2)} s</text></svg>`;
}
