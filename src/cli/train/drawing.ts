// Pictures of a run as SVG text: curves, histograms with fitted densities, filters as tiles, points.

const width = 420;
const height = 220;
const margin = { left: 44, right: 10, top: 10, bottom: 28 } as const;

export const colours = [
  "#1f6feb",
  "#d1242f",
  "#1a7f37",
  "#8250df",
  "#bf8700",
  "#0e8a8a",
  "#cf4f9b",
  "#57606a",
  "#6e4b1f",
  "#111",
] as const;

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly colour: string;
}

interface Scale {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly bounds: readonly [x0: number, x1: number, y0: number, y1: number];
  readonly high: number;
}

function scaleOver(series: readonly Series[], fromZero: boolean, high: number = height): Scale {
  const all = series.flatMap(({ points }) => points);
  const reach = (axis: 0 | 1): [number, number] => {
    const values = all.map((point) => point[axis]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  };
  const [x0, x1] = reach(0);
  const [least, y1] = reach(1);
  const y0 = fromZero ? 0 : least;
  const place = (value: number, low: number, high: number, from: number, to: number): number =>
    from + ((value - low) / (high - low)) * (to - from);
  return {
    x: (value) => place(value, x0, x1, margin.left, width - margin.right),
    y: (value) => place(value, y0, y1, high - margin.bottom, margin.top),
    high,
    bounds: [x0, x1, y0, y1],
  };
}

const short = (value: number): string => String(Number(value.toPrecision(3)));

function axes({ bounds, high }: Scale, label: string, level = (y: number): number => y): string {
  const [x0, x1] = bounds;
  const [y0, y1] = [level(bounds[2]), level(bounds[3])];
  const [left, right, bottom] = [margin.left, width - margin.right, high - margin.bottom];
  const text = (x: number, y: number, anchor: string, value: string): string =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}">${value}</text>`;
  return [
    `<path class="axis" d="M${left} ${margin.top}V${bottom}H${right}"/>`,
    text(left, bottom + 14, "middle", short(x0)),
    text(right, bottom + 14, "end", short(x1)),
    text((left + right) / 2, bottom + 22, "middle", label),
    text(left - 4, bottom, "end", short(y0)),
    text(left - 4, margin.top + 10, "end", short(y1)),
  ].join("");
}

const svg = (content: string, w: number = width, h: number = height): string =>
  `<svg viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img">${content}</svg>`;

const path = ({ points, colour }: Series, { x, y }: Scale): string =>
  `<path fill="none" stroke="${colour}" stroke-width="1.5" d="M${points.map(([a, b]) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("L")}"/>`;

/** Each name once: lines that share it share their colour. */
const legend = (series: readonly Series[]): string =>
  `<p class="legend">${[...new Map(series.map((line) => [line.name, line])).values()].map(({ name, colour }) => `<span style="color:${colour}">${name}</span>`).join(" ")}</p>`;

/** Lines over a common axis. */
export function curves(series: readonly Series[], label: string): string {
  const scale = scaleOver(series, false);
  return svg(axes(scale, label) + series.map((line) => path(line, scale)).join("")) + legend(series);
}

/** Lines of positive numbers over a common axis, equal ratios equally far apart; `marks` are dashed. */
export function logCurves(series: readonly Series[], label: string, marks: readonly Series[] = []): string {
  const onLog = ({ points, ...rest }: Series): Series => ({
    ...rest,
    points: points.map(([x, y]) => [x, Math.log10(y)] as const),
  });
  const [lines, across] = [series.map(onLog), marks.map(onLog)];
  const scale = scaleOver([...lines, ...across], false);
  const dashed = across.map((line) => path(line, scale).replace("<path", '<path stroke-dasharray="4 3"'));
  const content = axes(scale, label, (y) => 10 ** y) + lines.map((line) => path(line, scale)).join("");
  return svg(content + dashed.join("")) + legend(series);
}

/** Bars of a density, and lines over them. */
export function histogram(bars: Series, lines: readonly Series[], label: string): string {
  const scale = scaleOver([bars, ...lines], true);
  const step = bars.points.length > 1 ? bars.points[1]![0] - bars.points[0]![0] : 1;
  const wide = Math.max(0.5, scale.x(step) - scale.x(0));
  const bottom = height - margin.bottom;
  const drawn = bars.points.map(([x, y]) => {
    const top = scale.y(y);
    return `<rect x="${(scale.x(x) - wide / 2).toFixed(1)}" y="${top.toFixed(1)}" width="${wide.toFixed(1)}" height="${(bottom - top).toFixed(1)}"/>`;
  });
  const content = `${axes(scale, label)}<g fill="${bars.colour}" fill-opacity="0.35">${drawn.join("")}</g>`;
  return svg(content + lines.map((line) => path(line, scale)).join("")) + legend([bars, ...lines]);
}

/** Points on a square, a colour for each class. */
export function scatter(series: readonly Series[], label: string): string {
  const scale = scaleOver(series, false, width);
  const dots = series.map(({ points, colour }) =>
    points
      .map(
        ([x, y]) =>
          `<circle cx="${scale.x(x).toFixed(1)}" cy="${scale.y(y).toFixed(1)}" r="2" fill="${colour}"/>`,
      )
      .join(""),
  );
  return svg(axes(scale, label) + dots.join(""), width, width) + legend(series);
}

export interface Tile {
  readonly values: Float32Array;
  readonly height: number;
  readonly width: number;
  /** One for grey, three for colour. */
  readonly channels: number;
}

/** Each tile from its own smallest to its own largest value. */
export function tiles(all: readonly Tile[], pixel = 9): string {
  const columns = 8;
  const first = all[0]!;
  const [stepX, stepY] = [first.width * pixel + 6, first.height * pixel + 6];
  const drawn = all.map(({ values, height: rows, width: across, channels }, index) => {
    const [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const shade = (value: number): number => Math.round((255 * (value - low)) / (high - low || 1));
    const [left, top] = [(index % columns) * stepX, Math.floor(index / columns) * stepY];
    return Array.from({ length: rows * across }, (_, at) => {
      const levels = [0, 1, 2].map((c) => shade(values[(channels === 3 ? c : 0) * rows * across + at]!));
      const [x, y] = [left + (at % across) * pixel, top + Math.floor(at / across) * pixel];
      return `<rect x="${x}" y="${y}" width="${pixel}" height="${pixel}" fill="rgb(${levels.join()})"/>`;
    }).join("");
  });
  return svg(drawn.join(""), Math.min(columns, all.length) * stepX, Math.ceil(all.length / columns) * stepY);
}
