// Custom ops inside onnxruntime-web in Chromium: every build of it, with and without isolation, beside wasm and webgpu.

import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { Tensor } from "../../src/core/tensor.ts";
import { expectMeaning, type NativeCase, nativeCases } from "../ort/native-models.ts";
import type { NativeResult, NativeRun, PlainCase } from "./pages/native.ts";
import {
  bundlePage,
  hasChromium,
  launchChromium,
  openPage,
  root,
  type Site,
  serve,
  skipReason,
  webgpuFlags,
} from "./rig.ts";

/** The table of functions is another one in each of them. The others are tried by `npm run test:native`. */
const builds = [
  { build: "ort.bundle.min.mjs", inner: "wasm", always: true },
  { build: "ort.min.mjs", inner: "wasm", always: false },
  { build: "ort.bundle.min.mjs", inner: "webgpu", always: false },
  { build: "ort.webgpu.bundle.min.mjs", inner: "wasm", always: false },
  { build: "ort.webgpu.bundle.min.mjs", inner: "webgpu", always: true },
  { build: "ort.jspi.bundle.min.mjs", inner: "wasm", always: false },
  { build: "ort.jspi.bundle.min.mjs", inner: "webgpu", always: true },
];

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

interface Opened {
  readonly results: readonly NativeResult[];
  readonly warnings: readonly string[];
}

let cases: NativeCase[];
let files: Record<string, string | Uint8Array>;

function plain({ name, bytes, feeds }: NativeCase): PlainCase {
  const entries = Object.entries(feeds).map(([key, { type, dims, data }]) => [
    key,
    { type, dims, data: Array.from(data, Number) },
  ]);
  return { name, model: Buffer.from(bytes).toString("base64"), feeds: Object.fromEntries(entries) };
}

async function runIn(run: NativeRun, isolated: boolean, flags: readonly string[] = []): Promise<Opened> {
  const folder = join(root, "node_modules/onnxruntime-web/dist");
  const site: Site = { files, isolated, folders: { "/ort/": folder, "/elsewhere/": folder } };
  const [browser, { origin, close }] = [await launchChromium(flags), await serve(site)];
  try {
    const { page, faults } = await openPage(browser, origin);
    const results = (await page.evaluate(`runNative(${JSON.stringify(run)})`)) as NativeResult[];
    expect(results).toHaveLength(run.ways.length * (run.only ?? cases).length);
    return { results, warnings: faults };
  } finally {
    await browser.close();
    await close();
  }
}

function expectAll({ results }: Opened, strategies: Readonly<Record<string, string | undefined>>): void {
  for (const { name, way, outputs, error, strategy } of results) {
    const what = `${name}, ${way ?? "function bodies"}`;
    expect(error, what).toBeUndefined();
    expect(strategy, what).toBe(strategies[String(way)]);
    const { expected } = cases.find((each) => each.name === name)!;
    expectMeaning(what, outputs as unknown as Record<string, Tensor>, expected);
  }
}

const inEveryWay = { native: "native", partition: "partition", null: undefined };
const ways = ["native", "partition", null] as const;

describe.skipIf(!hasChromium)(`custom ops in Chromium${skipReason}`, () => {
  beforeAll(async () => {
    cases = await nativeCases();
    files = {
      "/page.html":
        '<!doctype html><html lang="en"><title>test</title><script type="module" src="/native.js"></script></html>',
      "/native.js": await bundlePage("native.ts"),
      "/cases.json": JSON.stringify(cases.map(plain)),
    };
  });

  it.each([
    { headers: "without isolation", isolated: false, threads: 1 },
    { headers: "cross-origin isolated, two threads", isolated: true, threads: 2 },
  ])("agree in every strategy, $headers", async ({ isolated, threads }) => {
    const run: NativeRun = {
      ...{ ort: "/ort/ort.wasm.bundle.min.mjs", registered: "native", ways, inner: ["wasm"], threads },
    };
    const opened = await runIn(run, isolated);
    expect(opened.warnings).toEqual([]);
    expect(opened.results).toHaveLength(cases.length * ways.length);
    expectAll(opened, inEveryWay);
  });

  const few = ["every fused form and window, 2 images", "layers of codes, 2 images"];
  it.each(builds.filter(({ always }) => always || process.env.EVERY_BUILD))(
    "agree in $build beside $inner",
    async ({ build, inner }) => {
      const run: NativeRun = {
        ...{ ort: `/ort/${build}`, registered: "native", inner: [inner], threads: 1 },
        ways: ["native"],
        only: few,
      };
      expectAll(await runIn(run, true, inner === "webgpu" ? webgpuFlags : []), inEveryWay);
    },
  );

  it.each([
    { what: "wasmPaths as a prefix", wasm: { wasmPaths: "/elsewhere/" } },
    {
      what: "wasmPaths by file",
      wasm: {
        wasmPaths: {
          mjs: "/elsewhere/ort-wasm-simd-threaded.mjs",
          wasm: "/elsewhere/ort-wasm-simd-threaded.wasm",
        },
      },
    },
    { what: "a binary of their own", wasm: { binary: "/elsewhere/ort-wasm-simd-threaded.wasm" } },
  ])("honour $what", async ({ wasm }) => {
    const run: NativeRun = {
      ...{ ort: "/ort/ort.wasm.min.mjs", registered: "native", inner: ["wasm"], threads: 1, wasm },
      ways: ["native"],
      only: few.slice(0, 1),
    };
    expectAll(await runIn(run, false), inEveryWay);
  });

  it("leave a proxy alone, with one warning", async () => {
    const run: NativeRun = {
      ...{
        ort: "/ort/ort.wasm.min.mjs",
        registered: "auto",
        inner: ["wasm"],
        threads: 1,
        wasm: { proxy: true },
      },
      ways: ["auto", "native", "auto"],
      only: few.slice(0, 1),
    };
    const { results, warnings } = await runIn(run, false);
    const [first, refused, second] = results;
    expectAll({ results: [first!, second!], warnings }, { auto: "partition" });
    expect(first!.reason).toMatch(/env\.wasm\.proxy/);
    expect(refused!.error).toMatch(/env\.wasm\.proxy/);
    expect(warnings).toEqual([expect.stringMatching(/addernet: .*env\.wasm\.proxy/)]);
  });
});
