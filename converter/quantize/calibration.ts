// The calibration table: what was measured on samples, enough to quantize the same model again without them.

import { AdderNetError } from "../../src/core/errors.ts";
import { type Correction, corrections } from "./correction.ts";
import { type RangeMethod, rangeMethods } from "./ranges.ts";
import type { Subject } from "./subject.ts";

export interface CalibratedValue {
  /** What the samples reached. */
  readonly min: number;
  readonly max: number;
  /** Code q stands for step·(q - zeroPoint). */
  readonly step: number;
  readonly zeroPoint: number;
  readonly maxCode: number;
}

export interface CalibratedLayer {
  /** Per filter: factor on the layer's scale, and what is added to its bias. */
  readonly factor: readonly number[];
  readonly shift: readonly number[];
  /** Signal to quantization noise of the layer's result against the float network, in dB; null when there was no noise. */
  readonly sqnr: number | null;
}

export interface Calibration {
  readonly format: "addernet-calibration";
  readonly version: 1;
  readonly bits: number;
  readonly method: RangeMethod;
  readonly biasCorrection: Correction;
  readonly samples: number;
  readonly values: Readonly<Record<string, CalibratedValue>>;
  readonly layers: Readonly<Record<string, CalibratedLayer>>;
  /** SQNR of the model's own outputs. */
  readonly outputs: Readonly<Record<string, number | null>>;
}

const entries = (record: object): string =>
  Object.entries(record)
    .map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)}`)
    .join(",\n");

/** The table as JSON, one value or layer per line. */
export function formatCalibration(calibration: Calibration): string {
  const { values, layers, outputs, ...head } = calibration;
  const lines = Object.entries(head).map(
    ([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  const tables = Object.entries({ values, layers, outputs }).map(
    ([name, table]) => `  "${name}": {\n${entries(table)}\n  }`,
  );
  return `{\n${[...lines, ...tables].join(",\n")}\n}\n`;
}

function refuse(problem: string, details: { expected?: string; found?: string; fix?: string } = {}): never {
  throw new AdderNetError("ADN_DATA", problem, { where: "calibration", ...details });
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => Number.isFinite(value);
const areNumbers = (value: unknown): value is number[] => Array.isArray(value) && value.every(isNumber);
const isSqnr = (value: unknown): boolean => value === null || isNumber(value);

function isValue(value: unknown): value is CalibratedValue {
  if (!isRecord(value)) return false;
  const { min, max, step, zeroPoint, maxCode } = value;
  return (
    [min, max, step].every(isNumber) &&
    (step as number) > 0 &&
    Number.isInteger(maxCode) &&
    (maxCode as number) >= 1 &&
    (maxCode as number) <= 255 &&
    Number.isInteger(zeroPoint) &&
    (zeroPoint as number) >= 0 &&
    (zeroPoint as number) <= (maxCode as number)
  );
}

function isLayer(value: unknown): value is CalibratedLayer {
  return (
    isRecord(value) &&
    areNumbers(value.factor) &&
    areNumbers(value.shift) &&
    value.factor.length === value.shift.length &&
    isSqnr(value.sqnr)
  );
}

function requireRows(table: unknown, name: string, isRow: (row: unknown) => boolean): void {
  if (!isRecord(table)) refuse(`"${name}" is missing`);
  const bad = Object.entries(table).find(([, row]) => !isRow(row));
  if (bad) refuse(`"${name}" has an unusable row`, { found: `"${bad[0]}": ${JSON.stringify(bad[1])}` });
}

function requireOneOf(parsed: Record<string, unknown>, name: string, known: readonly unknown[]): void {
  if (known.includes(parsed[name])) return;
  refuse(`"${name}" is unusable`, {
    expected: known.join(", "),
    found: JSON.stringify(parsed[name]) ?? "nothing",
  });
}

/** Reads what `formatCalibration` wrote, perhaps edited by hand. Errors: ADN_DATA. */
export function parseCalibration(text: string): Calibration {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new AdderNetError("ADN_DATA", "the calibration is no JSON", { cause });
  }
  if (!isRecord(parsed) || parsed.format !== "addernet-calibration") {
    refuse("this is no calibration table", { fix: "take a .calib.json that addernet quantize wrote" });
  }
  if (parsed.version !== 1) refuse("the version is not known", { expected: "1", found: `${parsed.version}` });
  requireRows(parsed.values, "values", isValue);
  requireRows(parsed.layers, "layers", isLayer);
  requireRows(parsed.outputs, "outputs", isSqnr);
  requireOneOf(parsed, "bits", [3, 4, 5, 6, 7, 8]);
  requireOneOf(parsed, "method", rangeMethods);
  requireOneOf(parsed, "biasCorrection", corrections);
  return parsed as unknown as Calibration;
}

/** Throws ADN_DATA unless the table has a row for every value and layer of the model, each of the right length. */
export function requireCalibrated({ layers, values }: Subject, calibration: Calibration): void {
  const missing = [
    ...values.filter(({ name }) => !Object.hasOwn(calibration.values, name)).map(({ name }) => name),
    ...layers.filter(({ name }) => !Object.hasOwn(calibration.layers, name)).map(({ name }) => name),
  ];
  const fix = "calibrate this model with --data";
  if (missing.length > 0)
    refuse("the table is of another model", { found: `no row for ${missing.slice(0, 5).join(", ")}`, fix });
  const wrong = layers.find(({ name, filters }) => calibration.layers[name]!.factor.length !== filters);
  if (wrong) {
    const found = `${calibration.layers[wrong.name]!.factor.length} filters`;
    refuse("the table is of another model", {
      expected: `${wrong.filters} filters in ${wrong.name}`,
      found,
      fix,
    });
  }
  const read = values.filter(({ readers }) => readers.length > 0);
  const tooFine = read.find(({ name }) => calibration.values[name]!.maxCode > 2 ** calibration.bits - 1);
  if (tooFine) {
    const found = `maxCode ${calibration.values[tooFine.name]!.maxCode} at "${tooFine.name}"`;
    refuse("a value has more codes than its bits allow", {
      expected: `at most ${2 ** calibration.bits - 1}`,
      found,
    });
  }
}
