// What fuzzing once found stays mended, and a few fresh cases of every kind. Runs what `npm run build` made; see `npm run fuzz`.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

interface Kept {
  readonly why: string;
  readonly kind: string;
  readonly case: unknown;
}

const kept = JSON.parse(readFileSync(join(import.meta.dirname, "kept.json"), "utf8")) as readonly Kept[];

function run(script: string, ...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, script), ...argv],
    {
      encoding: "utf8",
    },
  );
  return { status, told: `${stdout}${stderr}` };
}

test("cases that failed once pass", () => {
  expect(kept.length).toBeGreaterThan(0);
  expect(run("check-kept.mjs")).toMatchObject({ status: 0 });
});

describe("fresh cases", () => {
  test.each([
    ["graphs", "25"],
    ["cnns", "5"],
    ["onnx", "300"],
    ["pth", "400"],
    ["safetensors", "300"],
    ["npy", "500"],
    ["calibration", "200"],
    ["flags", "25"],
  ])("%s, %s of them", (kind, count) => {
    expect(run("run.mjs", "--kind", kind, "--count", count)).toMatchObject({ status: 0 });
  });
});
