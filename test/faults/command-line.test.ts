// The command line when the machine fails it: a full disk, files that may not grow, Ctrl-C at any moment. Runs what was built.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeModel } from "../../src/core/onnx/index.ts";

const root = resolve(import.meta.dirname, "../..");
const main = join(root, "dist/src/cli/main.js");
const network = join(root, "test/fixtures/lenet5bn/lenet5bn.inlined.onnx");
const images = ["digits.npy", "labels.npy"].map((name) => join(root, "test/fixtures/lenet5bn", name)).join();
const folder = mkdtempSync(join(tmpdir(), "addernet-faults-"));
const converted = join(folder, "net.onnx");

beforeAll(() => {
  const { status } = spawnSync(process.execPath, [
    main,
    "convert",
    network,
    "-o",
    converted,
    "--no-check",
    "--quiet",
  ]);
  expect(status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Commands that work for a while and then write files. */
const jobs = {
  convert: ["convert", network, "-o", "out.onnx", "--check", "3", "--report", "out.json"],
  quantize: ["quantize", converted, "-o", "out.onnx", "--data", images, "--samples", "16"],
} as const;

function makeFolder(): string {
  return mkdtempSync(join(folder, "job-"));
}

/** No file is half there: each is whole, or not there at all. */
function requireWhole(place: string): void {
  const names = readdirSync(place);
  expect(names.filter((name) => name.includes(".tmp-"))).toEqual([]);
  for (const name of names) {
    const content = readFileSync(join(place, name));
    if (name.endsWith(".onnx")) expect(decodeModel(content).graph.nodes.length).toBeGreaterThan(0);
    else expect(() => JSON.parse(content.toString())).not.toThrow();
  }
}

interface Ended {
  readonly code: number | null;
  readonly milliseconds: number;
  readonly stderr: string;
}

function run(argv: readonly string[], place: string, interruptAfter?: number): Promise<Ended> {
  return new Promise((done) => {
    const start = performance.now();
    const child = spawn(process.execPath, [main, ...argv], {
      cwd: place,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (part: Buffer) => {
      stderr += part.toString();
    });
    const timer =
      interruptAfter === undefined ? undefined : setTimeout(() => child.kill("SIGINT"), interruptAfter);
    child.on("close", (code) => {
      clearTimeout(timer);
      done({ code, milliseconds: performance.now() - start, stderr });
    });
  });
}

const isWindows = process.platform === "win32";

describe.skipIf(isWindows).each(Object.entries(jobs))("Ctrl-C during %s", (_, argv) => {
  it("at any moment leaves whole files or none, and the next call works", async () => {
    const whole = makeFolder();
    const { code, milliseconds } = await run(argv, whole);
    expect(code).toBe(0);
    requireWhole(whole);
    const moments = Array.from({ length: 4 }, (_, at) => ((at + 0.5) / 4) * milliseconds);
    for (const moment of moments) {
      const place = makeFolder();
      const ended = await run(argv, place, moment);
      // Before the first line of ours ran it is the signal itself that ends the process; after the last nothing is left to stop.
      expect([130, 0, null]).toContain(ended.code);
      expect(ended.stderr).not.toMatch(/fault of addernet|at .*\.js:\d+/);
      requireWhole(place);
    }
  });
});

const mayMount =
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmpdir()]).status === 0;

describe.skipIf(!mayMount)("a full disk (needs the right to mount one)", () => {
  it("is told in one line with the file's name, and leaves nothing", () => {
    const place = makeFolder();
    const script = `mount -t tmpfs -o size=64k tmpfs . && cd . && cd "$PWD" && "$@"; code=$?; ls -A; exit $code`;
    const { status, stdout, stderr } = spawnSync(
      "unshare",
      [
        "-rm",
        "sh",
        "-c",
        script,
        "sh",
        process.execPath,
        main,
        "convert",
        network,
        "-o",
        "out.onnx",
        "--no-check",
        "--quiet",
      ],
      { cwd: place, encoding: "utf8" },
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 2,
      stdout: "",
      stderr: "error ADN_FILE: out.onnx: the disk is full\n",
    });
  });
});

describe.skipIf(isWindows)("files that may not grow", () => {
  it("are told of in one line, and the old file stays", () => {
    const place = makeFolder();
    writeFileSync(join(place, "out.onnx"), "before");
    const { status, stderr } = spawnSync(
      "bash",
      [
        "-c",
        'ulimit -f 64; "$@"',
        "bash",
        process.execPath,
        main,
        "convert",
        network,
        "-o",
        "out.onnx",
        "--no-check",
        "--quiet",
      ],
      { cwd: place, encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: "error ADN_FILE: out.onnx: the file would be larger than files may be here\n",
    });
    expect(readdirSync(place)).toEqual(["out.onnx"]);
    expect(readFileSync(join(place, "out.onnx"), "utf8")).toBe("before");
  });
});
