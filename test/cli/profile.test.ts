// addernet profile on the bundled LeNet-5-BN and on recorded reports: what it prints and writes, and its exit codes.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { ProfileReport } from "../../runtime/profile/report.ts";
import { addernet } from "./capture.ts";
import { testFolder } from "./folder.ts";
import { readSchema, schemaProblems } from "./json-schema.ts";

const fixture = (path: string): string => fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
const lenet = fixture("lenet5bn/lenet5bn.inlined.onnx");
const recordedPath = fixture("profile/resnet20-x64.json");
const recorded = JSON.parse(readFileSync(recordedPath, "utf8")) as ProfileReport;
const folder = testFolder();
const inFolder = (name: string): string => join(folder.path, name);
const few = ["--runs", "5", "--warmup-runs", "2", "--quiet"];

describe("on this machine", () => {
  let report: ProfileReport;

  beforeAll(async () => {
    const { code, stdout, stderr } = await addernet([
      "profile",
      lenet,
      ...few,
      "--compare",
      "--seconds",
      "0.5",
      "--json",
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    report = JSON.parse(stdout) as ProfileReport;
  });

  it("answers as its schema says", () => {
    expect(schemaProblems(report, readSchema("profile"))).toEqual([]);
    expect(schemaProblems(recorded, readSchema("profile"))).toEqual([]);
  });

  it("converts an export first, and says so", () => {
    expect(report.model.changed).toMatch(/converted in memory first.*5 adder layers/);
    expect(report.model.adderLayers).toBe(5);
  });

  it("layers, what is left and the wall clock fit together", () => {
    const { reconciliation: r, layers } = report;
    expect(layers.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(r.layersMs, 9);
    expect(r.layersMs + r.unaccountedMs).toBeCloseTo(r.wallMs, 9);
    expect(r.wallMs).toBe(report.latencyMs.p50);
    expect(report.startUpMs.coldStart).toBeCloseTo(report.startUpMs.session + report.startUpMs.firstRun, 9);
  });

  it("counts as inspect does", async () => {
    const { stdout } = await addernet(["inspect", lenet, "--json"]);
    const inspected = JSON.parse(stdout);
    expect(report.totals.taps).toBe(inspected.adder.taps);
    expect(report.totals.additions).toBe(inspected.adder.additions);
    expect(report.totals.multiplications).toBe(inspected.multiplications);
    expect(report.costs.adder.additions).toBe(833_040);
    for (const { name, taps } of inspected.adder.list) {
      expect(report.layers.find((layer) => layer.name === name)?.taps, name).toBe(taps);
    }
  });

  it("counts bytes by the shapes: input, weights with bias and scale, output of the first layer", () => {
    const [first] = report.layers;
    const floats = 28 * 28 + 6 * 25 + 6 + 6 + 6 * 28 * 28;
    expect(first?.bytes).toBeGreaterThanOrEqual(4 * floats);
    expect(first?.bytes).toBeLessThan(4 * (floats + 64));
  });

  it("compares with the CNN on both onnxruntimes and on our kernels", () => {
    const { candidates, ratios, skipped } = report.comparison!;
    expect(skipped).toEqual([]);
    expect(candidates.map(({ network, engine }) => `${network} ${engine}`)).toEqual([
      "AdderNet addernet",
      "CNN onnxruntime-web",
      "CNN onnxruntime-node",
      "CNN addernet",
    ]);
    expect(ratios.map(({ ours }) => ours)).toEqual(new Array(3).fill("AdderNet, addernet"));
    for (const { ratio, ci95 } of ratios) {
      expect(ratio).toBeGreaterThan(0);
      expect(ci95[0]).toBeLessThanOrEqual(ci95[1]);
    }
  });

  it("prints the tables: published figures beside ours", async () => {
    const { code, stdout } = await addernet(["profile", lenet, ...few, "--threads", "2"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/published, LeNet-5-BN: CNN\s+435K\s+435K\s+2\.6M/);
    expect(stdout).toMatch(/published, LeNet-5-BN: AdderNet\s+0\s+870K\s+1\.7M/);
    expect(stdout).toMatch(/unaccounted/);
    expect(stdout).toMatch(/conv2\s+Adder2d/);
  });

  it("--bundle writes one file that needs Node alone", async () => {
    const file = inFolder("board.mjs");
    const { code, stdout } = await addernet(["profile", lenet, ...few, "--bundle", file, "--json"]);
    expect(code).toBe(0);
    expect(schemaProblems(JSON.parse(stdout), readSchema("profile"))).toEqual([]);
    const imports = [...readFileSync(file, "utf8").matchAll(/\bfrom\s*"([^"]+)"/g)].map((match) => match[1]!);
    expect(imports.filter((name) => /^[\w@./]/.test(name) && !name.startsWith("node:"))).toEqual([]);
    const empty = inFolder("empty");
    mkdirSync(empty);
    const ran = spawnSync(process.execPath, [file], { cwd: empty, encoding: "utf8", env: {} });
    expect([ran.status, readdirSync(empty)]).toEqual([0, []]);
    const brought = JSON.parse(ran.stdout) as ProfileReport;
    expect(schemaProblems(brought, readSchema("profile"))).toEqual([]);
    expect(brought.layers.map(({ name }) => name)).toEqual(report.layers.map(({ name }) => name));
    const written = spawnSync(process.execPath, [file, "out.json"], { cwd: empty, encoding: "utf8" });
    expect(written.stdout).toMatch(/conv2\s+Adder2d/);
    expect(readdirSync(empty)).toEqual(["out.json"]);
  });
});

describe("recorded reports", () => {
  const slower = (factor: number): string => {
    const { latencyMs } = recorded;
    return folder.write(
      `slower-${factor}.json`,
      JSON.stringify({ ...recorded, latencyMs: { ...latencyMs, p50: latencyMs.p50 * factor } }),
    );
  };
  const { p95, p50 } = recorded.latencyMs;

  // biome-ignore format: a table
  it.each<[string, string[], number]>([
    ["p95 below the limit", ["--fail-if", `p95>${p95 * 1.1}ms`], 0],
    ["p95 above the limit", ["--fail-if", `p95>${p95 * 0.9}ms`], 5],
    ["one of two crossed", ["--fail-if", "p50>10s", "--fail-if", `p50>${p50 * 900}us`], 5],
    ["a ratio above", ["--fail-if", "ratio-web>0.1"], 5],
    ["a ratio below", ["--fail-if", "ratio-web>1"], 0],
    ["the baseline itself", ["--baseline", recordedPath], 0],
    ["no condition", [], 0],
    ["a condition nobody understands", ["--fail-if", "speed>1"], 2],
    ["a share nobody understands", ["--baseline", recordedPath, "--max-regress", "some"], 2],
    ["a baseline that is none", ["--baseline", lenet], 2],
  ])("%s", async (_name, flags, expected) => {
    const { code, stdout, stderr } = await addernet(["profile", recordedPath, ...flags, "--json"]);
    expect(code).toBe(expected);
    if (expected === 2) return;
    expect((JSON.parse(stdout) as ProfileReport).thresholds.length).toBe(flags.filter((flag) => /^--(fail-if|baseline)$/.test(flag)).length);
    expect(/ADN_THRESHOLD/.test(stderr)).toBe(expected === 5);
  });

  it.each([
    [1.04, "5%", 0],
    [1.06, "5%", 5],
    [1.06, "10%", 0],
    [1.2, "0.1", 5],
    [0.9, "0%", 0],
  ])("%d times the baseline, at most %s more: exit code %d", async (factor, most, expected) => {
    const { code } = await addernet([
      "profile",
      slower(factor),
      "--baseline",
      recordedPath,
      "--max-regress",
      most,
      "--quiet",
    ]);
    expect(code).toBe(expected);
  });

  it("are written as a page, Markdown and a trace", async () => {
    const files = { html: inFolder("r.html"), md: inFolder("r.md"), trace: inFolder("r.trace.json") };
    const flags = Object.entries(files).flatMap(([name, path]) => [`--${name}`, path]);
    expect((await addernet(["profile", recordedPath, ...flags, "--quiet"])).code).toBe(0);
    const page = readFileSync(files.html, "utf8");
    expect(page).not.toMatch(/(src|href)="/);
    expect(page).toMatch(/<svg/);
    for (const { name } of recorded.layers) expect(page).toContain(name);
    expect(readFileSync(files.md, "utf8")).toMatch(
      /\| published, ResNet-20, 32x32: CNN \| 41\.17M \| 41\.17M \|/,
    );
  });

  it("make a trace of the Chrome format whose layers lie inside their runs", async () => {
    const path = inFolder("t.trace.json");
    await addernet(["profile", recordedPath, "--trace", path, "--quiet"]);
    const { traceEvents, displayTimeUnit } = JSON.parse(readFileSync(path, "utf8"));
    expect(displayTimeUnit).toBe("ms");
    for (const event of traceEvents) {
      expect(["X", "M", "C"]).toContain(event.ph);
      expect([typeof event.name, typeof event.pid, typeof event.tid, typeof event.ts]).toEqual([
        "string",
        "number",
        "number",
        "number",
      ]);
      if (event.ph === "X") expect(event.dur).toBeGreaterThanOrEqual(0);
    }
    const spans = (cat: string) => traceEvents.filter((event: { cat?: string }) => event.cat === cat);
    const runs = spans("run");
    expect(spans("layer").length).toBe(runs.length * recorded.layers.length);
    for (const layer of spans("layer")) {
      const around = runs.filter(
        (run: { ts: number; dur: number }) =>
          run.ts <= layer.ts && layer.ts + layer.dur <= run.ts + run.dur + 0.01,
      );
      expect(around.length).toBe(1);
    }
    for (const [index, run] of runs.slice(1).entries())
      expect(run.ts).toBeGreaterThanOrEqual(runs[index].ts + runs[index].dur);
  });

  it("names of hostile models stay text on the page", async () => {
    const layers = [
      { ...recorded.layers[0]!, name: '<img src=x onerror="alert(1)">' },
      ...recorded.layers.slice(1),
    ];
    const path = folder.write(
      "hostile.json",
      JSON.stringify({ ...recorded, layers, model: { ...recorded.model, name: "</title><script>" } }),
    );
    await addernet(["profile", path, "--html", inFolder("h.html"), "--md", inFolder("h.md"), "--quiet"]);
    expect(readFileSync(inFolder("h.html"), "utf8")).not.toMatch(/<img|<script/);
    expect(readFileSync(inFolder("h.md"), "utf8")).not.toMatch(/<img|<script/);
  });

  it("--merge puts a folder of them side by side", async () => {
    const reports = inFolder("reports");
    mkdirSync(reports);
    const pi = {
      ...recorded,
      environment: { ...recorded.environment, board: "Raspberry Pi 4 Model B", host: "pi" },
    };
    writeFileSync(join(reports, "a.json"), JSON.stringify(recorded));
    writeFileSync(join(reports, "b.json"), JSON.stringify(pi));
    const { code, stdout } = await addernet([
      "profile",
      "--merge",
      reports,
      "--html",
      inFolder("all.html"),
      "--json",
      "--quiet",
    ]);
    expect(code).toBe(0);
    const merged = JSON.parse(stdout);
    expect(schemaProblems(merged, readSchema("profile"))).toEqual([]);
    expect(merged.reports.length).toBe(2);
    expect(readFileSync(inFolder("all.html"), "utf8")).toMatch(/Raspberry Pi 4 Model B, pi/);
    const text = (
      await addernet(["profile", "--merge", join(reports, "a.json"), join(reports, "b.json"), "--quiet"])
    ).stdout;
    expect(text).toMatch(/Raspberry Pi 4 Model B/);
    const twice = { ...recorded, settings: { ...recorded.settings, threads: 2 } };
    writeFileSync(join(reports, "b.json"), JSON.stringify(twice));
    await addernet(["profile", "--merge", reports, "--html", inFolder("all.html"), "--quiet"]);
    expect(readFileSync(inFolder("all.html"), "utf8")).toMatch(/<th[^>]*>[^<]*, threads: 2<\/th>/);
  });

  // biome-ignore format: a table
  it.each<[string, string[]]>([
    ["no model", []], ["two models", [lenet, lenet]], ["an empty folder", ["--merge", folder.path.concat("/nothing")]],
    ["a report that is none", [fixture("lenet5bn/README.md").replace("README.md", "README.json")]],
    ["inputs with --host", [lenet, "--host", "board", "--input", fixture("lenet5bn/input.npy")]],
    ["an unknown input", [lenet, "--input-shape", "x:1,1,28,28"]],
    ["a CNN's file with --bundle", [lenet, "--compare", lenet, "--bundle", "b.mjs"]],
  ])("refuses %s", async (_name, flags) => {
    const { code, stderr } = await addernet(["profile", ...flags, "--quiet"]);
    expect([code, stderr.split("\n").length]).toEqual([2, 2]);
    expect(existsSync("b.mjs")).toBe(false);
  });

  it("a model without adder layers needs the other network", async () => {
    const { code, stderr } = await addernet([
      "profile",
      lenet,
      "--compare",
      inFolder("none.onnx"),
      "--quiet",
    ]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/no such file/);
  });
});
