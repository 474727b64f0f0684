// A report as Markdown, for an issue.

import type { ProfileReport } from "../report.ts";
import { type Section, sectionsOf } from "./sections.ts";

const escaped = (cell: string): string =>
  cell.replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
const line = (cells: readonly string[]): string => `| ${cells.map(escaped).join(" | ")} |`;

function table({ head, rows }: Pick<Section, "head" | "rows">): string {
  const names = head ?? rows[0]?.map(() => "") ?? [];
  return [line(names), `|${names.map(() => " --- |").join("")}`, ...rows.map(line)].join("\n");
}

function sectionText(section: Section): string {
  const notes = section.notes.map((note) => `${escaped(note)}\n`);
  return [`### ${escaped(section.title)}`, table(section), ...notes].join("\n\n");
}

export function toMarkdown(report: ProfileReport): string {
  return `${sectionsOf(report).map(sectionText).join("\n\n").trimEnd()}\n`;
}

export { table as markdownTable };
