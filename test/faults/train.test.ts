// Training when the machine fails it: Ctrl-C at any moment, a disk that fills up, files that may not grow, a teacher that does not fit.
// What is left is whole, and --resume ends in the same bits as a run that nothing happened to. Runs what was built.

import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildModel, randomCheckpoint } from "../../converter/index.ts";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import { decodeCheckpoint } from "../../src/train/index.ts";
import { main, root, run } from "./run-command.ts";

const fixtures = join(root, "test/fixtures");
const images = ["digits.npy", "labels.npy"].map((name) => join(fixtures, "lenet5bn", name)).join();
const folder = mkdtempSync(join(tmpdir(), "addernet-train-faults-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const recipe = ["--arch", "lenet5-bn", "--data", images, "--validation", images, "--batch", "8"];
const job = ["train", ...recipe, "--epochs", "6", "--threads", "1", "--out", "net.onnx", "--resume"];
const whole = join(folder, "whole");

function makeFolder(): string {
  return mkdtempSync(join(folder, "job-"));
}

const readers: Readonly<Record<string, (bytes: Buffer) => unknown>> = {
  onnx: (bytes) => decodeModel(bytes),
  checkpoint: (bytes) => decodeCheckpoint(bytes, "checkpoint"),
  safetensors: (bytes) => JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString()),
  jsonl: (bytes) =>
    bytes
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  html: (bytes) => expect(bytes.toString()).toMatch(/<\/html>\s*$/),
};

/** No file is half there: each is whole, or not there at all. */
function requireWhole(place: string): void {
  for (const name of readdirSync(place)) {
    expect(name).not.toMatch(/\.tmp-/);
    const read = readers[name.split(".").at(-1)!];
    expect(read, name).toBeDefined();
    read!(readFileSync(join(place, name)));
  }
}

function requireSameBits(place: string): void {
  for (const name of ["net.safetensors", "net.checkpoint", "net.onnx"]) {
    expect(readFileSync(join(place, name)).equals(readFileSync(join(whole, name))), name).toBe(true);
  }
}

let wholeMilliseconds = 0;
beforeAll(async () => {
  mkdirSync(whole);
  const { code, milliseconds, stderr } = await run(job, whole);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  wholeMilliseconds = milliseconds;
  requireWhole(whole);
}, 60_000);

const isWindows = process.platform === "win32";

describe.skipIf(isWindows)("Ctrl-C during training", () => {
  it.each([0.15, 0.45, 0.65, 0.85, 0.97])(
    "at %f of the run leaves whole files or none, and the next call makes the same bits",
    async (share) => {
      const place = makeFolder();
      const { code, stderr } = await run(job, place, share * wholeMilliseconds);
      // 1 when a step was saved, 130 before and after the steps, the signal itself before the first line of ours.
      expect([1, 130, 0, null]).toContain(code);
      expect(stderr).not.toMatch(/fault of addernet|at .*\.js:\d+/);
      requireWhole(place);
      if (code === 1) expect(existsSync(join(place, "net.checkpoint"))).toBe(true);
      expect((await run(job, place)).code).toBe(0);
      requireSameBits(place);
    },
    60_000,
  );
});

const mayMount =
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmpdir()]).status === 0;

/** Runs `script` with the job as its arguments on a disk of its own; what is left there at the end goes to `place`. */
function onDisk(size: string, script: string, place: string) {
  const setup = `mount -t tmpfs -o size=${size} tmpfs . && cd . && cd "$PWD"`;
  return spawnSync(
    "unshare",
    [
      "-rm",
      "sh",
      "-c",
      `out=$1; shift; ${setup}; ${script}`,
      "sh",
      place,
      process.execPath,
      main,
      ...job,
      "--quiet",
    ],
    { cwd: makeFolder(), encoding: "utf8" },
  );
}

describe.skipIf(!mayMount)("a full disk (needs the right to mount one)", () => {
  it("at the first checkpoint is told in one line, and leaves nothing but the metrics", () => {
    const { status, stdout, stderr } = onDisk("64k", '"$@"; code=$?; ls -A; exit $code', folder);
    expect({ status, stdout, stderr }).toEqual({
      status: 2,
      stdout: "net.metrics.jsonl\n",
      stderr: "error ADN_FILE: net.checkpoint: the disk is full\n",
    });
  });

  it.each([
    { size: "800k", file: "net.checkpoint", left: "$", at: "a later checkpoint" },
    { size: "1012k", file: "net.html", left: "net.onnx\nnet.safetensors\n$", at: "the page" },
  ])("at $at keeps the last checkpoint; with room, --resume makes the same bits", ({ size, file, left }) => {
    const place = makeFolder();
    const script = `"$@"; first=$?; ls -A 1>&2; mount -o remount,size=64m . && "$@"; code=$?; cp net.* "$out"; exit $((10 * first + code))`;
    const { status, stderr } = onDisk(size, script, place);
    expect(stderr).toMatch(
      new RegExp(`^error ADN_FILE: (${file}): the disk is full\nnet.checkpoint\nnet.metrics.jsonl\n${left}`),
    );
    expect(status).toBe(20);
    requireWhole(place);
    requireSameBits(place);
  });
});

describe.skipIf(isWindows)("files that may not grow", () => {
  it("are told of in one line, and the old checkpoint stays", () => {
    const place = makeFolder();
    writeFileSync(join(place, "net.onnx"), "before");
    const { status, stderr } = spawnSync(
      "bash",
      ["-c", 'ulimit -f 64; "$@"', "bash", process.execPath, main, ...job, "--quiet"],
      { cwd: place, encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: "error ADN_FILE: net.checkpoint: the file would be larger than files may be here\n",
    });
    expect(readFileSync(join(place, "net.onnx"), "utf8")).toBe("before");
    expect(readdirSync(place).sort()).toEqual(["net.metrics.jsonl", "net.onnx"]);
  });
});

describe("a teacher that does not fit", () => {
  it.each([
    {
      arch: ["resnet20"],
      message: /ADN_DATA: .*teacher takes other images.*expected \[batch, 1, 28, 28\], found \[.*3, 32, 32\]/,
    },
    {
      arch: ["lenet5-bn", "7"],
      message: /ADN_CLASSES: .*teacher has another number of classes.*expected 10, found 7/,
    },
  ])("is refused before anything is written: $arch", async ({ arch: [name, classes], message }) => {
    const place = makeFolder();
    const model = buildModel(
      name!,
      randomCheckpoint(name!, { kind: "conv", ...(classes && { classes: Number(classes) }) }),
    );
    const teacher = join(folder, `${name}.onnx`);
    writeFileSync(teacher, encodeModel(model).bytes);
    const { code, stderr } = await run([...job, "--teacher", teacher, "--quiet"], place);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(readdirSync(place)).toEqual([]);
  });
});
