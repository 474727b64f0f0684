// The results as Markdown: times, ratios, shares of the roofline, memory, cold start, sizes.

import { leastMilliseconds } from "./roofline.mjs";

const number = (value, digits = 3) =>
  value === undefined ? "–" : Number(value.toPrecision(digits)).toString();
const percent = (value) => (value === undefined ? "–" : `${Math.round(100 * value)} %`);

function table(header, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line), ""].join("\n");
}

const columnsOf = (measured) => [
  ...new Set(measured.flatMap(({ milliseconds }) => Object.keys(milliseconds))),
];

function timesTable(measured, title) {
  const columns = columnsOf(measured);
  const rows = measured.map(({ network, milliseconds }) => [
    title(network),
    ...columns.map((name) => number(milliseconds[name]?.median)),
  ]);
  return table(["ms per run, median", ...columns], rows);
}

function ratiosTable(measured, title) {
  const pairs = [
    ...new Set(measured.flatMap(({ ratios }) => ratios.map(({ ours, peer }) => `${ours} / ${peer}`))),
  ];
  const cell = ({ ratios }, pair) => {
    const found = ratios.find(({ ours, peer }) => `${ours} / ${peer}` === pair);
    return found
      ? `**${number(found.ratio)}** (${found.quartiles.map((value) => number(value, 2)).join("–")})`
      : "–";
  };
  return table(
    ["ratio of medians (quartiles of the paired ratios)", ...measured.map(({ network }) => title(network))],
    pairs.map((pair) => [pair, ...measured.map((result) => cell(result, pair))]),
  );
}

/** What a batch and a second thread bring. */
function gainsTable(measured, title) {
  const rows = measured.flatMap(({ network, gains }) =>
    gains.map(({ variant, gain, quartiles }) => [
      title(network),
      variant,
      `**${number(gain)}** (${quartiles.map((value) => number(value)).join("–")})`,
    ]),
  );
  return table(["network", "", "images/s, one by one on one thread = 1"], rows);
}

/** What further threads bring in the same Node: one thread's median over theirs. */
function threadsTable(results, title) {
  const rows = results.flatMap(({ node, threads, networks: measured }) => {
    const single = results.find((other) => other.node === node && other.threads === 1);
    if (threads === 1 || single === undefined) return [];
    return measured.flatMap(({ network, milliseconds }) => {
      const before = single.networks.find((other) => other.network === network)?.milliseconds;
      if (before === undefined) return [];
      return Object.keys(milliseconds).map((name) => [
        node,
        title(network),
        name,
        threads,
        number(before[name].median / milliseconds[name].median),
      ]);
    });
  });
  if (rows.length === 0) return "";
  return `## Threads\n\n${table(["Node", "network", "", "threads", "times as fast as one"], rows)}`;
}

const kinds = { fp32: "adder float32", int8: "adder codes" };
const isAdder = ({ opType }) => opType?.includes("Adder2d");

const sum = (numbers) => numbers.reduce((total, value) => total + value, 0);

/** Taps per second over adder layers, and the least time that the mixes of their kernels allow as a share of the time taken. */
function adderRate(steps, width, roofline) {
  const layers = steps.filter(isAdder);
  const milliseconds = sum(layers.map((step) => step.milliseconds));
  const least = sum(layers.map(({ taps, live }) => leastMilliseconds(kinds[width], taps, live, roofline)));
  return { rate: sum(layers.map(({ taps }) => taps)) / milliseconds / 1e6, share: least / milliseconds };
}

function sharesTable(measured, roofline, title) {
  const rows = measured.flatMap(({ network, steps }) =>
    Object.entries(steps).map(([name, list]) => {
      const width = name.split(" ")[1];
      const { rate, share } = adderRate(list, width, roofline);
      const adders = list.filter(isAdder);
      const time =
        sum(adders.map(({ milliseconds }) => milliseconds)) /
        sum(list.map(({ milliseconds }) => milliseconds));
      return [title(network), name, number(rate), percent(share), percent(time)];
    }),
  );
  return table(
    ["network", "", "G taps/s over adder layers", "of the roofline", "adder layers' share of the time"],
    rows,
  );
}

function layersTable({ network, steps }, roofline, title) {
  return Object.entries(steps).map(([name, list]) => {
    const rows = list.map((step) => {
      const { node, kernels, milliseconds, taps } = step;
      const rate = taps === undefined ? undefined : taps / milliseconds / 1e6;
      const share = isAdder(step) ? adderRate([step], name.split(" ")[1], roofline).share : undefined;
      return [node, Object.keys(kernels).join(", "), number(milliseconds), number(rate), percent(share)];
    });
    return `<details><summary>${title(network)}, ${name}, layer by layer</summary>\n\n${table(["step", "kernels", "ms", "G taps/s", "of the roofline"], rows)}\n</details>\n`;
  });
}

function freshTable(measured, title) {
  const rows = measured.flatMap(({ network, fresh }) =>
    Object.entries(fresh).map(
      ([name, { sessionMilliseconds, firstRunMilliseconds, coldStartMilliseconds, peakMegabytes }]) => [
        title(network),
        name,
        ...[sessionMilliseconds, firstRunMilliseconds, coldStartMilliseconds, peakMegabytes].map((value) =>
          number(value),
        ),
      ],
    ),
  );
  return table(
    ["network", "", "session, ms", "first run, ms", "cold start, ms", "peak memory of the process, MB"],
    rows,
  );
}

function kernelsSection({ roofline, layers }) {
  const mixes = Object.entries(roofline).map(([mix, rate]) => [mix, number(rate)]);
  const rows = layers.map(({ layer, weights, kind, taps, live, milliseconds, kernels }) => [
    `${layer}, ${kind.replace("adder ", "")}`,
    weights,
    Object.keys(kernels).join(", "),
    number(taps / milliseconds / 1e6),
    percent(live ?? 1),
    percent(leastMilliseconds(kind, taps, live, roofline) / milliseconds),
  ]);
  return [
    table(["roofline: instruction mix", "G taps/s"], mixes),
    table(
      [
        "adder layer alone",
        "weights above 0",
        "kernels",
        "G taps/s, all taps",
        "taps gone through",
        "of their mix's roofline",
      ],
      rows,
    ),
  ].join("\n");
}

/** How far every engine is from the exact answer of its twin. */
function errorsTable(measured, title) {
  const columns = [...new Set(measured.flatMap(({ errors }) => Object.keys(errors)))];
  const rows = measured.map(({ network, errors }) => [
    title(network),
    ...columns.map((name) => (errors[name] === undefined ? "–" : errors[name].toExponential(1))),
  ]);
  return table(["largest error, as a share of the largest output in float64", ...columns], rows);
}

/** What was left out, why, and which form of the quantized CNN was taken. */
function notes(measured, failures, title) {
  const failed = failures.map(({ network, reason }) => `${title(network)} failed: ${reason}`);
  const lines = measured.flatMap(({ network, skipped, forms, explained }) => [
    ...Object.entries(skipped).map(
      ([name, reason]) => `${name} on ${title(network)}: not measured, ${reason}.`,
    ),
    ...Object.entries(forms).map(
      ([name, form]) => `${name} on ${title(network)}: ${form} is the fastest form.`,
    ),
    ...Object.entries(explained).map(
      ([name, { simd, threads }]) =>
        `${name} on ${title(network)}: ${simd.level} kernels (${simd.reason}), threads: ${threads.count} (${threads.reason}).`,
    ),
  ]);
  return `${[...failed, ...lines].map((line) => `- ${line}`).join("\n")}\n`;
}

function section({ node, v8, threads, kernels, networks: measured, failures }, title) {
  return [
    `## Node ${node} (V8 ${v8}), threads: ${threads}\n`,
    ratiosTable(measured, title),
    timesTable(measured, title),
    gainsTable(measured, title),
    sharesTable(measured, kernels.roofline, title),
    kernelsSection(kernels),
    freshTable(measured, title),
    errorsTable(measured, title),
    notes(measured, failures, title),
    ...measured.flatMap((result) => layersTable(result, kernels.roofline, title)),
  ].join("\n");
}

export function toMarkdown({ made, machine, load, quick, sizes, results }, networks) {
  const title = (name) => networks[name].title;
  const { cpu, cores, platform } = machine;
  return [
    "# Benchmark\n",
    `${made.slice(0, 10)}, ${cpu}, ${cores} cores, ${platform}; load average at the start ${number(load, 2)}.${quick ? " A quick run: few rounds, wide spread." : ""}\n`,
    "Ratios below 1 mean that ours is faster. Engines take turns in one process; a ratio is that of the medians.\n",
    table(
      ["gzipped, for a page", "KB"],
      Object.entries(sizes).map(([name, size]) => [name, number(size)]),
    ),
    threadsTable(results, title),
    ...results.map((result) => section(result, title)),
  ].join("\n");
}
