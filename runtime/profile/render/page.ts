// The frame of a page that needs nothing beside itself: style for light, dark and narrow screens, tables, cards.

import { escapeHtml } from "./plots.ts";
import type { Section } from "./sections.ts";

const style = `
:root{color-scheme:light dark;--ground:#fff;--raised:#f4f5f7;--ink:#1c1e21;--faint:#62676f;--line:#dcdfe4;--adder:#1f6feb;--products:#c2620a;--other:#7d8590;--good:#1a7f37;--bad:#b42318}
@media(prefers-color-scheme:dark){:root{--ground:#0f1216;--raised:#181c22;--ink:#e6e8eb;--faint:#9aa2ad;--line:#2c323a;--adder:#5b9dff;--products:#f0a050;--other:#8b949e;--good:#4cc26a;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.5rem;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
p{margin:.4rem 0;color:var(--faint);overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1rem 0}
.card{background:var(--raised);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.card b{display:block;font-size:1.35rem;line-height:1.25;font-weight:600}
.card span{color:var(--faint);font-size:.82rem}
.quiet b{color:var(--good)}.noisy b{color:var(--bad)}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:.5rem}
table{border-collapse:collapse;width:100%;font-size:.86rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.32rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--faint);font-weight:500;white-space:nowrap}
tr:last-child td{border-bottom:0}
td{white-space:nowrap}td.long{white-space:normal;min-width:20rem}
td.number{text-align:right}
th.number{text-align:right}
table.facts td:first-child{color:var(--faint);white-space:nowrap;width:1%}
table.facts td{overflow-wrap:anywhere;white-space:normal}
svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif}
.plot{overflow-x:auto}.plot svg{min-width:34rem}
svg text{fill:var(--ink)}svg .label{fill:var(--faint)}
.adder{fill:var(--adder)}.products{fill:var(--products)}.other,.histogram{fill:var(--other)}
.dot{fill:var(--adder);opacity:.55}.far{fill:var(--bad);opacity:.7}
.grid{stroke:var(--line)}.median{stroke:var(--products);stroke-width:1.5}.whisker{stroke:var(--ink);fill:none}
.key i{display:inline-block;width:.75em;height:.75em;border-radius:2px;margin:0 .3em 0 .9em}
.key i.a{background:var(--adder)}.key i.p{background:var(--products)}.key i.o{background:var(--other)}
footer{margin-top:3rem;font-size:.85rem;color:var(--faint)}
@media(max-width:34rem){main{padding:1rem .7rem 3rem}th,td{padding:.3rem .4rem}table.facts td:first-child{overflow-wrap:normal;width:1%}}
`;

const isNumeric = (cell: string): boolean =>
  /^-?[\d.,]+(e-?\d+)?[KMG]?(\s?(%|ms|µs|s|KiB|MiB|GiB|nJ|µJ|mJ))?$/.test(cell);

const classOf = (text: string, isNumber: boolean): string =>
  isNumber ? ' class="number"' : text.length > 48 ? ' class="long"' : "";

/** A table; columns of numbers are aligned to the right. */
export function htmlTable({ head, rows }: Pick<Section, "head" | "rows">): string {
  const columns = head?.length ?? rows[0]?.length ?? 0;
  const numeric = Array.from(
    { length: columns },
    (_, column) =>
      head !== null &&
      rows.some((row) => row[column] !== "") &&
      rows.every((row) => row[column] === "" || isNumeric(row[column] ?? "")),
  );
  const cell = (tag: "td" | "th", text: string, column: number): string =>
    `<${tag}${classOf(text, numeric[column] === true)}>${escapeHtml(text)}</${tag}>`;
  const line = (tag: "td" | "th", cells: readonly string[]): string =>
    `<tr>${cells.map((text, column) => cell(tag, text, column)).join("")}</tr>`;
  const top = head === null ? "" : `<thead>${line("th", head)}</thead>`;
  return `<div class="wide"><table${head === null ? ' class="facts"' : ""}>${top}<tbody>${rows.map((row) => line("td", row)).join("\n")}</tbody></table></div>`;
}

export function htmlSection(section: Section, before = ""): string {
  const notes = section.notes.map((note) => `<p>${escapeHtml(note)}</p>`).join("");
  return `<section id="${section.id}"><h2>${escapeHtml(section.title)}</h2>${before}${htmlTable(section)}${notes}</section>`;
}

export interface Card {
  readonly value: string;
  readonly told: string;
  readonly kind?: string;
}

export function cardRow(cards: readonly Card[]): string {
  const one = ({ value, told, kind = "" }: Card): string =>
    `<div class="card ${kind}"><b>${escapeHtml(value)}</b><span>${escapeHtml(told)}</span></div>`;
  return `<div class="cards">${cards.map(one).join("")}</div>`;
}

export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeHtml(title)}</title><style>${style}</style></head>
<body><main>${body}</main></body></html>
`;
}
