// Node binaries to measure with: this one, a path, or a version fetched once from npm.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Exact versions by what is asked for; the packages hold nothing but the binary. */
const versions = { 20: "20.20.2", 24: "24.21.0" };

function packageName() {
  const systems = { linux: "linux", darwin: "darwin", win32: "win" };
  return `node-${systems[process.platform]}-${process.arch}`;
}

/** Fetches `package/bin/node` of the npm package into `cache`. */
function fetchNode(version, cache) {
  const folder = join(cache, `node-${version}`);
  const binary = join(folder, "package", "bin", process.platform === "win32" ? "node.exe" : "node");
  if (existsSync(binary)) return binary;
  const pending = `${folder}.pending-${process.pid}`;
  mkdirSync(pending, { recursive: true });
  const inFolder = { cwd: pending, stdio: ["ignore", "pipe", "ignore"], shell: process.platform === "win32" };
  const archive = execFileSync("npm", ["pack", `${packageName()}@${version}`, "--silent"], inFolder)
    .toString()
    .trim();
  execFileSync("tar", ["xzf", archive], inFolder);
  rmSync(join(pending, archive));
  renameSync(pending, folder);
  return binary;
}

/** The binary for "this", a major version of the table, or a path; with the version it says it has. */
export function findNode(wanted, cache) {
  const binary =
    wanted === "this" ? process.execPath : (versions[wanted] && fetchNode(versions[wanted], cache)) || wanted;
  const [version, v8] = execFileSync(binary, ["-p", "process.version + ' ' + process.versions.v8"])
    .toString()
    .trim()
    .split(" ");
  return { binary, version, v8 };
}
