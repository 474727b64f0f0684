// The report of a run as one page: learning curves, how weights are spread, first-layer filters and, where two numbers lie before the
// classes, where images land between them. Nothing is fetched: pictures are SVG in the page.

import { escapeHtml } from "../../../runtime/profile/render/plots.ts";
import { median } from "../../../runtime/profile/statistics.ts";
import { elementCount } from "../../core/tensor.ts";
import { type Dataset, type Network, readBatch, shapesOf, type Trainer } from "../../train/index.ts";
import { colours, curves, histogram, type Series, scatter, tiles } from "./drawing.ts";
import type { MetricsLine } from "./files.ts";

/** Weights of a layer to draw, by what it does. */
interface Weights {
  readonly name: string;
  readonly kind: "adder" | "conv";
  readonly values: Float32Array;
  readonly dims: readonly number[];
}

function weightsOf({ parameters }: Network, values: ReadonlyMap<string, Float32Array>): Weights[] {
  return [...parameters.values()].flatMap(({ name, role, dims }) =>
    role === "adder" || role === "conv" ? [{ name, kind: role, values: values.get(name)!, dims }] : [],
  );
}

interface Fit {
  readonly name: "Laplace" | "Gauss";
  readonly density: (x: number) => number;
  /** Mean log likelihood of the weights: the larger one fits better. */
  readonly likelihood: number;
}

const mean = (values: Float32Array, of: (x: number) => number): number =>
  values.reduce((sum, value) => sum + of(value), 0) / values.length;

/** Laplace around the median with the mean distance, Gauss around the mean with the deviation: both are the likeliest of their kind. */
export function fits(values: Float32Array): readonly [Fit, Fit] {
  const centre = median(values);
  const spread = mean(values, (x) => Math.abs(x - centre)) || 1e-12;
  const average = mean(values, (x) => x);
  const deviation = Math.sqrt(mean(values, (x) => (x - average) ** 2)) || 1e-12;
  return [
    {
      name: "Laplace",
      density: (x) => Math.exp(-Math.abs(x - centre) / spread) / (2 * spread),
      likelihood: -Math.log(2 * spread) - 1,
    },
    {
      name: "Gauss",
      density: (x) =>
        Math.exp(-((x - average) ** 2) / (2 * deviation ** 2)) / (deviation * Math.sqrt(2 * Math.PI)),
      likelihood: -Math.log(deviation * Math.sqrt(2 * Math.PI)) - 0.5,
    },
  ];
}

const bins = 60;

/** Weights as a density between their 0.5 % and 99.5 % quantiles. */
function weightPicture({ name, kind, values }: Weights): string {
  const sorted = values.slice().sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  const [low, high] = [at(0.005), at(0.995)];
  const step = (high - low || 1) / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.floor((value - low) / step);
    if (bin >= 0 && bin < bins) counts[bin]!++;
  }
  const centre = (bin: number): number => low + (bin + 0.5) * step;
  const bars: Series = {
    name: `${kind} weights`,
    colour: kind === "adder" ? colours[0] : colours[3],
    points: counts.map((count, bin) => [centre(bin), count / values.length / step] as const),
  };
  const [laplace, gauss] = fits(values);
  const line = ({ name: law, density }: Fit, colour: string): Series => ({
    name: law,
    colour,
    points: counts.map((_, bin) => [centre(bin), density(centre(bin))] as const),
  });
  const better = laplace.likelihood > gauss.likelihood ? laplace : gauss;
  const told = `<figcaption>${name}: ${better.name} fits better, by ${Math.abs(laplace.likelihood - gauss.likelihood).toFixed(3)} nats a weight</figcaption>`;
  return `<figure>${histogram(bars, [line(laplace, colours[1]), line(gauss, colours[2])], "weight")}${told}</figure>`;
}

function curvePictures(lines: readonly MetricsLine[]): string {
  const epochs = lines.filter(({ kind }) => kind === "epoch");
  const points = (of: (line: Record<string, never>) => number | undefined) =>
    epochs.flatMap((line) => {
      const y = of(line as never);
      return y === undefined ? [] : [[line.epoch as number, y] as const];
    });
  const picture = (title: string, key: "loss" | "accuracy"): string => {
    const series: Series[] = [
      { name: "training", colour: colours[0], points: points((line) => line[key]) },
      {
        name: "validation",
        colour: colours[1],
        points: points((line) => (line.validation as Record<string, number> | undefined)?.[key]),
      },
    ].filter(({ points: all }) => all.length > 0);
    return `<figure>${curves(series, "epoch")}<figcaption>${title}</figcaption></figure>`;
  };
  return picture("loss", "loss") + picture("accuracy", "accuracy");
}

const mostFilters = 64;

function filterPicture({ name, values, dims }: Weights): string {
  const [filters, channels, rows, across] = dims as [number, number, number, number];
  if (rows < 2) return "";
  const length = channels * rows * across;
  const all = Array.from({ length: Math.min(filters, mostFilters) }, (_, index) => ({
    values: values.subarray(index * length, (index + 1) * length),
    ...{ height: rows, width: across, channels },
  }));
  return `<h2>Filters of ${name}</h2><figure>${tiles(all)}</figure>`;
}

const mostPoints = 2000;

/** The value of two numbers that the last layer reads, where there is one: LeNet++. */
function twoFeatures(network: Network): string | undefined {
  const last = network.layers.findLast(({ kind }) => kind === "conv" || kind === "adder");
  const shape = last && shapesOf(network).get(last.input);
  return shape && elementCount(shape) === 2 ? last.input : undefined;
}

function featurePicture(trainer: Trainer, data: Dataset): string {
  const value = twoFeatures(trainer.network);
  if (value === undefined) return "";
  const classes = trainer.outputs;
  const points = Array.from({ length: classes }, (): [number, number][] => []);
  for (let start = 0; start + trainer.batch <= Math.min(data.count, mostPoints); start += trainer.batch) {
    const indices = Array.from({ length: trainer.batch }, (_, row) => start + row);
    const { images, labels } = readBatch(data, indices);
    trainer.forward(images, "inference");
    const features = trainer.read(value);
    for (const [row, label] of labels.entries())
      points[label]!.push([features[2 * row]!, features[2 * row + 1]!]);
  }
  const series = points.flatMap((own, label) =>
    own.length === 0
      ? []
      : [
          {
            name: data.classes?.[label] ?? String(label),
            colour: colours[label % colours.length]!,
            points: own,
          },
        ],
  );
  return series.length === 0
    ? ""
    : `<section id="features"><h2>The two features, by class</h2><figure>${scatter(series, "first feature; the second upwards")}</figure></section>`;
}

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:1320px;margin:2em auto;padding:0 1em;color:#1f2328}
figure{display:inline-block;margin:0 1em 1em 0;vertical-align:top}figcaption{font-size:13px;color:#57606a;max-width:420px}
.legend{margin:0 0 0 44px;font-size:13px}.legend span{margin-right:1em}.axis{fill:none;stroke:#8c959f}text{font-size:11px;fill:#57606a}
table{border-collapse:collapse;font-size:13px}td{padding:1px 12px 1px 0}`;

export interface ReportParts {
  readonly title: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly lines: readonly MetricsLine[];
  readonly trainer: Trainer;
  /** Images for the picture of features. */
  readonly data: Dataset;
}

export function reportPage({ title, settings, lines, trainer, data }: ReportParts): string {
  const weights = weightsOf(trainer.network, trainer.values);
  const rows = Object.entries(settings).map(
    ([name, value]) => `<tr><td>${name}</td><td>${escapeHtml(String(value))}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title><style>${style}</style></head><body>
<h1>${escapeHtml(title)}</h1>
<h2>Learning</h2>${curvePictures(lines)}
<section id="weights"><h2>Weights</h2>${weights.map(weightPicture).join("")}</section>
${weights[0] ? filterPicture(weights[0]) : ""}
${featurePicture(trainer, data)}
<details><summary>Settings</summary><table>${rows.join("")}</table></details>
</body></html>
`;
}
