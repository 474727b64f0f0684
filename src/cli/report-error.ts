// How a failure is told: one line for a known error, the stack for one that is ours to mend.

import { inspect } from "node:util";
import { AdderNetError, exitCodes } from "../core/errors.ts";
import type { Streams } from "./context.ts";
import { printableLine } from "./printable.ts";

const systemCodes: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is not a folder",
  ENOSPC: "the disk is full",
  EROFS: "the file system is read-only",
  EDQUOT: "the quota of the disk is used up",
  EFBIG: "the file would be larger than files may be here",
  EIO: "the disk fails",
  EPERM: "the system does not permit it",
  EBUSY: "it is in use",
  EMFILE: "too many files are open",
  ENFILE: "too many files are open",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "its links go round in circles",
};

/** What engines say when a length in a file asks for more memory than there can be. */
const tooLarge = /array (buffer )?(length|allocation)|allocation failed|ERR_FS_FILE_TOO_LARGE/i;

/** Failures of the file system and lengths beyond all memory are a bad path, disk or file, not a fault of ours. */
export function asKnownError(error: unknown): AdderNetError | undefined {
  if (error instanceof AdderNetError) return error;
  if (error instanceof RangeError && tooLarge.test(`${error}`)) {
    return new AdderNetError("ADN_LIMIT", "a length in the file asks for more memory than there is", {
      fix: "the file is damaged, or the model is too large for this machine",
      cause: error,
    });
  }
  const { code, path } = (error ?? {}) as { code?: unknown; path?: unknown };
  const problem = typeof code === "string" ? systemCodes[code] : undefined;
  if (problem === undefined) return undefined;
  return new AdderNetError("ADN_FILE", problem, typeof path === "string" ? { where: path } : {});
}

function bold(text: string, { stderr, env }: Streams): string {
  return stderr.isTTY && !env.NO_COLOR ? `\u001b[1;31m${text}\u001b[0m` : text;
}

/** Writes the failure to stderr and answers the exit code. */
export function reportError(error: unknown, streams: Streams, { json }: { json: boolean }): number {
  const known = asKnownError(error);
  const exitCode = known ? exitCodes[known.code] : 1;
  if (json) {
    const { code, message, details } = known ?? {
      code: "ADN_INTERNAL",
      message: error instanceof Error ? error.message : String(error),
      details: { stack: inspect(error) },
    };
    streams.stderr.write(`${JSON.stringify({ error: { code, message, exitCode, ...details } })}\n`);
  } else if (known) {
    streams.stderr.write(`${bold("error", streams)} ${known.code}: ${printableLine(known.message)}\n`);
  } else {
    const request = "this is a fault of addernet, please report it with the lines below and what you ran";
    streams.stderr.write(`${bold("error", streams)}: ${request}\n${inspect(error)}\n`);
  }
  return exitCode;
}
