// Output files: checked before the long work, written beside their place and renamed, so that half a file is never seen.

import { randomBytes } from "node:crypto";
import {
  accessSync,
  constants,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AdderNetError } from "../core/errors.ts";

export interface OutputFile {
  readonly path: string;
  readonly bytes: Uint8Array | string;
}

/** Files being written; what is left of them when the process is interrupted goes away. */
const pending = new Set<string>();

export function removePendingFiles(): void {
  for (const path of pending) rmSync(path, { recursive: true, force: true });
  pending.clear();
}

/** A name in `folder` for something that `removePendingFiles` takes away unless it was renamed. */
export function pendingPath(folder: string, name: string): string {
  const path = join(folder, `.${name}.tmp-${process.pid}-${randomBytes(4).toString("hex")}`);
  pending.add(path);
  return path;
}

export function finishPending(pendingAt: string, target: string): void {
  renameSync(pendingAt, target);
  pending.delete(pendingAt);
}

export function discardPending(pendingAt: string): void {
  rmSync(pendingAt, { recursive: true, force: true });
  pending.delete(pendingAt);
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function refuse(path: string, problem: string, fix?: string): never {
  throw new AdderNetError("ADN_FILE", problem, { where: path, ...(fix && { fix }) });
}

function checkFolder(path: string): void {
  const folder = dirname(resolve(path));
  if (!statOf(folder)?.isDirectory()) refuse(path, `the folder ${folder} does not exist`, "create it first");
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    refuse(path, `the folder ${folder} cannot be written to`);
  }
}

/** Throws ADN_FILE when `path` cannot become an output, or is one of the files being read. */
export function checkOutput(path: string, inputs: readonly string[] = []): void {
  checkFolder(path);
  const target = statOf(path);
  if (target === undefined) return;
  if (target.isDirectory()) refuse(path, "it is a folder", "name a file");
  if (!target.isFile()) refuse(path, "it is not a regular file", "name a file");
  for (const input of inputs) {
    const source = statOf(input);
    if (source?.ino === target.ino && source.dev === target.dev) {
      refuse(path, "the output would overwrite the input", "choose another name");
    }
  }
}

/** A failure to write does not say which file it was: a full disk. */
function writeNew(temporary: string, bytes: Uint8Array | string, meant: string): void {
  try {
    writeFileSync(temporary, bytes, { flag: "wx" });
  } catch (error) {
    throw Object.assign(error as Error, { path: meant });
  }
}

/** Writes all files, or none: each beside its place first, then renamed, the last one last. */
export function writeFiles(files: readonly OutputFile[]): void {
  const written: { temporary: string; target: string }[] = [];
  try {
    for (const { path, bytes } of files) {
      const target = statOf(path) ? realpathSync(path) : resolve(path);
      const temporary = pendingPath(dirname(target), basename(target));
      written.push({ temporary, target });
      writeNew(temporary, bytes, path);
    }
    for (const { temporary, target } of written) finishPending(temporary, target);
  } finally {
    for (const { temporary } of written) if (pending.has(temporary)) discardPending(temporary);
  }
}
