// What a conversion did, for people and for machines.

import { createHash } from "node:crypto";
import type { Converted, ConvertReport } from "../../converter/index.ts";
import type { Model } from "../core/ir/model.ts";
import type { RanBy } from "./file-runner.ts";
import { describeLayer, type LayerRow, layerTable } from "./layers.ts";
import { countOps } from "./op-counts.ts";
import type { ModelFile } from "./read-model.ts";
import { shortNumber, textTable } from "./text-table.ts";

export function sizeText(bytes: number): string {
  return bytes < 10_000
    ? `${bytes} B`
    : bytes < 1e7
      ? `${(bytes / 1e3).toFixed(0)} kB`
      : `${(bytes / 1e6).toFixed(1)} MB`;
}

interface OpChange {
  readonly op: string;
  readonly before: number;
  readonly after: number;
}

function opChanges(before: Model, after: Model): OpChange[] {
  const [old, now] = [countOps(before.graph), countOps(after.graph)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .map((op) => ({ op, before: old.get(op) ?? 0, after: now.get(op) ?? 0 }))
    .sort((a, b) => b.after - a.after || b.before - a.before || (a.op < b.op ? -1 : 1));
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export interface Summary {
  readonly input: { readonly path: string; readonly bytes: number; readonly sha256: string };
  readonly output: {
    readonly path: string;
    readonly bytes: number;
    readonly sha256: string;
    readonly externalData?: string;
  };
  readonly ops: readonly OpChange[];
  readonly layers: readonly LayerRow[];
  readonly report: ConvertReport;
  readonly verifiedBy: RanBy;
}

interface Written {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly externalData: Uint8Array | undefined;
}

export function summarise(
  file: ModelFile,
  { model, report, verifiedBy }: Pick<Converted, "model" | "report"> & { readonly verifiedBy: RanBy },
  { path, bytes, externalData }: Written,
): Summary {
  return {
    input: { path: file.path, bytes: file.totalBytes, sha256: sha256(file.bytes) },
    output: {
      path,
      bytes: bytes.length + (externalData?.length ?? 0),
      sha256: sha256(bytes),
      ...(externalData && { externalData: `${path}.data` }),
    },
    ops: opChanges(file.model, model),
    layers: report.layers.map(describeLayer),
    report,
    verifiedBy,
  };
}

const byText = {
  runtime: "the runtime",
  reference: "the reference of every op",
  onnxruntime: "onnxruntime",
} as const satisfies Record<RanBy, string>;

function verificationText({ report: { verification }, verifiedBy }: Summary): string {
  if (verification === undefined) return "not verified";
  const { samples, maxDifference, tolerance, output } = verification;
  return `verified on ${samples} inputs with ${byText[verifiedBy]}: largest difference ${shortNumber(maxDifference)} in "${output}" (accepted ${shortNumber(tolerance)})`;
}

/** What people read. */
export function summaryText(summary: Summary): string {
  const { input, output, ops, layers, report } = summary;
  const rows = [
    ["", "before", "after"],
    ...ops.map(({ op, before, after }) => [op, `${before}`, `${after}`]),
    ["all nodes", `${report.nodesBefore}`, `${report.nodesAfter}`],
  ];
  return [
    textTable(rows, { head: true }),
    layers.length > 0 ? `adder layers: ${layers.length}\n${layerTable(layers)}` : "no adder layers",
    `${input.path}, ${sizeText(input.bytes)} -> ${output.path}, ${sizeText(output.bytes)}`,
    ...(report.batchFreed ? ["the export fixed the batch to 1; the converted model takes any"] : []),
    verificationText(summary),
  ].join("\n\n");
}

/** What `--json` prints and `--report` writes. */
export function summaryJson({ input, output, ops, layers, report, verifiedBy }: Summary) {
  const { warnings, passes, nodesBefore, nodesAfter, batchFreed, verification } = report;
  return {
    schemaVersion: 1,
    input,
    output,
    nodes: { before: nodesBefore, after: nodesAfter },
    batchFreed,
    ops,
    layers,
    warnings,
    passes: passes.filter(({ rewrites }) => rewrites > 0),
    verification: verification ? { ...verification, by: verifiedBy } : null,
  };
}
