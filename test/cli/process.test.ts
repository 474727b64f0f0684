// The command as a process: exit codes, a reader that goes away, and interruption. The sources are bundled once for this.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testFolder } from "./folder.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
// Inside the package, because the command reads its own package.json.
const bin = join(root, ".cache", `cli-test-${process.pid}`);
const model = join(root, "test/fixtures/lenet5bn/lenet5bn.inlined.onnx");
const folder = testFolder();

beforeAll(async () => {
  mkdirSync(bin, { recursive: true });
  await build({
    entryPoints: [join(root, "src/cli/main.ts")],
    outdir: bin,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    logLevel: "error",
  });
});

afterAll(() => rmSync(bin, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(argv: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [join(bin, "main.mjs"), ...argv], { cwd: folder.path });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (part: Buffer) => {
    said.stdout += part.toString();
  });
  child.stderr.on("data", (part: Buffer) => {
    said.stderr += part.toString();
  });
  const ended = new Promise<Ended>((done) => {
    child.on("close", (code, signal) => done({ code, signal, ...said }));
  });
  return { child, ended };
}

describe("the process", () => {
  it("has a shebang and answers 0", async () => {
    expect(readFileSync(join(root, "src/cli/main.ts"), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(await start(["--version"]).ended).toMatchObject({ code: 0, stderr: "" });
  });

  it("answers 2 for usage, with one line on stderr", async () => {
    const { code, stdout, stderr } = await start(["inspect"]).ended;
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error ADN_USAGE: inspect: MODEL is missing.*\n$/);
  });

  it("ends by itself after running a model", async () => {
    const input = join(root, "test/fixtures/lenet5bn/input.npy");
    const { code, stdout } = await start(["run", model, "--input", input, "--json"]).ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout).outputs[0].dims).toEqual([16, 10]);
  });

  it("a reader that goes away is no failure", async () => {
    const { child, ended } = start(["inspect", model, "--json"]);
    child.stdout?.destroy();
    expect(await ended).toMatchObject({ code: 0, stderr: "" });
  });

  it.skipIf(process.platform === "win32")("an interruption ends with 130 and leaves no file", async () => {
    const { child, ended } = start(["convert", model, "-o", "out.onnx", "--check", "100000"]);
    child.stderr?.on("data", (part: Buffer) => {
      if (part.toString().includes("verify")) child.kill("SIGINT");
    });
    expect(await ended).toMatchObject({ code: 130, signal: null, stdout: "" });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it.skipIf(process.platform === "win32")("so does one in the middle of fitting layers", async () => {
    const cnn = join(root, "test/topologies/fixtures/lenet5-conv-linear-32.pth");
    const digits = join(root, "test/fixtures/lenet5bn/digits.npy");
    const argv = [cnn, "--arch", "lenet5-bn", "-o", "out.onnx", "--data", digits, "--steps", "1000000"];
    const { child, ended } = start(["adderize", ...argv]);
    child.stderr?.on("data", (part: Buffer) => {
      if (part.toString().includes("fitting")) child.kill("SIGINT");
    });
    expect(await ended).toMatchObject({ code: 130, signal: null, stdout: "" });
    expect(readdirSync(folder.path)).toEqual([]);
  });
});
