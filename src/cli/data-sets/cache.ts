// Where fetched data sets lie, and reading their files with the hash checked each time.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { AdderNetError } from "../../core/errors.ts";
import * as types from "../flag-types.ts";
import { type DataSetName, dataSets } from "./catalogue.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The flag of every command that reads data sets. */
export const dataFolderFlag = {
  dir: {
    type: types.path,
    placeholder: "FOLDER",
    help: "where data sets are kept (else ADDERNET_DATA, else the user's cache)",
  },
} as const;

/** `--dir`, else ADDERNET_DATA, else `addernet` in the user's cache folder. */
export function cacheFolder(env: Environment, given?: string): string {
  return given ?? env.ADDERNET_DATA ?? join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "addernet");
}

export function dataSetFolder(name: DataSetName, cache: string): string {
  return join(cache, name);
}

export function isFetched(name: DataSetName, cache: string): boolean {
  const folder = dataSetFolder(name, cache);
  return Object.keys(dataSets[name].files).every((file) => existsSync(join(folder, file)));
}

export function checkHash(bytes: Uint8Array, expected: string, where: string): void {
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found === expected) return;
  throw new AdderNetError("ADN_DATA", "the file is not the published one", {
    where,
    expected: `sha256 ${expected}`,
    found,
    fix: "delete it and fetch the data set again",
  });
}

/** The bytes of one file of a data set. Errors: ADN_DATA when it is not fetched or not the published file. */
export function readDataFile(name: DataSetName, file: string, cache: string): Uint8Array {
  const path = join(dataSetFolder(name, cache), file);
  if (!existsSync(path)) {
    throw new AdderNetError("ADN_DATA", `${name} is not in ${cache}`, {
      fix: `fetch it with: addernet data fetch ${name}`,
    });
  }
  const bytes = readFileSync(path);
  checkHash(bytes, dataSets[name].files[file]!, path);
  return bytes;
}
