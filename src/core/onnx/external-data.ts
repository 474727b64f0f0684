// Tensors kept in files beside the model: where they may lie, and how a piece is taken out.

import { AdderNetError } from "../errors.ts";
import type { StringStringEntryProto } from "./generated/messages.js";

/** TensorProto.DataLocation of tensors in other files. */
export const externalLocation = 1;

/** Gives the bytes of a file named relative to the model's folder, or undefined when there is none. */
export type ReadExternalData = (location: string) => Uint8Array | undefined;

/** Takes the `byteLength` bytes that the entries of a tensor point to. `place` names the tensor in messages. */
export type ExternalReader = (
  entries: readonly StringStringEntryProto[],
  byteLength: number,
  place: string,
) => Uint8Array;

function refuse(
  place: string,
  problem: string,
  details: { found?: string; expected?: string; fix?: string },
) {
  return new AdderNetError("ADN_EXTERNAL_DATA", problem, { where: place, ...details });
}

/** Dots alone, also with the trailing blanks and dots that Windows drops and the escapes that URLs know. */
function leavesFolder(segment: string): boolean {
  const plain = segment.replaceAll(/%2e/gi, ".");
  return plain !== "." && plain !== "" && /^[. ]+$/.test(plain);
}

function problemWith(location: string): string | undefined {
  if (location === "") return "is empty";
  if ([...location].some((character) => character < " " || character === "\x7f")) {
    return "has control characters";
  }
  if (location.includes("\\")) return "has a backslash";
  if (location.startsWith("/")) return "is absolute";
  if (/^[a-z][a-z0-9+.-]*:/i.test(location)) return "has a drive or scheme";
  if (location.split("/").some(leavesFolder)) return "leaves the model's folder";
  return undefined;
}

/**
 * Answers `location` when it names a file in the model's folder or below on every system; else ADN_EXTERNAL_DATA.
 * Links in the file system are for whoever opens the file to check.
 */
export function checkLocation(location: string, place = "external data"): string {
  const problem = problemWith(location);
  if (problem === undefined) return location;
  throw refuse(place, `the location of external data ${problem}`, {
    expected: "a path below the model's folder, with /",
    found: JSON.stringify(location.slice(0, 200)),
  });
}

function readBytes(value: string | undefined, key: string, place: string): number | undefined {
  if (value === undefined) return undefined;
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  throw refuse(place, `external data has a bad ${key}`, {
    expected: "a decimal number of bytes",
    found: JSON.stringify(value.slice(0, 40)),
  });
}

interface Reference {
  readonly location: string;
  readonly offset: number;
  readonly length: number | undefined;
}

function readReference(entries: readonly StringStringEntryProto[], place: string): Reference {
  const values = new Map<string, string>();
  for (const { key, value } of entries) {
    if (values.has(key ?? "")) throw refuse(place, `external data gives ${key} twice`, {});
    values.set(key ?? "", value ?? "");
  }
  return {
    location: checkLocation(values.get("location") ?? "", place),
    offset: readBytes(values.get("offset"), "offset", place) ?? 0,
    length: readBytes(values.get("length"), "length", place),
  };
}

function openFile(location: string, read: ReadExternalData | undefined, place: string): Uint8Array {
  const bytes = read?.(location);
  if (bytes !== undefined) return bytes;
  const problem = read ? `there is no file ${location}` : `the weights are in another file, ${location}`;
  const fix = read ? "put it beside the model, under this name" : "give its bytes with the model";
  throw refuse(place, problem, { fix });
}

/** Reads every file once, through `read`. Answered pieces share the file's memory. */
export function makeExternalReader(read: ReadExternalData | undefined): ExternalReader {
  const files = new Map<string, Uint8Array>();
  return (entries, byteLength, place) => {
    const { location, offset, length } = readReference(entries, place);
    if (length !== undefined && length !== byteLength) {
      throw refuse(place, `external data in ${location} does not fit type and dims`, {
        expected: `${byteLength} bytes`,
        found: `length ${length}`,
      });
    }
    const file = files.get(location) ?? openFile(location, read, place);
    files.set(location, file);
    if (offset + byteLength > file.length) {
      throw refuse(place, `external data lies beyond the end of ${location}`, {
        expected: `at least ${offset + byteLength} bytes in the file`,
        found: `${file.length}`,
        fix: "the file is truncated or belongs to another model",
      });
    }
    return file.subarray(offset, offset + byteLength);
  };
}
