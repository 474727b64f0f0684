// The files of a run: the model, its weights, the checkpoint, the metrics and the report, all beside each other.

import { existsSync, readFileSync } from "node:fs";
import { AdderNetError } from "../../core/errors.ts";
import { checkOutput, writeFiles } from "../write-file.ts";

export interface RunFiles {
  readonly model: string;
  readonly weights: string;
  readonly checkpoint: string;
  readonly metrics: string;
  readonly report: string;
  /** With --bits: the network on codes, and the table of its grids. */
  readonly codes?: string;
  readonly calibration?: string;
}

/** Errors: ADN_USAGE without --out, ADN_FILE where nothing can be written. */
export function runFiles(
  out: string | undefined,
  bits: number | undefined,
  inputs: readonly string[],
): RunFiles {
  if (out === undefined) {
    throw new AdderNetError("ADN_USAGE", "--out is missing: where does the model go?", {
      where: "train",
      fix: "for example --out lenet.onnx",
    });
  }
  const stem = out.replace(/\.onnx$/i, "");
  const files = {
    model: `${stem}.onnx`,
    weights: `${stem}.safetensors`,
    checkpoint: `${stem}.checkpoint`,
    metrics: `${stem}.metrics.jsonl`,
    report: `${stem}.html`,
    ...(bits !== undefined && {
      codes: `${stem}.int${bits}.onnx`,
      calibration: `${stem}.int${bits}.calib.json`,
    }),
  };
  for (const path of Object.values(files)) checkOutput(path, inputs);
  return files;
}

export type MetricsLine = Readonly<Record<string, unknown>> & { readonly step: number };

export interface MetricsLog {
  readonly lines: () => readonly MetricsLine[];
  readonly add: (line: MetricsLine) => void;
}

function readLines(path: string): MetricsLine[] {
  if (!existsSync(path)) return [];
  const texts = readFileSync(path, "utf8").split("\n");
  // A last line that was cut off when the process died is no loss: its step is done again.
  return texts.flatMap((text) => {
    try {
      return text === "" ? [] : [JSON.parse(text) as MetricsLine];
    } catch {
      return [];
    }
  });
}

/** Metrics as JSON lines; those of steps after `step`, which will be done again, are taken out first. */
export function openMetrics(path: string, step: number): MetricsLog {
  const lines = step === 0 ? [] : readLines(path).filter((line) => line.step <= step);
  const write = (): void => {
    writeFiles([{ path, bytes: lines.map((line) => `${JSON.stringify(line)}\n`).join("") }]);
  };
  write();
  return {
    lines: () => lines,
    add: (line) => {
      lines.push(line);
      write();
    },
  };
}
