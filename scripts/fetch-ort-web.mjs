// Fetches older releases of onnxruntime-web for the tests of native sessions, with the npm client, into .cache. Without a network it says
// so, and those tests are skipped.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const versions = ["1.19.2", "1.22.0", "1.25.1"];
const folder = join(dirname(fileURLToPath(import.meta.url)), "..", ".cache", "onnxruntime-web");

for (const version of versions) {
  const place = join(folder, version);
  if (existsSync(place)) continue;
  const pending = `${place}.pending-${process.pid}`;
  mkdirSync(pending, { recursive: true });
  // Peers of its own keep npm from looking at this project.
  writeFileSync(join(pending, "package.json"), '{ "private": true }\n');
  try {
    execFileSync(
      process.platform === "win32" ? "npm.cmd" : "npm",
      ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", `onnxruntime-web@${version}`],
      { cwd: pending, stdio: ["ignore", "ignore", "pipe"] },
    );
    renameSync(pending, place);
    console.log(`onnxruntime-web ${version} is in .cache`);
  } catch (error) {
    rmSync(pending, { recursive: true, force: true });
    console.log(
      `onnxruntime-web ${version} cannot be fetched, its tests are skipped: ${error.message.split("\n")[0]}`,
    );
  }
}
