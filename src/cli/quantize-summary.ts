// What a quantization did, for people and for machines.

import type { Calibration, Forecast, QuantizedLayer, QuantizeReport } from "../../converter/index.ts";
import type { CodeSpeed } from "./code-speed.ts";
import { sizeText } from "./convert-summary.ts";
import { shortNumber, textTable } from "./text-table.ts";

const decibel = (value: number | null): string => (value === null ? "exact" : value.toFixed(1));
const range = ([low, high]: readonly [number, number]): string =>
  `${shortNumber(low)} to ${shortNumber(high)}`;
const share = (value: number): string => `${(100 * value).toFixed(0)}%`;

/** What is known before the work begins, in one line. */
export function forecastText(forecast: Forecast, speed: CodeSpeed | undefined, bits: number): string {
  const { layers, taps, floatTaps, fileBytes, expectedFileBytes } = forecast;
  const parts = [
    `${layers} adder layers go to ${bits} bit`,
    ...(taps === null
      ? []
      : [
          `${((100 * taps) / Math.max(1, taps + (floatTaps ?? 0))).toFixed(0)} % of ${millions(taps + (floatTaps ?? 0))} taps per image`,
        ]),
    `file about ${sizeText(fileBytes)} -> ${sizeText(Math.round(expectedFileBytes))}`,
    ...(speed
      ? [
          `a 64x64x3x3 layer takes ${speed.floatMs.toFixed(2)} ms in float, ${speed.codesMs.toFixed(2)} ms on codes here`,
        ]
      : []),
  ];
  return parts.join("; ");
}

const millions = (count: number): string =>
  count < 1e6 ? `${count}` : `${(count / 1e6).toPrecision(3)} million`;

function layerTable(layers: readonly QuantizedLayer[]): string {
  const rows = layers.map(({ name, bits, range: covered, observed, clippedWeights, result, sqnr }) => [
    name,
    `${bits}`,
    range(covered),
    range(observed),
    share(clippedWeights),
    decibel(sqnr),
    result === "float" ? "sums stay float" : "",
  ]);
  const head = ["layer", "bits", "range of codes", "seen", "weights moved", "SQNR dB", ""];
  return textTable([head, ...rows], { head: true });
}

export interface QuantizeSummary {
  readonly input: { readonly path: string; readonly bytes: number; readonly sha256: string };
  readonly output: { readonly path: string; readonly bytes: number; readonly sha256: string };
  readonly calibrationFile: string | null;
  readonly data: string | null;
  readonly calibration: Calibration;
  readonly report: QuantizeReport;
  readonly forecast: Forecast;
  readonly speed: CodeSpeed | undefined;
  readonly verification: QuantizeVerification | undefined;
}

export interface QuantizeVerification {
  readonly samples: number;
  /** Of the written file against the float model, for the output with the most noise; null without noise. */
  readonly sqnr: number | null;
  readonly least: number;
  readonly output: string;
  readonly by: string;
}

function verificationText(verification: QuantizeVerification | undefined): string {
  if (verification === undefined) return "not verified";
  const { samples, sqnr, output, by, least } = verification;
  const on = samples === 1 ? "1 sample" : `${samples} samples`;
  return `verified on ${on} with the ${by}: "${output}" has ${decibel(sqnr)} dB (at least ${least.toFixed(1)} wanted)`;
}

export function quantizeText(summary: QuantizeSummary): string {
  const { input, output, calibration, report, calibrationFile } = summary;
  const { bits, method, biasCorrection, samples } = calibration;
  const outputs = Object.entries(report.outputs).map(([name, sqnr]) => `"${name}" ${decibel(sqnr)} dB`);
  return [
    layerTable(report.layers),
    report.skipped.map(({ name, reason }) => `${name} stays float: ${reason}`).join("\n"),
    `${bits} bit, ranges by ${method}, ${biasCorrection} correction, ${samples} samples${outputs.length > 0 ? `; on them ${outputs.join(", ")}` : ""}`,
    `${input.path}, ${sizeText(input.bytes)} -> ${output.path}, ${sizeText(output.bytes)} (${share(output.bytes / input.bytes)})${calibrationFile === null ? "" : `, ${calibrationFile}`}`,
    verificationText(summary.verification),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

export function quantizeJson(summary: QuantizeSummary) {
  const { input, output, calibrationFile, data, calibration, report, forecast, speed, verification } =
    summary;
  const { bits, method, biasCorrection, samples } = calibration;
  return {
    schemaVersion: 1,
    input,
    output,
    calibration: calibrationFile,
    data,
    bits,
    method,
    biasCorrection,
    samples,
    forecast: {
      layers: forecast.layers,
      taps: forecast.taps,
      floatTaps: forecast.floatTaps,
      bytes: Math.round(forecast.expectedFileBytes),
      layerMs: speed ? { float: speed.floatMs, codes: speed.codesMs } : null,
    },
    layers: report.layers,
    skipped: report.skipped,
    outputs: report.outputs,
    verification: verification ?? null,
  };
}
