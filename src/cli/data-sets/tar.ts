// The files of a tar archive, as npm packs them: plain ustar entries in memory.

import { AdderNetError } from "../../core/errors.ts";

const blockBytes = 512;

function fieldText(block: Uint8Array, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/** Regular files by their full name. Errors: ADN_DATA. */
export function readTar(bytes: Uint8Array, where: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + blockBytes <= bytes.length; ) {
    const header = bytes.subarray(at, at + blockBytes);
    if (header[0] === 0) break;
    const length = Number.parseInt(fieldText(header, 124, 12).trim(), 8);
    const start = at + blockBytes;
    if (!Number.isSafeInteger(length) || length < 0 || start + length > bytes.length) {
      throw new AdderNetError("ADN_DATA", "the archive is damaged", { where });
    }
    const prefix = fieldText(header, 345, 155);
    const name = [prefix, fieldText(header, 0, 100)].filter(Boolean).join("/");
    const isFile = header[156] === 0x30 || header[156] === 0;
    if (isFile) files.set(name, bytes.subarray(start, start + length));
    at = start + Math.ceil(length / blockBytes) * blockBytes;
  }
  return files;
}
