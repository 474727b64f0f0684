// What came out of the study, as Markdown and as one page: table, plot, weights of CNN and AdderNet beside each other, features of LeNet++.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { colours, logCurves } from "../dist/src/cli/train/drawing.js";
import { cnn, schemes } from "./study-mnist-runs.mjs";

const percent = (value) => (value === null ? "–" : value.toFixed(2));

/** As published for this network and the VIA Nano 2000: 4 cycles a multiplication, 2 an addition. */
const costs = [
  { network: "CNN", multiplications: 435, additions: 435 },
  { network: "AdderNet", multiplications: 0, additions: 870 },
];
const millionCycles = ({ multiplications, additions }) => (4 * multiplications + 2 * additions) / 1000;

const resultHeader = ["LeNet-5-BN on MNIST, test %", "published", "here, mean", "deviation", "seeds"];
const resultRows = (study) =>
  [study.cnn, ...study.schemes].map(({ title, published, mean, deviation, accuracies }) => [
    title,
    published.toFixed(2),
    percent(mean),
    percent(deviation),
    accuracies.map(percent).join(", ") || "–",
  ]);

const costHeader = ["", "multiplications", "additions", "cycles"];
const costRows = costs.map((cost) => [
  cost.network,
  `${cost.multiplications}K`,
  `${cost.additions}K`,
  `${millionCycles(cost).toFixed(1)}M`,
]);

const titleOf = (wanted) => schemes.find(({ name }) => name === wanted).title;

function verdictOf({ gap, noise, holds }) {
  if (gap <= 0) return "NOT as published";
  if (noise === null) return "as published, as far as one seed tells";
  return holds ? "as published" : "as published, but within the noise";
}

function orderLines({ order }) {
  return order.map((pair) => {
    const { better, worse, gap, noise } = pair;
    const told = `${gap.toFixed(2)} points${noise === null ? "" : `, noise of a run ${noise.toFixed(2)}`}`;
    return `${titleOf(better)} over ${titleOf(worse)}: ${told}: ${verdictOf(pair)}`;
  });
}

function head({ epochs, seeds, images, isComplete, done }) {
  const state = isComplete ? "complete" : `unfinished, ${done.length} runs so far`;
  return `${epochs} epochs of ${images} images, ${seeds.length > 1 ? "seeds" : "seed"} ${seeds.join(" and ")}; ${state}.`;
}

const table = (header, rows) =>
  [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

export function studyMarkdown(study) {
  const order = orderLines(study).map((line) => `- ${line}`);
  const parts = [
    "# The study on MNIST\n",
    `${head(study)}\n`,
    `${table(resultHeader, resultRows(study))}\n`,
    ...(order.length > 0 ? [`${order.join("\n")}\n`] : []),
    `${table(costHeader, costRows)}\n`,
    "Operations and cycles as published for one image: a float multiplication takes 4 cycles on a VIA Nano 2000, an addition 2.\n",
  ];
  return parts.join("\n");
}

const htmlTable = (header, rows) =>
  `<table><tr>${header.map((cell) => `<th>${cell}</th>`).join("")}</tr>${rows.map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("")}</table>`;

/** Test errors by epoch, a line for every seed, and each published figure dashed. */
function plot({ cnn: network, schemes: rows, epochs }) {
  const all = [network, ...rows].map((row, index) => ({ ...row, colour: colours[index] }));
  const lines = all.flatMap(({ title, colour, curves }) =>
    curves
      .filter(({ points }) => points.length > 0)
      .map(({ points }) => ({
        name: title,
        colour,
        points: points.map(([epoch, accuracy]) => [epoch, Math.max(0.01, 100 - accuracy)]),
      })),
  );
  if (lines.length === 0) return "";
  const marks = all.map(({ title, colour, published }) => ({
    name: title,
    colour,
    points: [1, Math.max(2, epochs)].map((epoch) => [epoch, 100 - published]),
  }));
  return `<figure class="wide">${logCurves(lines, "epoch", marks)}<figcaption>Test error in percent, on a scale of ratios. Dashed: as published.</figcaption></figure>`;
}

/** A section of a run's own page. */
function lift(folder, run, id) {
  const path = join(folder, `${run}.html`);
  if (!existsSync(path)) return undefined;
  return new RegExp(`<section id="${id}">.*?</h2>(.*?)</section>`, "s").exec(readFileSync(path, "utf8"))?.[1];
}

function sideBySide(title, folder, id, runs) {
  const columns = runs.map(({ name, run }) => [name, lift(folder, run, id)]);
  if (columns.some(([, content]) => content === undefined)) return "";
  return `<h2>${title}</h2><div class="columns">${columns.map(([name, content]) => `<div><h3>${name}</h3>${content}</div>`).join("")}</div>`;
}

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:980px;margin:2em auto;padding:0 1em;color:#1f2328}
figure{display:inline-block;margin:0 1em 1em 0;vertical-align:top}figcaption{font-size:13px;color:#57606a;max-width:420px}
.wide svg{width:840px;height:440px}.wide figcaption{max-width:840px}.wide .legend span{display:inline-block}
.legend{margin:0 0 0 44px;font-size:13px}.legend span{margin-right:1em}.axis{fill:none;stroke:#8c959f}text{font-size:11px;fill:#57606a}
table{border-collapse:collapse;font-size:14px;margin-bottom:1em}td,th{padding:3px 14px 3px 0;text-align:left}tr+tr{border-top:1px solid #d0d7de}
.columns{display:grid;grid-template-columns:1fr 1fr;gap:1em}`;

export function studyPage(study, folder) {
  const seed = study.seeds[0];
  const pair = (prefix) => [
    { name: "CNN", run: `${prefix}${cnn.name}-${seed}` },
    { name: "AdderNet", run: `${prefix}${schemes[0].name}-${seed}` },
  ];
  const order = orderLines(study).map((line) => `<li>${line}</li>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The study on MNIST</title><style>${style}</style></head><body>
<h1>The study on MNIST</h1>
<p>${head(study)}</p>
${htmlTable(resultHeader, resultRows(study))}
${plot(study)}
<ul>${order.join("")}</ul>
<h2>Operations and cycles for one image, as published</h2>
${htmlTable(costHeader, costRows)}
<p>On a VIA Nano 2000 a float multiplication takes 4 cycles, an addition 2.</p>
${sideBySide("Features of LeNet++, by class", folder, "features", pair("features-"))}
${sideBySide("Weights", folder, "weights", pair(""))}
</body></html>
`;
}
