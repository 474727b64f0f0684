// StringStringEntryProto lists <-> maps.

import type { StringStringEntryProto } from "./generated/messages.js";

/** Of entries with the same key the last one counts. */
export function decodeEntries(entries: readonly StringStringEntryProto[] | undefined): Map<string, string> {
  return new Map((entries ?? []).map(({ key, value }) => [key ?? "", value ?? ""]));
}

export function encodeEntries(entries: ReadonlyMap<string, string> | undefined): StringStringEntryProto[] {
  return [...(entries ?? [])].map(([key, value]) => ({ key, value }));
}
