// What adderize did, for people and for machines.

import type { AdderizeReport } from "../../converter/index.ts";
import { sizeText } from "./convert-summary.ts";
import { textTable } from "./text-table.ts";

interface FileFacts {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface AdderizeSummary {
  readonly input: FileFacts;
  readonly output: FileFacts;
  readonly data: string;
  readonly steps: number;
  readonly seconds: number;
  readonly report: AdderizeReport;
}

const decibel = (value: number | null): string => (value === null ? "exact" : value.toFixed(1));

function layerTable({ layers }: AdderizeReport): string {
  const hasGroups = layers.some(({ group }) => group !== 1);
  const rows = layers.map(({ name, weight, group, r2Start, r2, sqnr }) => [
    name,
    weight.join("x"),
    ...(hasGroups ? [`${group}`] : []),
    r2Start.toFixed(3),
    r2.toFixed(3),
    decibel(sqnr),
  ]);
  const head = ["layer", "weight", ...(hasGroups ? ["groups"] : []), "R2 by slopes", "R2 fitted", "SQNR dB"];
  return textTable([head, ...rows], { head: true });
}

function keptText({ kept }: AdderizeReport): string {
  return kept.map(({ name, reason }) => `${name} goes on multiplying: ${reason}`).join("\n");
}

function agreementText({ outputs, samples }: AdderizeReport): string {
  const on = `${samples.compared} images ${samples.heldOut ? "that nothing was fitted to" : "(those it was fitted to)"}`;
  return outputs
    .map(({ output, sqnr, sameTop1 }) => {
      const top1 = sameTop1 === null ? "" : `, same answer as the CNN on ${(100 * sameTop1).toFixed(1)} %`;
      return `"${output}": ${sqnr === null ? "exactly the CNN's" : `${decibel(sqnr)} dB`}${top1}, on ${on}`;
    })
    .join("\n");
}

export function adderizeText(summary: AdderizeSummary): string {
  const { input, output, report, data, seconds } = summary;
  return [
    layerTable(report),
    keptText(report),
    agreementText(report),
    `fitted on ${report.samples.fitted} images of ${data} in ${seconds.toFixed(0)} s`,
    `${input.path}, ${sizeText(input.bytes)} -> ${output.path}, ${sizeText(output.bytes)}`,
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

export function adderizeJson({ input, output, data, steps, seconds, report }: AdderizeSummary) {
  const { layers, kept, outputs, samples } = report;
  return { schemaVersion: 1, input, output, data, steps, samples, seconds, layers, kept, outputs };
}
