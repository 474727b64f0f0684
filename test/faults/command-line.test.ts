// The command line when the machine fails it: a full disk, files that may not grow, Ctrl-C at any moment. Runs what was built.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeModel } from "../../src/core/onnx/index.ts";
import { main, root, run } from "./run-command.ts";

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

const cnn = join(root, "test/topologies/fixtures/lenet5-conv-linear-32.pth");

/** Commands that work for a while and then write files. */
const jobs = {
  convert: ["convert", network, "-o", "out.onnx", "--check", "3", "--external-data", "--report", "out.json"],
  quantize: ["quantize", converted, "-o", "out.onnx", "--data", images, "--samples", "16"],
  adderize: [
    ...["adderize", cnn, "--arch", "lenet5-bn", "-o", "out.onnx", "--report", "out.json"],
    ...["--data", join(root, "test/fixtures/lenet5bn/digits.npy"), "--samples", "64", "--steps", "20"],
  ],
} as const;

/** What stood in a file before the command that is to replace it. */
const old = "before";

/** A folder where an earlier run left its file. */
function makeFolder(): string {
  const place = mkdtempSync(join(folder, "job-"));
  writeFileSync(join(place, "out.onnx"), old);
  return place;
}

/** No file is half there: each is whole, the old one, or not there at all. Answers whether the model was written. */
function requireWhole(place: string): boolean {
  const names = readdirSync(place);
  expect(names.filter((name) => name.includes(".tmp-"))).toEqual([]);
  expect(names).toContain("out.onnx");
  const files = new Map(names.map((name) => [name, readFileSync(join(place, name))]));
  const [model, report] = [files.get("out.onnx")!, files.get("out.json")];
  if (report !== undefined) expect(() => JSON.parse(report.toString())).not.toThrow();
  if (model.toString() === old) return false;
  const { graph } = decodeModel(model, { externalData: (location) => files.get(location) });
  expect(graph.nodes.length).toBeGreaterThan(0);
  return true;
}

const isWindows = process.platform === "win32";

describe.skipIf(isWindows).each(Object.entries(jobs))("Ctrl-C during %s", (_, argv) => {
  it("at any moment leaves whole files or none, and the next call works", async () => {
    const whole = makeFolder();
    const { code, milliseconds } = await run(argv, whole);
    expect(code).toBe(0);
    expect(requireWhole(whole)).toBe(true);
    const moments = Array.from({ length: 5 }, (_, at) => ((at + 0.5) / 5) * milliseconds);
    const codes = new Set<number | null>();
    let place = whole;
    for (const moment of moments) {
      place = makeFolder();
      const ended = await run(argv, place, moment);
      codes.add(ended.code);
      // Before the first line of ours ran it is the signal itself that ends the process; after the last nothing is left to stop.
      expect([130, 0, null]).toContain(ended.code);
      expect(ended.stderr).not.toMatch(/fault of addernet|at .*\.js:\d+/);
      expect(requireWhole(place) || ended.code !== 0).toBe(true);
    }
    expect(codes).toContain(130);
    expect((await run(argv, place)).code).toBe(0);
    expect(requireWhole(place)).toBe(true);
  });
});

const mayMount =
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmpdir()]).status === 0;

/** A shell that runs the command after it, in a folder on a disk of 8 kB that holds the old file, and then tells what is there. */
const onFullDisk =
  'mount -t tmpfs -o size=8k tmpfs . && cd "$PWD" && printf before > out.onnx && "$@"; code=$?; ls -A; cat out.onnx; exit $code';

describe.skipIf(!mayMount)("a full disk (needs the right to mount one)", () => {
  it.each(Object.entries(jobs))(
    "is told of by %s in one line with the file's name, and the old file stays",
    (_, argv) => {
      const { status, stdout, stderr } = spawnSync(
        "unshare",
        ["-rm", "sh", "-c", onFullDisk, "sh", process.execPath, main, ...argv, "--quiet"],
        { cwd: mkdtempSync(join(folder, "disk-")), encoding: "utf8" },
      );
      expect({ status, stdout }).toEqual({ status: 2, stdout: `out.onnx\n${old}` });
      expect(stderr).toMatch(/^error ADN_FILE: out\.[a-z.]+: the disk is full\n$/);
    },
  );
});

describe.skipIf(isWindows)("files that may not grow", () => {
  it.each(Object.entries(jobs))("are told of by %s in one line, and the old file stays", (_, argv) => {
    const place = makeFolder();
    const { status, stderr } = spawnSync(
      "bash",
      ["-c", 'ulimit -f 4; "$@"', "bash", process.execPath, main, ...argv, "--quiet"],
      { cwd: place, encoding: "utf8" },
    );
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^error ADN_FILE: out\.[a-z.]+: the file would be larger than files may be here\n$/,
    );
    expect(readdirSync(place)).toEqual(["out.onnx"]);
    expect(readFileSync(join(place, "out.onnx"), "utf8")).toBe(old);
  });
});
