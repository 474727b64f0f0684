// Reports from files: one, or all of a folder.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ProfileReport } from "../../../runtime/profile/index.ts";
import { AdderNetError } from "../../core/errors.ts";

function isReport(value: unknown): value is ProfileReport {
  const { kind, schemaVersion, latencyMs, layers } = (value ?? {}) as Partial<ProfileReport>;
  return (
    kind === "profile" && schemaVersion === 1 && typeof latencyMs?.p50 === "number" && Array.isArray(layers)
  );
}

/** Errors: ADN_FILE for what is missing or no report of this version. */
export function readReport(path: string): ProfileReport {
  const refuse = (problem: string): AdderNetError =>
    new AdderNetError("ADN_FILE", problem, {
      where: path,
      expected: "a report as addernet profile --json prints it",
    });
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw refuse("there is no such file");
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw refuse("this is no JSON");
  }
  if (isReport(value)) return value;
  throw refuse("this is no profile");
}

/** Files as they are; of a folder every .json in it. Errors: as `readReport`. */
export function readReports(paths: readonly string[]): ProfileReport[] {
  const files = paths.flatMap((path) =>
    statSync(path, { throwIfNoEntry: false })?.isDirectory()
      ? readdirSync(path)
          .filter((name) => name.endsWith(".json"))
          .sort()
          .map((name) => join(path, name))
      : [path],
  );
  if (files.length > 0) return files.map(readReport);
  throw new AdderNetError("ADN_USAGE", "there are no reports to merge", {
    where: "profile --merge",
    fix: "name files or a folder: addernet profile --merge reports/ --html all.html",
  });
}
