// npm run conformance:fetch: gathers the backend tests into the cache, from PyPI's `onnx` and, where there is apt-get, Debian's
// libonnx-testdata.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { caseFolder } from "./folder.mjs";

/** The version SUPPORTED-OPS.md was written with. */
const onnxPackage = "onnx==1.23.1";

function run(program, argv, options = {}) {
  const { status, error } = spawnSync(program, argv, { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (status !== 0)
    throw new Error(`${program} ${argv.join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

const folder = caseFolder();
mkdirSync(dirname(folder), { recursive: true });
const work = mkdtempSync(`${folder}-`);
try {
  const site = join(work, "site");
  run("python3", ["-m", "pip", "install", "--quiet", "--target", site, onnxPackage]);
  const unpacked = join(work, "debian");
  const hasApt = spawnSync("apt-get", ["--version"]).status === 0;
  if (hasApt) {
    run("apt-get", ["download", "-qq", "libonnx-testdata"], { cwd: work });
    run("sh", ["-c", `dpkg-deb -x libonnx-testdata_*.deb ${JSON.stringify(unpacked)}`], { cwd: work });
  }
  const debian = join(unpacked, "usr/share/libonnx-testdata/data");
  const cases = join(work, "cases");
  const collect = join(import.meta.dirname, "collect.py");
  run("python3", [collect, cases, ...(existsSync(debian) ? [debian] : [])], {
    env: { ...process.env, PYTHONPATH: site },
  });
  rmSync(folder, { recursive: true, force: true });
  renameSync(cases, folder);
  process.stdout.write(`${folder}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
